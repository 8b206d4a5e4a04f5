"""Deliver the notifications that alerts left in the database's outbox: to PagerDuty, to a webhook, or to both.

Every notification is delivered at least once: it is sent while its row is locked and marked afterwards, so what is
interrupted in between is sent again, with the same identifier. Notifications of one alert arrive in their order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol

import psycopg
import typer

from trainer import __version__
from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url, sentence_of
from trainer.errors import UserError
from trainer.sql import statement

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
PAGERDUTY_KEY = "PAGERDUTY_ROUTING_KEY"
WEBHOOK_URL = "PATTERN_CONFIDENCE_WEBHOOK_URL"
WEBHOOK_SECRET = "PATTERN_CONFIDENCE_WEBHOOK_SECRET"  # noqa: S105  the name of a variable

SEVERITIES = ("info", "warning", "critical")
FIRST_DELAY = 10.0
LONGEST_DELAY = 3600.0
POLL = 30.0

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DEDUP_KEY_LENGTH = 255  # of PagerDuty
_SUMMARY_LENGTH = 1024
_READ = 4096
_REFUSED = (400, 413, 422)  # of a message; any other answer is about the receiver, and may change
_AT_SIGN = "with @ : / % of a user or password written as %40 %3A %2F %25"


class Severity(StrEnum):
    """How loud an alert is."""

    info = "info"
    warning = "warning"
    critical = "critical"


@dataclass(frozen=True)
class Notification:
    """A row of ml_notifications that is to be delivered."""

    id: int
    created_at: datetime
    rule: str
    key: str
    transition: str
    channel: str
    severity: str
    payload: dict[str, Any]
    attempts: int


@dataclass(frozen=True)
class Request:
    """What is sent over HTTP, and what of it may never be shown."""

    url: str
    body: bytes
    headers: dict[str, str]
    secrets: tuple[str, ...] = field(default=(), repr=False)


class Destination(Protocol):
    """Where the notifications of a channel go."""

    @property
    def channel(self) -> str:
        """Name of the channel."""

    def request(self, notification: Notification, source: str) -> Request:
        """Return what to send."""


def dedup_key(notification: Notification, source: str) -> str:
    """Return the identifier of the alert: the same for every firing of a rule and key, at most 255 characters."""
    name = "/".join(part for part in ("pattern-confidence", source, notification.rule, notification.key) if part)
    if len(name) <= _DEDUP_KEY_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: _DEDUP_KEY_LENGTH - len(digest) - 1]}/{digest}"


@dataclass(frozen=True)
class PagerDuty:
    """PagerDuty, by its Events API v2."""

    routing_key: str = field(repr=False)
    url: str = PAGERDUTY_URL
    channel: str = "pagerduty"

    def request(self, notification: Notification, source: str) -> Request:
        """Return a trigger or resolve event."""
        event: dict[str, Any] = {
            "routing_key": self.routing_key,
            "event_action": "trigger" if notification.transition == "firing" else "resolve",
            "dedup_key": dedup_key(notification, source),
            "client": "pattern-confidence",
            "payload": {
                "summary": str(notification.payload.get("summary") or notification.rule)[:_SUMMARY_LENGTH],
                "source": source,
                "severity": notification.severity,  # its names are PagerDuty's
                "timestamp": notification.payload.get("since"),
                "component": "pattern-confidence",
                "group": notification.rule,
                "class": notification.payload.get("alert_type") or notification.payload.get("metric"),
                "custom_details": notification.payload,
            },
        }
        return Request(self.url, _json(event), {}, (self.routing_key,))


@dataclass(frozen=True)
class Webhook:
    """Any receiver of JSON, with the headers of the Standard Webhooks specification 1.0; a secret signs."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    channel: str = "webhook"
    clock: Callable[[], float] = time.time

    def request(self, notification: Notification, source: str) -> Request:
        """Return the notification as JSON; a user and password in the address become basic authentication."""
        name = f"{source}-{notification.id}"
        body = _json(
            {
                "id": name,
                "type": f"alert.{notification.transition}",
                "timestamp": notification.created_at.astimezone(UTC).isoformat(),
                "source": source,
                "dedup_key": dedup_key(notification, source),
                "data": notification.payload,
            }
        )
        sent_at = str(int(self.clock()))
        headers = {"webhook-id": name, "webhook-timestamp": sent_at}
        address = urllib.parse.urlsplit(self.url)
        url = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
        # A token may be in any of these.
        secrets = [self.secret, self.url, url, address.path.strip("/"), address.query]
        if address.username is not None or address.password is not None:
            user, password = (urllib.parse.unquote(part or "") for part in (address.username, address.password))
            basic = base64.b64encode(f"{user}:{password}".encode()).decode()  # RFC 7617
            headers["Authorization"] = f"Basic {basic}"
            secrets += [address.username, address.password, user, password, basic]
        if self.secret:
            signed = f"{name}.{sent_at}.".encode() + body
            signature = hmac.new(secret_bytes(self.secret), signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(signature).decode()}"
        return Request(url, body, headers, tuple(secret for secret in secrets if secret))


def secret_bytes(secret: str) -> bytes:
    """Return the key of signatures: ``whsec_`` and base64, as the specification writes it, or any other text."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise UserError(f"{WEBHOOK_SECRET} starts with whsec_, but is not base64 after that: correct it.") from None


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


# ------------------------------------------------------------------------------------------------- sending


@dataclass(frozen=True)
class Answer:
    """What became of an attempt: delivered, to be tried again (``after`` seconds, if it was said), or given up."""

    outcome: str  # delivered | retry | abandoned
    error: str | None = None
    after: float | None = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: a redirected POST becomes a GET, and credentials would go to another host."""


def send(request: Request, timeout: float) -> Answer:
    """Send a request and judge the answer; nothing that a network or receiver can do raises.

    Only a message that is refused for what it says is given up. A wrong address, key or redirection is a fault of the
    receiver's configuration: every message would be lost to it, so they wait until it is mended.
    """
    place = urllib.parse.urlsplit(request.url).hostname
    headers = {"Content-Type": "application/json", "User-Agent": f"pattern-confidence/{__version__}", **request.headers}
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        prepared = urllib.request.Request(request.url, request.body, headers, method="POST")  # noqa: S310  checked before
        with opener.open(prepared, timeout=timeout) as response:
            response.read(_READ)
        return Answer("delivered")
    except urllib.error.HTTPError as error:
        with error:
            body = _body(error)
        said = _shown(body, request.secrets)
        sentence = (
            f"{place} answered {error.code} {_shown(str(error.reason), request.secrets)}{': ' if said else ''}{said}"
        )
        # PagerDuty answers a wrong key with 400 too.
        if error.code in _REFUSED and not re.search("routing[ _]?key", body, re.IGNORECASE):
            return Answer("abandoned", f"{sentence}; it will not be sent again.")
        busy = error.code in (408, 425, 429) or error.code >= 500
        advice = "" if busy else " (correct the address or the key)"
        return Answer("retry", f"{sentence}{advice}.", _retry_after(error.headers.get("Retry-After")))
    except TimeoutError:
        return Answer("retry", f"{place} did not answer within {timeout:g} s.")
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, TimeoutError):
            return Answer("retry", f"{place} did not answer within {timeout:g} s.")
        return Answer("retry", f"{place} cannot be reached: {_shown(str(cause), request.secrets)}.")


def _body(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(_READ).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""


def _shown(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text as one line of at most 200 characters, without secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return "".join(character if character.isprintable() else " " for character in text).strip()[:200].rstrip(". ")


def _retry_after(header: str | None) -> float | None:
    try:
        return min(max(float(header or ""), 0.0), LONGEST_DELAY)
    except ValueError:
        return None  # absent, or a date


def delay(attempts: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait after so many attempts: 10, 20, 40 ... at most an hour, and up to a tenth more."""
    return float(min(FIRST_DELAY * 2.0 ** min(attempts - 1, 20), LONGEST_DELAY) * (1 + jitter() / 10))


# ------------------------------------------------------------------------------------------------ the outbox


@dataclass
class Report:
    """What a round of deliveries came to.

    ``waiting`` are left, ``failing`` of them after an attempt that failed, the oldest with ``last_error``; ``next_in``:
    seconds until the next attempt is due, None: nothing waits.
    """

    delivered: int = 0
    retried: int = 0
    abandoned: int = 0
    waiting: int = 0
    failing: int = 0
    next_in: float | None = None
    last_error: str | None = None
    errors: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing was given up, and nothing waits for another attempt."""
        return not (self.abandoned or self.failing)


def _wanted(destinations: tuple[Destination, ...], minimum_severity: str) -> dict[str, Any]:
    return {
        "channels": [destination.channel for destination in destinations],
        "severities": list(SEVERITIES[SEVERITIES.index(minimum_severity) :]),
    }


def put_back(
    connection: psycopg.Connection[Any], destinations: tuple[Destination, ...], minimum_severity: str = "warning"
) -> int:
    """Make what was given up in the last 24 hours due again, and return how many these are.

    What is overtaken stays given up: what would arrive after later news of its alert, or is over a day old.
    """
    return connection.execute(statement("put_back_notifications"), _wanted(destinations, minimum_severity)).rowcount


def deliver(
    connection: psycopg.Connection[Any],
    destinations: tuple[Destination, ...],
    source: str,
    *,
    minimum_severity: str = "warning",
    timeout: float = 10.0,
    sender: Callable[[Request, float], Answer] = send,
) -> Report:
    """Deliver what is due, oldest first, each in a transaction of its own; the connection is in autocommit mode.

    Several of these at a time share the work. What is over a day old is not sent when the alert has changed since.
    """
    by_channel = {destination.channel: destination for destination in destinations}
    wanted = _wanted(destinations, minimum_severity)
    report = Report(abandoned=connection.execute(statement("abandon_outdated_notifications"), wanted).rowcount)
    while True:
        with connection.transaction():
            row = connection.execute(statement("next_notification"), wanted).fetchone()
            if row is None:
                break
            notification = Notification(*row)
            answer = sender(by_channel[notification.channel].request(notification, source), timeout)
            wait = 0.0
            if answer.outcome == "retry":
                wait = max(delay(notification.attempts + 1), answer.after or 0.0)
            connection.execute(
                statement("mark_notification"),
                {"id": notification.id, "outcome": answer.outcome, "delay": wait, "error": answer.error},
            )
        report.delivered += answer.outcome == "delivered"
        report.retried += answer.outcome == "retry"
        report.abandoned += answer.outcome == "abandoned"
        if answer.error:
            report.errors.append(
                f"{notification.rule} {notification.transition}, {notification.channel}: {answer.error}"
            )
    left = connection.execute(statement("waiting_notifications"), wanted).fetchone()
    assert left is not None  # noqa: S101  an aggregate gives one row
    report.waiting, report.failing, report.next_in, report.last_error = left
    return report


def follow(
    url: str,
    deliver_due: Callable[[psycopg.Connection[Any]], Report],
    say: Callable[[Report], None],
    *,
    poll: float = POLL,
    complain: Callable[[str], None] = lambda _sentence: None,
) -> None:
    """Deliver at once when the database says that an alert has changed, and look every ``poll`` seconds; never ends.

    A server that goes away is waited for.
    """
    failures = 0
    while True:
        try:
            with connect(url, autocommit=True) as connection:
                connection.execute(b"LISTEN ml_alerts")
                while True:
                    report = deliver_due(connection)
                    failures = 0
                    say(report)
                    pause = poll if report.next_in is None else min(poll, max(report.next_in, 1.0))
                    for _ in connection.notifies(timeout=pause, stop_after=1):
                        pass
        except (UserError, psycopg.OperationalError) as error:
            failures += 1
            pause = min(2.0**failures, poll)
            complain(f"{sentence_of(error)} Trying again in {pause:g} s.")
            time.sleep(pause)


# --------------------------------------------------------------------------------------------- command line


def checked_url(url: str, option: str) -> str:
    """Return an address that may be posted to, or raise a UserError that does not repeat it: it may hold a token."""
    try:
        address = urllib.parse.urlsplit(url.strip())
        valid = address.scheme in ("https", "http") and bool(address.hostname) and (address.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or not url.strip().isascii() or any(character.isspace() for character in url.strip()):
        raise UserError(f"{option} is no address: write it like https://host/path, {_AT_SIGN}.")
    if address.netloc.count("@") > 1:
        raise UserError(f"{option} has more than one @ before its host: write it {_AT_SIGN}.")
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        raise UserError(f"{option} must start with https://: http is for receivers on this machine only.")
    return url.strip()


def find_destinations(webhook: str | None, pagerduty_url: str) -> tuple[Destination, ...]:
    """Return where to deliver, from options and environment; a UserError when nowhere."""
    found: list[Destination] = []
    routing_key = (os.environ.get(PAGERDUTY_KEY) or "").strip()
    if routing_key:
        address = checked_url(pagerduty_url, "--pagerduty-url")
        if "@" in urllib.parse.urlsplit(address).netloc:
            raise UserError(f"--pagerduty-url has a user or password: leave them out, {PAGERDUTY_KEY} is enough.")
        found.append(PagerDuty(routing_key, address))
    webhook = webhook or (os.environ.get(WEBHOOK_URL) or "").strip() or None
    if webhook:
        secret = os.environ.get(WEBHOOK_SECRET) or None
        if secret:
            secret_bytes(secret)
        found.append(Webhook(checked_url(webhook, "--webhook"), secret))
    if not found:
        raise UserError(
            f"There is nobody to notify: set {PAGERDUTY_KEY} for PagerDuty, or give --webhook URL "
            f"(or set {WEBHOOK_URL})."
        )
    return tuple(found)


def require_outbox(connection: psycopg.Connection[Any]) -> None:
    """Raise a UserError when the database has no outbox."""
    row = connection.execute(b"SELECT to_regclass('public.ml_notifications') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        raise UserError(f"This database has no alerts yet: {MIGRATE}.")


def command(
    follow_on: Annotated[
        bool, typer.Option("--follow/--once", help="Go on until stopped, or deliver what is due and end.")
    ] = False,
    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook",
            metavar="URL",
            help="Post JSON to this address.",
            show_default=False,
        ),
    ] = None,
    pagerduty_url: Annotated[
        str,
        typer.Option("--pagerduty-url", metavar="URL", help="Another address of PagerDuty.", show_default=False),
    ] = PAGERDUTY_URL,
    minimum_severity: Annotated[
        Severity, typer.Option("--minimum-severity", help="Leave quieter alerts undelivered.")
    ] = Severity.warning,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="What alerts are said to come from; default: the database's name.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=300, metavar="SECONDS", help="How long to wait for a receiver.")
    ] = 10.0,
    poll: Annotated[
        float, typer.Option("--poll", min=0.1, max=3600, metavar="SECONDS", help="With --follow, look this often.")
    ] = POLL,
    retry_abandoned: Annotated[
        bool, typer.Option("--retry-abandoned", help="First put back what was given up in the last 24 hours.")
    ] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Deliver notifications of alerts to PagerDuty or a webhook, or to both.

    PagerDuty gets them when PAGERDUTY_ROUTING_KEY is set, at
    https://events.pagerduty.com/v2/enqueue (Events API v2).

    A webhook gets JSON at the address of --webhook, by default that in
    PATTERN_CONFIDENCE_WEBHOOK_URL, signed when
    PATTERN_CONFIDENCE_WEBHOOK_SECRET is set (Standard Webhooks), and with
    basic authentication when it is like https://user:password@host/path.

    What cannot be delivered is tried again after 10, 20, 40 ... seconds, at
    most an hour. It is given up when the receiver refuses the message itself
    (400, 413, 422), or when it is over a day old and its alert has changed.

    Exit code with --once: 1 when something was given up, or waits after an
    attempt that failed. --follow ends on Ctrl-C, with 0.
    """
    destinations = find_destinations(webhook, pagerduty_url)
    url = resolve_url(database_url)
    with connect(url, autocommit=True) as connection:
        require_outbox(connection)
        name = source or connection.info.dbname
        if retry_abandoned:
            count = put_back(connection, destinations, minimum_severity.value)
            typer.echo(f"{count} put back that had been given up", err=as_json)

        def deliver_due(using: psycopg.Connection[Any]) -> Report:
            return deliver(using, destinations, name, minimum_severity=minimum_severity.value, timeout=timeout)

        def say(report: Report) -> None:
            for error in report.errors:
                typer.echo(error, err=True)
            if as_json:
                left_out = ("next_in", "last_error")
                typer.echo(json.dumps({key: value for key, value in vars(report).items() if key not in left_out}))
            elif not follow_on or report.delivered or report.errors:
                again = "" if report.next_in is None else f" (next attempt in {max(report.next_in, 0.0):.0f} s)"
                typer.echo(
                    f"{report.delivered} delivered, {report.retried} to be tried again, {report.abandoned} given up, "
                    f"{report.waiting} waiting{again}"
                )

        if not follow_on:
            report = deliver_due(connection)
            if report.failing and not report.errors and report.last_error:
                report.errors.append(f"Waiting since the last attempt: {report.last_error}")
            say(report)
            if not report.complete:
                raise typer.Exit(1)
            return
    try:
        follow(url, deliver_due, say, poll=poll, complain=lambda sentence: typer.echo(sentence, err=True))
    except KeyboardInterrupt:
        typer.echo("stopped", err=as_json)
