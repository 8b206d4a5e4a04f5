-- The columns of an event that features depend on; a score never depends on any other column.
-- Called by: ml.compute_event_features. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TYPE ml.event_inputs AS (
    symbol text,
    timeframe text,
    pattern_type text,
    direction text,
    detected_at timestamptz,
    start_at timestamptz,
    entry_price double precision,
    target_price double precision,
    stop_price double precision,
    support double precision,
    resistance double precision
);
COMMENT ON TYPE ml.event_inputs IS
    'The columns of an event that features depend on; a score never depends on any other column.';
