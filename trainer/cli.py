"""The command line: ``trainer`` and ``python -m trainer``.

Each stage of a model's way is one module and one verb. A verb is a line of ``VERBS``, in the order in which a
user meets them, and a function (or, for a group, a ``typer.Typer``) in its module, which is imported when the
verb is used: ``trainer db url`` must not wait for pandas. A verb that needs a database has the parameter
``database_url: DatabaseUrl = None`` and gives it to ``trainer.database.resolve_url``.

Exit codes: 0 done, 1 a sentence on stderr says what is wrong (``trainer status``: the status is critical;
``trainer notify``: something is not delivered), 2 wrong usage, 3 ``trainer db status`` found no running server or
``trainer retrain`` nothing to do, 4 ``trainer status`` could not ask the database or ``trainer retrain`` was refused
the promotion, 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

from trainer import __version__
from trainer.errors import UserError

DEBUG_VARIABLE = "PATTERN_CONFIDENCE_DEBUG"

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="The database to use; default: $DATABASE_URL, else the embedded server (see `trainer db`).",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class Verb(NamedTuple):
    """A verb: its name, the function or group behind it, and its line in ``trainer --help``."""

    name: str
    target: str  # module:attribute
    summary: str


VERBS: tuple[Verb, ...] = (
    Verb("demo", "trainer.demo:command", "Tell the whole story on the shipped bars; the server keeps running."),
    Verb("db", "trainer.cli:database_app", "Start, stop or look at the embedded PostgreSQL server."),
    Verb("migrate", "trainer.migrations:command", "Bring a database to the current schema."),
    Verb("load-bars", "trainer.bars:load_bars_command", "Load OHLCV bars from CSV or Parquet files."),
    Verb("harvest", "trainer.harvest:harvest_command", "Detect candlestick patterns in the loaded bars with TA-Lib."),
    Verb("label", "trainer.label:label_command", "Label events by what the market did next."),
    Verb("annotate", "trainer.annotate:command", "Label events by hand, on a chart of the bars around them."),
    Verb(
        "fit",
        "trainer.fit:fit_command",
        "Fit the candidates on labelled events, choose a champion, calibrate and evaluate it.",
    ),
    Verb("evaluate", "trainer.evaluate:evaluate_command", "Say what a fitted model is worth."),
    Verb("report", "trainer.report:command", "Write the evaluation of a model as one HTML page with plots."),
    Verb("compile", "trainer.compile:command", "Compile a fitted model to PL/pgSQL."),
    Verb("verify", "trainer.verify:command", "Compare a compiled model with its library, in the database."),
    Verb("deploy", "trainer.deploy:command", "Install a verified model in the database."),
    Verb("promote", "trainer.promote:promote_command", "Make a deployed model the champion."),
    Verb("rollback", "trainer.promote:rollback_command", "Make the previous champion live again."),
    Verb(
        "recalibrate",
        "trainer.recalibrate:command",
        "Fit calibrators to the outcomes of logged predictions, and register a better one.",
    ),
    Verb("status", "trainer.status:command", "Say what is live and how it does."),
    Verb(
        "dashboard", "trainer.dashboard.command:command", "Draw the monitoring dashboard as one HTML page, or serve it."
    ),
    Verb("notify", "trainer.notify:command", "Deliver notifications of alerts to PagerDuty or a webhook."),
    Verb("backfill", "trainer.backfill:command", "Score the events that have no score yet."),
    Verb("tick", "trainer.jobs:tick_command", "Do what is due every minute: roll-ups and alerts."),
    Verb(
        "nightly", "trainer.jobs:nightly_command", "Do what is due every night: labels, drift, performance, retention."
    ),
    Verb("export", "trainer.export:command", "Write what leaves the log to Parquet files, then drop it."),
    Verb("retrain", "trainer.retrain:command", "Fit a new model when that is due, and make it the challenger."),
    Verb("release", "trainer.release:command", "Release a fitted model into generated/ with its revision."),
)


class _VerbGroup(TyperGroup):
    """Import a verb's module when it is used, not when it is listed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the real command in the place of the one that stands for it in the help."""
        for verb in VERBS:
            if args and verb.name == args[0]:
                self.commands[verb.name] = _load(verb)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; what click would answer with a bare exit code is left to ``main``."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _StoppedError(
                "Interrupted; run it again: what was finished stays, the rest starts over.", 130
            ) from None
        except BrokenPipeError:
            raise _StoppedError(
                "Nobody reads the output any more, so the command has stopped; run it again: what was finished stays, "
                "the rest starts over.",
                141,
            ) from None


class _StoppedError(Exception):
    """The command was stopped from outside: what to say, and the exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def _load(verb: Verb) -> Any:
    module, _, attribute = verb.target.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False)
        target.command(verb.name)(function)
    command = typer.main.get_command(target)
    command.name = verb.name
    return command


app = typer.Typer(
    cls=_VerbGroup,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_debug = False


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pattern-confidence {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, help="Show tracebacks of errors.")] = False,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Score chart patterns inside PostgreSQL: train, compile, verify, deploy and watch models."""
    global _debug
    _debug = debug


for _verb in VERBS:
    app.command(_verb.name, help=_verb.summary)(lambda: None)


# ------------------------------------------------------------------------------------------------------- db

database_app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Start, stop or look at the embedded PostgreSQL server.\n\n"
    "It is used when neither --database-url nor DATABASE_URL names another server. It listens on a unix "
    "socket only, and keeps running when this command and its terminal have ended. Its data are in the "
    "folder PATTERN_CONFIDENCE_HOME; default: /var/lib/pattern-confidence for root, else the user's data "
    "folder.",
)


@database_app.command("start")
def _start() -> None:
    """Start the server, return when it accepts connections, and leave it running; prints its URL."""
    from trainer.server import EmbeddedServer

    typer.echo(EmbeddedServer().start())


@database_app.command("stop")
def _stop() -> None:
    """Stop the server; its data stays."""
    from trainer.server import EmbeddedServer

    typer.echo("stopped" if EmbeddedServer().stop() else "not running")


@database_app.command("status")
def _status(as_json: AsJson = False) -> None:
    """Say whether the server runs and where its things are; exit code 3 when it does not run."""
    from trainer.server import EmbeddedServer

    status = EmbeddedServer().status()
    if as_json:
        typer.echo(json.dumps(asdict(status)))
    else:
        running = f"running, PostgreSQL {status.version}, process {status.pid}"
        typer.echo(f"status  {running if status.running else 'not running'}")
        typer.echo(f"url     {status.url}\ndata    {status.data}\nlog     {status.log}")
    if not status.running:
        raise typer.Exit(3)


@database_app.command("url")
def _url() -> None:
    """Print the server's URL, for psql, psycopg or DATABASE_URL; starts the server when it does not run."""
    from trainer.server import EmbeddedServer

    typer.echo(EmbeddedServer().start())


# ----------------------------------------------------------------------------------------------------- main


def _leave(stopped: _StoppedError) -> NoReturn:
    """Say why the command has stopped, and exit without another word about a closed output."""
    with contextlib.suppress(OSError):
        print(f"\n{stopped}" if sys.stderr.isatty() else stopped, file=sys.stderr, flush=True)  # noqa: T201
    with contextlib.suppress(OSError, ValueError):
        # What is still in the buffer has no reader: without this the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(stopped.code)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    try:
        typer.main.get_command(app)(args=arguments, prog_name="trainer")
    except _StoppedError as stopped:
        _leave(stopped)
    except Exception as error:
        if _debug:
            traceback.print_exc()
        elif isinstance(error, UserError):
            typer.echo(f"trainer: {error}", err=True)
        elif getattr(error, "sqlstate", None) == "42501":  # without importing psycopg: insufficient_privilege
            from trainer.database import sentence_of

            typer.echo(f"trainer: {sentence_of(error)}", err=True)
        else:
            reason = str(error).strip().partition("\n")[0]
            again = "`trainer --debug ...` shows where"
            typer.echo(f"trainer: {type(error).__name__}: {reason.rstrip('.')}; {again}.", err=True)
        sys.exit(error.code if isinstance(error, UserError) else 1)
    sys.exit(0)
