-- The pattern types that a TA-Lib function detects and whose direction is known.
-- Called by: trainer.harvest. Calls: nothing. Reads: ml.pattern_types. Writes: nothing.

SELECT
    t.pattern_type,
    t.direction,
    t.talib_function,
    t.talib_sign
FROM ml.pattern_types AS t
WHERE t.talib_function IS NOT NULL AND t.direction IS NOT NULL
ORDER BY t.pattern_type
