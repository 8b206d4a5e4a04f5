-- What a scoring leaves in ml_metadata under the key scoring; the log is written from it, other keys stay.
-- Called by: ml.score_pattern_event, ml.backfill. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.with_scoring_record(p_metadata jsonb, p_record jsonb)
RETURNS jsonb
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_metadata IS NULL THEN jsonb_build_object('scoring', p_record)
    WHEN jsonb_typeof(p_metadata) = 'object' THEN p_metadata || jsonb_build_object('scoring', p_record)
    -- A user's scalar or array cannot hold a key; it is kept beside the record.
    ELSE jsonb_build_object('value', p_metadata, 'scoring', p_record)
END;
COMMENT ON FUNCTION ml.with_scoring_record IS
    'What a scoring leaves in ml_metadata under the key scoring; the log is written from it, other keys stay.';
