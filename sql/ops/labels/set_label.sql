-- Records what an analyst judged an event's outcome to be; it wins over automatic labels until it is withdrawn.
-- Called by: analysts, trainer annotate. Calls: ml.label_window.
-- Reads: pattern_events, pattern_labels, ml_label_definitions.
-- Writes: pattern_labels; pattern_events (label columns only: scores stay what was acted on).
--
-- p_outcome_at is when the outcome was known, which keeps it out of training on anything earlier. Not given: that of
-- the automatic label if it has the same outcome, else the end of the bars of the automatic definition, which must be
-- over. Profit and drawdown that are not given are those of the automatic label if it has the same outcome. Label
-- columns that hold a label of the user's own, or whose CHECK refuses ours, stay as they are (in_event is false then);
-- the label is recorded and trained on all the same.

CREATE OR REPLACE FUNCTION ml.set_label(
    p_event_id uuid,
    p_outcome text,
    p_reason text,
    p_labelled_by text DEFAULT NULL,
    p_outcome_at timestamptz DEFAULT NULL,
    p_realized_pnl double precision DEFAULT NULL,
    p_max_drawdown double precision DEFAULT NULL,
    p_data_quality_score double precision DEFAULT NULL,
    p_at timestamptz DEFAULT now()
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_outcome text := lower(btrim(p_outcome));
    v_event record;
    v_standing public.pattern_labels;
    v_automatic public.pattern_labels;
    v_window record;
    v_label public.pattern_labels;
    v_in_event boolean;
BEGIN
    IF v_outcome IS NULL OR v_outcome NOT IN ('win', 'loss', 'timeout') THEN
        RAISE EXCEPTION 'p_outcome is %: it must be win, loss or timeout', coalesce(p_outcome, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'p_reason is empty: say why in a few words' USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_realized_pnl = 'NaN' OR abs(p_realized_pnl) = 'infinity' THEN
        RAISE EXCEPTION 'p_realized_pnl is %: it must be a number or null', p_realized_pnl
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_max_drawdown < 0 OR p_max_drawdown >= 'infinity' THEN
        RAISE EXCEPTION 'p_max_drawdown is %: it must be 0 or more, or null', p_max_drawdown
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_data_quality_score NOT BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'p_data_quality_score is %: it must be 0 to 1, or null', p_data_quality_score
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_at IS NULL OR NOT isfinite(p_at) THEN
        RAISE EXCEPTION 'p_at is %: it must be the time as of which the label is set', coalesce(p_at::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- Analysts of one event queue here.
    SELECT e.detected_at, e.outcome_label, e.label_source INTO v_event
    FROM public.pattern_events AS e WHERE e.id = p_event_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no event %: look up its id in pattern_events', coalesce(p_event_id::text, 'null')
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT * INTO v_standing
    FROM public.pattern_labels AS l
    WHERE l.event_id = p_event_id AND l.definition = 'analyst' AND l.withdrawn_at IS NULL;
    SELECT l.* INTO v_automatic
    FROM public.pattern_labels AS l
    INNER JOIN public.ml_label_definitions AS d ON d.name = l.definition AND d.fills_event
    WHERE l.event_id = p_event_id AND l.withdrawn_at IS NULL
    ORDER BY l.definition = v_event.label_source DESC, l.id
    LIMIT 1;
    v_in_event := CASE
        WHEN v_event.label_source IS NULL THEN v_event.outcome_label IS NULL
        WHEN v_event.label_source = 'analyst' THEN v_standing.id IS NOT NULL
        ELSE v_event.label_source IN (SELECT d.name FROM public.ml_label_definitions AS d WHERE d.fills_event)
    END;

    v_label.outcome_at := coalesce(
        p_outcome_at, CASE WHEN v_automatic.outcome_label = v_outcome THEN v_automatic.outcome_at END);
    IF v_label.outcome_at IS NULL THEN
        SELECT w.* INTO v_window FROM ml.label_window(p_event_id, coalesce(v_automatic.definition, 'TB2'), p_at) AS w;
        v_label.outcome_at := v_window.window_ends_at;
        IF v_label.outcome_at IS NULL THEN
            RAISE EXCEPTION 'the outcome of event % is not known yet: % of its % bars have ended', p_event_id,
                coalesce(v_window.ended_bars, 0), coalesce(v_window.horizon, 10)
                USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Wait for the bars, or say in p_outcome_at when the outcome was known.';
        END IF;
    END IF;
    IF NOT isfinite(v_label.outcome_at) OR v_label.outcome_at < v_event.detected_at OR v_label.outcome_at > p_at THEN
        RAISE EXCEPTION 'p_outcome_at is %: it must lie between the detection of the event (%) and now',
            v_label.outcome_at, v_event.detected_at USING ERRCODE = 'invalid_parameter_value';
    END IF;

    UPDATE public.pattern_labels AS l
    SET
        withdrawn_at = clock_timestamp(),
        withdrawn_by = coalesce(nullif(btrim(p_labelled_by), ''), ml.acting_role()),
        withdrawn_reason = 'labelled again'
    WHERE l.id = v_standing.id;
    INSERT INTO public.pattern_labels (
        event_id, definition, outcome_label, outcome_at, realized_pnl, max_drawdown, data_quality_score,
        bars_to_outcome, reason, labelled_by
    )
    VALUES (
        p_event_id,
        'analyst',
        v_outcome,
        v_label.outcome_at,
        coalesce(p_realized_pnl, CASE WHEN v_automatic.outcome_label = v_outcome THEN v_automatic.realized_pnl END),
        coalesce(p_max_drawdown, CASE WHEN v_automatic.outcome_label = v_outcome THEN v_automatic.max_drawdown END),
        p_data_quality_score,
        CASE WHEN v_automatic.outcome_at = v_label.outcome_at THEN v_automatic.bars_to_outcome END,
        btrim(p_reason),
        coalesce(nullif(btrim(p_labelled_by), ''), ml.acting_role())
    )
    RETURNING * INTO v_label;

    IF v_in_event THEN
        BEGIN
            UPDATE public.pattern_events AS e
            SET
                outcome_label = v_label.outcome_label,
                outcome_at = v_label.outcome_at,
                realized_pnl = v_label.realized_pnl,
                max_drawdown = v_label.max_drawdown,
                label_source = 'analyst',
                data_quality_score = v_label.data_quality_score
            WHERE e.id = p_event_id;
        EXCEPTION WHEN check_violation THEN
            -- The user's own words for outcomes.
            v_in_event := false;
        END;
    END IF;
    RETURN jsonb_build_object(
        'event_id', p_event_id,
        'outcome_label', v_label.outcome_label,
        'outcome_at', v_label.outcome_at,
        'labelled_by', v_label.labelled_by,
        'replaced', v_standing.outcome_label,
        'automatic', CASE WHEN v_automatic.id IS NOT NULL THEN jsonb_build_object(
            'definition', v_automatic.definition, 'outcome_label', v_automatic.outcome_label,
            'bars_to_outcome', v_automatic.bars_to_outcome, 'realized_pnl', v_automatic.realized_pnl) END,
        'in_event', v_in_event
    );
END
$function$;
COMMENT ON FUNCTION ml.set_label IS
    'Records what an analyst judged an event''s outcome to be; it wins over automatic labels until it is withdrawn.';
REVOKE ALL ON FUNCTION ml.set_label FROM PUBLIC;
