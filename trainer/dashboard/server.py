"""The page served on the loopback interface, taken anew at most every so many seconds."""

from __future__ import annotations

import hashlib
import threading
import time
import webbrowser
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import typer

from trainer.dashboard.page import Serving, Snapshot, render, take_snapshot
from trainer.dashboard.panels import Dashboard
from trainer.dashboard.periods import time_range
from trainer.database import connect, sentence_of
from trainer.deploy import require_schema
from trainer.errors import UserError

ADDRESS = "127.0.0.1"
SCRIPT = "/plotly.js"


class Watch:
    """The newest page. One thread at a time asks the database; the others wait for what it brings."""

    def __init__(
        self,
        dashboard: Dashboard,
        url: str,
        *,
        since: str | None = None,
        chosen: Mapping[str, Sequence[str]] | None = None,
        every: float = 30.0,
        seconds: float = 10.0,
    ) -> None:
        """Ask nothing yet; for the arguments see ``trainer dashboard --help``."""
        self._dashboard, self._url, self._since, self._chosen = dashboard, url, since, chosen or {}
        self._every, self._seconds = every, seconds
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._snapshot: Snapshot | None = None
        self._page, self._tag, self._taken = b"", "", -float("inf")

    def page(self) -> tuple[bytes, str]:
        """Return the page and its tag, taken anew when the last one is older than the interval."""
        with self._lock:
            if time.monotonic() - self._taken >= self._every or not self._page:
                interruption = self._ask()
                serving = Serving(self._every, SCRIPT)
                page = render(self._dashboard, self._snapshot, serving=serving, interruption=interruption).encode()
                self._page, self._tag = page, f'"{hashlib.sha256(page).hexdigest()[:32]}"'
                self._taken = time.monotonic()
            return self._page, self._tag

    def _ask(self) -> str:
        """Take a new snapshot; when that fails, keep the old one and return a sentence that says so."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._url, autocommit=True)
            require_schema(self._connection)
            now = datetime.now(UTC)
            self._snapshot = take_snapshot(
                self._connection,
                self._dashboard,
                time_range(self._since, now, self._connection, self._dashboard.since),
                self._chosen,
                self._seconds,
            )
        except UserError as error:
            return self._interrupted(str(error))
        except psycopg.Error as error:
            return self._interrupted(f"The database went away ({sentence_of(error).rstrip('.')}).")
        return ""

    def _interrupted(self, sentence: str) -> str:
        self._disconnect()
        old = f" What is shown was taken at {self._snapshot.taken_at:%H:%M:%S} UTC." if self._snapshot else ""
        return f"{sentence} It is asked again every {self._every:g} s.{old}"

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Stop what the database is doing for the page, and disconnect."""
        while not self._lock.acquire(timeout=0.1):
            connection = self._connection
            if connection is not None and not connection.closed:
                connection.cancel_safe(timeout=2)  # each query that is left
        self._disconnect()
        self._lock.release()


class LoopbackServer(ThreadingHTTPServer):
    """Serves the page to browsers on this machine."""

    daemon_threads = True

    def __init__(self, watch: Watch, port: int = 0) -> None:
        """Listen on the loopback interface.

        Raises:
            UserError: the port is taken or not allowed.
        """
        from plotly.offline import get_plotlyjs

        self.watch, self.script = watch, get_plotlyjs().encode()
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise UserError(f"Port {port} cannot be used ({error.strerror}): choose another one with --port.") from None

    @property
    def address(self) -> str:
        """Return the address to open in a browser."""
        return f"http://{ADDRESS}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    timeout = 60

    def do_GET(self) -> None:
        # A foreign page must not read ours under a name of its own that leads to this machine.
        if (self.headers.get("Host") or "").partition(":")[0] not in (ADDRESS, "localhost"):
            self._answer(HTTPStatus.FORBIDDEN, b"This page is for 127.0.0.1 only.\n", "text/plain")
        elif self.path == SCRIPT:
            self._answer(HTTPStatus.OK, self.server.script, "text/javascript", "max-age=86400")
        elif self.path.partition("?")[0] == "/":
            page, tag = self.server.watch.page()
            if self.headers.get("If-None-Match") == tag:
                self._answer(HTTPStatus.NOT_MODIFIED, b"", "text/html", tag=tag)
            else:
                self._answer(HTTPStatus.OK, page, "text/html", tag=tag)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"There is only one page: /\n", "text/plain")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, cache: str = "no-cache", tag: str = "") -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", cache)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("X-Frame-Options", "DENY")
            if tag:
                self.send_header("ETag", tag)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the browser has left

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name of the overridden parameter)
        """Say nothing: the terminal shows the address only."""


def serve(
    dashboard: Dashboard,
    url: str,
    *,
    since: str | None,
    chosen: Mapping[str, Sequence[str]],
    every: float,
    port: int,
    seconds: float,
    show: bool = False,
) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: the port cannot be used, or the first page cannot be made.
    """
    watch = Watch(dashboard, url, since=since, chosen=chosen, every=every, seconds=seconds)
    with LoopbackServer(watch, port) as server:
        typer.echo(f"{server.address}  refreshed every {every:g} s; stop it with Ctrl-C")
        if show and not webbrowser.open(server.address):
            typer.echo("No browser was found: open the address yourself.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("stopped")
        finally:
            watch.close()
