-- Champion against challenger on the events that both scored: decisions, losses, ranking, latency, sample ratio and a verdict.
-- Called by: view ml_challenger_comparison, people.
-- Calls: ml.pair_predictions, ml.mcnemar_test, ml.paired_difference_test, ml.delong_test, ml.always_valid_test,
--        ml.mann_whitney_test, ml.setting_history, ml.chi_square_survival.
-- Reads: ml_predictions, ml_settings. Writes: nothing.

-- One row per pair of versions; with NULL for a version, all that met. Every difference is challenger - champion: below 0
-- the challenger is better in Brier score and log loss, above 0 in correct decisions and AUC.
--   pairs, unscored      events with both scores; events where one of the two, or the rule, has no score
--   labelled, wins       pairs whose outcome is known; the statistics below are over these
--   *_confirmed          blended confidence at or above the threshold as it is now
--   correct_*            decisions (confirmed) that agree with the outcome (win); p_value by McNemar's test
--   brier_*, log_loss_*  of the calibrated probability of win; clustered by calendar month of detected_at from 12 months on
--   auc_*                of the same probability, by DeLong's test
--   *_always_valid       p-value that holds however often it is looked at; the plain p-values hold for one look
--   *_failures           without a score of this version; the challenger's include those that the champion stepped in for
--   *_latency_*          scorings that were acted on, reused scores and first calls of a session left out; so NULL for a
--                        challenger in shadow only
--   canary_*             events given to either while 0 < canary_percent < 100, and what was to be expected
-- verdict: sample ratio broken (p < 0.001), too few (labelled below p_minimum_labels, or fewer than 20 wins or others),
-- challenger better | champion better (Brier score, always-valid p below 1 - p_level), else not shown.
-- p_tau and p_tau_share are the sizes of difference that would matter, for losses and for shares (correct decisions, AUC).
CREATE OR REPLACE FUNCTION ml.compare_versions(
    p_champion text DEFAULT NULL,
    p_challenger text DEFAULT NULL,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_level double precision DEFAULT 0.95,
    p_minimum_labels integer DEFAULT 200,
    p_tau double precision DEFAULT 0.01,
    p_tau_share double precision DEFAULT 0.05
)
RETURNS TABLE (
    champion_version text,
    challenger_version text,
    verdict text,
    first_at timestamptz,
    last_at timestamptz,
    pairs bigint,
    unscored bigint,
    champion_failures bigint,
    challenger_failures bigint,
    labelled bigint,
    wins bigint,
    threshold double precision,
    champion_confirmed bigint,
    challenger_confirmed bigint,
    champion_confirmed_wins bigint,
    challenger_confirmed_wins bigint,
    champion_correct double precision,
    challenger_correct double precision,
    correct_champion_only bigint,
    correct_challenger_only bigint,
    correct_difference double precision,
    correct_low double precision,
    correct_high double precision,
    correct_p_value double precision,
    correct_always_valid double precision,
    champion_brier double precision,
    challenger_brier double precision,
    brier_difference double precision,
    brier_standard_error double precision,
    brier_low double precision,
    brier_high double precision,
    brier_p_value double precision,
    brier_always_valid double precision,
    champion_log_loss double precision,
    challenger_log_loss double precision,
    log_loss_difference double precision,
    log_loss_low double precision,
    log_loss_high double precision,
    log_loss_p_value double precision,
    log_loss_always_valid double precision,
    month_clusters bigint,
    champion_auc double precision,
    challenger_auc double precision,
    auc_difference double precision,
    auc_low double precision,
    auc_high double precision,
    auc_p_value double precision,
    auc_always_valid double precision,
    champion_latency_p50_ms double precision,
    challenger_latency_p50_ms double precision,
    champion_latency_p95_ms double precision,
    challenger_latency_p95_ms double precision,
    challenger_slower double precision,
    latency_p_value double precision,
    canary_champion_events bigint,
    canary_challenger_events bigint,
    canary_expected_events double precision,
    canary_p_value double precision
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH pair AS MATERIALIZED (
        SELECT
            p.*,
            p.champion_confidence BETWEEN 0 AND 1 AND p.challenger_confidence BETWEEN 0 AND 1
            AND p.champion_confirmed IS NOT NULL AND p.challenger_confirmed IS NOT NULL AS is_scored,
            (date_part('year', p.detected_at AT TIME ZONE 'UTC') * 12 + date_part('month', p.detected_at AT TIME ZONE 'UTC'))::integer
                AS month
        FROM ml.pair_predictions(p_champion, p_challenger, p_since, p_until) AS p
    ),

    summary AS MATERIALIZED (
        SELECT
            pair.champion_version,
            pair.challenger_version,
            min(pair.predicted_at) AS first_at,
            max(pair.predicted_at) AS last_at,
            count(*) FILTER (WHERE pair.is_scored) AS pairs,
            count(*) FILTER (WHERE pair.is_scored IS NOT TRUE) AS unscored,
            count(*) FILTER (WHERE pair.champion_confidence IS NULL) AS champion_failures,
            count(*) FILTER (WHERE pair.challenger_confidence IS NULL) AS challenger_failures,
            count(*) FILTER (WHERE pair.is_scored AND pair.champion_confirmed) AS champion_confirmed,
            count(*) FILTER (WHERE pair.is_scored AND pair.challenger_confirmed) AS challenger_confirmed
        FROM pair
        GROUP BY pair.champion_version, pair.challenger_version
    ),

    labelled AS MATERIALIZED (
        SELECT
            pair.champion_version,
            pair.challenger_version,
            count(*) AS labelled,
            count(*) FILTER (WHERE pair.is_win) AS wins,
            count(*) FILTER (WHERE pair.is_win AND pair.champion_confirmed) AS champion_confirmed_wins,
            count(*) FILTER (WHERE pair.is_win AND pair.challenger_confirmed) AS challenger_confirmed_wins,
            array_agg(pair.is_win) AS outcomes,
            array_agg(pair.month) AS months,
            array_agg(pair.champion_confidence) AS champion_confidences,
            array_agg(pair.challenger_confidence) AS challenger_confidences,
            array_agg(pair.champion_confirmed = pair.is_win) AS champion_correct,
            array_agg(pair.challenger_confirmed = pair.is_win) AS challenger_correct,
            array_agg((pair.champion_confirmed = pair.is_win)::integer::double precision) AS champion_hits,
            array_agg((pair.challenger_confirmed = pair.is_win)::integer::double precision) AS challenger_hits,
            -- A square below the smallest number is an error in Postgres.
            array_agg(greatest(abs(pair.champion_confidence - pair.is_win::integer), 1e-100) ^ 2) AS champion_brier,
            array_agg(greatest(abs(pair.challenger_confidence - pair.is_win::integer), 1e-100) ^ 2) AS challenger_brier,
            -- Clipped as scikit-learn's log_loss does.
            array_agg(-ln(greatest(
                CASE WHEN pair.is_win THEN pair.champion_confidence ELSE 1 - pair.champion_confidence END,
                2.220446049250313e-16))) AS champion_log_loss,
            array_agg(-ln(greatest(
                CASE WHEN pair.is_win THEN pair.challenger_confidence ELSE 1 - pair.challenger_confidence END,
                2.220446049250313e-16))) AS challenger_log_loss
        FROM pair
        WHERE pair.is_scored AND pair.is_win IS NOT NULL
        GROUP BY pair.champion_version, pair.challenger_version
    ),

    -- Everything acted on while the pair was live, whether or not the other version scored it too.
    acted AS MATERIALIZED (
        SELECT DISTINCT ON (prediction.event_id, summary.champion_version, summary.challenger_version)
            summary.champion_version,
            summary.challenger_version,
            prediction.role = 'challenger' AS is_challenger,
            coalesce(prediction.fallback_reason = 'challenger_failed', false) AS is_failure,
            prediction.predicted_at,
            CASE WHEN NOT prediction.cache_hit AND NOT prediction.cold THEN prediction.latency_us::double precision END AS latency_us
        FROM summary
        JOIN public.ml_predictions AS prediction
            ON prediction.predicted_at BETWEEN summary.first_at AND summary.last_at
            AND (
                (prediction.role = 'champion' AND prediction.model_version = summary.champion_version)
                OR (prediction.role = 'challenger' AND prediction.model_version = summary.challenger_version)
                -- Chance gave the event to this role, whichever version stepped in.
                OR prediction.fallback_reason IN ('champion_failed', 'challenger_failed')
            )
        WHERE prediction.source IN ('insert', 'update')
            AND prediction.role IN ('champion', 'challenger')
            -- Events that no model could score were given to neither.
            AND prediction.ml_confidence IS NOT NULL
        ORDER BY
            prediction.event_id, summary.champion_version, summary.challenger_version, prediction.predicted_at
    ),

    latency AS (
        SELECT
            acted.champion_version,
            acted.challenger_version,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY acted.latency_us) FILTER (WHERE NOT acted.is_challenger) / 1000
                AS champion_p50,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY acted.latency_us) FILTER (WHERE acted.is_challenger) / 1000
                AS challenger_p50,
            percentile_cont(0.95) WITHIN GROUP (ORDER BY acted.latency_us) FILTER (WHERE NOT acted.is_challenger) / 1000
                AS champion_p95,
            percentile_cont(0.95) WITHIN GROUP (ORDER BY acted.latency_us) FILTER (WHERE acted.is_challenger) / 1000
                AS challenger_p95,
            count(*) FILTER (WHERE acted.is_failure) AS failures,
            array_agg(acted.latency_us) FILTER (WHERE NOT acted.is_challenger) AS champion_latencies,
            array_agg(acted.latency_us) FILTER (WHERE acted.is_challenger) AS challenger_latencies
        FROM acted
        GROUP BY acted.champion_version, acted.challenger_version
    ),

    -- With a share that was raised on the way, the chi-square statistic of a sum of independent draws.
    canary AS (
        SELECT
            acted.champion_version,
            acted.challenger_version,
            count(*) FILTER (WHERE NOT acted.is_challenger) AS champion_events,
            count(*) FILTER (WHERE acted.is_challenger) AS challenger_events,
            sum(period.value / 100) AS expected_events,
            sum(period.value / 100 * (1 - period.value / 100)) AS variance
        FROM acted
        JOIN ml.setting_history('canary_percent') AS period
            ON acted.predicted_at >= period.since AND acted.predicted_at < period.until
            AND period.value > 0 AND period.value < 100
        GROUP BY acted.champion_version, acted.challenger_version
    )

    SELECT
        summary.champion_version,
        summary.challenger_version,
        CASE
            WHEN ratio.p_value < 0.001 THEN 'sample ratio broken'
            WHEN (
                labelled.labelled >= p_minimum_labels AND labelled.wins >= 20 AND labelled.labelled - labelled.wins >= 20
            ) IS NOT TRUE THEN 'too few'
            WHEN brier_always.p_value < 1 - p_level AND brier.difference < 0 THEN 'challenger better'
            WHEN brier_always.p_value < 1 - p_level THEN 'champion better'
            ELSE 'not shown'
        END,
        summary.first_at,
        summary.last_at,
        summary.pairs,
        summary.unscored,
        summary.champion_failures,
        summary.challenger_failures + coalesce(latency.failures, 0),
        coalesce(labelled.labelled, 0),
        coalesce(labelled.wins, 0),
        settings.confidence_threshold,
        summary.champion_confirmed,
        summary.challenger_confirmed,
        coalesce(labelled.champion_confirmed_wins, 0),
        coalesce(labelled.challenger_confirmed_wins, 0),
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
        brier.standard_error,
        brier.low,
        brier.high,
        brier.p_value,
        brier_always.p_value,
        log_loss.mean_first,
        log_loss.mean_second,
        log_loss.difference,
        log_loss.low,
        log_loss.high,
        log_loss.p_value,
        log_loss_always.p_value,
        brier.clusters,
        auc.auc_first,
        auc.auc_second,
        auc.difference,
        auc.low,
        auc.high,
        auc.p_value,
        auc_always.p_value,
        latency.champion_p50,
        latency.challenger_p50,
        latency.champion_p95,
        latency.challenger_p95,
        slower.second_larger,
        slower.p_value,
        coalesce(canary.champion_events, 0),
        coalesce(canary.challenger_events, 0),
        canary.expected_events,
        ratio.p_value
    FROM summary
    LEFT JOIN labelled USING (champion_version, challenger_version)
    LEFT JOIN latency USING (champion_version, challenger_version)
    LEFT JOIN canary USING (champion_version, challenger_version)
    LEFT JOIN public.ml_settings AS settings ON true
    CROSS JOIN LATERAL ml.mcnemar_test(labelled.champion_correct, labelled.challenger_correct) AS mcnemar
    CROSS JOIN LATERAL ml.paired_difference_test(
        labelled.champion_hits, labelled.challenger_hits, labelled.months, p_level) AS hits
    CROSS JOIN LATERAL ml.always_valid_test(hits.difference, hits.standard_error, p_tau_share, p_level) AS hits_always
    CROSS JOIN LATERAL ml.paired_difference_test(
        labelled.champion_brier, labelled.challenger_brier, labelled.months, p_level) AS brier
    CROSS JOIN LATERAL ml.always_valid_test(brier.difference, brier.standard_error, p_tau, p_level) AS brier_always
    CROSS JOIN LATERAL ml.paired_difference_test(
        labelled.champion_log_loss, labelled.challenger_log_loss, labelled.months, p_level) AS log_loss
    CROSS JOIN LATERAL ml.always_valid_test(
        log_loss.difference, log_loss.standard_error, p_tau, p_level) AS log_loss_always
    CROSS JOIN LATERAL ml.delong_test(
        labelled.champion_confidences, labelled.challenger_confidences, labelled.outcomes, p_level) AS auc
    CROSS JOIN LATERAL ml.always_valid_test(auc.difference, auc.standard_error, p_tau_share, p_level) AS auc_always
    CROSS JOIN LATERAL ml.mann_whitney_test(latency.champion_latencies, latency.challenger_latencies) AS slower
    CROSS JOIN LATERAL (
        SELECT ml.chi_square_survival(
            (canary.challenger_events - canary.expected_events) ^ 2 / nullif(canary.variance, 0), 1) AS p_value
    ) AS ratio
    ORDER BY summary.first_at, summary.champion_version, summary.challenger_version
$function$;
COMMENT ON FUNCTION ml.compare_versions IS
    'Champion against challenger on the events that both scored: decisions, losses, ranking, latency, sample ratio and a verdict.';
REVOKE ALL ON FUNCTION ml.compare_versions FROM PUBLIC;
