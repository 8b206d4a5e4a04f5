SELECT ml.backfill(
    p_limit => %s,
    p_dry_run => %s,
    p_after_detected_at => %s::timestamptz,
    p_after_id => %s::uuid
)
