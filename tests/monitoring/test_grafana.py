"""The dashboard and the alert rules for Grafana: their form, and every query under the role of dashboards."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pglast.parser
import pytest
import yaml
from panel_data import DAY, add_drift, add_outcomes, add_performance, add_transitions, now
from prediction_log import log, prediction
from support import add_bars, go_live, insert_event, value

from trainer.dashboard.macros import TimeRange, Variable, expand

FOLDER = Path(__file__).parents[2] / "sql" / "dashboards" / "grafana"
PANELS = FOLDER.parents[1] / "monitoring" / "panels"
DASHBOARD = json.loads((FOLDER / "pattern_confidence.json").read_text())
ALERTING = yaml.safe_load((FOLDER / "alerting.yaml").read_text())
CONTACTS = yaml.safe_load((FOLDER / "contact_points.yaml").read_text())
SHOWN = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel, target) for panel in SHOWN for target in panel["targets"]]
RULES = [rule for group in ALERTING["groups"] for rule in group["rules"]]
VARIABLES = [item for item in DASHBOARD["templating"]["list"] if item["type"] == "query"]
QUERIES = (
    [target["rawSql"] for _, target in TARGETS]
    + [rule["data"][0]["model"]["rawSql"] for rule in RULES]
    + [item["query"] for item in VARIABLES]
)
TYPES = {"stat", "timeseries", "barchart", "table", "heatmap", "state-timeline", "text"}
NUMBERS = {20, 21, 23, 700, 701}  # bigint, smallint, integer, real, double precision


def texts(item):
    """Yield every text of a JSON value."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, dict | list):
        for part in item.values() if isinstance(item, dict) else item:
            yield from texts(part)


# ------------------------------------------------------------------------------------------------- form


def test_the_dashboard_can_be_imported_anywhere():
    assert DASHBOARD["id"] is None
    assert DASHBOARD["uid"] == "pattern-confidence"
    assert DASHBOARD["timezone"] == "browser"
    assert DASHBOARD["templating"]["list"][0]["name"] == "DS"
    sources = [item for panel in SHOWN for item in (panel, *panel["targets"])] + VARIABLES
    assert {item["datasource"]["uid"] for item in sources} == {"${DS}"}


def test_every_panel_explains_itself():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in SHOWN]
    assert len(titles) == len(set(titles))
    for panel in SHOWN:
        assert panel["type"] in TYPES
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        if panel["type"] != "text":
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
            assert panel["fieldConfig"]["defaults"]["noValue"]
            assert [t["refId"] for t in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]
            assert {t["format"] for t in panel["targets"]} <= {"time_series", "table"}
            assert panel["targets"]


def test_panels_lie_beside_each_other_under_their_rows():
    taken = {}
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"]
    assert len(taken) == 24 * (max(y for _, y in taken) + 1)  # no hole either
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == [
        "Real time", "Model health", "Business", "System", "Drift and performance", "Experiments and alerts",
    ]  # fmt: skip


def test_every_view_of_a_panel_is_on_the_dashboard():
    used = set(re.findall(r"ml\.(v_ml_\w+)", " ".join(QUERIES)))
    assert used == {file.stem for file in PANELS.glob("v_ml_*.sql")}


@pytest.mark.parametrize("query", QUERIES)
def test_macros_have_plain_arguments(query):
    # Grafana ends the arguments at the first closing parenthesis and splits them at every comma.
    calls = re.findall(r"\$__\w+(?:\([^)]*\))?", query)
    assert set(calls) <= {
        "$__timeFilter(time)", "$__timeGroupAlias(time,$__interval)", "$__timeFrom()", "$__timeTo()", "$__interval_ms",
    }  # fmt: skip
    assert not re.search(r"\$(?!__|version|symbol|pattern_type)", query)


def nodes(item, kind):
    """Yield the nodes of a kind from a parsed statement."""
    if isinstance(item, dict):
        if kind in item:
            yield item[kind]
        item = item.values()
    if isinstance(item, str | int | float | None):
        return
    for part in item:
        yield from nodes(part, kind)


@pytest.mark.parametrize("query", QUERIES)
def test_queries_use_views_of_panels_and_public_functions_alone(query):
    parsed = json.loads(pglast.parser.parse_sql_json(expanded(query)))
    relations = {(node.get("schemaname"), node["relname"][:5]) for node in nodes(parsed, "RangeVar")}
    functions = {
        ".".join(part["String"]["sval"] for part in node["funcname"]) for node in nodes(parsed, "FuncCall")
    }  # fmt: skip
    assert relations <= {("ml", "v_ml_")}
    assert functions <= {
        "public.ml_health", "public.ml_alerts", "sum", "max", "min", "count", "now", "floor",
        "jsonb_to_recordset", "replace", "chr", "pg_catalog.extract", "pg_catalog.btrim",
    }  # fmt: skip
    assert relations or functions & {"public.ml_health", "public.ml_alerts"}


def test_no_secret_and_no_host_is_written_down():
    for file in FOLDER.iterdir():
        text = file.read_text()
        assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b|localhost", text)
        for line in text.splitlines():
            if re.search(r"(password|integrationKey|url|user|database|sslmode):", line) and not line.startswith("#"):
                assert "${" in line, line


def test_alert_rules_are_those_promised():
    promised = {
        "ml_inference_latency_high": (100, "5m", "warning"),
        "ml_health_check_failing": (0, "2m", "critical"),
        "ml_fallback_rate_high": (0.2, "10m", "warning"),
        "ml_feature_drift": (0.3, "0s", "info"),
    }
    found = {
        rule["uid"]: (
            rule["data"][2]["model"]["conditions"][0]["evaluator"]["params"][0], rule["for"], rule["labels"]["severity"]
        )
        for rule in RULES
    }  # fmt: skip
    assert found.items() >= promised.items()
    assert len({rule["uid"] for rule in RULES}) == len({rule["title"] for rule in RULES}) == len(RULES)


def test_alert_rules_point_at_panels_data_source_and_contact_point():
    (source,) = yaml.safe_load((FOLDER / "datasources.yaml").read_text())["datasources"]
    (contact,) = CONTACTS["contactPoints"]
    assert "contactPoints" not in ALERTING  # who has no PagerDuty changes one small file
    panels = {panel["id"] for panel in SHOWN}
    for rule in RULES:
        assert rule["dashboardUid"] == DASHBOARD["uid"]
        assert rule["panelId"] in panels
        query, reduced, threshold = rule["data"]
        assert query["datasourceUid"] == source["uid"]
        assert query["model"]["format"] == "time_series"
        assert (reduced["model"]["expression"], threshold["model"]["expression"]) == ("A", "B")
        assert rule["condition"] == threshold["refId"]
        assert all(item["refId"] == item["model"]["refId"] for item in rule["data"])
        assert rule["annotations"]["summary"].endswith(".")
        paged = rule["labels"]["severity"] in {"warning", "critical"}
        assert ("notification_settings" in rule) == paged
        if paged:
            assert rule["notification_settings"]["receiver"] == contact["name"]


def test_the_provider_has_the_form_of_version_1():
    found = yaml.safe_load((FOLDER / "dashboards.yaml").read_text())
    assert found["apiVersion"] == ALERTING["apiVersion"] == CONTACTS["apiVersion"] == 1
    assert found["providers"][0]["type"] == "file"
    assert found["providers"][0]["options"]["path"].startswith("/")


# ------------------------------------------------------------------------------------------------- queries


def expanded(query, db=None, time_range=None, chosen=None):
    """Return a query as Grafana sends it, with every variable at All, or at what is chosen of its options."""
    time_range = time_range or TimeRange(now() - DAY, now())
    variables = {item["name"]: Variable([], is_all=True, all_value=item["allValue"]) for item in VARIABLES}
    for name, values in (chosen or {}).items():
        (item,) = (item for item in VARIABLES if item["name"] == name)
        options = dict(db.execute(expand(item["query"], time_range).sql).fetchall())
        variables[name] = Variable([options[value] for value in values])
    return expand(query, time_range, variables).sql


def run(db, query, length=DAY, **chosen):
    """Return columns (name and type) and rows of a query, as a reader of dashboards gets them."""
    with db.transaction():
        db.execute("SET LOCAL ROLE ml_dashboard; SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '15s'")
        cursor = db.execute(expanded(query, db, TimeRange(now() - length, now()), chosen))
        return [(column.name, column.type_code) for column in cursor.description], cursor.fetchall()


def check(columns, found, form):
    """Say that the answer has the form that Grafana needs."""
    names = [name for name, _ in columns]
    assert len(names) == len(set(names))
    if form == "table":
        return
    assert names[0] == "time"
    assert columns[0][1] in {1184, 1700}  # timestamptz, or the seconds of $__timeGroup
    assert all(kind == 25 or kind in NUMBERS for _, kind in columns[1:]), columns
    assert any(kind in NUMBERS for _, kind in columns[1:])
    times = [row[0] for row in found]
    assert None not in times
    assert times == sorted(times)
    labels = [index for index, (_, kind) in enumerate(columns) if kind == 25]
    keys = [(row[0], *(row[index] for index in labels)) for row in found]
    assert len(keys) == len(set(keys))


def length_of(panel):
    days = panel.get("timeFrom", "1d")
    assert days.endswith("d")
    return timedelta(days=int(days[:-1]))


def test_queries_run_on_an_empty_database(db):
    for panel, target in TARGETS:
        check(*run(db, target["rawSql"], length_of(panel)), target["format"])


@pytest.fixture
def lively(db):
    """A database with everything that panels show."""
    add_bars(db)
    go_live(db)
    for _ in range(3):
        insert_event(db)
    add_outcomes(db, count=1500)
    value(db, "SELECT ml.roll_up(now() - interval '5 hours', 1000000)")
    for days in range(1, 4):
        add_drift(db, now() - days * DAY, [("rsi_14", 0.35, "drift"), ("atr_14", 0.02, "ok")])
        add_performance(db, now() - days * DAY, [("realised", 0.6, 0.55, 0.65, ""), ("estimated", 0.62, 0.6, 0.64, "")])
    add_transitions(
        db, now() - timedelta(hours=3), [("slow", "normal", "pending", 0), ("slow", "pending", "firing", 5)]
    )
    return db


def test_every_panel_shows_something_on_a_lively_database(lively):
    for panel, target in TARGETS:
        columns, found = run(lively, target["rawSql"], length_of(panel))
        check(columns, found, target["format"])
        if panel["title"] not in {"Cache hit rate", "Alerts now"}:
            assert found, panel["title"]
        numbers = [index for index, (_, kind) in enumerate(columns) if kind in NUMBERS]
        assert not numbers or not found or any(row[index] is not None for row in found for index in numbers)
        fields = {name for name, _ in columns}
        if panel["type"] == "barchart":
            assert columns[0][0] == panel["options"]["xField"]
        # An override for a column that does not exist is a slip.
        named = {item["matcher"]["options"] for item in panel["fieldConfig"]["overrides"]}
        assert named <= fields, panel["title"]


def test_variables_choose(lively):
    (panel,) = (panel for panel in SHOWN if panel["title"] == "Adoption by symbol")
    query = panel["targets"][0]["rawSql"]
    for chosen in ([], ["S1"], ["S0", "S2"]):
        found = run(lively, query, 30 * DAY, **({"symbol": chosen} if chosen else {}))[1]
        assert {row[0] for row in found} == set(chosen or ["S0", "S1", "S2", "TEST"])


def test_the_request_rate_is_the_mean_over_a_bar_and_leaves_out_what_is_not_live(db):
    start = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    log(db, [prediction(start + timedelta(minutes=n), source="insert") for n in (0, 0, 1, 3, 14)])
    log(db, [prediction(start + timedelta(minutes=2), source="backfill") for _ in range(50)])
    found = {}
    for title in ("Request rate", "Backfilled and external"):
        (panel,) = (panel for panel in SHOWN if panel["title"] == title)
        time_range = TimeRange(now() - DAY, now())
        interval = time_range.interval(panel["maxDataPoints"], 60)
        assert interval == 900
        query = expand(panel["targets"][0]["rawSql"], time_range, interval=interval).sql
        found[title] = db.execute(query).fetchall()
    assert found["Request rate"] == [(start.timestamp(), "insert", 5 / 15)]
    assert found["Backfilled and external"] == [(start.timestamp(), "backfill", pytest.approx(50 / 15))]


HOSTILE = [
    "$__timeFilter(time)",
    "${symbol}",
    "$symbol",
    "[[symbol]]",
    "a', 'b",
    "/* $__x(",
    "-- x",
    "$$",
    "$__interval",
]


def test_no_name_breaks_a_panel_or_is_left_out(db):
    """All puts no name into SQL; a chosen one cannot be taken for a macro. The symbol seen 20 days ago is there too."""
    add_bars(db)
    go_live(db)
    for name in HOSTILE:
        add_bars(db, symbol=name)
        insert_event(db, symbol=name, pattern_type=name)
    log(db, [prediction(now() - 20 * DAY)])
    db.execute(
        "UPDATE ml_predictions SET predicted_at = predicted_at - interval '20 days' WHERE predicted_at > now() - interval '1 day'"
    )
    for panel, target in TARGETS:
        run(db, target["rawSql"], length_of(panel))
    (panel,) = (panel for panel in SHOWN if panel["title"] == "Adoption by symbol")
    query = panel["targets"][0]["rawSql"]
    assert {row[0] for row in run(db, query, 30 * DAY)[1]} == set(HOSTILE)
    for chosen in (*([name] for name in HOSTILE), HOSTILE[:3], HOSTILE):
        for variable in ("symbol", "pattern_type"):
            assert {row[0] for row in run(db, query, 30 * DAY, **{variable: chosen})[1]} == set(chosen)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_rules_of_alerts_give_one_series_of_numbers(db, rule):
    model, length = rule["data"][0]["model"], timedelta(seconds=rule["data"][0]["relativeTimeRange"]["from"])
    check(*run(db, model["rawSql"], length), "time_series")
    add_bars(db)
    go_live(db)
    insert_event(db)
    add_drift(db, now() - timedelta(hours=1), [("rsi_14", 0.35, "drift")])
    add_performance(db, now() - timedelta(hours=1), [("realised", 0.6, 0.55, 0.65, "")])
    columns, found = run(db, model["rawSql"], length)
    check(columns, found, "time_series")
    assert columns[0] == ("time", 1184)
    assert len(columns) == 2
    assert columns[1][1] in NUMBERS
    expected = {
        "ml_health_check_failing": [0], "ml_circuit_breaker_open": [0], "ml_feature_drift": [0.35],
        "ml_performance_degraded": [pytest.approx(0.58 - 0.6)], "ml_database_alert_critical": [0],
        "ml_fallback_rate_high": [], "ml_error_rate_high": [], "ml_cache_hit_rate_low": [],
    }  # fmt: skip
    if rule["uid"] in expected:
        assert [row[1] for row in found] == expected[rule["uid"]]
    else:
        assert len(found) == 1
