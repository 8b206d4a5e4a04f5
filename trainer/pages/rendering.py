"""Templates of pages that need nothing else: styles, scripts and plots are all in the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trainer.errors import UserError

if TYPE_CHECKING:
    import jinja2

EXTRA = "pip install 'pattern-confidence[report]'"


@contextmanager
def report_packages(what: str) -> Iterator[None]:
    """Raise a UserError in the place of an import error; ``what`` needs the package."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f"{what} needs the package {error.name}: run {EXTRA}.") from None


def environment(package: str) -> jinja2.Environment:
    """Return the environment of a package's templates, which extend ``base.html``."""
    import jinja2
    import markupsafe
    import plotly.offline

    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("trainer.pages")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.globals["plotly_js"] = lambda: markupsafe.Markup(plotly.offline.get_plotlyjs())  # noqa: S704  (as shipped)
    return made
