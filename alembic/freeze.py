"""Freeze the head files that changed: copy each to ``alembic/snapshots/<object>/<revision>.sql``.

Usage: ``python alembic/freeze.py REVISION [OBJECT ...]`` after editing ``sql/``; without objects, all that changed.
Prints what a revision then has to install. With ``--check`` nothing is written: exit code 1 when a head file differs
from its newest snapshot.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SNAPSHOTS = ROOT / "alembic" / "snapshots"


def load_order() -> list[str]:
    """Return the objects of ``sql/install.sql`` in load order, as paths without ending."""
    text = (ROOT / "sql" / "install.sql").read_text(encoding="utf-8")
    return re.findall(r"^\\ir (\S+)\.sql$", text, re.MULTILINE)


def newest_snapshot(path: str) -> Path | None:
    """Return the newest snapshot of an object; revisions sort by name."""
    return max((SNAPSHOTS / path).glob("*.sql"), default=None)


def changed_objects() -> list[str]:
    """Return the objects whose head file differs from the newest snapshot, in load order."""
    changed = []
    for path in load_order():
        frozen = newest_snapshot(path)
        if frozen is None or frozen.read_bytes() != (ROOT / "sql" / f"{path}.sql").read_bytes():
            changed.append(path)
    return changed


def main() -> int:
    """Freeze or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?", help="four digits, for example 0007")
    parser.add_argument("objects", nargs="*", help="for example ops/promote; default: every object that changed")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    options = parser.parse_args()
    if not options.check and not re.fullmatch(r"\d{4}", options.revision or ""):
        parser.error("give the revision as four digits, or --check")
    changed = changed_objects()
    if unknown := set(options.objects) - set(changed):
        parser.error(f"not changed, or not in sql/install.sql: {', '.join(sorted(unknown))}")
    for path in changed:
        if options.objects and path not in options.objects:
            continue
        if not options.check:
            target = SNAPSHOTS / path / f"{options.revision}.sql"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / "sql" / f"{path}.sql").read_bytes())
        sys.stdout.write(f'    op.install_object("{path}", version="{options.revision or "????"}")\n')
    return int(bool(changed) and options.check)


if __name__ == "__main__":
    sys.exit(main())
