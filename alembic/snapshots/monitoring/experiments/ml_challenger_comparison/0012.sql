-- Champion against challenger, one row per pair of versions: what ml.compare_versions finds over the whole log.
-- Called by: people and dashboards. Calls: ml.compare_versions. Reads: through it, ml_predictions, pattern_events.
-- Writes: nothing.

-- Paired scores need about a twentieth of the labels: to see 50 % of decisions correct become 55 % with 80 % power takes
-- 783 events scored by both versions (15 % and 10 % discordant), and 16,400 events split 95 to 5 between them.
CREATE VIEW public.ml_challenger_comparison WITH (security_invoker = true) AS
SELECT comparison.* FROM ml.compare_versions() AS comparison;
COMMENT ON VIEW public.ml_challenger_comparison IS
    'Champion against challenger, one row per pair of versions: what ml.compare_versions finds over the whole log.';
