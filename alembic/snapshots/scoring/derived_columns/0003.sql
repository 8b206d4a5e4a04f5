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
RETURN to_jsonb(array_remove(ARRAY[
    CASE WHEN p_given.direction IS NULL AND p_filled.direction IS NOT NULL AND 'direction' = ANY (p_filled_columns)
        THEN 'direction' END,
    CASE WHEN p_given.entry_price IS NULL AND p_filled.entry_price IS NOT NULL AND 'entry_price' = ANY (p_filled_columns)
        THEN 'entry_price' END,
    CASE WHEN p_given.target_price IS NULL AND p_filled.target_price IS NOT NULL AND 'target_price' = ANY (p_filled_columns)
        THEN 'target_price' END,
    CASE WHEN p_given.stop_price IS NULL AND p_filled.stop_price IS NOT NULL AND 'stop_price' = ANY (p_filled_columns)
        THEN 'stop_price' END,
    CASE WHEN p_given.support IS NULL AND p_filled.support IS NOT NULL AND 'support' = ANY (p_filled_columns)
        THEN 'support' END,
    CASE WHEN p_given.resistance IS NULL AND p_filled.resistance IS NOT NULL AND 'resistance' = ANY (p_filled_columns)
        THEN 'resistance' END
], NULL));
COMMENT ON FUNCTION ml.derived_columns IS
    'Names of the event columns that were not given, have been derived, and are ours to fill; kept in the record.';
