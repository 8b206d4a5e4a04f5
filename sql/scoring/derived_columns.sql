-- Names of the event columns that were not given and have been derived, as the JSON array the record keeps.
-- Called by: ml.score_pattern_event, ml.score_batch. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.derived_columns(p_given ml.event_inputs, p_filled ml.event_inputs)
RETURNS jsonb
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN to_jsonb(array_remove(ARRAY[
    CASE WHEN p_given.direction IS NULL AND p_filled.direction IS NOT NULL THEN 'direction' END,
    CASE WHEN p_given.entry_price IS NULL AND p_filled.entry_price IS NOT NULL THEN 'entry_price' END,
    CASE WHEN p_given.target_price IS NULL AND p_filled.target_price IS NOT NULL THEN 'target_price' END,
    CASE WHEN p_given.stop_price IS NULL AND p_filled.stop_price IS NOT NULL THEN 'stop_price' END,
    CASE WHEN p_given.support IS NULL AND p_filled.support IS NOT NULL THEN 'support' END,
    CASE WHEN p_given.resistance IS NULL AND p_filled.resistance IS NOT NULL THEN 'resistance' END
], NULL));
COMMENT ON FUNCTION ml.derived_columns IS
    'Names of the event columns that were not given and have been derived, as the JSON array the record keeps.';
