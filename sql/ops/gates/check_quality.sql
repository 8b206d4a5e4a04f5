-- Gates that the registry answers: the card's text, leaks, labels, calibration and ranking, also against the champion's, holdout, gain over rules.
-- Called by: ml.check_model. Calls: ml.read_figure, ml.stated_calibration_error, ml.square.
-- Reads: ml_models, ml_calibrators, ml_aliases, ml_gates. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.check_quality(p_version text, p_calibrator_version text)
RETURNS TABLE (gate text, passed boolean, value double precision, threshold double precision, detail text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_model public.ml_models;
    v_champion public.ml_aliases;
    v_thresholds jsonb;
    v_checks bigint;
    v_counts record;
    v_error record;
    v_theirs record;
    v_below double precision;
    v_above double precision;
    v_auc record;
    v_their_auc record;
    v_gain record;
    v_holdout record;
    v_label text;
    v_their_label text;
    v_other_label boolean;
BEGIN
    SELECT * INTO v_model FROM public.ml_models AS model WHERE model.version = p_version;
    SELECT * INTO v_champion FROM public.ml_aliases AS alias WHERE alias.alias = 'champion';
    SELECT jsonb_object_agg(known.gate, known.threshold) INTO v_thresholds FROM public.ml_gates AS known;

    -- The words are those by which trainer.model_card refuses a card.
    gate := 'card';
    SELECT count(*), min(left(text.value #>> '{}', 60)) INTO value, detail
    FROM jsonb_path_query(v_model.card, 'strict $.** ? (@.type() == "string")') AS text (value)
    WHERE text.value #>> '{}' ~* '\y(TODO|TBD|FIXME|XXX|placeholder|lorem ipsum)\y' OR text.value #>> '{}' !~ '\S';
    passed := value = 0 AND v_model.card <> '{}';
    detail := CASE
        WHEN v_model.card = '{}' THEN 'there is no model card'
        WHEN passed THEN 'no text is empty or a placeholder'
        ELSE format('%s texts are empty or placeholders, one is "%s"', value, detail)
    END;
    RETURN NEXT;

    gate := 'training data';
    value := NULL;
    passed := coalesce(v_model.card ->> 'synthetic' <> 'true', true);
    detail := CASE v_model.card ->> 'synthetic'
        WHEN 'true' THEN 'the model was trained on synthetic events: its figures say nothing about real ones'
        WHEN 'false' THEN 'the card says that its events are not synthetic'
        ELSE 'the card does not say whether its events are synthetic'
    END;
    RETURN NEXT;

    gate := 'label definition';
    v_label := v_model.card #>> '{label,name}';
    SELECT model.card #>> '{label,name}' INTO v_their_label
    FROM public.ml_models AS model WHERE model.version = v_champion.version;
    v_other_label := coalesce(v_label <> v_their_label, false);
    passed := NOT v_other_label;
    detail := CASE
        WHEN v_champion.version IS NULL THEN format('label %s; there is no champion to compare with', coalesce(v_label, 'not stated'))
        WHEN v_other_label THEN format('label %s, and champion %s was trained on %s: their figures cannot be compared',
            v_label, v_champion.version, v_their_label)
        ELSE format('label %s, that of champion %s: %s',
            coalesce(v_label, 'not stated'), v_champion.version, coalesce(v_their_label, 'not stated'))
    END;
    RETURN NEXT;

    gate := 'leak checks';
    SELECT count(*) FILTER (WHERE found.check_result ->> 'status' = 'not as expected'), count(*),
        min(found.check_result ->> 'check') FILTER (WHERE found.check_result ->> 'status' = 'not as expected')
    INTO value, v_checks, detail
    FROM jsonb_path_query(v_model.metrics, '$.leak_checks[*]') AS found (check_result);
    passed := value = 0;
    detail := CASE
        WHEN v_checks = 0 THEN 'the evaluation has no checks for leaks'
        WHEN passed THEN format('%s checks for leaks are as expected', v_checks)
        ELSE format('%s of %s checks for leaks are not as expected, one is: %s', value, v_checks, detail)
    END;
    RETURN NEXT;

    gate := 'labels';
    threshold := (v_thresholds ->> 'labels')::double precision;
    SELECT
        min(tally.value::double precision) AS fewest,
        string_agg(format('%s %s', tally.value, tally.key), ', ' ORDER BY tally.key) AS listed,
        count(*) AS outcomes,
        coalesce(bool_or(tally.key = 'win'), false) AS has_win
    INTO v_counts
    FROM jsonb_each_text(CASE WHEN jsonb_typeof(v_model.card #> '{training,class_counts}') = 'object'
        THEN v_model.card #> '{training,class_counts}' END) AS tally (key, value)
    WHERE tally.value ~ '^[0-9]{1,15}$';
    value := v_counts.fewest;
    passed := v_counts.has_win AND v_counts.outcomes >= 2 AND coalesce(value >= threshold, false);
    detail := CASE WHEN v_counts.has_win AND v_counts.outcomes >= 2
        THEN format('trained on %s events; needed are %s of each outcome', v_counts.listed, threshold)
        ELSE 'the card does not count its training events per outcome (training.class_counts)' END;
    RETURN NEXT;

    gate := 'calibration';
    threshold := (v_thresholds ->> 'calibration')::double precision;
    SELECT * INTO v_error FROM ml.stated_calibration_error(p_version, p_calibrator_version) AS stated;
    value := v_error.value;
    passed := coalesce(value <= threshold, false);
    detail := CASE WHEN value IS NULL THEN format('no calibration error is stated (%s)', v_error.source)
        ELSE format('expected calibration error %s%s (%s), at most %s', round(value::numeric, 4),
            CASE WHEN v_error.low <= v_error.high THEN format(' [%s, %s]', round(v_error.low::numeric, 4), round(v_error.high::numeric, 4)) END,
            v_error.source, threshold) END;
    RETURN NEXT;

    -- Lower limit of a difference of two estimates by the method of variance estimates recovery: G. Zou, A. Donner,
    -- Construction of confidence limits about effect measures, Statistics in Medicine 27 (2008) 1693-1702. It takes the
    -- two for independent; those of the same events are not, which makes the limit cautious: what it calls worse is.
    gate := 'calibration against champion';
    threshold := (v_thresholds ->> 'calibration against champion')::double precision;
    -- A recalibration was measured beside the live calibrator; what the model's card says of that one is of other events.
    SELECT figure.*, ' on the same events' AS events INTO v_theirs
    FROM public.ml_calibrators AS own
    CROSS JOIN LATERAL ml.read_figure(own.card #> '{compared_with,metrics,ece}') AS figure
    WHERE own.calibrator_version = p_calibrator_version AND own.model_version = v_champion.version
        AND own.card #>> '{compared_with,calibrator_version}' IS NOT DISTINCT FROM v_champion.calibrator_version
        AND figure.value IS NOT NULL;
    IF NOT FOUND THEN
        SELECT stated.value, stated.low, stated.high, '' AS events INTO v_theirs
        FROM ml.stated_calibration_error(v_champion.version, v_champion.calibrator_version) AS stated;
    END IF;
    v_below := v_error.value - coalesce(v_error.low, v_error.value);
    v_above := coalesce(v_theirs.high, v_theirs.value) - v_theirs.value;
    value := v_error.value - v_theirs.value - sqrt(ml.square(v_below) + ml.square(v_above));
    passed := v_theirs.value IS NULL OR v_other_label OR coalesce(value <= threshold, false);
    detail := CASE
        WHEN v_champion.version IS NULL THEN 'there is no champion to compare with'
        WHEN v_other_label THEN 'of another label: not compared'
        WHEN v_theirs.value IS NULL THEN format('no calibration error of champion %s is stated', v_champion.version)
        WHEN v_error.value IS NULL THEN 'no calibration error is stated to compare with the champion''s'
        ELSE format('error %s against %s of champion %s%s: the difference is at least %s (95 %%), which may be %s at most',
            round(v_error.value::numeric, 4), round(v_theirs.value::numeric, 4), v_champion.version, v_theirs.events,
            round(value::numeric, 4), threshold)
    END;
    RETURN NEXT;

    gate := 'ranking';
    threshold := (v_thresholds ->> 'ranking')::double precision;
    v_auc := ml.read_figure(v_model.card #> '{metrics,walk_forward,auc,calibrated}');
    value := v_auc.low;
    passed := coalesce(value > threshold, false);
    detail := CASE
        WHEN v_auc.value IS NULL THEN 'the card states no ROC-AUC in walk-forward (metrics.walk_forward.auc.calibrated)'
        WHEN v_auc.low IS NULL THEN format('ROC-AUC %s without an interval: too few events to judge', round(v_auc.value::numeric, 3))
        ELSE format('ROC-AUC %s [%s, %s] in walk-forward; its lower bound must be above %s', round(v_auc.value::numeric, 3),
            round(v_auc.low::numeric, 3), round(v_auc.high::numeric, 3), threshold)
    END;
    RETURN NEXT;

    gate := 'ranking against champion';
    threshold := (v_thresholds ->> 'ranking against champion')::double precision;
    SELECT figure.* INTO v_their_auc
    FROM public.ml_models AS model
    CROSS JOIN LATERAL ml.read_figure(model.card #> '{metrics,walk_forward,auc,calibrated}') AS figure
    WHERE model.version = v_champion.version;
    value := v_auc.low - v_their_auc.low;
    passed := v_their_auc.low IS NULL OR v_other_label OR coalesce(value >= threshold, false);
    detail := CASE
        WHEN v_champion.version IS NULL THEN 'there is no champion to compare with'
        WHEN v_other_label THEN 'of another label: not compared'
        WHEN v_their_auc.low IS NULL THEN format('no lower bound of the ROC-AUC of champion %s is stated', v_champion.version)
        WHEN v_auc.low IS NULL THEN 'no lower bound of the ROC-AUC is stated to compare with the champion''s'
        ELSE format('lower bound of the ROC-AUC %s against %s of champion %s: the difference may be %s at least',
            round(v_auc.low::numeric, 3), round(v_their_auc.low::numeric, 3), v_champion.version, threshold)
    END;
    RETURN NEXT;

    gate := 'holdout';
    threshold := (v_thresholds ->> 'holdout')::double precision;
    v_holdout := ml.read_figure(v_model.card #> '{metrics,holdout,auc,calibrated}');
    value := v_holdout.low;
    passed := coalesce(value > threshold, false);
    detail := CASE
        WHEN v_holdout.value IS NULL THEN 'the card states no ROC-AUC on the holdout (metrics.holdout.auc.calibrated)'
        WHEN v_holdout.low IS NULL
            THEN format('ROC-AUC %s on the holdout without an interval: too few events to judge', round(v_holdout.value::numeric, 3))
        ELSE format('ROC-AUC %s [%s, %s] on the holdout; its lower bound should be above %s', round(v_holdout.value::numeric, 3),
            round(v_holdout.low::numeric, 3), round(v_holdout.high::numeric, 3), threshold)
    END;
    RETURN NEXT;

    gate := 'gain over rules';
    threshold := (v_thresholds ->> 'gain over rules')::double precision;
    SELECT figure.* INTO v_gain
    FROM jsonb_path_query_first(v_model.metrics,
        '$.walk_forward.true_positives[*] ? (@.confirmations starts with "as many as the rule").blended_to_rule') AS found (ratio)
    CROSS JOIN LATERAL ml.read_figure(found.ratio) AS figure;
    value := v_gain.low - 1;
    passed := coalesce(value >= threshold, false);
    detail := CASE WHEN value IS NULL THEN 'the evaluation compares no true positives with the rule''s'
        ELSE format('true positives at as many confirmations as the rule''s: %s %% [%s, %s]; its lower bound should be %s %% at least',
            to_char((v_gain.value - 1) * 100, 'FMS990.0'), to_char((v_gain.low - 1) * 100, 'FMS990.0'),
            to_char((v_gain.high - 1) * 100, 'FMS990.0'), to_char(threshold * 100, 'FMS990.0')) END;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION ml.check_quality IS
    'Gates that the registry answers: the card''s text, leaks, labels, calibration and ranking, also against the champion''s, holdout, gain over rules.';
REVOKE ALL ON FUNCTION ml.check_quality FROM PUBLIC;
