"""The expander of macros: what it makes of a query is what Grafana's documentation and sources say."""

import re
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.dashboard.macros import (
    Fill,
    MacroError,
    TimeRange,
    Variable,
    expand,
    format_interval,
    parse_interval,
    replace_variables,
    strip_comments,
)

FROM = datetime(2018, 4, 12, 18, 0, tzinfo=UTC)
RANGE = TimeRange(FROM, FROM + timedelta(minutes=5))
BOTH = "'2018-04-12T18:00:00Z' AND '2018-04-12T18:05:00Z'"


@pytest.mark.parametrize(
    ("query", "expanded"),
    [
        ("SELECT $__time(t)", 'SELECT t AS "time"'),
        ("SELECT min($__time(t))", 'SELECT min(t AS "time")'),
        ("SELECT $__timeEpoch(t)", 'SELECT extract(epoch from t) as "time"'),
        ("WHERE $__timeFilter(t)", f"WHERE t BETWEEN {BOTH}"),
        ("WHERE $__timeFilter( a.t )", f"WHERE a.t BETWEEN {BOTH}"),
        ("WHERE $__timeFilter()", f"WHERE  BETWEEN {BOTH}"),
        ("SELECT $__timeFrom(), $__timeTo()", f"SELECT {BOTH.replace(' AND', ',')}"),
        ("SELECT $__timeGroup(t,'5m')", "SELECT floor(extract(epoch from t)/300)*300"),
        ("SELECT $__timeGroup(t , '5m')", "SELECT floor(extract(epoch from t)/300)*300"),
        ("SELECT $__timeGroup(t,5m)", "SELECT floor(extract(epoch from t)/300)*300"),
        ("SELECT $__timeGroup(t,'20ms')", "SELECT floor(extract(epoch from t)/0.02)*0.02"),
        ("SELECT $__timeGroup(t,'12d')", "SELECT floor(extract(epoch from t)/1036800)*1036800"),
        ("SELECT $__timeGroup(t,'5m'), v", 'SELECT floor(extract(epoch from t)/300)*300 AS "time", v'),
        ("SELECT $__timeGroup(t,'5m') as time, v", "SELECT floor(extract(epoch from t)/300)*300 as time, v"),
        ("SELECT $__timeGroupAlias(t,'5m')", 'SELECT floor(extract(epoch from t)/300)*300 AS "time"'),
        ("SELECT $__unixEpochFilter(t)", "SELECT t >= 1523556000 AND t <= 1523556300"),
        ("SELECT $__unixEpochNanoFilter(t)", "SELECT t >= 1523556000000000000 AND t <= 1523556300000000000"),
        (
            "SELECT $__unixEpochNanoFrom(), $__unixEpochNanoTo()",
            "SELECT 1523556000000000000, 1523556300000000000",
        ),
        ("SELECT $__unixEpochFrom(), $__unixEpochTo()", "SELECT 1523556000, 1523556300"),
        ("SELECT $__unixEpochGroup(a+b,'5m')", "SELECT floor((a+b)/300)*300"),
        ("SELECT $__unixEpochGroupAlias(a+b,'5m')", 'SELECT floor((a+b)/300)*300 AS "time"'),
        ("SELECT '$__interval', $__interval_ms", "SELECT '10m', 600000"),
        ("SELECT ${__interval}, [[__interval]]", "SELECT 10m, 10m"),
        ("SELECT $__timeGroup(t, $__interval)", "SELECT floor(extract(epoch from t)/600)*600"),
        ("SELECT $__from, ${__to}", "SELECT 1523556000000, 1523556300000"),
        ("SELECT '${__from:date}', ${__to:date:seconds}", "SELECT '2018-04-12T18:00:00.000Z', 1523556300"),
        ("SELECT $__range, $__range_s, $__range_ms", "SELECT 300s, 300, 300000"),
        ("SELECT $1, cost$, '$'", "SELECT $1, cost$, '$'"),
    ],
)
def test_macros_and_built_in_variables(query, expanded):
    assert expand(query, RANGE, interval=600).sql == expanded


def test_a_closing_parenthesis_and_a_comma_end_an_argument_wherever_they_stand():
    assert expand("$__timeFilter(date_trunc('day', t))", RANGE).sql == f"date_trunc('day' BETWEEN {BOTH})"
    assert expand("$__timeFilter(f(t))", RANGE).sql == f"f(t BETWEEN {BOTH})"
    with pytest.raises(MacroError, match="error parsing interval t"):
        expand("$__timeGroup(date_trunc('day', t), '5m')", RANGE)


def test_the_old_alias_depends_on_the_first_place_where_the_text_stands():
    twice = "SELECT $__timeGroup(t,'5m'), v GROUP BY $__timeGroup(t,'5m')"
    group = "floor(extract(epoch from t)/300)*300"
    assert expand(twice, RANGE).sql == f'SELECT {group} AS "time", v GROUP BY {group} AS "time"'
    assert expand(twice.replace("'), v", "') AS time, v"), RANGE).sql == f"SELECT {group} AS time, v GROUP BY {group}"


def test_times_are_utc_with_as_many_digits_as_needed():
    east = timezone(timedelta(hours=5, minutes=30))
    times = TimeRange(
        datetime(1960, 2, 1, 7, 0, 0, 500_000, tzinfo=UTC), datetime(2026, 11, 21, 4, 0, 0, 120, tzinfo=east)
    )
    assert expand("$__timeFilter(t)", times).sql == (
        "t BETWEEN '1960-02-01T07:00:00.5Z' AND '2026-11-20T22:30:00.00012Z'"
    )
    assert expand("$__unixEpochFilter(t)", times).sql == "t >= -312915600 AND t <= 1795213800"
    assert expand("$__unixEpochNanoFrom()", times).sql == "-312915599500000000"


@pytest.mark.parametrize(
    ("argument", "fill"),
    [
        ("NULL", Fill(300, "null")),
        ("previous", Fill(300, "previous")),
        ("0", Fill(300, "value", 0.0)),
        ("-1.5", Fill(300, "value", -1.5)),
    ],
)
def test_fill(argument, fill):
    query = f"SELECT $__timeGroupAlias(t,'5m',{argument}), v"
    expanded = expand(query, RANGE)
    assert expanded.fill == fill
    assert expanded.sql == 'SELECT floor(extract(epoch from t)/300)*300 AS "time", v'
    assert expanded.step == 300
    assert expand("SELECT $__timeGroupAlias(t,'5m')", RANGE).fill is None
    assert expand("SELECT $__time(t)", RANGE).step is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("$__timeSeries(t)", "unknown macro '__timeSeries'"),
        ("$version(t)", "unknown macro 'version'"),
        ("$__timeGroup(t)", "needs time column and interval"),
        ("$__timeGroup(t,'5 minutes')", "error parsing interval '5 minutes'"),
        ("$__timeGroup(t,'0s')", "interval must be positive, got '0s'"),
        ("$__timeGroup(t,'-5m')", "interval must be positive"),
        ("$__timeGroup(t,'5m',none)", "error parsing fill value none"),
        ("${__from:date:YYYY}", "the date format 'YYYY' is not supported"),
        ("${__interval:date}", "for .* only"),
        ("${__interval:lucene}", "the format 'lucene' of a variable is not one for SQL"),
    ],
)
def test_what_cannot_be_expanded_is_said(query, said):
    with pytest.raises(MacroError, match=re.escape(said) if ".*" not in said else said):
        expand(query, RANGE)


ONE, SEVERAL = Variable("srv1"), Variable(["srv1", "O'Brien"])
QUOTED = Variable("O'Brien")
ALL = Variable(["us", "eu"], is_all=True)
CUSTOM_ALL = Variable(["us", "eu"], is_all=True, all_value=".*")
NONE = Variable([])


@pytest.mark.parametrize(
    ("text", "variable", "replaced"),
    [
        ("host = $v", ONE, "host = srv1"),
        ("host = '$v'", QUOTED, "host = 'O''Brien'"),
        ("host = '${v}' or '[[v]]'", QUOTED, "host = 'O''Brien' or 'O''Brien'"),
        ("host = ${v:sqlstring}", QUOTED, "host = 'O''Brien'"),
        ("host = ${v:singlequote}", QUOTED, r"host = 'O\'Brien'"),
        ("host = ${v:raw}", QUOTED, "host = O'Brien"),
        ("host = ${v:doublequote}", Variable('a"b'), r'host = "a\"b"'),
        ("latency < $v", Variable(150), "latency < 150"),
        ("latency < $v", Variable(1.5), "latency < 1.5"),
        ("host IN ($v)", SEVERAL, "host IN ('srv1','O''Brien')"),
        ("host IN ('$v')", SEVERAL, "host IN (''srv1','O''Brien'')"),
        ("host IN (${v:sqlstring})", SEVERAL, "host IN ('srv1','O''Brien')"),
        ("host IN ([[v:sqlstring]])", SEVERAL, "host IN ('srv1','O''Brien')"),
        ("host IN (${v:csv})", SEVERAL, "host IN (srv1,O'Brien)"),
        ("host ~ '${v:pipe}'", SEVERAL, "host ~ 'srv1|O'Brien'"),
        ("host ~ '${v:regex}'", Variable(["a.b", "c"]), r"host ~ '(a\.b|c)'"),
        ("host ~ '${v:regex}'", Variable(["a.b"]), r"host ~ 'a\.b'"),
        ("${v:json}", SEVERAL, '["srv1","O\'Brien"]'),
        ("${v:glob}", SEVERAL, "{srv1,O'Brien}"),
        ("${v:glob}", ONE, "srv1"),
        ("-- ${v:text}", SEVERAL, "-- srv1 + O'Brien"),
        ("region IN ($v)", ALL, "region IN ('us','eu')"),
        ("region IN (${v:sqlstring}) -- ${v:text}", ALL, "region IN ('us','eu') -- All"),
        ("region ~ '$v'", CUSTOM_ALL, "region ~ '.*'"),
        ("region ~ '${v:sqlstring}' -- ${v:text}", CUSTOM_ALL, "region ~ '.*' -- All"),
        ("region IN ($v)", NONE, "region IN ()"),
        ("$vv, $other, ${other:csv}, ${v.path}, $V", ONE, "$vv, $other, ${other:csv}, ${v.path}, $V"),
        ("$v.t, ${v}_t", ONE, "srv1.t, srv1_t"),
        ('"$v"."${v}"', ONE, '"srv1"."srv1"'),
    ],
)
def test_variables(text, variable, replaced):
    assert replace_variables(text, {"v": variable}) == replaced


def test_variables_come_before_macros():
    variables = {"bucket": Variable("5m"), "region": ALL}
    assert expand("$__timeGroupAlias(t, $bucket) WHERE $__timeFilter(t) AND r IN ($region)", RANGE, variables).sql == (
        f"floor(extract(epoch from t)/300)*300 AS \"time\" WHERE t BETWEEN {BOTH} AND r IN ('us','eu')"
    )


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), min_size=1))
def test_a_value_cannot_leave_its_quotes(pg_server_connection, values):
    query = replace_variables("SELECT ARRAY[${v:sqlstring}]::text[], ARRAY[$v]::text[]", {"v": Variable(values)})
    assert pg_server_connection.execute(query).fetchone() == (values, values)


@pytest.fixture(scope="module")
def pg_server_connection(pg_server):
    with psycopg.connect(
        host=pg_server.host,
        port=pg_server.port,
        user=pg_server.user,
        password=pg_server.password,
        dbname="postgres",
        autocommit=True,
    ) as connection:
        yield connection


@pytest.mark.parametrize(
    ("query", "stripped"),
    [
        ("SELECT 1 -- a comment\nFROM t", "SELECT 1 \nFROM t"),
        ("SELECT /* two\nlines */ 1", "SELECT  1"),
        ("SELECT 1 /* open", "SELECT 1 "),
        ("SELECT '-- none', '/* none */'", "SELECT '-- none', '/* none */'"),
        ("SELECT 'it''s -- none' -- one", "SELECT 'it''s -- none' "),
        ('SELECT "a -- b", "c ""-- d"""', 'SELECT "a -- b", "c ""-- d"""'),
        ("SELECT $$ -- none $$, $a$ /* $$ */ $a$", "SELECT $$ -- none $$, $a$ /* $$ */ $a$"),
        ("SELECT $__timeFrom() -- one", "SELECT $__timeFrom() "),
        ("SELECT $1 -- one", "SELECT $1 "),
        ("SELECT 1 /*application='grafana',route='a%20b'*/;", "SELECT 1 /*application='grafana',route='a%20b'*/;"),
        ("SELECT 1 /*range='$__timeFilter(t)'*/", "SELECT 1 "),
        ("SELECT 1 /*i='$__interval'*/", "SELECT 1 "),
        ("SELECT 1 /*k='$__timeFilter(t'*/ WHERE (x = 1)", "SELECT 1  WHERE (x = 1)"),
    ],
)
def test_comments(query, stripped):
    assert strip_comments(query) == stripped


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("0", 0), ("90s", 90), ("20ms", 0.02), ("-5m", -300),
        ("7d", 604800), ("2w", 1209600), ("", None), ("5", None), ("5x", None), ("1.5d", None), ("1d12h", None),
        ("5 m", None), ("m", None), ("\N{FULLWIDTH DIGIT ONE}d", None),
    ],
)  # fmt: skip
def test_intervals(text, seconds):
    assert parse_interval(text) == pytest.approx(seconds)


def test_months_and_years_are_the_calendars():
    day = 86400
    assert parse_interval("1M", datetime(2026, 1, 15, tzinfo=UTC)) == 31 * day
    assert parse_interval("1M", datetime(2026, 1, 31, tzinfo=UTC)) == 31 * day  # to March 3
    assert parse_interval("12M", datetime(2024, 1, 1, tzinfo=UTC)) == 366 * day
    assert parse_interval("1y", datetime(2026, 3, 1, tzinfo=UTC)) == 365 * day
    assert 28 * day <= (parse_interval("1M") or 0) <= 31 * day


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0001, "1ms"), (0.25, "250ms"), (1, "1s"), (59.9, "59s"), (90, "1m"), (7200, "2h"), (90000, "1d"), (4e7, "1y")],
)
def test_an_interval_is_written_in_its_largest_unit(seconds, text):
    assert format_interval(seconds) == text


@pytest.mark.parametrize(
    ("hours", "points", "seconds"),
    [(24, 600, 120), (24, 1000, 60), (1, 600, 5), (24 * 7, 600, 900), (24 * 365, 300, 86400), (1 / 3600, 500, 0.001)],
)
def test_the_interval_of_a_range_is_a_usual_one(hours, points, seconds):
    times = TimeRange(FROM, FROM + timedelta(hours=hours))
    assert times.interval(points) == pytest.approx(seconds)
    assert times.interval(points, least=400) == pytest.approx(max(400, seconds))
