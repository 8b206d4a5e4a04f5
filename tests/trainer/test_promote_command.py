"""`trainer promote` and `trainer rollback`: what they print, refuse and leave in the database."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import champion, install_model, rows, value

from trainer.cli import main

POOR = {"training": {"class_counts": {"win": 20, "loss": 30, "timeout": 40}}}


@pytest.fixture
def run(db_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("DATABASE_URL", db_url)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def test_a_promotion_prints_every_gate(run: Any, db: psycopg.Connection[Any]) -> None:
    install_model(db, "a")
    start = champion(db)
    code, out, _ = run("promote", "a", "--reason", "better")
    *gates, last = out.splitlines()
    assert (code, champion(db), last) == (0, "a", f"a is the champion now; before it: {start}")
    assert len(gates) == value(db, "SELECT count(*) FROM ml.check_model(%s)", "a")
    assert {line.split()[0] for line in gates} == {"passed", "warned"}
    assert "passed  golden rows: 1 rows, largest difference 0" in gates
    assert value(db, "SELECT reason FROM ml_deployments ORDER BY id DESC LIMIT 1") == "better"


def test_a_refusal_shows_the_gates_and_keeps_them(run: Any, db: psycopg.Connection[Any]) -> None:
    install_model(db, "a", card=POOR)
    start = champion(db)
    code, out, said = run("promote", "a")
    assert (code, champion(db)) == (1, start)
    assert "FAILED  labels: trained on 30 loss, 40 timeout, 20 win events; needed are 200 of each outcome\n" in out
    assert said.startswith("trainer: Model version a does not pass its gates: labels: ")
    assert said.count("\n") == 1
    assert {row["action"] for row in rows(db, "SELECT action FROM ml_gate_results WHERE gate = 'labels'")} == {"check"}
    code, out, _ = run("promote", "a", "--json")
    assert code == 1
    assert [gate["gate"] for gate in json.loads(out)["gates"] if gate["blocking"] and not gate["passed"]] == ["labels"]


def test_a_check_promotes_nothing(run: Any, db: psycopg.Connection[Any]) -> None:
    install_model(db, "a", card=POOR)
    install_model(db, "b")
    start = champion(db)
    code, out, said = run("promote", "a", "--check")
    assert (code, said) == (1, "trainer: a would not be promoted: labels.\n")
    assert out.count("\n") == value(db, "SELECT count(*) FROM ml.check_model(%s)", "a")
    code, out, _ = run("promote", "b", "--check")
    assert (code, out.splitlines()[-1]) == (0, "b would be promoted")
    assert champion(db) == start


def test_force_takes_a_reason(run: Any, db: psycopg.Connection[Any]) -> None:
    install_model(db, "a", card=POOR)
    for reason in ((), ("--reason", " ")):
        code, out, said = run("promote", "a", "--force", *reason)
        assert (code, out) == (1, "")
        assert "say with --reason why they do not count this time" in said
    code, out, _ = run("promote", "a", "--force", "--reason", "a drill")
    assert (code, champion(db)) == (0, "a")
    assert "FAILED  labels" in out
    assert value(db, "SELECT details ->> 'forced' FROM ml_deployments ORDER BY id DESC LIMIT 1") == "true"


def test_a_rollback_to_a_version_without_functions_warns(run: Any, db: psycopg.Connection[Any]) -> None:
    start = champion(db)
    install_model(db, "a")
    run("promote", "a")
    db.execute("DROP FUNCTION ml_generated.score_a(float8[])")
    code, out, said = run("rollback")
    assert (code, out, said) == (0, f"{start} is the champion again; withdrawn: a\n", "")
    code, out, said = run("rollback", "a", "--reason", "a drill")
    assert (code, champion(db)) == (0, "a")
    assert said == "warning: the compiled functions of a are missing: deploy it again, or roll back further\n"


def test_a_version_that_is_not_registered_is_a_sentence(
    run: Any, db: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path))
    (tmp_path / "models" / "local-1").mkdir(parents=True)
    for check in ((), ("--check",)):
        code, out, said = run("promote", "local-1", *check)
        assert (code, out) == (1, "")
        assert said.startswith("trainer: Model version local-1 is not registered: deploy it first")


def test_options_are_named_not_parameters(run: Any, db: psycopg.Connection[Any]) -> None:
    install_model(db, "a", card=POOR)
    _, _, said = run("promote", "a")
    assert "pass --force with a reason" in said
    assert "p_force" not in said
