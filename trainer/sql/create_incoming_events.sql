-- A temporary table that COPY fills with detected events.
-- Called by: trainer.harvest. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TEMPORARY TABLE incoming_events (
    id uuid NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    pattern_type text NOT NULL,
    detected_at timestamptz NOT NULL,
    rule_confidence double precision NOT NULL,
    metadata text NOT NULL
) ON COMMIT DROP
