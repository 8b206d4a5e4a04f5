"""The downgrade of revision 0009 on a database with calibrators of single symbols."""

import pytest
from support import go_live, rows


def test_parts_of_calibrators_go_with_a_clear_yes(empty_db, upgrade, downgrade):
    upgrade()
    go_live(empty_db)
    empty_db.execute(
        "INSERT INTO ml_calibrators (calibrator_version, model_version, method, parent_version, symbol, timeframe)"
        " VALUES ('toy-1', 'toy', 'identity', NULL, NULL, NULL), ('toy-1/A/1d', 'toy', 'identity', 'toy-1', 'A', '1d')"
    )
    with pytest.raises(SystemExit, match="the calibrators of single timeframes and symbols"):
        downgrade("0008", drop_data=False)
    downgrade("0008")
    left = rows(empty_db, "SELECT * FROM ml_calibrators WHERE model_version = 'toy'")
    assert [row["calibrator_version"] for row in left] == ["toy-1"]
    assert "parent_version" not in left[0]
    upgrade()
    # Without parts there is nothing to lose.
    downgrade("0008", drop_data=False)
