-- ML against rules, one row per champion: what ml.compare_with_rules finds over the whole log.
-- Called by: people and dashboards. Calls: ml.compare_with_rules. Reads: through it, ml_predictions, pattern_events.
-- Writes: nothing.

CREATE VIEW public.ml_rules_comparison WITH (security_invoker = true) AS
SELECT comparison.* FROM ml.compare_with_rules() AS comparison;
COMMENT ON VIEW public.ml_rules_comparison IS
    'ML against rules, one row per champion: what ml.compare_with_rules finds over the whole log.';
