-- Says which weight of ML in the blend fits the outcomes of logged predictions best, beside the one in use; sets nothing.
-- Called by: operators. Calls: ml.calibration_rows, ml.calibrated_by, ml.walk_forward_starts, ml.blend_confidence,
--        ml.log_loss, ml.square, ml.resampled_spans, ml.clustered_mean.
-- Reads: ml_settings, ml_aliases, ml_calibrators, ml_models. Writes: nothing.
--
-- The blend is that of the logged raw score, by the current calibrator, with the logged rule confidence. Weights go in
-- steps of 0.05. The interval of the best weight is a bootstrap over months (weeks if all timeframes are below a day). A
-- change is suggested only if weights chosen on what was known when a block of time began had a lower loss in that
-- block than the weights in use, by more than one standard error.
--
-- The threshold belongs to the weights: key same_events says which threshold confirms as many events as the rule
-- alone does at the threshold in use, and how many of them won.

CREATE OR REPLACE FUNCTION ml.tune_blend_weights(
    p_version text DEFAULT NULL,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_loss text DEFAULT 'log_loss',
    p_include_backfill boolean DEFAULT false,
    p_least_of_each_class integer DEFAULT 200,
    p_at timestamptz DEFAULT now()
)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $function$
DECLARE
    c_resamples CONSTANT integer := 200;
    v_settings public.ml_settings;
    v_version text := p_version;
    v_calibrator text;
    v_fitted_until timestamptz;
    v_rows ml.calibration_row[];
    v_ml double precision[];
    v_data record;
    v_starts timestamptz[];
    v_grid double precision[];
    v_current double precision;
    v_found record;
    v_gain record;
    v_same jsonb;
    v_suggested double precision;
    v_result jsonb;
BEGIN
    IF p_loss IS NULL OR p_loss NOT IN ('log_loss', 'brier') THEN
        RAISE EXCEPTION 'unknown loss %: use log_loss or brier', coalesce(p_loss, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_least_of_each_class IS NULL OR p_least_of_each_class < 1 THEN
        RAISE EXCEPTION 'p_least_of_each_class is %: it must be at least 1', coalesce(p_least_of_each_class::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_settings FROM public.ml_settings;
    IF v_settings.ml_weight IS NULL THEN
        RAISE EXCEPTION 'table ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF v_version IS NULL THEN
        SELECT a.version INTO v_version FROM public.ml_aliases AS a WHERE a.alias = 'champion';
        IF v_version IS NULL THEN
            RAISE EXCEPTION 'there is no champion whose weight to tune: name a version, or promote one with ml.promote()'
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = v_version) THEN
        RAISE EXCEPTION 'model version % is not registered: see table ml_models', v_version
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT a.calibrator_version INTO v_calibrator
    FROM public.ml_aliases AS a
    WHERE a.version = v_version AND a.alias IN ('champion', 'challenger')
    ORDER BY a.alias = 'champion' DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT k.calibrator_version INTO v_calibrator
        FROM public.ml_calibrators AS k WHERE k.model_version = v_version AND k.parent_version IS NULL
        ORDER BY k.created_at DESC, k.calibrator_version DESC LIMIT 1;
    END IF;
    SELECT (k.card #>> '{window,known_until}')::timestamptz INTO v_fitted_until
    FROM public.ml_calibrators AS k WHERE k.calibrator_version = v_calibrator;

    SELECT array_agg(r ORDER BY r.detected_at, r.symbol, r.timeframe, r.event_id) INTO v_rows
    FROM ml.calibration_rows(v_version, p_since, p_until, p_include_backfill, p_at) AS r
    WHERE r.left_out IS NULL AND r.rule_confidence BETWEEN 0 AND 1;
    SELECT
        count(*) AS rows,
        count(*) FILTER (WHERE g.is_win) AS wins,
        count(DISTINCT g.span) AS spans,
        count(*) FILTER (WHERE g.rule_confidence >= v_settings.confidence_threshold) AS by_rule,
        CASE WHEN bool_and(extract(day FROM g.span) = 1) THEN 'month' ELSE 'week' END AS span,
        min(g.detected_at) AS first,
        max(g.detected_at) AS last
    INTO v_data
    FROM unnest(v_rows) AS g;
    v_current := v_settings.ml_weight / (v_settings.ml_weight + v_settings.rule_weight);
    v_result := jsonb_build_object(
        'version', v_version, 'calibrator_version', v_calibrator, 'loss', p_loss,
        'rows', v_data.rows, 'wins', v_data.wins, 'first', v_data.first, 'last', v_data.last,
        'span', v_data.span, 'spans', v_data.spans,
        'calibrator_has_seen_these_rows', coalesce(v_fitted_until > v_data.first, false),
        'threshold', v_settings.confidence_threshold,
        'current', jsonb_build_object(
            'ml_weight', v_settings.ml_weight, 'rule_weight', v_settings.rule_weight, 'weight', v_current),
        'best', NULL, 'walk_forward', NULL, 'weights', '[]'::jsonb, 'same_events', '[]'::jsonb, 'suggested', NULL, 'next', NULL);
    IF least(v_data.wins, v_data.rows - v_data.wins) < p_least_of_each_class OR v_data.spans < 2 THEN
        RETURN v_result || jsonb_build_object('status', 'too_few', 'sentence', format(
            'Of %s logged predictions of %s with a rule confidence and a known outcome %s won, in %s %ss; at least %s wins '
            'and %s others in 2 %ss are needed: wait for more outcomes%s.',
            v_data.rows, v_version, v_data.wins, v_data.spans, coalesce(v_data.span, 'month'),
            p_least_of_each_class, p_least_of_each_class, coalesce(v_data.span, 'month'),
            CASE WHEN p_include_backfill THEN '' ELSE ' (backfilled ones take p_include_backfill => true)' END));
    END IF;

    v_ml := ml.calibrated_by(v_calibrator, v_rows);
    v_starts := ml.walk_forward_starts(v_rows);
    SELECT array_agg(step.weight ORDER BY step.weight) INTO v_grid
    FROM (
        SELECT s.number / 20.0::float8 AS weight FROM generate_series(0, 20) AS s (number)
        WHERE abs(s.number / 20.0 - v_current) > 1e-9
        UNION ALL SELECT v_current
    ) AS step;

    WITH cell AS MATERIALIZED (
        SELECT
            dense_rank() OVER (ORDER BY p.span)::integer AS span,
            grid.weight,
            count(*)::float8 AS members,
            sum(scored.log_loss) AS log_loss,
            sum(scored.brier) AS brier,
            sum(CASE p_loss WHEN 'brier' THEN scored.brier ELSE scored.log_loss END) AS loss,
            count(*) FILTER (WHERE scored.blend >= v_settings.confidence_threshold) AS confirmed,
            count(*) FILTER (WHERE scored.blend >= v_settings.confidence_threshold AND p.is_win) AS confirmed_wins,
            -- What was known when each block began.
            ARRAY[
                sum(CASE p_loss WHEN 'brier' THEN scored.brier ELSE scored.log_loss END) FILTER (WHERE p.known_at <= v_starts[1]),
                sum(CASE p_loss WHEN 'brier' THEN scored.brier ELSE scored.log_loss END) FILTER (WHERE p.known_at <= v_starts[2]),
                sum(CASE p_loss WHEN 'brier' THEN scored.brier ELSE scored.log_loss END) FILTER (WHERE p.known_at <= v_starts[3]),
                sum(CASE p_loss WHEN 'brier' THEN scored.brier ELSE scored.log_loss END) FILTER (WHERE p.known_at <= v_starts[4])
            ] AS known
        FROM unnest(v_rows, v_ml) AS p (
            event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, ml)
        CROSS JOIN unnest(v_grid) AS grid (weight)
        CROSS JOIN LATERAL (
            SELECT
                blended.blend,
                ml.log_loss(blended.blend, p.is_win) AS log_loss,
                ml.square(blended.blend - p.is_win::integer) AS brier
            FROM (SELECT ml.blend_confidence(p.ml, p.rule_confidence, grid.weight, 1 - grid.weight) AS blend OFFSET 0) AS blended
        ) AS scored
        GROUP BY p.span, grid.weight
    ),

    resampled AS (
        SELECT d.resample, c.weight, sum(d.times * c.loss) AS loss
        FROM ml.resampled_spans(v_data.spans::integer, c_resamples) AS d
        INNER JOIN cell AS c ON c.span = d.span
        GROUP BY d.resample, c.weight
    ),

    drawn AS (
        SELECT DISTINCT ON (r.resample) r.weight FROM resampled AS r
        ORDER BY r.resample, r.loss, abs(r.weight - v_current)
    ),

    total AS (
        SELECT
            c.weight, sum(c.log_loss) / sum(c.members) AS log_loss, sum(c.brier) / sum(c.members) AS brier,
            sum(c.loss) AS loss, sum(c.confirmed)::bigint AS confirmed, sum(c.confirmed_wins)::bigint AS confirmed_wins
        FROM cell AS c GROUP BY c.weight
    ),

    early AS (
        SELECT DISTINCT ON (k.block) k.block, k.weight
        FROM (
            SELECT known.block, c.weight, sum(known.loss) AS loss
            FROM cell AS c CROSS JOIN LATERAL unnest(c.known) WITH ORDINALITY AS known (loss, block)
            GROUP BY known.block, c.weight
        ) AS k
        WHERE k.loss IS NOT NULL
        ORDER BY k.block, k.loss, abs(k.weight - v_current)
    )

    SELECT
        (SELECT t.weight FROM total AS t ORDER BY t.loss, abs(t.weight - v_current) LIMIT 1) AS best,
        -- A step of the grid, not a value between two.
        (SELECT percentile_disc(ARRAY[0.025, 0.975]) WITHIN GROUP (ORDER BY d.weight) FROM drawn AS d) AS bounds,
        (SELECT jsonb_agg(jsonb_build_object(
            'weight', t.weight, 'log_loss', t.log_loss, 'brier', t.brier, 'confirmed', t.confirmed,
            'confirmed_wins', t.confirmed_wins, 'win_rate', t.confirmed_wins / nullif(t.confirmed, 0)::float8)
            ORDER BY t.weight) FROM total AS t) AS weights,
        (SELECT array_agg(e.weight ORDER BY series.block) FROM generate_series(1, 4) AS series (block)
            LEFT JOIN early AS e ON e.block = series.block) AS by_block
    INTO v_found;

    -- The weights chosen before each block, judged in it.
    SELECT gain.mean, gain.standard_error, judged.rows INTO v_gain
    FROM (
        SELECT array_agg(losses.current - losses.chosen) AS gains, array_agg(p.span) AS spans, count(*) AS rows
        FROM unnest(v_rows, v_ml) AS p (
            event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, ml)
        CROSS JOIN LATERAL (SELECT v_found.by_block[width_bucket(p.detected_at, v_starts)] AS weight) AS chosen
        CROSS JOIN LATERAL (
            SELECT
                ml.blend_confidence(p.ml, p.rule_confidence, v_current, 1 - v_current) AS current,
                ml.blend_confidence(p.ml, p.rule_confidence, chosen.weight, 1 - chosen.weight) AS chosen
        ) AS blend
        CROSS JOIN LATERAL (
            SELECT
                CASE p_loss WHEN 'brier' THEN ml.square(blend.current - p.is_win::integer)
                    ELSE ml.log_loss(blend.current, p.is_win) END AS current,
                CASE p_loss WHEN 'brier' THEN ml.square(blend.chosen - p.is_win::integer)
                    ELSE ml.log_loss(blend.chosen, p.is_win) END AS chosen
        ) AS losses
        WHERE chosen.weight IS NOT NULL
    ) AS judged
    CROSS JOIN LATERAL ml.clustered_mean(judged.gains, judged.spans) AS gain;
    v_suggested := CASE WHEN v_gain.mean > v_gain.standard_error THEN v_found.best ELSE v_current END;

    -- As many confirmations as the rule's own; of events at the limit with equal confidences, the expected share of wins.
    SELECT jsonb_agg(DISTINCT jsonb_build_object(
        'weight', cut.weight, 'threshold', cut.threshold, 'confirmed', v_data.by_rule, 'wins', cut.wins,
        'win_rate', cut.wins / nullif(v_data.by_rule, 0)))
    INTO v_same
    FROM (
        SELECT
            ranked.weight,
            min(ranked.blend) FILTER (WHERE ranked.above < v_data.by_rule) AS threshold,
            sum(ranked.wins * least(1, greatest(0, (v_data.by_rule - ranked.above) / ranked.members))) AS wins
        FROM (
            SELECT
                tied.*,
                sum(tied.members) OVER (PARTITION BY tied.weight ORDER BY tied.blend DESC) - tied.members AS above
            FROM (
                SELECT
                    w.weight,
                    ml.blend_confidence(p.ml, p.rule_confidence, w.weight, 1 - w.weight) AS blend,
                    count(*)::float8 AS members,
                    count(*) FILTER (WHERE p.is_win)::float8 AS wins
                FROM unnest(v_rows, v_ml) AS p (
                    event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, ml)
                CROSS JOIN (
                    SELECT DISTINCT d.weight FROM unnest(ARRAY[0, v_current, v_found.best, 1]) AS d (weight)
                ) AS w
                GROUP BY w.weight, 2
            ) AS tied
        ) AS ranked
        GROUP BY ranked.weight
    ) AS cut;

    RETURN v_result || jsonb_build_object(
        'status', CASE WHEN v_suggested = v_current THEN 'keep' ELSE 'change' END,
        'best', jsonb_build_object('weight', v_found.best, 'low', v_found.bounds[1], 'high', v_found.bounds[2]),
        'walk_forward', jsonb_build_object(
            'gain', v_gain.mean, 'standard_error', v_gain.standard_error, 'rows', v_gain.rows,
            'blocks', to_jsonb(v_starts), 'weights', to_jsonb(v_found.by_block)),
        'weights', v_found.weights,
        'same_events', v_same,
        'suggested', CASE
            WHEN v_suggested = v_current THEN v_result -> 'current'
            ELSE jsonb_build_object(
                'ml_weight', round(v_suggested::numeric, 2), 'rule_weight', 1 - round(v_suggested::numeric, 2),
                'weight', v_suggested)
        END,
        'next', CASE WHEN v_suggested <> v_current THEN format(
            'SELECT ml.set_weights(%s, %s, %L);', round(v_suggested::numeric, 2), 1 - round(v_suggested::numeric, 2),
            'tuned on ' || v_data.rows || ' outcomes') END,
        'sentence', format(
            'On %s events the %s of the blend is lowest with a weight of %s for ML (95 %% interval %s to %s); in use is %s. ',
            v_data.rows, CASE p_loss WHEN 'brier' THEN 'Brier score' ELSE 'log loss' END,
            round(v_found.best::numeric, 2), round(v_found.bounds[1]::numeric, 2), round(v_found.bounds[2]::numeric, 2),
            round(v_current::numeric, 2))
            || CASE
                WHEN v_suggested = v_current THEN
                    'Weights chosen on earlier outcomes were not better later on by more than a standard error: keep them.'
                ELSE
                    'Weights chosen on earlier outcomes were better later on. The threshold belongs to the weights: see '
                    'same_events before setting them.'
            END);
END
$function$;
COMMENT ON FUNCTION ml.tune_blend_weights IS
    'Says which weight of ML in the blend fits the outcomes of logged predictions best, beside the one in use; sets nothing.';
REVOKE ALL ON FUNCTION ml.tune_blend_weights FROM PUBLIC;
