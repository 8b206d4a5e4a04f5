-- Stable place of an event in [0, 1): an event is in a rollout of p percent when its bucket is below p / 100.
-- Called by: ml.score_pattern_event, ml.backfill. Calls: nothing. Reads: nothing. Writes: nothing.

-- sha256 is in core and the same in every version; hashtext may change and md5 is blocked in FIPS mode.
CREATE OR REPLACE FUNCTION ml.rollout_bucket(p_salt text, p_event_id uuid)
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN ('x0' || substr(encode(sha256(convert_to(p_salt, 'UTF8') || uuid_send(p_event_id)), 'hex'), 1, 15))::bit(64)::bigint
    / 1152921504606846976::double precision;
COMMENT ON FUNCTION ml.rollout_bucket IS
    'Stable place of an event in [0, 1): an event is in a rollout of p percent when its bucket is below p / 100.';
