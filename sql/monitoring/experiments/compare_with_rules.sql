-- ML against rules while one version was live: both scores on the same events, and the two arms of the rollout side by side.
-- Called by: view ml_rules_comparison, people.
-- Calls: ml.mcnemar_test, ml.paired_difference_test, ml.delong_test, ml.always_valid_test, ml.two_proportion_test,
--        ml.normal_quantile, ml.setting_history, ml.chi_square_survival.
-- Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

-- One row per champion; with NULL for p_version, all of them. Every difference is ML - rules. An event counts with its first
-- scoring within the bounds that was acted on; backfilled scores, events without a valid rule confidence and the time in
-- which ML was disabled are left out.
-- On the same events (those that the version scored): blended_confidence against rule_confidence, over labelled ones.
--   correct_*, brier_*, auc_*   as in ml.compare_versions
--   equal_confirmed             labelled events that the rule confirms; ML confirms as many, those with the highest blend
--   gain                        wins among ML's / wins among the rule's - 1, interval by N. Cheng and M. Macaluso (1997),
--                               relative true positive rate of two tests on the same cases
-- Between the arms (while 0 < rollout_percent < 100; all that the rollout gave to ML, fallbacks and canary included,
-- against all that it left to the rules): share confirmed, share of wins among the confirmed, and whether the arms have
-- the sizes that they were meant to have.
-- verdict: sample ratio broken (p < 0.001), too few (labelled below p_minimum_labels, or fewer than 20 wins or others),
-- ML better | rules better (AUC on the same events, always-valid p below 1 - p_level), else not shown. AUC and not the
-- Brier score, because the rule's confidence was never meant to be a probability.
CREATE OR REPLACE FUNCTION ml.compare_with_rules(
    p_version text DEFAULT NULL,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_level double precision DEFAULT 0.95,
    p_minimum_labels integer DEFAULT 200,
    p_tau double precision DEFAULT 0.01,
    p_tau_share double precision DEFAULT 0.05
)
RETURNS TABLE (
    model_version text,
    verdict text,
    first_at timestamptz,
    last_at timestamptz,
    threshold double precision,
    scored bigint,
    labelled bigint,
    wins bigint,
    rule_confirmed bigint,
    ml_confirmed bigint,
    rule_confirmed_wins bigint,
    ml_confirmed_wins bigint,
    rule_correct double precision,
    ml_correct double precision,
    correct_rule_only bigint,
    correct_ml_only bigint,
    correct_difference double precision,
    correct_low double precision,
    correct_high double precision,
    correct_p_value double precision,
    correct_always_valid double precision,
    rule_brier double precision,
    ml_brier double precision,
    brier_difference double precision,
    brier_low double precision,
    brier_high double precision,
    brier_p_value double precision,
    brier_always_valid double precision,
    rule_auc double precision,
    ml_auc double precision,
    auc_difference double precision,
    auc_low double precision,
    auc_high double precision,
    auc_p_value double precision,
    auc_always_valid double precision,
    equal_confirmed bigint,
    rule_equal_wins bigint,
    ml_equal_wins bigint,
    gain double precision,
    gain_low double precision,
    gain_high double precision,
    ml_arm_events bigint,
    rule_arm_events bigint,
    ml_arm_expected double precision,
    sample_ratio_p_value double precision,
    ml_arm_confirmed bigint,
    rule_arm_confirmed bigint,
    confirmed_share_difference double precision,
    confirmed_share_low double precision,
    confirmed_share_high double precision,
    confirmed_share_p_value double precision,
    ml_arm_confirmed_labelled bigint,
    rule_arm_confirmed_labelled bigint,
    ml_arm_win_rate double precision,
    rule_arm_win_rate double precision,
    win_rate_difference double precision,
    win_rate_low double precision,
    win_rate_high double precision,
    win_rate_p_value double precision,
    win_rate_always_valid double precision
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH acted AS (
        SELECT DISTINCT ON (prediction.event_id)
            prediction.event_id,
            prediction.predicted_at,
            prediction.fallback_reason IS DISTINCT FROM 'not_in_rollout' AS in_ml_arm,
            prediction.role = 'champion' AND prediction.fallback_reason IS NULL AND prediction.ml_confidence IS NOT NULL
            AND prediction.blended_confidence BETWEEN 0 AND 1 AS is_scored,
            -- Not the version that stepped in for a champion that failed.
            CASE
                WHEN prediction.role = 'champion' AND prediction.fallback_reason IS DISTINCT FROM 'champion_failed'
                    THEN prediction.model_version
            END AS own_version,
            prediction.rule_confidence,
            prediction.blended_confidence
        FROM public.ml_predictions AS prediction
        WHERE prediction.role IN ('champion', 'challenger', 'rule')
            AND prediction.source IN ('insert', 'update')
            AND prediction.fallback_reason IS DISTINCT FROM 'disabled'
            AND prediction.rule_confidence BETWEEN 0 AND 1
            AND prediction.predicted_at >= coalesce(p_since, '-infinity')
            AND prediction.predicted_at < coalesce(p_until, 'infinity')
        ORDER BY prediction.event_id, prediction.predicted_at
    ),

    counted AS (
        SELECT acted.*, count(acted.own_version) OVER (ORDER BY acted.predicted_at, acted.event_id) AS stretch
        FROM acted
    ),

    -- The champion of an event that it did not score is the one that scored last before.
    live AS MATERIALIZED (
        SELECT counted.*, max(counted.own_version) OVER (PARTITION BY counted.stretch) AS version
        FROM counted
    ),

    outcome AS MATERIALIZED (
        SELECT
            live.version,
            live.event_id,
            live.predicted_at,
            live.in_ml_arm,
            live.is_scored,
            live.rule_confidence,
            live.blended_confidence,
            live.rule_confidence >= settings.confidence_threshold AS rule_confirmed,
            live.blended_confidence >= settings.confidence_threshold AND live.blended_confidence < 'infinity'
                AS is_confirmed,
            CASE WHEN event.outcome_label IN ('win', 'loss', 'timeout') THEN event.outcome_label = 'win' END AS is_win
        FROM live
        CROSS JOIN public.ml_settings AS settings
        LEFT JOIN public.pattern_events AS event ON event.id = live.event_id
        WHERE live.version = coalesce(p_version, live.version)
    ),

    summary AS (
        SELECT
            outcome.version,
            min(outcome.predicted_at) AS first_at,
            max(outcome.predicted_at) AS last_at,
            count(*) FILTER (WHERE outcome.is_scored) AS scored,
            count(*) FILTER (WHERE outcome.is_scored AND outcome.rule_confirmed) AS rule_confirmed,
            count(*) FILTER (WHERE outcome.is_scored AND outcome.is_confirmed) AS ml_confirmed
        FROM outcome
        GROUP BY outcome.version
    ),

    ranked AS (
        SELECT
            outcome.*,
            row_number() OVER (PARTITION BY outcome.version ORDER BY outcome.blended_confidence DESC, outcome.event_id)
            <= count(*) FILTER (WHERE outcome.rule_confirmed) OVER (PARTITION BY outcome.version) AS equal_confirmed
        FROM outcome
        WHERE outcome.is_scored AND outcome.is_win IS NOT NULL
    ),

    same_events AS MATERIALIZED (
        SELECT
            ranked.version,
            count(*) AS labelled,
            count(*) FILTER (WHERE ranked.is_win) AS wins,
            count(*) FILTER (WHERE ranked.rule_confirmed) AS equal_confirmed,
            count(*) FILTER (WHERE ranked.is_win AND ranked.rule_confirmed) AS rule_confirmed_wins,
            count(*) FILTER (WHERE ranked.is_win AND ranked.is_confirmed) AS ml_confirmed_wins,
            count(*) FILTER (WHERE ranked.is_win AND ranked.equal_confirmed) AS ml_equal_wins,
            count(*) FILTER (WHERE ranked.is_win AND ranked.equal_confirmed <> ranked.rule_confirmed) AS discordant_wins,
            array_agg(ranked.is_win) AS outcomes,
            array_agg((
                date_part('year', ranked.predicted_at AT TIME ZONE 'UTC') * 12
                + date_part('month', ranked.predicted_at AT TIME ZONE 'UTC'))::integer) AS months,
            array_agg(ranked.rule_confidence) AS rule_confidences,
            array_agg(ranked.blended_confidence) AS ml_confidences,
            array_agg(ranked.rule_confirmed = ranked.is_win) AS rule_correct,
            array_agg(ranked.is_confirmed = ranked.is_win) AS ml_correct,
            array_agg((ranked.rule_confirmed = ranked.is_win)::integer::double precision) AS rule_hits,
            array_agg((ranked.is_confirmed = ranked.is_win)::integer::double precision) AS ml_hits,
            -- A square below the smallest number is an error in Postgres.
            array_agg(greatest(abs(ranked.rule_confidence - ranked.is_win::integer), 1e-100) ^ 2) AS rule_brier,
            array_agg(greatest(abs(ranked.blended_confidence - ranked.is_win::integer), 1e-100) ^ 2) AS ml_brier
        FROM ranked
        GROUP BY ranked.version
    ),

    arms AS MATERIALIZED (
        SELECT
            outcome.version,
            count(*) FILTER (WHERE outcome.in_ml_arm) AS ml_events,
            count(*) FILTER (WHERE NOT outcome.in_ml_arm) AS rule_events,
            sum(period.value / 100) AS expected_events,
            sum(period.value / 100 * (1 - period.value / 100)) AS variance,
            count(*) FILTER (WHERE outcome.in_ml_arm AND outcome.is_confirmed) AS ml_confirmed,
            count(*) FILTER (WHERE NOT outcome.in_ml_arm AND outcome.is_confirmed) AS rule_confirmed,
            count(outcome.is_win) FILTER (WHERE outcome.in_ml_arm AND outcome.is_confirmed) AS ml_labelled,
            count(outcome.is_win) FILTER (WHERE NOT outcome.in_ml_arm AND outcome.is_confirmed) AS rule_labelled,
            count(*) FILTER (WHERE outcome.in_ml_arm AND outcome.is_confirmed AND outcome.is_win) AS ml_wins,
            count(*) FILTER (WHERE NOT outcome.in_ml_arm AND outcome.is_confirmed AND outcome.is_win) AS rule_wins
        FROM outcome
        JOIN ml.setting_history('rollout_percent') AS period
            ON outcome.predicted_at >= period.since AND outcome.predicted_at < period.until
            AND period.value > 0 AND period.value < 100
        GROUP BY outcome.version
    )

    SELECT
        summary.version,
        CASE
            WHEN ratio.p_value < 0.001 THEN 'sample ratio broken'
            WHEN (
                same_events.labelled >= p_minimum_labels AND same_events.wins >= 20
                AND same_events.labelled - same_events.wins >= 20
            ) IS NOT TRUE THEN 'too few'
            WHEN auc_always.p_value < 1 - p_level AND auc.difference > 0 THEN 'ML better'
            WHEN auc_always.p_value < 1 - p_level THEN 'rules better'
            ELSE 'not shown'
        END,
        summary.first_at,
        summary.last_at,
        settings.confidence_threshold,
        summary.scored,
        coalesce(same_events.labelled, 0),
        coalesce(same_events.wins, 0),
        summary.rule_confirmed,
        summary.ml_confirmed,
        coalesce(same_events.rule_confirmed_wins, 0),
        coalesce(same_events.ml_confirmed_wins, 0),
        hits.mean_first,
        hits.mean_second,
        mcnemar.first_only,
        mcnemar.second_only,
        hits.difference,
        hits.low,
        hits.high,
        mcnemar.p_value,
        hits_always.p_value,
        brier.mean_first,
        brier.mean_second,
        brier.difference,
        brier.low,
        brier.high,
        brier.p_value,
        brier_always.p_value,
        auc.auc_first,
        auc.auc_second,
        auc.difference,
        auc.low,
        auc.high,
        auc.p_value,
        auc_always.p_value,
        coalesce(same_events.equal_confirmed, 0),
        coalesce(same_events.rule_confirmed_wins, 0),
        coalesce(same_events.ml_equal_wins, 0),
        gain.ratio - 1,
        gain.ratio / exp(gain.half_width) - 1,
        gain.ratio * exp(gain.half_width) - 1,
        coalesce(arms.ml_events, 0),
        coalesce(arms.rule_events, 0),
        arms.expected_events,
        ratio.p_value,
        coalesce(arms.ml_confirmed, 0),
        coalesce(arms.rule_confirmed, 0),
        confirmed.difference,
        confirmed.low,
        confirmed.high,
        confirmed.p_value,
        coalesce(arms.ml_labelled, 0),
        coalesce(arms.rule_labelled, 0),
        win_rate.share_second,
        win_rate.share_first,
        win_rate.difference,
        win_rate.low,
        win_rate.high,
        win_rate.p_value,
        win_rate_always.p_value
    FROM summary
    LEFT JOIN same_events USING (version)
    LEFT JOIN arms USING (version)
    CROSS JOIN public.ml_settings AS settings
    CROSS JOIN LATERAL ml.mcnemar_test(same_events.rule_correct, same_events.ml_correct) AS mcnemar
    CROSS JOIN LATERAL ml.paired_difference_test(
        same_events.rule_hits, same_events.ml_hits, same_events.months, p_level) AS hits
    CROSS JOIN LATERAL ml.always_valid_test(hits.difference, hits.standard_error, p_tau_share, p_level) AS hits_always
    CROSS JOIN LATERAL ml.paired_difference_test(
        same_events.rule_brier, same_events.ml_brier, same_events.months, p_level) AS brier
    CROSS JOIN LATERAL ml.always_valid_test(brier.difference, brier.standard_error, p_tau, p_level) AS brier_always
    CROSS JOIN LATERAL ml.delong_test(
        same_events.rule_confidences, same_events.ml_confidences, same_events.outcomes, p_level) AS auc
    CROSS JOIN LATERAL ml.always_valid_test(auc.difference, auc.standard_error, p_tau_share, p_level) AS auc_always
    CROSS JOIN LATERAL (
        SELECT
            same_events.ml_equal_wins::double precision / nullif(same_events.rule_confirmed_wins, 0) AS ratio,
            ml.normal_quantile((1 + p_level) / 2) * sqrt(
                same_events.discordant_wins
                / nullif(same_events.ml_equal_wins::double precision * same_events.rule_confirmed_wins, 0)
            ) AS half_width
    ) AS gain
    CROSS JOIN LATERAL ml.two_proportion_test(
        arms.rule_confirmed, arms.rule_events, arms.ml_confirmed, arms.ml_events, p_level) AS confirmed
    CROSS JOIN LATERAL ml.two_proportion_test(
        arms.rule_wins, arms.rule_labelled, arms.ml_wins, arms.ml_labelled, p_level) AS win_rate
    CROSS JOIN LATERAL ml.always_valid_test(
        win_rate.difference, win_rate.standard_error, p_tau_share, p_level) AS win_rate_always
    CROSS JOIN LATERAL (
        SELECT ml.chi_square_survival(
            (arms.ml_events - arms.expected_events) ^ 2 / nullif(arms.variance, 0), 1) AS p_value
    ) AS ratio
    ORDER BY summary.first_at, summary.version
$function$;
COMMENT ON FUNCTION ml.compare_with_rules IS
    'ML against rules while one version was live: both scores on the same events, and the two arms of the rollout side by side.';
REVOKE ALL ON FUNCTION ml.compare_with_rules FROM PUBLIC;
