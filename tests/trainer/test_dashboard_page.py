"""trainer dashboard: one page that needs nothing else, says what the database says, and survives what fails."""

import builtins
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from html_page import Page, words
from plotly.offline import get_plotlyjs
from small_dashboard import dashboard_model, model
from support import add_bars, go_live, insert_event

from trainer.cli import main
from trainer.dashboard.command import chosen_values
from trainer.dashboard.macros import TimeRange
from trainer.dashboard.overview import facts, moment
from trainer.dashboard.page import _period, page_template, render, take_snapshot
from trainer.dashboard.panels import dashboard_file, read_dashboard
from trainer.dashboard.periods import time_range
from trainer.errors import UserError

NOW = datetime.now(UTC)
DAY = TimeRange(NOW - timedelta(days=1), NOW)


@pytest.fixture
def read(tmp_path):
    def read(stored=None, *panels):
        stored = stored or dashboard_model()
        if panels:
            stored["panels"] = [panel | {"id": number} for number, panel in enumerate(panels, 1)]
        file = tmp_path / "dashboard.json"
        file.write_text(json.dumps(stored))
        return read_dashboard(file)

    return read


@pytest.fixture
def draw(db, read):
    """Return the page of a dashboard, or of these panels, and its text."""

    def draw(*panels, connection=None, chosen=None, **options):
        dashboard = read(None, *panels)
        page = render(dashboard, take_snapshot(connection or db, dashboard, DAY, chosen, **options))
        return page, words(Page(page).text)

    return draw


def figures(page: str) -> list[dict[str, Any]]:
    """Return the data of all charts of a page."""
    parts = page.split('<script type="application/json">')[1:]
    return [json.loads(part.partition("</script>")[0]) for part in parts]


def test_the_page_is_whole_and_needs_nothing_else(draw):
    page, text = draw()
    parsed = Page(page)
    assert parsed.open == []
    assert set(parsed.addresses) == {"#section-1", "#section-2"}
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"section-1", "section-2"} <= set(ids)
    style = page.split("</style>")[0]
    assert "@import" not in style
    assert "url(" not in style
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    policies = [attributes["content"] for tag, attributes in parsed.elements if "http-equiv" in attributes]
    assert "connect-src 'none'" in policies[0]
    assert page.count(get_plotlyjs()) == 1
    assert "First row" in text
    assert "Second row: 'all'" not in text
    assert "Second row: All" in text
    assert "What a barchart shows." in text


def test_every_panel_says_what_its_query_said(draw):
    page, text = draw()
    assert "42.5 ms" in text
    assert "row" in text
    line, bars, cells, states = figures(page)
    assert [list(trace["y"]) for trace in line["data"]] == [[1, 2, 3, 4, 5]] * 2
    assert [trace["name"] for trace in line["data"]] == ["a", "b"]
    assert [list(trace["y"]) for trace in bars["data"]] == [[3, 3], [4, 4]]
    assert cells["data"][0]["z"] == [[1, 2, 3, 4, 5]] * 2
    assert states["data"]
    assert "<strong>Bold</strong> and All &lt;i&gt;x&lt;/i&gt;" in page
    assert "all b 2,1" in text  # the variables, as the query was given them


def test_variables_can_be_chosen(draw):
    _, text = draw(chosen={"kind": ["k2"], "one": ["a"], "several": ["1", "2"]})
    assert "Kind: k2. one: a. several: 1, 2." in text
    _, text = draw(
        model("table", "SELECT '$kind' AS kind, '${one}' AS one, ARRAY[$several] AS more"), chosen={"kind": ["k3"]}
    )
    assert 'k3 b ["2", "1"]' in text
    with pytest.raises(UserError, match="variable kind=it's: the dashboard knows no such kind; it can be k1, k2, k3"):
        draw(chosen={"kind": ["it's"]})


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"none": ["1"]}, "The dashboard has no variable none: it has kind, one, several."),
        ({"one": ["a", "b"]}, "The variable one takes one value: give it once."),
    ],
)
def test_a_choice_that_is_not_offered_is_refused(read, chosen, said):
    from trainer.dashboard.queries import check_chosen

    with pytest.raises(UserError, match=said):
        check_chosen(read(), chosen)


def test_a_panel_that_fails_does_not_spoil_the_rest(db, draw):
    db.execute("CREATE SEQUENCE counter")
    good = model("table", "SELECT 'still here' AS text")
    page, text = draw(
        model("stat", "SELECT nonsense"),
        model("stat", "SELECT 1 FROM nowhere"),
        model("stat", "SELECT $__timeGroup(x)"),
        model("stat", "SELECT 1/0"),
        model("stat", "SELECT pg_sleep(20)"),
        model("stat", "INSERT INTO ml_settings DEFAULT VALUES RETURNING 1"),
        model("stat", "SELECT nextval('counter')"),
        model("stat", "SELECT 1; COMMIT; CREATE TABLE left_behind (); SELECT 1"),
        model("stat", "SELECT 'infinity'::timestamptz AS v"),
        model("timeseries", "SELECT 1 AS v", form="time_series"),
        model("stat", ""),
        good,
        seconds=0.3,
    )
    assert Page(page).open == []
    assert 'Column "nonsense" does not exist.' in text
    assert (
        'Relation "nowhere" does not exist. The database may be at an older schema: run `python -m trainer migrate`'
        in text
    )
    assert "The query cannot be expanded: macro __timeGroup needs time column and interval" in text
    assert "Division by zero." in text
    assert "The query took longer than 0.3 s: choose a shorter time range, or a longer --timeout." in text
    assert 'Syntax error at or near "INSERT".' in text
    assert "Cannot execute nextval() in a read-only transaction." in text
    assert "Cannot insert multiple commands into a prepared statement." in text
    assert "still here" in text
    assert db.execute("SELECT to_regclass('left_behind')").fetchone() == (None,)
    assert db.execute("SELECT count(*) FROM ml_settings").fetchone() == (1,)


def test_a_role_without_rights_gets_sentences(db, draw, db_url):
    db.execute("CREATE ROLE dashboard_nobody LOGIN")
    try:
        db.execute("GRANT ALL ON SCHEMA public TO dashboard_nobody")
        with psycopg.connect(db_url, autocommit=True) as connection:
            connection.execute("SET ROLE dashboard_nobody")
            _, text = draw(model("stat", "SELECT count(*) FROM public.ml_predictions"), connection=connection)
        assert "Permission denied for table ml_predictions. The role ml_dashboard may read the panels: GRANT it" in text
        assert "Health cannot be shown. Permission denied" in text
    finally:
        db.execute("DROP OWNED BY dashboard_nobody")
        db.execute("DROP ROLE dashboard_nobody")


def test_names_from_outside_cannot_write_into_the_page(db, draw):
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    quoted = hostile.replace("'", "''")
    panels = [
        model("table", f"SELECT '{quoted}' AS \"{hostile}\""),
        model("stat", f"SELECT '{quoted}' AS v", options={"reduceOptions": {"fields": "/.*/"}}),
        model("barchart", f"SELECT '{quoted}' AS k, 1 AS \"{hostile}\", 2 AS b"),
        model("timeseries", f"SELECT now() AS time, '{quoted}' AS label, 1.0::float8 AS v", form="time_series"),
        model("heatmap", f"SELECT now() AS time, '{quoted}' AS label, 1.0::float8 AS v", form="time_series"),
        model(
            "state-timeline",
            f"SELECT now() - interval '1 h' AS time, '{quoted}' AS k, '{quoted}' AS v",
            form="time_series",
        ),
        model("stat", f"SELECT '{quoted}'::int"),
        model("text", options={"content": hostile + " [x](javascript:alert(3))"}),
        model("table", "SELECT $kind", title=hostile, description=hostile),
    ]
    db.execute("INSERT INTO ml_deployments (action, version, reason) VALUES ('breaker_open', 'toy', %s)", (hostile,))
    add_bars(db)
    go_live(db)
    db.execute("INSERT INTO ml_deployments (action, version, reason) VALUES ('breaker_open', 'toy', %s)", (hostile,))
    page, text = draw(*panels)
    tags = [tag for tag, _ in Page(page).elements]
    clean, _ = draw(*[panel | {"title": "t", "description": "d"} for panel in panels])
    assert tags.count("img") == 0
    assert tags.count("script") == [tag for tag, _ in Page(clean).elements].count("script")
    assert hostile not in page
    assert "javascript:" not in [address.partition("x")[0] for address in Page(page).addresses]
    assert not [address for address in Page(page).addresses if not address.startswith("#")]
    assert text.count("alert(1)") >= 6
    assert "circuit breaker is open" in text


def test_health_and_alerts_stand_on_top(db, draw):
    _, text = draw()
    assert (
        "No event was scored yet: INSERT events into pattern_events, and call ml.enable() for ML to score them." in text
    )
    add_bars(db)
    go_live(db)
    assert "No event was scored yet: INSERT events into pattern_events." in draw()[1]
    for _ in range(30):
        insert_event(db, symbol="NONE")
    _, text = draw()
    assert text.index("Critical") < text.index("First row")
    assert re.search(r"Critical None of the 30 events", text)
    assert "champion toy" in text
    assert "ML enabled, rollout 100 %" in text
    assert "for ML to score in the last hour 30 predictions" in text


def test_alerts_are_told_in_the_order_of_their_severity(db, draw):
    db.execute("ALTER FUNCTION public.ml_alerts RENAME TO as_shipped")
    alerts = [
        {
            "rule": "slow",
            "key": "v1",
            "severity": "warning",
            "since": "2026-03-29T12:00:00+02:00",
            "summary": "It is slow.",
        },
        {"rule": "odd", "severity": "info"},
        {"rule": "down", "key": "", "severity": "CRITICAL", "summary": "It is down.", "runbook": "Start it."},
    ]
    db.execute(
        "CREATE FUNCTION public.ml_alerts() RETURNS jsonb LANGUAGE sql STABLE AS "
        + psycopg.sql.Literal(
            f"SELECT '{json.dumps({'alerts': alerts, 'pending': [{}], 'errors': {'broken': 'no such column'}})}'::jsonb"
        ).as_string(db)
    )
    _, text = draw()
    assert "3 alerts firing, 1 pending critical down It is down. What to do: Start it. warning slow (v1) since" in text
    assert "The alert rule broken cannot be evaluated: no such column" in text
    assert "warning slow (v1) since 2026-03-29 10:00:00 UTC It is slow. info odd" in text
    db.execute("DROP FUNCTION public.ml_alerts()")
    _, text = draw()
    assert "Alerts cannot be shown. Function public.ml_alerts() does not exist. The database may be" in text


def test_facts_of_a_report_that_knows_little():
    assert facts({}) == []
    assert facts({"ml_enabled": False}) == [
        ("champion", "none"), ("ML", "disabled"), ("for ML to score in the last hour", "0 predictions"),
    ]  # fmt: skip
    told = dict(
        facts(
            {
                "champion": "v1", "challenger": "v2", "canary_percent": 5, "ml_enabled": True, "rollout_percent": 50,
                "attempted": 1, "fallback_rate": 0.0314, "error_rate": 0, "inference_latency_p95_ms": 9.516,
                "last_prediction_at": "2026-03-29T12:00:00.123+00:00", "scheduler": {"seen": False, "last_tick_at": None},
            }
        )
    )  # fmt: skip
    assert told["challenger"] == "v2, canary 5 %"
    assert told["for ML to score in the last hour"] == "1 prediction"
    assert told["fell back to rules"] == "3.14 %"
    assert told["latency p95"] == "9.52 ms"
    assert told["last prediction"] == "2026-03-29 12:00:00 UTC"
    assert told["scheduler"] == "never seen"
    assert moment("not a time") == "not a time"


# --------------------------------------------------------------------------------------- the shipped dashboard


@pytest.mark.parametrize("since", [timedelta(hours=1), timedelta(days=200)])
def test_the_shipped_dashboard_is_drawn_on_an_empty_database(db, since):
    dashboard = read_dashboard(dashboard_file())
    snapshot = take_snapshot(db, dashboard, TimeRange(NOW - since, NOW))
    assert {
        panel.title: answer.error for panel in dashboard.panels() if (answer := snapshot.answers[panel.number]).error
    } == {}
    page = Page(render(dashboard, snapshot))
    assert page.open == []
    assert "No event was scored yet" in words(page.text)


def test_the_shipped_dashboard_shows_what_was_scored(db):
    add_bars(db)
    go_live(db)
    for _ in range(25):
        insert_event(db)
    insert_event(db, symbol="<b>x</b>")
    dashboard = read_dashboard(dashboard_file())
    now = datetime.now(UTC)
    snapshot = take_snapshot(db, dashboard, time_range(None, now, db))
    assert {
        panel.title: answer.error for panel in dashboard.panels() if (answer := snapshot.answers[panel.number]).error
    } == {}
    assert snapshot.time_range.start == now - timedelta(hours=1)
    page = render(dashboard, snapshot)
    text = words(Page(page).text)
    assert "toy" in text
    assert "<b>x</b>" not in page
    with_data = {
        panel.title for panel in dashboard.panels() if any(f.rows for f in snapshot.answers[panel.number].frames)
    }
    assert {"Health", "Version in use", "Scoring latency", "Request rate", "Adoption by symbol"} <= with_data


def test_names_that_look_like_macros_break_no_panel(db):
    names = ["$__timeFilter(time)", "${symbol}", "it's", "[[symbol]]"]
    add_bars(db)
    go_live(db)
    for name in names:
        insert_event(db, symbol=name, pattern_type=name)
    dashboard = read_dashboard(dashboard_file())
    for chosen in (*([name] for name in names), names[:2], []):
        both = {"symbol": chosen, "pattern_type": chosen} if chosen else {}
        snapshot = take_snapshot(db, dashboard, time_range(None, datetime.now(UTC)), both)
        assert {number: answer.error for number, answer in snapshot.answers.items() if answer.error} == {}
        (adoption,) = (panel.number for panel in dashboard.panels() if panel.title == "Adoption by symbol")
        rows = snapshot.answers[adoption].frames[0].rows
        assert {row[0] for row in rows} == set(chosen or names)
    with pytest.raises(UserError, match="symbol=NOPE: the dashboard knows no such symbol; it can be "):
        take_snapshot(db, dashboard, time_range(None, datetime.now(UTC)), {"symbol": ["NOPE"]})


def test_the_role_of_dashboards_sees_every_panel(db, db_url):
    add_bars(db)
    go_live(db)
    insert_event(db)
    dashboard = read_dashboard(dashboard_file())
    with psycopg.connect(db_url, autocommit=True) as connection:
        connection.execute("SET ROLE ml_dashboard")
        snapshot = take_snapshot(connection, dashboard, time_range(None, NOW, connection))
    assert {number: answer.error for number, answer in snapshot.answers.items() if answer.error} == {}
    assert snapshot.overview.notes == ()
    assert snapshot.overview.facts[0] == ("champion", "toy")


# ------------------------------------------------------------------------------------------------ command line


@pytest.mark.parametrize(
    ("since", "start"),
    [
        ("90m", timedelta(minutes=90)), ("24h", timedelta(hours=24)), ("7d", timedelta(days=7)), ("4w", timedelta(weeks=4)),
        (None, timedelta(hours=24)),
    ],
)  # fmt: skip
def test_lengths_of_the_time_range(since, start):
    assert time_range(since, NOW) == TimeRange(NOW - start, NOW)


def test_begins_of_the_time_range():
    now = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert time_range("2026-03-29T08:00", now).start == datetime(2026, 3, 29, 8, tzinfo=UTC)
    assert time_range("2026-03-29T08:00+02:00", now).start == datetime(2026, 3, 29, 6, tzinfo=UTC)
    assert time_range(" 2026-03-29 ", now).start == datetime(2026, 3, 29, tzinfo=UTC)
    assert time_range("2026-03-29T08:00Z", now).start.tzinfo == UTC
    for wrong in ("yesterday", "24", "1.5h", "", "-3h", "24H"):
        with pytest.raises(UserError, match="is not understood: give a length like 90m, 24h or 7d"):
            time_range(wrong, now)
    for later in ("2026-03-29T12:00", "2030-01-01", "0h"):
        with pytest.raises(UserError, match="does not lie in the past"):
            time_range(later, now)
    for earlier in ("999999999d", "100000w", "1999-12-31", "0001-01-01"):
        with pytest.raises(UserError, match="begins before 2000-01-01: give a shorter length, or a later time"):
            time_range(earlier, now)


def test_the_usual_range_grows_with_what_there_is(db):
    add_bars(db)
    now = datetime.now(UTC)

    def hours() -> float:
        found = time_range(None, now, db)
        return (found.end - found.start).total_seconds() / 3600

    assert hours() == 24
    insert_event(db)
    assert hours() == 1
    for age, expected in ((2, 3), (5, 6), (11, 12), (20, 24), (40, 24)):
        db.execute("UPDATE ml_predictions SET predicted_at = now() - %s * interval '1 hour'", (age,))
        assert hours() == expected
    assert time_range(None, now, None, "now-7d").start == now - timedelta(days=7)
    assert time_range(None, now, None, "2026-01-01").start == now - timedelta(days=1)
    db.execute("UPDATE ml_predictions SET predicted_at = now()")
    assert time_range(None, now, db, "now-30m").start == now - timedelta(minutes=30)
    with psycopg.connect(db.info.dsn, host=db.info.host, password=db.info.password or None) as other:
        other.close()
        with pytest.raises(psycopg.OperationalError):
            time_range(None, now, other)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3600, "last hour"),
        (86400, "last 24 hours"),
        (604800, "last 7 days"),
        (5400, "last 90 minutes"),
        (60, "last minute"),
    ],
)
def test_the_range_in_words(seconds, text):
    assert _period(TimeRange(NOW - timedelta(seconds=seconds), NOW)) == text
    uneven = TimeRange(datetime(2026, 3, 29, 8, tzinfo=UTC), datetime(2026, 3, 29, 9, 0, 7, tzinfo=UTC))
    assert _period(uneven) == "since 2026-03-29 08:00:00 UTC"


def test_chosen_values_are_name_and_value():
    assert chosen_values(["a=1", "$b=x=y", "a=2", "c="]) == {"a": ["1", "2"], "b": ["x=y"], "c": [""]}
    for wrong in ("a", "=1", ""):
        with pytest.raises(UserError, match="is not understood: write it as name=value"):
            chosen_values([wrong])


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["dashboard", *arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_the_verb_writes_the_page_and_says_where(db_url, run, tmp_path, monkeypatch):
    file = tmp_path / "small.json"
    file.write_text(json.dumps(dashboard_model()))
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or len(opened) > 1)
    arguments = ("--dashboard", str(file), "--database-url", db_url)
    page = tmp_path / "dashboard.html"
    assert run(*arguments, "--open") == (0, f"{page}\nNo browser was found: open the file yourself.\n", "")
    assert "Last 6 hours" in Page(page.read_text()).text
    target = tmp_path / "page.html"
    assert run(*arguments, "--output", str(target), "--since", "7d", "--variable", "one=a", "--open")[:2] == (
        0,
        f"{target}\n",
    )
    assert opened == [page.as_uri(), target.as_uri()]
    text = words(Page(target.read_text()).text)
    assert "Last 7 days" in text
    assert "one: a." in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "soon"), "--since soon is not understood"),
        (("--variable", "x"), "--variable x is not understood"),
        (("--variable", "x=1"), "The dashboard has no variable x"),
        (("--variable", "symbol=NOPE"), "the dashboard knows no such symbol; there is none yet."),
        (("--since", "100000w"), "--since 100000w begins before 2000-01-01"),
        (("--watch", "--output", "x.html"), "--watch serves the page and --output writes it: use one of them."),
        (
            ("--output", "none/x.html"),
            "cannot be written (No such file or directory): name another file with --output.",
        ),
        (("--dashboard", "none.json"), "none.json cannot be read"),
    ],
)
def test_wrong_arguments_are_a_sentence(db_url, run, arguments, said):
    code, out, error = run("--database-url", db_url, *arguments)
    assert (code, out) == (1, "")
    assert said in words(error)


def test_a_database_without_our_schema_is_a_sentence(empty_db_url, run):
    code, _, error = run("--database-url", empty_db_url)
    assert code == 1
    assert "This database has not been migrated: run `python -m trainer migrate` first" in words(error)


@pytest.mark.parametrize("package", ["plotly", "jinja2", "markdown_it"])
def test_a_missing_package_is_a_sentence(monkeypatch, package):
    real_import = builtins.__import__

    def absent(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=package)
        return real_import(name, *arguments, **options)

    page_template.cache_clear()
    for loaded in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        UserError, match=rf"The dashboard needs the package {package}: run pip install 'pattern-confidence\[report\]'"
    ):
        page_template()
