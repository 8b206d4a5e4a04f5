"""Where the files that are not Python live: beside the package in a clone, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """Return the path of a shipped top-level file or folder, for example ``resource("sql", "install.sql")``."""
    bundled = _PACKAGE / "_bundled"
    root = bundled if bundled.is_dir() else _PACKAGE.parent
    return root.joinpath(*parts)


def sample_bars() -> list[Path]:
    """Return the shipped OHLCV files, one symbol each, in name order."""
    return sorted((_PACKAGE / "data").glob("*.csv.gz"))
