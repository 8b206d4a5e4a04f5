"""``trainer`` and ``trainer db`` as other people's scripts see them: output, exit codes, sentences."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import psycopg
import pytest
import typer

from trainer import __version__, cli
from trainer.database import resolve_url
from trainer.errors import UserError
from trainer.server import find_binaries

Run = Any


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home folder that the server's account can reach, the server stopped at the end."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name, "home")
        trainer(Path(name, "home"), "db", "stop")


def trainer(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
    return subprocess.run(
        [sys.executable, "-m", "trainer", *arguments],
        env={**kept, "PATTERN_CONFIDENCE_HOME": str(home), "COLUMNS": "60", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_life_of_a_server(home: Path) -> None:
    stopped = trainer(home, "db", "status", "--json")
    assert stopped.returncode == 3
    assert json.loads(stopped.stdout)["running"] is False
    assert trainer(home, "db", "stop").stdout == "not running\n"
    assert not home.exists()

    started = trainer(home, "db", "start")
    assert (started.returncode, started.stderr) == (0, "")
    url = started.stdout.removesuffix("\n")
    assert url.startswith("postgresql://") and not set(url) & set(" \n&'\"")
    assert trainer(home, "db", "url").stdout == started.stdout

    status = json.loads(trainer(home, "db", "status", "--json").stdout)
    assert status == {
        "running": True,
        "url": url,
        "data": str(home / "server" / "data"),
        "log": str(home / "server" / "log"),
        "pid": status["pid"],
        "version": status["version"],
    }
    os.kill(status["pid"], 0)
    told = trainer(home, "db", "status")
    assert told.returncode == 0
    assert told.stdout.startswith(f"status  running, PostgreSQL {status['version']}, process {status['pid']}\n")
    assert f"\nurl     {url}\n" in told.stdout

    psql = subprocess.run(
        [find_binaries().folder / "psql", "-XAtc", "SELECT current_database()", url],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert psql.stdout == "pattern_confidence\n"
    with psycopg.connect(url) as connection:
        assert connection.info.server_version >= 150000

    stop = trainer(home, "db", "stop")
    assert (stop.returncode, stop.stdout) == (0, "stopped\n")
    assert trainer(home, "db", "status").returncode == 3
    assert trainer(home, "db", "url").stdout == started.stdout


def test_url_does_not_wait_for_the_scientific_libraries(home: Path) -> None:
    code = (
        "import sys; from trainer.cli import main\n"
        "try: main(['db', 'url'])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PATTERN_CONFIDENCE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(cli.__file__).parents[1],
    )
    assert done.stdout.startswith("postgresql://")
    heavy = {
        "pandas",
        "numpy",
        "sklearn",
        "scipy",
        "alembic",
        "sqlalchemy",
        "talib",
        "rich.console",
        "lightgbm",
    }
    assert not heavy & set(done.stderr.split())


def test_usage(home: Path) -> None:
    assert trainer(home, "--version").stdout == f"pattern-confidence {__version__}\n"
    for arguments in (
        ["no-such-verb"],
        ["db", "no-such-verb"],
        ["db", "url", "--no-such-option"],
        [],
        ["db"],
    ):
        done = trainer(home, *arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr
    for arguments in (["--help"], ["db", "--help"], ["db", "start", "-h"]):
        done = trainer(home, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
    listed = trainer(home, "--help").stdout
    positions = [listed.index(f"│ {verb.name} ") for verb in cli.VERBS]
    assert positions == sorted(positions)


def test_user_errors_are_one_sentence(home: Path) -> None:
    done = trainer(home, "db", "start", PG_BIN="/nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("trainer: PG_BIN is /nowhere") and done.stderr.count("\n") == 1
    for arguments, env in (
        (["--debug", "db", "start"], {}),
        (["db", "start"], {"PATTERN_CONFIDENCE_DEBUG": "1"}),
    ):
        done = trainer(home, *arguments, PG_BIN="/nowhere", **env)
        assert done.returncode == 1
        assert "Traceback" in done.stderr and "PG_BIN is /nowhere" in done.stderr


# ---------------------------------------------------------------------------------------- adding a verb


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process with made-up verbs; returns exit code, stdout, stderr."""
    module = types.ModuleType("made_up_stage")

    def show(name: str, database_url: cli.DatabaseUrl = None, as_json: cli.AsJson = False) -> None:
        """Say which database is used."""
        typer.echo(f"{name} {resolve_url(database_url)} {as_json}")

    def fail(how: Annotated[str, typer.Argument()]) -> None:
        """Fail."""
        raise {
            "user": UserError("The bars are missing: load them."),
            "bug": KeyError("first line\nsecond line"),
            "interrupt": KeyboardInterrupt(),
            "exit": typer.Exit(7),
        }[how]

    module.show = show  # type: ignore[attr-defined]
    module.fail = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    verbs = [cli.Verb(name, f"made_up_stage:{name}", "Made up.") for name in ("show", "fail")]
    monkeypatch.setattr(cli, "VERBS", (*cli.VERBS, *verbs))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_verbs_get_the_database(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://environment/db")
    assert run("show", "x") == (0, "x postgresql://environment/db False\n", "")
    answer = run("show", "x", "--database-url", "postgres://option/db", "--json")
    assert answer == (0, "x postgresql://option/db True\n", "")
    code, out, err = run("show", "x", "--database-url", "mysql://u:hunter2@h/d")
    assert (code, out) == (1, "")
    assert err.startswith("trainer: --database-url does not name a PostgreSQL database") and "hunter2" not in err
    assert run("show")[0] == 2


def test_exit_codes(run: Run) -> None:
    assert run("fail", "user") == (1, "", "trainer: The bars are missing: load them.\n")
    code, out, err = run("fail", "bug")
    assert (code, out) == (1, "")
    assert err.startswith("trainer: KeyError: ") and err.count("\n") == 1 and "--debug" in err
    code, _, err = run("--debug", "fail", "bug")
    assert code == 1 and "Traceback" in err
    assert "Traceback" not in run("fail", "bug")[2], "--debug is for one run"
    assert run("fail", "interrupt")[0] == 130
    assert run("fail", "exit")[0] == 7


def test_every_verb_has_its_summary_in_its_own_help() -> None:
    for verb in cli.VERBS:
        command = cli._load(verb)
        assert command.name == verb.name
        assert (command.help or "").startswith(verb.summary.rstrip(".")), (verb.name, command.help)


def test_ctrl_c_is_130_without_a_traceback(home: Path) -> None:
    code = "import os, trainer.server as server\n"
    code += "server.EmbeddedServer.start = lambda self: os.kill(os.getpid(), 2)\n"
    code += "from trainer.cli import main; main(['db', 'start'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(cli.__file__).parents[1],
    )
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "Interrupted; run it again: what was finished stays, the rest starts over.\n"


def test_a_closed_pipe_is_said() -> None:
    code = "import os, sys, trainer.server as server\n"
    code += "from trainer.progress import output\n"
    code += "server.EmbeddedServer.start = lambda self: [output().print('x' * 999) for _ in range(999)]\n"
    code += "from trainer.cli import main; main(['db', 'start'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(cli.__file__).parents[1],
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        process.wait(60)
    assert process.returncode == 141
    assert said.startswith("Nobody reads the output any more") and said.count("\n") == 1
