"""trainer dashboard --watch: serves one page on the loopback interface, and outlives the database."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from html_page import Page, words
from plotly.offline import get_plotlyjs
from small_dashboard import dashboard_model, model

from trainer.dashboard import server as module
from trainer.dashboard.panels import read_dashboard
from trainer.dashboard.server import LoopbackServer, Watch
from trainer.errors import UserError


@pytest.fixture
def dashboard(tmp_path):
    stored = dashboard_model()
    stored["panels"] = [model("table", "SELECT 'asked ' || count(*) AS text FROM asked", number=n) for n in range(3)]
    file = tmp_path / "dashboard.json"
    file.write_text(json.dumps(stored))
    return read_dashboard(file)


@pytest.fixture
def watch(db, db_url, dashboard):
    db.execute("CREATE TABLE asked ()")
    made = Watch(dashboard, db_url, every=0.0)
    yield made
    made.close()


@pytest.fixture
def serve(watch):
    """Serve the page and return a function that asks for something."""
    with LoopbackServer(watch) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ask(path="/", method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer, body

        yield ask
        server.shutdown()
        thread.join()


def text_of(page: bytes) -> str:
    return words(Page(page.decode()).text)


def test_the_page_is_served_and_not_sent_twice(watch, serve, db):
    watch._every = 3600
    answer, page = serve()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "asked 0" in text_of(page)
    assert "Refreshed every" in text_of(page)
    assert '<script src="/plotly.js">' in page.decode()
    assert get_plotlyjs() not in page.decode()
    policies = [attributes["content"] for tag, attributes in Page(page.decode()).elements if "http-equiv" in attributes]
    assert "connect-src 'self'" in policies[0]
    tag = answer.headers["ETag"]
    answer, body = serve(If_None_Match=tag)
    assert (answer.status, body, answer.headers["ETag"]) == (304, b"", tag)
    assert serve(If_None_Match='"other"')[0].status == 200
    answer, body = serve(method="HEAD")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(page)
    answer, script = serve("/plotly.js")
    assert script.decode() == get_plotlyjs()
    assert "max-age" in answer.headers["Cache-Control"]
    assert serve("/favicon.ico")[0].status == 404
    assert serve("/../etc/passwd")[0].status == 404
    assert serve(method="POST")[0].status == 501


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:1", 200), ("evil.example", 403), ("127.0.0.1.evil.example", 403)]
)
def test_only_pages_of_this_machine_may_read_it(serve, host, status):
    answer, body = serve(Host=host)
    assert answer.status == status
    assert (b"asked" in body) == (status == 200)
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_it_is_asked_anew_after_the_interval_only(watch, db):
    watch._every = 3600
    assert "asked 0" in text_of(watch.page()[0])
    db.execute("INSERT INTO asked DEFAULT VALUES")
    assert "asked 0" in text_of(watch.page()[0])
    watch._taken -= 3601
    assert "asked 1" in text_of(watch.page()[0])


def test_one_thread_at_a_time_asks_the_database(watch, serve, monkeypatch):
    watch._every = 3600
    running, most, calls = 0, 0, 0
    real = module.take_snapshot

    def counted(*arguments):
        nonlocal running, most, calls
        running, calls = running + 1, calls + 1
        most = max(most, running)
        time.sleep(0.2)
        found = real(*arguments)
        running -= 1
        return found

    monkeypatch.setattr(module, "take_snapshot", counted)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: serve()[1], range(8)))
    assert (most, calls) == (1, 1)
    assert len(set(answers)) == 1


def test_a_database_that_goes_away_is_said_and_comes_back(watch, db, db_url, monkeypatch):
    assert "went away" not in text_of(watch.page()[0])
    db.execute("INSERT INTO asked DEFAULT VALUES")
    db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    text = text_of(watch.page()[0])
    assert re.search(
        r"The database went away \(.+\)\. It is asked again every 0 s\. What is shown was taken at \d\d:\d\d:\d\d UTC\.",
        text,
    )
    assert "asked 0" in text
    assert "asked 1" in text_of(watch.page()[0])

    def refuse(*_, **__):
        raise UserError("No PostgreSQL server answers at /nowhere: start it, or correct the database URL.")

    with monkeypatch.context() as broken:
        broken.setattr(module, "connect", refuse)
        watch._connection.close()
        assert "No PostgreSQL server answers at /nowhere" in text_of(watch.page()[0])
    assert "No PostgreSQL server" not in text_of(watch.page()[0])


def test_a_database_that_is_not_there_yet_is_a_page_too(dashboard, tmp_path):
    watch = Watch(dashboard, f"postgresql://nobody@/none?host={tmp_path}", every=5)
    text = text_of(watch.page()[0])
    assert (
        f"No PostgreSQL server answers at {tmp_path}: start it, or correct the database URL. It is asked again" in text
    )
    assert "What is shown" not in text
    watch.close()


def test_a_database_without_our_schema_is_a_page_too(dashboard, empty_db_url):
    watch = Watch(dashboard, empty_db_url, every=5)
    assert "This database has not been migrated: run" in text_of(watch.page()[0])
    watch.close()


def test_a_port_in_use_is_a_sentence(watch):
    with (
        LoopbackServer(watch) as server,
        pytest.raises(
            UserError, match=rf"Port {server.server_port} cannot be used \(.+\): choose another one with --port\."
        ),
    ):
        LoopbackServer(watch, server.server_port)


def test_closing_cancels_what_runs(db, db_url, dashboard):
    db.execute("CREATE VIEW asked AS SELECT pg_sleep(60)::text")
    watch = Watch(dashboard, db_url, seconds=60)
    thread = threading.Thread(target=watch.page)
    thread.start()
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active'"
    deadline = time.monotonic() + 30
    while db.execute(running).fetchone() != (1,) and time.monotonic() < deadline:
        time.sleep(0.02)
    started = time.monotonic()
    watch.close()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - started < 10
    assert db.execute(running).fetchone() == (0,)


def test_ctrl_c_ends_the_program_quietly(db_url):
    program = subprocess.Popen(
        [sys.executable, "-m", "trainer", "dashboard", "--watch", "--every", "5", "--database-url", db_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert program.stdout is not None
    try:
        line = program.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/  refreshed every 5 s; stop it with Ctrl-C\n", line)
        assert found
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        connection.request("GET", "/")
        assert "Pattern confidence" in connection.getresponse().read().decode()
        connection.close()
        program.send_signal(signal.SIGINT)
        out, error = program.communicate(timeout=30)
    finally:
        program.kill()
        program.wait()
    assert (program.returncode, out, error) == (0, "stopped\n", "")
