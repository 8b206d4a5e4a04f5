"""A built wheel carries all that it needs, and works outside the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Unpack the wheel where a path entry finds it before the clone."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed, folder, code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(installed), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_wheel_holds_sql_migrations_models_and_bars(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for part in ("sql", "alembic", "generated"):
        for file in (ROOT / part).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert f"trainer/_bundled/{file.relative_to(ROOT)}" in names
    assert "trainer/_bundled/alembic.ini" in names
    for file in (ROOT / "trainer").rglob("*"):  # bars, statements and templates too
        if file.is_file() and "__pycache__" not in file.parts:
            assert str(file.relative_to(ROOT)) in names
    assert not any("__pycache__" in name for name in names)


def test_it_migrates_and_compiles_outside_the_clone(installed, tmp_path, empty_db_url):
    code = """
import sys, os
from pathlib import Path
import trainer
assert Path(trainer.__file__).is_relative_to(os.environ["PYTHONPATH"]), trainer.__file__
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from trainer.compiler import export_to_postgres, runtime_sql
from trainer.migrations import upgrade
from trainer.database import connect
from trainer.resources import sample_bars
from trainer.bars import load_bars
url = os.environ["TARGET"]
upgrade(url)
X, y = load_iris(return_X_y=True)
model = DecisionTreeClassifier(random_state=0).fit(X, y)
with connect(url, autocommit=True) as connection:
    connection.execute(runtime_sql())
    connection.execute(export_to_postgres(model, "public.iris"))
    for row, expected in zip(X.tolist(), model.predict_proba(X).tolist(), strict=True):
        assert connection.execute("SELECT public.iris(%s)", (row,)).fetchone()[0] == expected
    print(sum(report.new for report in load_bars(connection, sample_bars())))
"""
    done = run(installed, tmp_path, code, TARGET=empty_db_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "12154"
