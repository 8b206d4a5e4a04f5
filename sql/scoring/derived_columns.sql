-- Names of the event columns that were not given, have been derived, and are ours to fill; kept in the record.
-- Called by: ml.score_pattern_event, ml.score_batch. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.derived_columns(
    p_given ml.event_inputs,
    p_filled ml.event_inputs,
    p_filled_columns text[]
)
RETURNS jsonb
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN to_jsonb(ARRAY(
    SELECT derived.name
    FROM (VALUES
        ('direction', p_given.direction IS NULL AND p_filled.direction IS NOT NULL),
        ('entry_price', p_given.entry_price IS NULL AND p_filled.entry_price IS NOT NULL),
        ('target_price', p_given.target_price IS NULL AND p_filled.target_price IS NOT NULL),
        ('stop_price', p_given.stop_price IS NULL AND p_filled.stop_price IS NOT NULL),
        ('support', p_given.support IS NULL AND p_filled.support IS NOT NULL),
        ('resistance', p_given.resistance IS NULL AND p_filled.resistance IS NOT NULL)
    ) AS derived (name, is_derived)
    WHERE derived.is_derived AND derived.name = ANY (p_filled_columns)
));
COMMENT ON FUNCTION ml.derived_columns IS
    'Names of the event columns that were not given, have been derived, and are ours to fill; kept in the record.';
