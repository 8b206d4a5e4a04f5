"""Progress of long work: stages report to a callback, the command line shows it as a bar; and what prints the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def no_progress(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""


def output(**options: Any) -> Console:
    """Return a console on stdout that raises ``BrokenPipeError`` when nobody reads any more, as ``print`` does."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Output(highlight=False, **options)


@contextmanager
def progress_bar(unit: str = "rows", waiting: str = "working") -> Iterator[Progress]:
    """Show a bar with the rate and the time left on stderr; nothing when stderr is not a terminal.

    Until the total is known there is the text ``waiting`` with a spinner. Print only after the bar has closed.
    """
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "")

    class Known(ProgressColumn):
        """A column that is there once the total is."""

        def __init__(self, column: ProgressColumn) -> None:
            super().__init__()
            self.column = column

        def render(self, task: Task) -> Any:
            return self.column(task) if task.total else Text("")

    columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        *(Known(column) for column in columns),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(waiting, total=None)

        def report(what: str, done: int, total: int) -> None:
            if what != bar.tasks[0].description:
                bar.reset(task)  # the rate is that of what is being done now
            bar.update(task, description=what, completed=done, total=total)

        yield report
