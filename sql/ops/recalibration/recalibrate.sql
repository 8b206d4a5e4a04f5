-- Fits calibrators to the outcomes of logged predictions, and registers a new version where it is better than the current.
-- Called by: operators, trainer recalibrate.
-- Calls: ml.calibration_rows, ml.calibrated_by, ml.walk_forward_starts, ml.predict_walk_forward, ml.choose_calibrator,
--        ml.compare_calibration, ml.measure_calibration, ml.area_under_roc.
-- Reads: ml_models, ml_aliases, ml_deployments, ml_calibrators. Writes: ml_calibrators.
--
-- Nothing goes live here: ml.promote(version, version, reason) takes the newest calibrator, through its gates.
--
-- Every candidate is judged walk-forward: fitted on what was known when a block of time began, and judged on the block.
-- The blocks lie after what the current calibrator was fitted on if that is enough to judge by, else after the first
-- 40 % of the events. A candidate is better when its log loss is lower than the current calibrator's by more than one
-- standard error of the paired difference (months taken together, or weeks if all timeframes are below a day) and its Brier
-- score is not higher. Candidates are tried from the simplest on, and a less simple one replaces a better one only if
-- its log loss is lower by more than one standard error again.
--
-- Then timeframes, and then symbols of a timeframe, with enough events get a part of their own where that is better
-- than what they have without it. Of m comparisons each must win by sqrt(1 + 2 ln m) standard errors: by the bound
-- P(Z > z) < exp(-z^2 / 2) / 2 chance lets one pass no more often than if there were a single one.
--
-- With outcomes that the model does not rank better than chance, the best calibrator is a constant, however wrong they
-- are: then nothing is registered, and what is wrong with the outcomes or the model is to be found first.

CREATE OR REPLACE FUNCTION ml.recalibrate(
    p_version text DEFAULT NULL,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_method text DEFAULT NULL,
    p_reason text DEFAULT NULL,
    p_include_backfill boolean DEFAULT false,
    p_by_segment boolean DEFAULT true,
    p_least_of_each_class integer DEFAULT 200,
    p_force boolean DEFAULT false,
    p_at timestamptz DEFAULT now()
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Numbers in hashes and names must not depend on the session.
SET extra_float_digits = 1
SET timezone = 'UTC'
SET jit = off
AS $function$
DECLARE
    c_least_spans CONSTANT integer := 6;
    c_least_to_fit CONSTANT integer := 50;
    v_version text := p_version;
    v_current text;
    v_label text;
    v_champion text := (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'champion');
    v_whole public.ml_calibrators;
    v_newest text;
    v_waiting boolean;
    v_result jsonb;
    v_left_out jsonb;
    v_rows ml.calibration_row[];
    v_raw double precision[];
    v_is_win boolean[];
    v_spans date[];
    v_data record;
    v_area record;
    v_fitted_until timestamptz;
    v_starts timestamptz[];
    v_judged record;
    v_judged_on jsonb;
    v_before double precision[];
    v_after double precision[];
    v_choice record;
    v_fitted ml.fitted_calibrator;
    v_candidates jsonb;
    v_segment record;
    v_part_before double precision[];
    v_errors double precision;
    v_resamples integer;
    v_segments jsonb := '[]'::jsonb;
    v_parts jsonb := '[]'::jsonb;
    v_gain record;
    v_new text;
    v_sha256 text;
    v_card jsonb;
BEGIN
    IF p_method IS NOT NULL AND p_method NOT IN ('identity', 'sigmoid', 'isotonic') THEN
        RAISE EXCEPTION 'unknown calibration method %: use identity, sigmoid, isotonic, or NULL to choose', p_method
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_least_of_each_class IS NULL OR p_least_of_each_class < 1 THEN
        RAISE EXCEPTION 'p_least_of_each_class is %: it must be at least 1', coalesce(p_least_of_each_class::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_force AND coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'p_force registers a calibrator that is not shown to be better: give p_reason'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_at IS NULL THEN
        RAISE EXCEPTION 'p_at is NULL: give the time by which outcomes were known, or leave it out'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- Two at once would register the same calibrator twice: the second waits, and then finds the first one's.
    PERFORM pg_advisory_xact_lock(hashtextextended('ml.recalibrate', 0));

    IF v_version IS NULL THEN
        SELECT a.version INTO v_version FROM public.ml_aliases AS a WHERE a.alias = 'champion';
        IF v_version IS NULL THEN
            RAISE EXCEPTION 'there is no champion to recalibrate: name a version, or promote one with ml.promote()'
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = v_version) THEN
        RAISE EXCEPTION 'model version % is not registered: see table ml_models', v_version
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT label.name INTO v_label
    FROM public.ml_models AS m
    JOIN public.ml_label_definitions AS label ON label.name = m.card #>> '{label,name}' AND NOT label.fills_event
    WHERE m.version = v_version;
    IF FOUND THEN
        RAISE EXCEPTION 'model version % was trained on label %, and the outcomes of pattern_events are of another one: fit it again to recalibrate it',
            v_version, v_label USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT k.calibrator_version INTO v_newest
    FROM public.ml_calibrators AS k WHERE k.model_version = v_version AND k.parent_version IS NULL
    ORDER BY k.created_at DESC, k.calibrator_version DESC LIMIT 1;
    SELECT a.calibrator_version INTO v_current
    FROM public.ml_aliases AS a
    WHERE a.version = v_version AND a.alias IN ('champion', 'challenger')
    ORDER BY a.alias = 'champion' DESC LIMIT 1;
    IF NOT FOUND THEN
        v_current := v_newest;
    END IF;
    SELECT * INTO v_whole FROM public.ml_calibrators AS k WHERE k.calibrator_version = v_current;
    -- The newest one waits for its promotion; one that was live and has been withdrawn does not.
    v_waiting := v_newest IS DISTINCT FROM v_current
        AND NOT EXISTS (SELECT FROM public.ml_deployments AS d WHERE d.calibrator_version = v_newest);

    WITH found AS MATERIALIZED (
        SELECT r AS given, r.left_out
        FROM ml.calibration_rows(v_version, p_since, p_until, p_include_backfill, p_at) AS r
    )

    SELECT
        array_agg(f.given ORDER BY (f.given).detected_at, (f.given).symbol, (f.given).timeframe, (f.given).event_id)
        FILTER (WHERE f.left_out IS NULL),
        (
            SELECT coalesce(jsonb_object_agg(counted.left_out, counted.events), '{}')
            FROM (SELECT l.left_out, count(*) AS events FROM found AS l WHERE l.left_out IS NOT NULL GROUP BY l.left_out)
                AS counted
        )
    INTO v_rows, v_left_out
    FROM found AS f;
    SELECT
        array_agg(g.raw ORDER BY g.place) AS raw,
        array_agg(g.is_win ORDER BY g.place) AS is_win,
        array_agg(g.span ORDER BY g.place) AS spans,
        count(*) AS rows,
        count(*) FILTER (WHERE g.is_win) AS wins,
        count(DISTINCT g.span) AS span_count,
        CASE WHEN bool_and(extract(day FROM g.span) = 1) THEN 'month' ELSE 'week' END AS span,
        min(g.detected_at) AS first,
        max(g.detected_at) AS last,
        max(g.known_at) AS known_until
    INTO v_data
    FROM unnest(v_rows) WITH ORDINALITY
        AS g (event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, place);
    v_raw := v_data.raw;
    v_is_win := v_data.is_win;
    v_spans := v_data.spans;

    v_result := jsonb_build_object(
        'version', v_version, 'current', v_current, 'registered', false, 'calibrator_version', NULL,
        'rows', v_data.rows, 'wins', v_data.wins, 'left_out', v_left_out, 'auc', NULL, 'judged_on', NULL,
        'metrics', NULL, 'compared_with', NULL, 'candidates', '[]'::jsonb, 'segments', '[]'::jsonb, 'next', NULL);
    IF least(v_data.wins, v_data.rows - v_data.wins) < p_least_of_each_class THEN
        RETURN v_result || jsonb_build_object('status', 'too_few', 'sentence', format(
            'Of %s logged predictions of %s with a known outcome %s won; at least %s wins and %s others are needed: '
            'wait for more outcomes, or see left_out for the predictions that were not used%s.',
            v_data.rows, v_version, v_data.wins, p_least_of_each_class, p_least_of_each_class,
            CASE WHEN p_include_backfill THEN '' ELSE ' (backfilled ones take p_include_backfill => true)' END));
    END IF;

    -- Where to judge: after what the current calibrator has seen, if that is enough.
    v_fitted_until := (v_whole.card #>> '{window,known_until}')::timestamptz;
    FOR v_attempt IN 1 .. 2 LOOP
        CONTINUE WHEN v_attempt = 1 AND v_fitted_until IS NULL;
        v_starts := ml.walk_forward_starts(v_rows, CASE WHEN v_attempt = 1 THEN v_fitted_until END);
        SELECT
            array_agg(CASE WHEN p.tried IS NOT NULL THEN p.current END ORDER BY p.place) AS before,
            count(p.tried) AS rows,
            count(p.tried) FILTER (WHERE p.is_win) AS wins,
            count(DISTINCT p.span) FILTER (WHERE p.tried IS NOT NULL) AS spans,
            min(p.detected_at) FILTER (WHERE p.tried IS NOT NULL) AS first,
            max(p.detected_at) FILTER (WHERE p.tried IS NOT NULL) AS last
        INTO v_judged
        FROM unnest(
            v_rows, ml.calibrated_by(v_current, v_rows),
            ml.predict_walk_forward('identity', v_rows, v_starts, c_least_to_fit)
        ) WITH ORDINALITY AS p (
            event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out,
            current, tried, place);
        v_judged_on := jsonb_build_object(
            'protocol', 'walk-forward: each block by what was fitted on outcomes known when it began',
            'blocks', to_jsonb(v_starts), 'rows', v_judged.rows, 'wins', v_judged.wins,
            'first', v_judged.first, 'last', v_judged.last, 'span', v_data.span, 'spans', v_judged.spans,
            'unseen_by_current', v_fitted_until IS NULL OR v_judged.first > v_fitted_until);
        EXIT WHEN v_judged.spans >= c_least_spans
            AND least(v_judged.wins, v_judged.rows - v_judged.wins) >= p_least_of_each_class / 2.0;
    END LOOP;
    v_before := v_judged.before;
    v_result := v_result || jsonb_build_object('judged_on', v_judged_on);
    IF v_judged.spans < c_least_spans OR least(v_judged.wins, v_judged.rows - v_judged.wins) < 1 THEN
        RETURN v_result || jsonb_build_object('status', 'too_few', 'sentence', format(
            'The %s predictions of %s with a known outcome lie in %s %ss, of which %s can be judged walk-forward; at '
            'least %s are needed: wait for more outcomes.',
            v_data.rows, v_version, v_data.span_count, v_data.span, v_judged.spans, c_least_spans));
    END IF;

    SELECT area.auc, area.standard_error INTO v_area FROM ml.area_under_roc(v_raw, v_is_win, v_spans) AS area;
    v_result := v_result || jsonb_build_object(
        'auc', jsonb_build_object(
            'value', v_area.auc,
            'low', v_area.auc - 1.96 * v_area.standard_error, 'high', v_area.auc + 1.96 * v_area.standard_error));
    IF v_area.auc - 1.96 * v_area.standard_error <= 0.5 AND NOT p_force THEN
        RETURN v_result || jsonb_build_object('status', 'no_ranking', 'sentence', format(
            'On %s events %s is not shown to rank outcomes better than chance (AUC %s, 95 %% interval %s to %s), and then '
            'the best calibrator is a constant: look for wrong outcomes or a model that has lost its signal, or pass '
            'p_force => true with a reason.',
            v_data.rows, v_version, round(v_area.auc::numeric, 3),
            round((v_area.auc - 1.96 * v_area.standard_error)::numeric, 3),
            round((v_area.auc + 1.96 * v_area.standard_error)::numeric, 3)));
    END IF;

    v_choice := ml.choose_calibrator(v_rows, v_before, v_starts, p_method, 1, 1, p_force);
    v_fitted := v_choice.fitted;
    v_after := v_choice.after;
    v_gain := ml.compare_calibration(v_before, v_before, v_is_win, v_spans);
    v_candidates := jsonb_build_array(jsonb_build_object(
        'method', 'current', 'rows', v_gain.rows, 'wins', v_gain.wins, 'log_loss', v_gain.log_loss, 'brier', v_gain.brier,
        'ece', ml.measure_calibration(v_before, v_is_win, v_spans, 0) #> '{ece,value}')) || v_choice.candidates;
    v_candidates := (
        SELECT jsonb_agg(c.value || jsonb_build_object('chosen', c.value ->> 'method' = coalesce(v_fitted.method, 'current'))
            ORDER BY c.place)
        FROM jsonb_array_elements(v_candidates) WITH ORDINALITY AS c (value, place));
    IF v_fitted.method IS NULL THEN
        -- The whole stays, and so do its parts until something is better.
        v_fitted := ROW(coalesce(v_whole.method, 'identity'), v_whole.a, v_whole.b, v_whole.knots_x, v_whole.knots_y);
        SELECT coalesce(jsonb_agg(to_jsonb(k)), '[]') INTO v_parts
        FROM public.ml_calibrators AS k WHERE k.parent_version = v_current;
    END IF;

    -- Timeframes first, then symbols of a timeframe, each against what it has without a part of its own.
    FOR v_level IN 1 .. CASE WHEN p_by_segment THEN 2 ELSE 0 END LOOP
        FOR v_segment IN
            SELECT s.*, count(*) OVER () AS comparisons
            FROM (
                SELECT
                    g.timeframe,
                    CASE WHEN v_level = 2 THEN g.symbol END AS symbol,
                    array_agg(g.place::integer ORDER BY g.place) AS places,
                    array_agg(ROW(
                        g.event_id, g.symbol, g.timeframe, g.detected_at, g.known_at, g.span, g.raw, g.rule_confidence,
                        g.is_win, g.left_out
                    )::ml.calibration_row ORDER BY g.place) AS given,
                    array_agg(g.is_win ORDER BY g.place) AS is_win,
                    array_agg(g.span ORDER BY g.place) AS spans,
                    count(*) FILTER (WHERE g.is_win) AS wins,
                    count(*) AS rows,
                    CASE WHEN v_level = 1 THEN count(*) OVER () ELSE count(*) OVER (PARTITION BY g.timeframe) END AS siblings
                FROM unnest(v_rows) WITH ORDINALITY AS g (
                    event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, place)
                GROUP BY g.timeframe, 2
            ) AS s
            -- The only one of its kind is the level above.
            WHERE s.siblings > 1 AND least(s.wins, s.rows - s.wins) >= p_least_of_each_class
            ORDER BY s.timeframe, s.symbol
        LOOP
            SELECT array_agg(w.after ORDER BY w.place) INTO v_part_before
            FROM unnest(v_segment.places) AS p (place)
            INNER JOIN unnest(v_after) WITH ORDINALITY AS w (after, place) ON w.place = p.place;
            v_errors := sqrt(1 + 2 * ln(v_segment.comparisons * CASE WHEN p_method IS NULL THEN 3 ELSE 1 END));
            v_choice := ml.choose_calibrator(
                v_segment.given, v_part_before, v_starts, p_method, v_errors,
                greatest(1, p_least_of_each_class / 2), false);
            -- Intervals take a while, and most segments get no part.
            v_resamples := CASE WHEN (v_choice.fitted).method IS NULL THEN 0 ELSE 200 END;
            v_segments := v_segments || jsonb_build_object(
                'timeframe', v_segment.timeframe, 'symbol', v_segment.symbol,
                'rows', v_segment.rows, 'wins', v_segment.wins, 'method', (v_choice.fitted).method,
                'standard_errors_needed', v_errors, 'candidates', v_choice.candidates,
                'before', ml.measure_calibration(v_part_before, v_segment.is_win, v_segment.spans, v_resamples),
                'after', ml.measure_calibration(v_choice.after, v_segment.is_win, v_segment.spans, v_resamples));
            CONTINUE WHEN (v_choice.fitted).method IS NULL;
            v_parts := (
                SELECT coalesce(jsonb_agg(p.part), '[]')
                FROM jsonb_array_elements(v_parts) AS p (part)
                -- A timeframe's new part is better than what its symbols had, parts included.
                WHERE p.part ->> 'timeframe' <> v_segment.timeframe
                    OR (v_level = 2 AND p.part ->> 'symbol' IS DISTINCT FROM v_segment.symbol)
            ) || (to_jsonb(v_choice.fitted) || jsonb_build_object(
                'timeframe', v_segment.timeframe, 'symbol', v_segment.symbol,
                'card', v_segments -> -1 || jsonb_build_object('metrics', v_segments #> '{-1,after}')));
            SELECT array_agg(coalesce(n.after, w.after) ORDER BY w.place) INTO v_after
            FROM unnest(v_after) WITH ORDINALITY AS w (after, place)
            LEFT JOIN unnest(v_segment.places, v_choice.after) AS n (place, after) ON n.place = w.place;
        END LOOP;
    END LOOP;

    v_gain := ml.compare_calibration(v_before, v_after, v_is_win, v_spans);
    v_result := v_result || jsonb_build_object(
        'candidates', v_candidates, 'segments', v_segments,
        'metrics', ml.measure_calibration(v_after, v_is_win, v_spans),
        'compared_with', jsonb_build_object(
            'calibrator_version', v_current,
            'metrics', ml.measure_calibration(v_before, v_is_win, v_spans),
            'log_loss_gain', v_gain.log_loss_gain, 'standard_error', v_gain.standard_error,
            'brier_gain', v_gain.brier_gain));
    IF v_after = v_before AND NOT p_force THEN
        RETURN v_result || jsonb_build_object('status', 'not_better', 'sentence', format(
            'No calibrator is better than the current one of %s (%s) on %s events by more than a standard error: nothing '
            'was registered.', v_version, coalesce(v_current, 'none'), v_judged.rows));
    END IF;

    v_sha256 := (
        SELECT encode(sha256(convert_to(string_agg(
            format('%s %s %s', g.event_id, g.raw, g.is_win), ',' ORDER BY g.detected_at, g.event_id), 'UTF8')), 'hex')
        FROM unnest(v_rows) AS g);
    -- One that waits for its promotion has seen nearly the same outcomes: better means better than that one, too.
    IF v_waiting THEN
        v_gain := ml.compare_calibration(ml.calibrated_by(v_newest, v_rows), v_after, v_is_win, v_spans);
        IF (NOT p_force AND v_gain.log_loss_gain <= v_gain.standard_error) OR EXISTS (
            SELECT FROM public.ml_calibrators AS k
            WHERE k.calibrator_version = v_newest AND k.card ->> 'rows_sha256' = v_sha256 AND k.method = v_fitted.method
        ) THEN
            RETURN v_result || jsonb_build_object(
                'status', 'waiting', 'calibrator_version', v_newest,
                'next', format('SELECT ml.promote(%L, %L, %L);', v_version, v_champion, 'recalibrated'),
                'sentence', format(
                    'Calibrator %s waits for its promotion already, and a new one would not be better by more than a '
                    'standard error: nothing was registered.', v_newest));
        END IF;
    END IF;

    SELECT v_version || '-' || 1 + coalesce(max(substr(k.calibrator_version, length(v_version) + 2)::bigint), 0) INTO v_new
    FROM public.ml_calibrators AS k
    WHERE k.parent_version IS NULL AND starts_with(k.calibrator_version, v_version || '-')
        AND substr(k.calibrator_version, length(v_version) + 2) ~ '^[0-9]{1,9}$';
    v_card := jsonb_build_object(
        'made_by', ml.acting_role(), 'made_at', clock_timestamp(), 'reason', p_reason, 'forced', coalesce(p_force, false),
        'rule', 'Better than the current calibrator in walk-forward log loss by more than one standard error, months or '
            'weeks taken together, and no worse in Brier score; the simplest unless another one is better by more than '
            'one standard error again; fitted again on all rows.',
        'rows', v_data.rows, 'wins', v_data.wins, 'rows_sha256', v_sha256,
        'window', jsonb_build_object(
            'since', p_since, 'until', p_until, 'first', v_data.first, 'last', v_data.last,
            'known_until', v_data.known_until, 'at', p_at, 'includes_backfill', p_include_backfill),
        'left_out', v_left_out, 'auc', v_result -> 'auc', 'judged_on', v_judged_on, 'metrics', v_result -> 'metrics',
        'compared_with', v_result -> 'compared_with', 'candidates', v_candidates, 'segments', v_segments);
    INSERT INTO public.ml_calibrators (
        calibrator_version, model_version, method, a, b, knots_x, knots_y, card, created_at)
    -- Not now(): who waited for the lock has begun earlier and registers later.
    VALUES (
        v_new, v_version, v_fitted.method, v_fitted.a, v_fitted.b, v_fitted.knots_x, v_fitted.knots_y, v_card,
        clock_timestamp());
    INSERT INTO public.ml_calibrators (
        calibrator_version, model_version, method, a, b, knots_x, knots_y, card, created_at, parent_version, symbol, timeframe)
    SELECT
        concat_ws('/', v_new, part.symbol, part.timeframe), v_version, part.method, part.a, part.b, part.knots_x,
        part.knots_y, part.card, clock_timestamp(), v_new, part.symbol, part.timeframe
    FROM jsonb_populate_recordset(NULL::public.ml_calibrators, v_parts) AS part;
    RETURN v_result || jsonb_build_object(
        'status', 'registered', 'registered', true, 'calibrator_version', v_new,
        'next', format('SELECT ml.promote(%L, %L, %L);', v_version, v_champion, 'recalibrated'),
        'sentence', format(
            'Calibrator %s (%s%s) is registered: on %s events its calibration error is %s, that of the current one (%s) '
            '%s. It goes live by ml.promote.',
            v_new, v_fitted.method,
            CASE WHEN v_parts <> '[]' THEN format(' and %s of its own for timeframes or symbols', jsonb_array_length(v_parts))
                ELSE '' END,
            v_judged.rows, round((v_result #>> '{metrics,ece,value}')::numeric, 3), coalesce(v_current, 'none'),
            round((v_result #>> '{compared_with,metrics,ece,value}')::numeric, 3)));
END
$function$;
COMMENT ON FUNCTION ml.recalibrate IS
    'Fits calibrators to the outcomes of logged predictions, and registers a new version where it is better than the current.';
REVOKE ALL ON FUNCTION ml.recalibrate FROM PUBLIC;
