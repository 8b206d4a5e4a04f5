-- Label one run of events.
-- Called by: trainer.label. Calls: ml.label_outcomes. Reads: nothing. Writes: nothing itself.

SELECT ml.label_outcomes(
    p_label => %(label)s::text,
    p_barrier_atr => %(barrier_atr)s::float8,
    p_horizon => %(horizon)s::integer,
    p_since => %(since)s::timestamptz,
    p_until => %(until)s::timestamptz,
    p_relabel => %(relabel)s,
    p_at => coalesce(%(at)s::timestamptz, now())
)
