"""``trainer notify`` against receivers on this machine: what they get, and what becomes of it when they are down, slow or odd."""

import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from support import one, rows, value

from trainer import notify
from trainer.errors import UserError
from trainer.notify import Answer, Notification, PagerDuty, Webhook, deliver

SECRET = "whsec_" + base64.b64encode(b"a secret of the receiver").decode()
ROUTING_KEY = "R0UT1NGKEY0123456789"
PAYLOAD = {
    "rule": "error_high", "key": "", "alert_type": None, "severity": "warning", "state": "firing", "metric": "error_rate",
    "since": "2030-03-05T12:05:00+00:00", "value": 0.4, "threshold": 0.1, "summary": "Errors.", "runbook": "Look.",
}  # fmt: skip
NOTIFICATION = Notification(1, datetime.now(UTC), "error_high", "", "firing", "webhook", "warning", PAYLOAD, 0)


class Receiver:
    """An HTTP server that answers each POST with the next of its answers, and keeps what it got."""

    def __init__(self):
        self.got, self.answers, self.delay, self.headers, self.body = [], [], 0.0, {}, b"{}"
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): content for name, content in self.headers.items()}
                receiver.got.append((self.path, headers, body))
                time.sleep(receiver.delay)
                status = receiver.answers.pop(0) if receiver.answers else 202
                if status is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                try:
                    self.send_response(status)
                    for name, content in receiver.headers.items():
                        self.send_header(name, content)
                    self.send_header("Content-Length", str(len(receiver.body)))
                    self.end_headers()
                    self.wfile.write(receiver.body)
                except OSError:
                    pass  # the sender did not wait

            def do_GET(self):
                receiver.got.append((self.path, {}, b""))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def bodies(self):
        return [json.loads(body) for _, _, body in self.got]


@pytest.fixture
def receiver():
    found = Receiver()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in list(os.environ):
        if name in (notify.PAGERDUTY_KEY, notify.WEBHOOK_URL, notify.WEBHOOK_SECRET) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def add(db, transition="firing", channel="webhook", severity="warning", rule="error_high", **columns):
    given = {
        "rule": rule, "key": "", "transition": transition, "channel": channel, "severity": severity,
        "firing_since": datetime(2030, 3, 5, 12, 5, tzinfo=UTC), "payload": Jsonb({**PAYLOAD, "rule": rule, "state": transition}), **columns,
    }  # fmt: skip
    return value(
        db,
        f"INSERT INTO ml_notifications ({', '.join(given)}) VALUES ({', '.join(['%s'] * len(given))}) RETURNING id",
        *given.values(),
    )


def row(db, number):
    return one(db, "SELECT * FROM ml_notifications WHERE id = %s", number)


def due(db):
    """Make everything due that waits for another attempt."""
    db.execute("UPDATE ml_notifications SET next_attempt_at = now() - interval '1 second'")


def run(db, *destinations, **options):
    return deliver(db, destinations, "trading", **{"timeout": 5.0, **options})


# ------------------------------------------------------------------------------------------------ what is sent


def test_a_webhook_gets_signed_json(db, receiver):
    number = add(db)
    report = run(db, Webhook(f"{receiver.url}/hook?token=abc", SECRET))
    assert (report.delivered, report.waiting, report.errors) == (1, 0, [])
    (path, headers, body), content = receiver.got[0], receiver.bodies()[0]
    assert path == "/hook?token=abc"
    assert headers["content-type"] == "application/json"
    assert content["type"] == "alert.firing" and content["data"]["summary"] == "Errors."
    assert content["dedup_key"] == "pattern-confidence/trading/error_high"
    assert content["id"] == headers["webhook-id"] == f"trading-{number}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    # As the Standard Webhooks specification has a receiver verify it.
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = base64.b64encode(hmac.new(b"a secret of the receiver", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    found = row(db, number)
    assert found["delivered_at"] is not None and (found["attempts"], found["last_error"]) == (1, None)


def test_without_a_secret_nothing_is_signed(db, receiver):
    add(db)
    run(db, Webhook(receiver.url))
    assert "webhook-signature" not in receiver.got[0][1]


def test_pagerduty_gets_a_trigger_and_a_resolve_of_the_same_incident(db, receiver):
    add(db, channel="pagerduty", severity="critical")
    add(db, "resolved", channel="pagerduty", severity="critical")
    assert run(db, PagerDuty(ROUTING_KEY, f"{receiver.url}/v2/enqueue")).delivered == 2
    trigger, resolve = receiver.bodies()
    assert [path for path, _, _ in receiver.got] == ["/v2/enqueue"] * 2
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"] == "pattern-confidence/trading/error_high"
    assert trigger["routing_key"] == ROUTING_KEY
    payload = trigger["payload"]
    assert (payload["summary"], payload["source"], payload["severity"]) == ("Errors.", "trading", "critical")
    assert (payload["class"], payload["timestamp"]) == ("error_rate", "2030-03-05T12:05:00+00:00")
    assert payload["custom_details"]["runbook"] == "Look."


def test_long_names_and_sentences_fit_pagerduty(db, receiver):
    for key in ("v" * 3000, "v" * 2999 + "w"):
        add(db, channel="pagerduty", key=key, payload=Jsonb({**PAYLOAD, "summary": "x" * 5000}))
    run(db, PagerDuty(ROUTING_KEY, receiver.url))
    first, second = receiver.bodies()
    assert len(first["dedup_key"]) == 255 and first["dedup_key"] != second["dedup_key"]
    assert len(first["payload"]["summary"]) == 1024


def test_each_channel_gets_its_own_and_quiet_alerts_wait(db, receiver):
    add(db)
    add(db, channel="pagerduty")
    quiet = add(db, severity="info", rule="feature_drift")
    assert run(db, Webhook(receiver.url)).delivered == 1
    assert row(db, quiet)["attempts"] == 0
    assert run(db, Webhook(receiver.url), minimum_severity="info").delivered == 1
    assert one(db, "SELECT count(*) AS n FROM ml_notifications WHERE delivered_at IS NULL") == {"n": 1}
    assert (
        run(db, Webhook(receiver.url), PagerDuty(ROUTING_KEY, receiver.url), minimum_severity="critical").delivered == 0
    )
    assert run(db, Webhook(receiver.url), PagerDuty(ROUTING_KEY, receiver.url)).delivered == 1


# ------------------------------------------------------------------------------------------- what can go wrong


def test_a_500_is_tried_again_and_then_delivered(db, receiver):
    number = add(db)
    receiver.answers, receiver.body = [500, 503], b"out of order"
    report = run(db, Webhook(receiver.url))
    assert (report.delivered, report.retried, report.waiting) == (0, 1, 1)
    assert 9 < report.next_in <= 11
    assert row(db, number)["last_error"] == "127.0.0.1 answered 500 Internal Server Error: out of order."
    assert run(db, Webhook(receiver.url)).retried == 0  # not due yet
    due(db)
    assert 19 < run(db, Webhook(receiver.url)).next_in <= 22
    due(db)
    assert run(db, Webhook(receiver.url)).delivered == 1
    found = row(db, number)
    assert (found["attempts"], found["last_error"]) == (3, None) and found["delivered_at"] is not None
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [(429, {"Retry-After": "120"}, 120), (503, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, 10), (408, {}, 10)],
)
def test_a_receiver_says_when_to_come_again(db, receiver, status, headers, wait):
    add(db)
    receiver.answers, receiver.headers = [status], headers
    report = run(db, Webhook(receiver.url))
    assert report.retried == 1 and wait - 1 < report.next_in <= wait * 1.1 + 1


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 405, 410])
def test_a_wrong_address_costs_no_notification(db, receiver, status):
    first, end = add(db), add(db, "resolved")
    receiver.answers, receiver.headers = [status, status], {"Location": "/elsewhere"}
    for attempts in (1, 2):
        report = run(db, Webhook(f"{receiver.url}/T0KEN"))
        assert (report.delivered, report.retried, report.abandoned, report.waiting) == (0, 1, 0, 2)
        assert 10 * attempts - 1 < report.next_in <= 11 * attempts
        assert (row(db, first)["attempts"], row(db, end)["attempts"]) == (attempts, 0)
        said = row(db, first)["last_error"]
        assert f"answered {status}" in said and "correct the address" in said and "T0KEN" not in said
        due(db)
    assert [path for path, _, _ in receiver.got] == ["/T0KEN"] * 2  # no redirect was followed
    assert run(db, Webhook(f"{receiver.url}/right")).delivered == 2  # the address is mended


@pytest.mark.parametrize("said", ["Invalid routing key", "'routing_key' is too short"])
def test_a_wrong_key_of_pagerduty_costs_no_notification(db, receiver, said):
    add(db, channel="pagerduty")
    receiver.answers, receiver.body = [400], json.dumps({"status": "invalid event", "errors": [said]}).encode()
    report = run(db, PagerDuty("mistyped", receiver.url))
    assert (report.retried, report.abandoned, report.waiting) == (1, 0, 1)
    due(db)
    assert run(db, PagerDuty(ROUTING_KEY, receiver.url)).delivered == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_is_kept_and_not_repeated(db, receiver, status):
    number = add(db, channel="pagerduty")
    later = add(db, "resolved", channel="pagerduty")
    receiver.answers = [status]
    receiver.body = json.dumps({"errors": [f"{ROUTING_KEY}: severity is wrong"]}).encode()
    report = run(db, PagerDuty(ROUTING_KEY, receiver.url))
    assert (report.delivered, report.abandoned, report.waiting) == (1, 1, 0)
    found = row(db, number)
    assert found["abandoned_at"] is not None and found["delivered_at"] is None
    assert f"answered {status}" in found["last_error"] and "will not be sent again" in found["last_error"]
    assert ROUTING_KEY not in found["last_error"] + str(report.errors)
    assert len(receiver.got) == 2 and row(db, later)["delivered_at"] is not None


def given_up(db, hours, *arguments, delivered=False, age=0, **columns):
    now = datetime.now(UTC)
    ended = {"delivered_at" if delivered else "abandoned_at": now - timedelta(hours=hours)}
    return add(db, *arguments, **ended, attempts=1, created_at=now - timedelta(hours=age or hours), **columns)


def test_what_was_given_up_is_put_back_in_its_order(db, receiver):
    first, end = given_up(db, 2), given_up(db, 2, "resolved")
    given_up(db, 25, rule="long_ago")
    quiet = given_up(db, 1, severity="info", rule="quiet")
    other = given_up(db, 1, channel="pagerduty")
    known = Webhook(receiver.url)
    assert run(db, known).delivered == 0
    assert notify.put_back(db, (known,)) == 2
    assert notify.put_back(db, (known,)) == 0
    assert run(db, known).delivered == 2
    assert [body["type"] for body in receiver.bodies()] == ["alert.firing", "alert.resolved"]
    assert [row(db, number)["attempts"] for number in (first, end)] == [2, 2]
    assert all(row(db, number)["abandoned_at"] is not None for number in (quiet, other))


def test_what_is_overtaken_stays_given_up(db, receiver):
    firing = given_up(db, 2)
    given_up(db, 1, "resolved", delivered=True)
    again = given_up(db, 1)
    old = given_up(db, 1, age=30, rule="old")  # would be given up at once for its age
    given_up(db, 1, "resolved", rule="old")
    assert notify.put_back(db, (Webhook(receiver.url),)) == 2
    assert row(db, firing)["abandoned_at"] is not None and row(db, old)["abandoned_at"] is not None
    assert row(db, again)["abandoned_at"] is None
    report = run(db, Webhook(receiver.url))
    assert (report.delivered, report.abandoned) == (2, 0)


def test_a_server_that_is_down_is_tried_again(db):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    number = add(db)
    report = run(db, Webhook(f"http://127.0.0.1:{port}/s3cr3t-path"))
    assert report.retried == 1
    assert "cannot be reached" in row(db, number)["last_error"] and "s3cr3t" not in row(db, number)["last_error"]


def test_a_slow_server_is_not_waited_for(db, receiver):
    number = add(db)
    receiver.delay = 2.0
    started = time.monotonic()
    assert run(db, Webhook(receiver.url), timeout=0.2).retried == 1
    assert time.monotonic() - started < 1.5
    assert row(db, number)["last_error"] == "127.0.0.1 did not answer within 0.2 s."


def test_a_connection_that_breaks_is_tried_again(db, receiver):
    add(db)
    receiver.answers = [None, 202]
    assert run(db, Webhook(receiver.url)).retried == 1
    due(db)
    assert run(db, Webhook(receiver.url)).delivered == 1


def test_the_end_of_an_alert_waits_for_its_beginning(db, receiver):
    first, end = add(db), add(db, "resolved")
    other = add(db, rule="fallback_high")
    receiver.answers = [500]
    assert run(db, Webhook(receiver.url)).delivered == 1  # the other rule's
    assert (row(db, first)["attempts"], row(db, end)["attempts"], row(db, other)["attempts"]) == (1, 0, 1)
    due(db)
    assert run(db, Webhook(receiver.url)).delivered == 2
    assert [body["type"] for body in receiver.bodies()[-2:]] == ["alert.firing", "alert.resolved"]


def test_what_is_over_a_day_old_and_overtaken_is_not_sent(db, receiver):
    old = datetime.now(UTC) - timedelta(hours=25)
    overtaken, end = add(db, created_at=old), add(db, "resolved", created_at=old)
    lasting = add(db, rule="fallback_high", created_at=old)
    report = run(db, Webhook(receiver.url))
    assert (report.delivered, report.abandoned) == (2, 1)
    assert "the alert has changed since" in row(db, overtaken)["last_error"]
    assert row(db, end)["delivered_at"] is not None and row(db, lasting)["delivered_at"] is not None


def test_two_at_a_time_share_the_work(db, db_url, receiver):
    for number in range(20):
        add(db, rule=f"rule_{number}")
    receiver.delay = 0.02
    reports = []

    def work():
        with psycopg.connect(db_url, autocommit=True) as own:
            reports.append(run(own, Webhook(receiver.url)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.delivered for report in reports) == len(receiver.got) == 20
    assert len({body["id"] for body in receiver.bodies()}) == 20


def test_what_was_sent_and_not_marked_is_sent_again_as_the_same(db, db_url, receiver):
    number = add(db)

    def killed(request, timeout):
        assert notify.send(request, timeout).outcome == "delivered"
        raise KeyboardInterrupt

    with psycopg.connect(db_url, autocommit=True) as own, pytest.raises(KeyboardInterrupt):
        run(own, Webhook(receiver.url), sender=killed)
    assert row(db, number)["delivered_at"] is None
    assert run(db, Webhook(receiver.url)).delivered == 1
    assert len(receiver.got) == 2
    assert receiver.got[0][1]["webhook-id"] == receiver.got[1][1]["webhook-id"]


def test_a_process_killed_before_the_answer_loses_nothing(db, db_url, receiver):
    number = add(db)
    receiver.delay = 5.0
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", "notify", "--database-url", db_url, "--webhook", receiver.url],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: len(receiver.got) == 1)
    process.kill()
    process.wait()
    receiver.delay = 0.0
    wait_until(lambda: run(db, Webhook(receiver.url)).delivered == 1)
    assert row(db, number)["attempts"] == 1
    first, second = (headers["webhook-id"] for _, headers, _ in receiver.got)
    assert first == second.replace("trading", db.info.dbname)


def test_waiting_grows_and_has_an_end():
    waits = [notify.delay(attempts, lambda: 0.0) for attempts in range(1, 12)]
    assert waits[:4] == [10, 20, 40, 80] and waits[-1] == 3600
    assert notify.delay(10_000, lambda: 1.0) == pytest.approx(3960)


def test_answers_are_cut_to_one_line():
    said = notify._shown("a\nb\x00" + "c" * 500, ())
    assert len(said) == 200 and said.startswith("a b c")


# ------------------------------------------------------------------------------------------------- command line


def command(url, *arguments, **environment):
    kept = {name: content for name, content in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        [sys.executable, "-m", "trainer", "notify", "--database-url", url, *arguments],
        env={**kept, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_delivers_once(db, db_url, receiver):
    add(db)
    add(db, channel="pagerduty")
    receiver.answers = [202, 400]
    done = command(
        db_url, "--webhook", receiver.url, "--pagerduty-url", receiver.url, "--json", "--source", "desk",
        PAGERDUTY_ROUTING_KEY=ROUTING_KEY, PATTERN_CONFIDENCE_WEBHOOK_SECRET=SECRET,
    )  # fmt: skip
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["delivered"], report["abandoned"], report["waiting"]) == (1, 1, 0)
    assert "pagerduty: 127.0.0.1 answered 400" in done.stderr
    assert receiver.bodies()[0]["source"] == "desk"
    assert ROUTING_KEY not in done.stdout + done.stderr and SECRET not in done.stdout + done.stderr
    stored = json.dumps(rows(db, "SELECT * FROM ml_notifications"), default=str)
    assert ROUTING_KEY not in stored and SECRET not in stored

    again = command(db_url, "--webhook", receiver.url)
    assert (again.returncode, again.stdout) == (0, "0 delivered, 0 to be tried again, 0 given up, 0 waiting\n")

    mended = command(
        db_url, "--retry-abandoned", "--pagerduty-url", receiver.url, PAGERDUTY_ROUTING_KEY=ROUTING_KEY
    )  # fmt: skip
    assert (mended.returncode, mended.stderr) == (0, "")
    assert mended.stdout.startswith("1 put back that had been given up\n1 delivered,")


def test_what_waits_after_a_failure_is_no_success(db, db_url, receiver):
    add(db)
    receiver.answers, receiver.body = [404], b"no such hook"
    for said in ("error_high firing, webhook: 127.0.0.1 answered 404", "Waiting since the last attempt: 127.0.0.1"):
        done = command(db_url, "--webhook", receiver.url)
        assert done.returncode == 1
        assert done.stderr.startswith(said) and "no such hook (correct the address or the key)." in done.stderr
        assert "0 given up, 1 waiting (next attempt in " in done.stdout
    report = json.loads(command(db_url, "--webhook", receiver.url, "--json").stdout)
    assert (report["waiting"], report["failing"], report["retried"]) == (1, 1, 0)
    due(db)
    assert command(db_url, "--webhook", receiver.url).returncode == 0


def test_operators_put_back_what_was_given_up(db, db_url, receiver):
    given_up(db, 1)
    add(db, rule="fallback_high", created_at=datetime.now(UTC) - timedelta(hours=25))
    add(db, "resolved", rule="fallback_high")
    receiver.answers = [500]
    done = command(make_conninfo(db_url, options="-c role=ml_ops"), "--retry-abandoned", "--webhook", receiver.url)
    assert "1 put back" in done.stdout and "1 delivered, 1 to be tried again, 1 given up" in done.stdout
    assert "500" in done.stderr and done.returncode == 1


def test_help_names_what_one_sets_in_full():
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "notify", "--help"],
        env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    for name in (notify.PAGERDUTY_KEY, notify.PAGERDUTY_URL, notify.WEBHOOK_URL, notify.WEBHOOK_SECRET):
        assert name in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    ("written", "user", "password"),
    [("desk:s3cr3t", "desk", "s3cr3t"), ("desk%40x:p%3A%2Fw", "desk@x", "p:/w"), (":T0KEN", "", "T0KEN")],
)
def test_a_user_and_password_in_the_address_are_basic_authentication(db, receiver, written, user, password):
    number = add(db)
    receiver.answers, receiver.body = [401], f"{user} {password} unknown".encode()
    destination = Webhook(receiver.url.replace("//", f"//{written}@") + "/hook?a=1")
    report = run(db, destination)
    assert report.retried == 1
    shown = row(db, number)["last_error"] + str(report) + repr(destination)
    assert password not in shown and written not in shown and "answered 401" in shown
    due(db)
    assert run(db, destination).delivered == 1
    path, headers, _ = receiver.got[-1]
    assert path == "/hook?a=1"
    scheme, _, encoded = headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", f"{user}:{password}")
    assert "Authorization" not in Webhook(receiver.url).request(NOTIFICATION, "x").headers


def test_a_server_that_is_down_does_not_show_the_password(db):
    number = add(db)
    assert run(db, Webhook("http://desk:s3cr3t@127.0.0.1:1/hook")).retried == 1
    said = row(db, number)["last_error"]
    assert "Connection refused" in said and "s3cr3t" not in said


def test_no_password_for_pagerduty(monkeypatch):
    monkeypatch.setenv(notify.PAGERDUTY_KEY, ROUTING_KEY)
    with pytest.raises(UserError, match="--pagerduty-url has a user or password: leave them out") as refused:
        notify.find_destinations(None, "https://desk:T0KEN@host/path")
    assert "T0KEN" not in str(refused.value)


def test_an_operator_delivers(db, db_url, receiver):
    """A login that is a member of ml_ops and nothing else."""
    db.execute("DROP ROLE IF EXISTS pc_test_operator; CREATE ROLE pc_test_operator LOGIN PASSWORD 'x' IN ROLE ml_ops")
    try:
        url = psycopg.conninfo.make_conninfo(db_url, user="pc_test_operator", password="x")  # noqa: S106  a throw-away server
        receiver.answers = [202, 400, 500]
        for rule in ("a", "b", "c"):
            add(db, rule=rule)
        outdated = add(db, rule="d")
        add(db, "resolved", rule="d")
        db.execute("UPDATE ml_notifications SET created_at = now() - interval '2 days' WHERE id = %s", (outdated,))
        done = command(url, "--webhook", receiver.url)
        assert done.returncode == 1
        assert done.stdout.startswith("2 delivered, 1 to be tried again, 2 given up, 1 waiting (next attempt in ")
    finally:
        db.execute("DROP ROLE pc_test_operator")


def test_following_delivers_what_fires_meanwhile(db, db_url, receiver):
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", "notify", "--follow", "--poll", "30", "--database-url", db_url],
        env={**os.environ, notify.WEBHOOK_URL: receiver.url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(
            lambda: (
                value(
                    db,
                    "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE '%%ml_notifications%%' AND pid <> pg_backend_pid() AND datname = current_database()",
                )
                > 0
            )
        )
        db.execute("UPDATE ml_settings SET enabled = true")
        db.execute("DELETE FROM ml_aliases")
        db.execute("SELECT ml.evaluate_alerts()")
        # Long before the next look: the database has said that something changed.
        wait_until(lambda: rows(db, "SELECT FROM ml_notifications WHERE delivered_at IS NOT NULL") != [])
        assert receiver.bodies()[0]["data"]["rule"] == "model_not_loaded"
        # Its connection lost, it comes back.
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pattern-confidence' AND datname = current_database()"
        )
        add(db, rule="later")
        wait_until(lambda: receiver.bodies()[-1]["data"]["rule"] == "later")
    finally:
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.endswith("stopped\n") and "Interrupted" not in errors
    assert "1 delivered" in out and "Trying again in 2 s." in errors and "Traceback" not in errors


def wait_until(condition):
    end = time.monotonic() + 25
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("webhook", "said"),
    [
        (None, "nobody to notify: set PAGERDUTY_ROUTING_KEY"),
        ("http://hooks.example.org/T0KEN", "must start with https://"),
        ("hooks.example.org/T0KEN", "is no address"),
        ("https://:99999999/T0KEN", "is no address"),
        ("https://host/T0KEN with space", "is no address"),
        ("ftp://host/T0KEN", "is no address"),
        ("https://host/T0KENä", "is no address"),
        ("https://desk:T0KEN@x@host/path", "more than one @"),
        ("https://desk:T0KEN/x@host/path", "is no address: .* written as %40 %3A %2F %25"),
    ],
)
def test_a_destination_that_makes_no_sense_is_refused(webhook, said):
    with pytest.raises(UserError, match=said) as refused:
        notify.find_destinations(webhook, notify.PAGERDUTY_URL)
    assert "T0KEN" not in str(refused.value)


def test_a_secret_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv(notify.WEBHOOK_SECRET, "whsec_not base64!")
    with pytest.raises(UserError, match="not base64"):
        notify.find_destinations("https://host/path", notify.PAGERDUTY_URL)


def test_destinations_are_shown_without_their_secrets():
    shown = repr(PagerDuty(ROUTING_KEY)) + repr(Webhook("https://host/T0KEN", SECRET)) + repr(Answer("delivered"))
    request = Webhook("https://host/T0KEN", SECRET)
    assert ROUTING_KEY not in shown and "T0KEN" not in shown and SECRET not in shown + repr(request)


def test_a_database_without_alerts_is_told_so(empty_db_url, receiver):
    done = command(empty_db_url, "--webhook", receiver.url)
    assert done.returncode == 1 and "This database has no alerts yet" in done.stderr
