-- Scores of champion and challenger for the same events, with the outcome: NULL while it is pending.
-- Called by: people and dashboards. Calls: ml.pair_predictions. Reads: through it, ml_predictions, pattern_events.
-- Writes: nothing.

CREATE VIEW public.ml_challenger_pairs WITH (security_invoker = true) AS
SELECT pair.* FROM ml.pair_predictions() AS pair;
COMMENT ON VIEW public.ml_challenger_pairs IS
    'Scores of champion and challenger for the same events, with the outcome: NULL while it is pending.';
