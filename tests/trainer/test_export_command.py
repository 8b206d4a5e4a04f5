"""Export to Parquet: exact values, all or nothing, and a week is dropped only when its file is good."""

import hashlib
import json
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from prediction_log import log, prediction, random_predictions
from support import add_bars, insert_event, one, rows, value

from trainer import export
from trainer.errors import UserError
from trainer.export import export_copy, export_weeks

START = datetime(2025, 3, 3, tzinfo=UTC)
WEEK = "ml_predictions_2025w10"
FIRST, LAST = START + timedelta(hours=1), START + timedelta(days=6)
INFINITY = float("inf")


@pytest.fixture
def archived(db):
    """A week that has left the log, with all that a log may hold."""
    log(db, [prediction(FIRST), *random_predictions(500, FIRST, timedelta(days=5)), prediction(LAST)])
    db.execute(
        "UPDATE ml_predictions SET features = '{1,NULL,NaN,Infinity,-0,1e-320,0.1}',"
        ' contributions = \'[{"name": "ü\\u2028", "value": 12345678901234567890.123456789012345678901234567890}]\''
        " WHERE predicted_at = %s",
        (FIRST,),
    )
    db.execute("UPDATE ml_predictions SET features = '{}' WHERE predicted_at = %s", (LAST,))
    archive(db)
    return db


def archive(db, week=WEEK):
    db.execute(f"ALTER TABLE ml_predictions DETACH PARTITION {week}")
    db.execute(f"ALTER TABLE {week} SET SCHEMA ml_archive")


def there(db, week=WEEK):
    return value(db, "SELECT to_regclass(%s) IS NOT NULL", f"ml_archive.{week}")


def trainer(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "trainer", *arguments], capture_output=True, text=True, check=False, **options
    )


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def same(a, b):
    return a == b or (a != a and b != b)


def test_a_week_is_written_with_its_exact_values_recorded_and_dropped(archived, tmp_path):
    expected = rows(
        archived,
        "SELECT id::text, event_id::text, predicted_at, source, model_version, role, ml_confidence, features,"
        " contributions::text, cache_hit, latency_us FROM ml_archive.ml_predictions_2025w10 ORDER BY predicted_at",
    )
    (done,) = export_weeks(archived, tmp_path / "new" / "folder", batch=100)
    table = pq.read_table(done.file).to_pylist()
    assert len(table) == done.rows == 502
    for found, row in zip(table, expected, strict=True):
        for name, stored in row.items():
            if isinstance(stored, list):
                assert all(same(a, b) for a, b in zip(found[name], stored, strict=True))
            else:
                assert same(found[name], stored), name
    assert str(table[0]["features"]) == "[1.0, None, nan, inf, -0.0, 1e-320, 0.1]"
    assert "12345678901234567890.123456789012345678901234567890" in table[0]["contributions"]
    assert table[-1]["features"] == [] and table[1]["features"] is None
    assert pq.ParquetFile(done.file).num_row_groups == 6
    record = one(archived, "SELECT * FROM ml_archives")
    assert (record["partition"], record["rows"], record["file"]) == (WEEK, 502, done.file)
    assert (record["first_predicted_at"], record["last_predicted_at"]) == (FIRST, LAST)
    content = Path(done.file).read_bytes()
    assert (record["bytes"], record["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert not there(archived)
    assert names(Path(done.file).parent) == [f"{WEEK}.parquet"]
    assert list(export_weeks(archived, tmp_path)) == []


def test_an_empty_week_is_archived_too(db, tmp_path):
    db.execute("SELECT ml.create_prediction_partitions(%s, 0)", (START,))
    archive(db)
    (done,) = export_weeks(db, tmp_path)
    assert (done.rows, done.first) == (0, None)
    assert not there(db)
    assert pq.read_table(done.file).num_rows == 0


def test_what_was_written_is_read_back_before_anything_is_dropped(archived, tmp_path, monkeypatch):
    """A disk that loses a bit: the file that is read back is not the one that was written."""
    whole = export._digest_of_file

    def damaged(file, pq_module):
        count, digest = whole(file, pq_module)
        return count, digest[::-1]

    monkeypatch.setattr(export, "_digest_of_file", damaged)
    with pytest.raises(UserError, match="is not what was written"):
        list(export_weeks(archived, tmp_path))
    assert there(archived) and names(tmp_path) == []
    assert rows(archived, "SELECT * FROM ml_archives") == []


def test_a_digest_tells_every_difference_of_values():
    pa, _ = export.parquet()

    def digest(values, kind):
        found = hashlib.sha256()
        export._add(found, pa.table({"x": pa.array(values, kind)}), pa)
        return found.hexdigest()

    lists = pa.list_(pa.float64())
    different = [
        [
            ([1.0], pa.float64()),
            ([None], pa.float64()),
            ([0.0], pa.float64()),
            ([-0.0], pa.float64()),
            ([float("nan")], pa.float64()),
        ],
        [(["a", None], pa.string()), (["a", ""], pa.string()), (["", "a"], pa.string()), (["a,"], pa.string())],
        [
            ([[1.0], [2.0]], lists),
            ([[1.0, 2.0], []], lists),
            ([[1.0, 2.0], None], lists),
            ([[1.0], [None]], lists),
            ([[1.0], [0.0]], lists),
        ],
        [([True], pa.bool_()), ([False], pa.bool_()), ([None], pa.bool_())],
    ]
    for group in different:
        digests = [digest(*given) for given in group]
        assert len(set(digests)) == len(group)
        assert digests == [digest(*given) for given in group]


def test_rows_that_came_after_the_file_was_written_are_not_dropped(archived, tmp_path, monkeypatch):
    written = export.write

    def late(connection, source, file, **options):
        done = written(connection, source, file, **options)
        archived.execute(
            "INSERT INTO ml_archive.ml_predictions_2025w10 (event_id, predicted_at, source, role)"
            " VALUES (gen_random_uuid(), %s, 'insert', 'rule')",
            (LAST,),
        )
        return done

    monkeypatch.setattr(export, "write", late)
    with pytest.raises(UserError, match=r"was not dropped: it has 503 rows, and no export has as many"):
        list(export_weeks(archived, tmp_path))
    assert there(archived) and rows(archived, "SELECT * FROM ml_archives") == []


def test_the_archive_of_another_database_is_not_written_over(archived, tmp_path):
    other = tmp_path / f"{WEEK}.parquet"
    other.write_bytes(b"something else")
    with pytest.raises(UserError, match=r"exists already and holds other rows: move it"):
        list(export_weeks(archived, tmp_path))
    assert other.read_bytes() == b"something else" and there(archived)


def test_a_run_that_died_between_file_and_record_is_made_good_by_the_next(archived, tmp_path):
    source = export._Source(export.sql.Identifier("ml_archive", WEEK), WEEK, "predicted_at")
    export.write(archived, source, tmp_path / f"{WEEK}.parquet", batch=100, progress=export.no_progress)
    assert there(archived)
    (done,) = export_weeks(archived, tmp_path, batch=100)
    assert done.rows == 502 and not there(archived)


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(archived, db_url, tmp_path):
    done = trainer("export", "--to", str(tmp_path), "--database-url", db_url, preexec_fn=limit_file_size)
    assert done.returncode == 1
    assert done.stderr.startswith(f"trainer: {tmp_path}/{WEEK}.parquet cannot be written (File too large)")
    assert done.stderr.endswith("nothing was dropped.\n") and done.stderr.count("\n") == 1
    assert there(archived) and names(tmp_path) == []
    assert trainer("export", "--to", str(tmp_path), "--database-url", db_url).returncode == 0


def test_a_folder_that_cannot_be_made_is_a_sentence(archived, db_url, tmp_path):
    (tmp_path / "file").write_text("x")
    done = trainer("export", "--to", str(tmp_path / "file"), "--database-url", db_url)
    assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert there(archived)


def test_ctrl_c_leaves_no_half_file_and_nothing_is_lost(archived, db_url, tmp_path):
    """The lock of another session holds the command between file and record."""
    with psycopg.connect(db_url) as other:
        other.execute(f"LOCK TABLE ml_archive.{WEEK} IN ACCESS SHARE MODE")
        running = subprocess.Popen(
            [sys.executable, "-m", "trainer", "export", "--to", str(tmp_path), "--database-url", db_url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)"
        for _ in range(400):
            if value(archived, waiting, f"ml_archive.{WEEK}"):
                break
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (
        130,
        "Interrupted; run it again: what was finished stays, the rest starts over.\n",
    )
    assert there(archived) and rows(archived, "SELECT * FROM ml_archives") == []
    assert names(tmp_path) == [f"{WEEK}.parquet"]
    assert trainer("export", "--to", str(tmp_path), "--database-url", db_url).returncode == 0
    assert not there(archived)


def test_a_copy_of_a_time_drops_nothing_and_may_be_made_again(db, tmp_path):
    log(db, [prediction(START + timedelta(hours=hours)) for hours in range(10)])
    bounds = {"since": START + timedelta(hours=2), "until": START + timedelta(hours=5)}
    for _ in range(2):
        done = export_copy(db, "ml_predictions", tmp_path, **bounds)
    assert (done.rows, done.dropped) == (3, False)
    assert Path(done.file).name == "ml_predictions_20250303T020000Z_20250303T050000Z.parquet"
    assert names(tmp_path) == [Path(done.file).name]
    assert value(db, "SELECT count(*) FROM ml_predictions") == 10
    assert rows(db, "SELECT * FROM ml_archives") == []


def test_the_command_line_exports_roll_ups_and_events(db, db_url, tmp_path):
    add_bars(db)
    insert_event(db, metadata=json.dumps({"a": [1, None]}))
    db.execute("ALTER TABLE pattern_events ADD COLUMN mine point DEFAULT '(1,2)'")
    log(db, [prediction(START)])
    for _ in range(2):
        db.execute("SELECT ml.roll_up()")
    done = trainer("export", "--metrics", "--events", "--json", "--to", str(tmp_path), "--database-url", db_url)
    assert (done.returncode, done.stderr) == (0, "")
    files = {row["source"]: row for row in json.loads(done.stdout)}
    assert files.keys() == {"ml_metrics_1m", "ml_metrics_1h", "pattern_events"}
    (event,) = pq.read_table(files["pattern_events"]["file"]).to_pylist()
    assert json.loads(event["ml_metadata"])["scoring"]["role"] == "rule"
    assert json.loads(event["metadata"]) == {"a": [1, None]} and event["mine"] == "(1,2)"
    hour = pq.read_table(files["ml_metrics_1h"]["file"]).to_pylist()[0]
    assert hour["bucket"] == START and hour["predictions"] == 1 and sum(hour["latency_histogram"]) == 1
    db.execute("UPDATE pattern_events SET detected_at = 'infinity'")
    refused = trainer("export", "--events", "--to", str(tmp_path), "--database-url", db_url)
    assert refused.returncode == 1 and "a time that a Parquet file cannot hold" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_the_command_line_says_what_it_did(archived, db_url, tmp_path):
    done = trainer("export", "--to", str(tmp_path), "--database-url", db_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path}/{WEEK}.parquet: 502 rows, ")
    assert done.stdout.endswith(" MB, dropped from the database\n") and done.stdout.count("\n") == 1
    again = trainer("export", "--to", str(tmp_path), "--database-url", db_url)
    assert again.stdout.startswith("No week waits for its export")
    wrong = trainer("export", "--since", "2026-01-02", "--until", "2026-01-01", "--database-url", db_url)
    assert wrong.returncode == 1 and "--since is not before --until" in wrong.stderr


def test_without_pyarrow_there_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pyarrow is not installed: pip install 'pattern-confidence\[archive\]'"):
        export.parquet()


OTHER_WEEK, OTHER = "ml_predictions_2025w12", START + timedelta(days=14)


@pytest.fixture
def two_archived(archived):
    """Two weeks that wait for their export."""
    log(archived, [prediction(OTHER)])
    archive(archived, OTHER_WEEK)
    return archived


def test_a_week_in_use_does_not_stop_the_others_and_is_named(two_archived, db_url, tmp_path):
    with psycopg.connect(db_url) as reader:
        reader.execute(f"SELECT count(*) FROM ml_archive.{WEEK}")
        done = trainer("export", "--to", str(tmp_path), "--database-url", db_url)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{tmp_path}/{OTHER_WEEK}.parquet: 1 rows, ")
    assert done.stderr == (
        f"trainer: 1 of 2 weeks were not exported. {WEEK} was not dropped: another session uses it. "
        f"The file {tmp_path}/{WEEK}.parquet stays; run trainer export again.\n"
    )
    assert there(two_archived) and not there(two_archived, OTHER_WEEK)
    assert trainer("export", "--to", str(tmp_path), "--database-url", db_url).returncode == 0
    assert not there(two_archived)


def test_a_second_export_takes_the_other_weeks(two_archived, db_url, tmp_path, monkeypatch):
    """The first one is in the middle of a week when the second one starts."""
    second = []
    written = export._write_part

    def meanwhile(*given):
        if not second:
            second.append(trainer("export", "--to", str(tmp_path), "--database-url", db_url))
        return written(*given)

    monkeypatch.setattr(export, "_write_part", meanwhile)
    assert [done.source for done in export_weeks(two_archived, tmp_path)] == [WEEK]
    assert second[0].returncode == 1
    assert second[0].stdout.startswith(f"{tmp_path}/{OTHER_WEEK}.parquet: 1 rows, ")
    assert second[0].stderr == (
        f"trainer: 1 of 2 weeks were not exported. {WEEK} is in use, most likely by another export that is running: "
        "run it again later.\n"
    )
    assert [row["partition"] for row in rows(two_archived, "SELECT * FROM ml_archives ORDER BY 1")] == [
        WEEK,
        OTHER_WEEK,
    ]


def test_a_week_that_another_export_has_finished_is_no_failure(two_archived, tmp_path, monkeypatch):
    written = export.write

    def late(connection, source, file, **options):
        done = written(connection, source, file, **options)
        if source.name == WEEK:
            monkeypatch.setattr(export, "write", written)
            assert len(list(export_weeks(two_archived, tmp_path))) == 2
        return done

    monkeypatch.setattr(export, "write", late)
    assert list(export_weeks(two_archived, tmp_path)) == []
    assert [row["partition"] for row in rows(two_archived, "SELECT * FROM ml_archives ORDER BY 1")] == [
        WEEK,
        OTHER_WEEK,
    ]
