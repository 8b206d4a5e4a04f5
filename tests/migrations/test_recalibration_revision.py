"""The downgrade of revision 0009 on a database with calibrators of single symbols."""

import pytest
from support import rows


def test_parts_of_calibrators_go_with_a_clear_yes(empty_db, upgrade, downgrade):
    upgrade("0009")
    empty_db.execute(
        "INSERT INTO ml_calibrators (calibrator_version, model_version, method, parent_version, symbol, timeframe)"
        " VALUES ('v0001-2', 'v0001', 'identity', NULL, NULL, NULL),"
        " ('v0001-2/A/1d', 'v0001', 'identity', 'v0001-2', 'A', '1d')"
    )
    with pytest.raises(SystemExit, match="the calibrators of single timeframes and symbols"):
        downgrade("0008", drop_data=False)
    downgrade("0008")
    left = rows(empty_db, "SELECT * FROM ml_calibrators WHERE model_version = 'v0001' ORDER BY 1")
    assert [row["calibrator_version"] for row in left] == ["v0001-1", "v0001-2"]
    assert "parent_version" not in left[0]
    upgrade("0009")
    # Without parts there is nothing to lose.
    downgrade("0008", drop_data=False)
