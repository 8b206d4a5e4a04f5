"""Revision 0023: what waits in the archive is not lost by a downgrade."""

from datetime import UTC, datetime

import pytest
from prediction_log import log, prediction
from support import rows, value

MOMENT = datetime(2025, 12, 31, 23, tzinfo=UTC)  # in week 1 of 2026


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
def test_weeks_that_wait_for_their_export_come_back_into_the_log(empty_db, upgrade, downgrade, zone):
    upgrade()
    empty_db.execute(f"ALTER DATABASE {empty_db.info.dbname} SET TimeZone = '{zone}'")
    log(empty_db, [prediction(MOMENT)])
    bounds = "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'ml_predictions_2026w01'"
    empty_db.execute("SET TimeZone = 'UTC'")
    before = rows(empty_db, bounds)
    empty_db.execute("ALTER TABLE ml_predictions DETACH PARTITION ml_predictions_2026w01")
    empty_db.execute("ALTER TABLE ml_predictions_2026w01 SET SCHEMA ml_archive")
    with pytest.raises(SystemExit, match="drop_data=yes"):
        downgrade("0022", drop_data=False)
    assert value(empty_db, "SELECT count(*) FROM ml_predictions") == 0
    downgrade("0022")
    assert value(empty_db, "SELECT predicted_at FROM ml_predictions") == MOMENT
    assert rows(empty_db, bounds) == before
    upgrade()
    assert value(empty_db, "SELECT predicted_at FROM ml_predictions") == MOMENT


def test_a_schema_of_that_name_is_not_taken_over(empty_db, upgrade):
    upgrade("0022")
    empty_db.execute("CREATE SCHEMA ml_archive CREATE TABLE theirs (a integer)")
    with pytest.raises(Exception, match="schema ml_archive exists already"):
        upgrade()
    assert value(empty_db, "SELECT to_regclass('ml_archive.theirs') IS NOT NULL")
