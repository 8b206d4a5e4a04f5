-- Inserts the event that a detector's sentence describes, which is scored as any other; or says why there is none.
-- Called by: people and applications. Calls: ml.parse_pattern.
-- Reads: price_bars. Writes: pattern_events.

-- With the caller's rights: whoever may insert an event and read it may do it here. What the sentence says and what the
-- arguments say must agree. The result is that of ml.parse_pattern with the keys warnings (what is odd and was taken all
-- the same), event_id, rule_confidence, ml_confidence, blended_confidence, prediction_class, model_version and
-- fallback_reason, all null when nothing was inserted. The event keeps the sentence as metadata key source_text. As with INSERT, the same call again is another
-- event.
CREATE OR REPLACE FUNCTION ml.ingest_pattern(
    p_text text,
    p_symbol text,
    p_timeframe text,
    p_detected_at timestamptz,
    p_rule_confidence double precision DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL
)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_result jsonb := ml.parse_pattern(p_text, p_symbol, p_timeframe);
    v_problems text[] := ARRAY(SELECT jsonb_array_elements_text(v_result -> 'problems'));
    v_confidence double precision := coalesce(p_rule_confidence, (v_result ->> 'confidence')::double precision);
    v_event jsonb;
    v_close double precision;
    v_warnings text[] := '{}'::text[];
BEGIN
    IF p_symbol IS NULL OR p_symbol !~ '\S' THEN
        v_problems := v_problems || 'p_symbol is empty: give the symbol of the bars'::text;
    END IF;
    IF p_timeframe IS NULL OR p_timeframe !~ '\S' THEN
        v_problems := v_problems || 'p_timeframe is empty: give a timeframe of ml_timeframes'::text;
    END IF;
    IF p_detected_at IS NULL OR NOT isfinite(p_detected_at) THEN
        v_problems := v_problems || 'p_detected_at is not a time: give the time of the detection'::text;
    ELSIF abs((v_result ->> 'stated_on')::date - (p_detected_at AT TIME ZONE 'UTC')::date) > 1 THEN
        -- A day either way is the time zone of the writer.
        v_problems := v_problems || format(
            'the text speaks of %s, and p_detected_at is %s: correct one of them',
            v_result ->> 'stated_on', to_char(p_detected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'));
    END IF;
    -- NaN is above every number here.
    IF NOT p_rule_confidence BETWEEN 0 AND 1 THEN
        v_problems := v_problems || format('p_rule_confidence is %s: it must be 0 to 1', p_rule_confidence);
    ELSIF abs((v_result ->> 'confidence')::double precision - p_rule_confidence) > 1e-9 THEN
        v_problems := v_problems || format(
            'the text states a confidence of %s, and p_rule_confidence is %s: give one of them',
            v_result ->> 'confidence', p_rule_confidence);
    ELSIF v_confidence IS NULL AND v_problems = '{}' THEN
        v_problems := v_problems
            || 'no confidence is stated or given: write "80% confidence", or give p_rule_confidence'::text;
    END IF;
    IF jsonb_typeof(p_metadata) NOT IN ('object', 'null') THEN
        v_problems := v_problems || 'p_metadata is not a JSON object: give one, or null'::text;
    ELSIF p_metadata ? 'source_text' THEN
        v_problems := v_problems || 'p_metadata has the key source_text, which holds the sentence: rename it'::text;
    END IF;

    -- A price far from the bars may be another symbol, another time or another currency: said, not refused.
    IF v_problems = '{}' AND v_result ->> 'price' IS NOT NULL THEN
        SELECT bar.close INTO v_close FROM public.price_bars AS bar
        WHERE bar.symbol = p_symbol AND bar.timeframe = p_timeframe AND bar.ts <= p_detected_at
        ORDER BY bar.ts DESC LIMIT 1;
        IF (v_result ->> 'price')::double precision NOT BETWEEN v_close / 1.5 AND v_close * 1.5 THEN
            v_warnings := v_warnings || format(
                'the text states a price of %s, and the last bar of %s %s closed at %s',
                v_result ->> 'price', left(p_symbol, 40), left(p_timeframe, 40), v_close);
        END IF;
    END IF;

    IF v_problems = '{}' THEN
        INSERT INTO public.pattern_events AS e (
            symbol, timeframe, pattern_type, direction, detected_at, entry_price, target_price, stop_price, support,
            resistance, rule_confidence, metadata
        )
        VALUES (
            p_symbol, p_timeframe, v_result ->> 'pattern_type', v_result ->> 'direction', p_detected_at,
            (v_result ->> 'price')::double precision, (v_result ->> 'target_price')::double precision,
            (v_result ->> 'stop_price')::double precision, (v_result ->> 'support')::double precision,
            (v_result ->> 'resistance')::double precision, v_confidence,
            coalesce(nullif(p_metadata, 'null'), '{}') || jsonb_build_object('source_text', p_text)
        )
        RETURNING jsonb_build_object(
            'event_id', e.id,
            'rule_confidence', e.rule_confidence,
            'ml_confidence', e.ml_confidence,
            'blended_confidence', e.blended_confidence,
            'prediction_class', e.prediction_class,
            'model_version', e.model_version,
            'fallback_reason', e.ml_metadata #> '{scoring,fallback_reason}'
        ) INTO v_event;
        IF v_event IS NULL THEN
            v_problems := ARRAY['a trigger or rule of pattern_events kept the row out: ask the owner of the table'];
        END IF;
    END IF;
    IF v_problems <> '{}' THEN
        -- No field of a refused text is to be taken for an event's.
        SELECT jsonb_object_agg(field.key, CASE WHEN field.key = 'matched' THEN field.value ELSE 'null' END)
        INTO v_result
        FROM jsonb_each(v_result) AS field;
        v_result := v_result || jsonb_build_object('ok', false, 'problems', v_problems);
    END IF;
    RETURN v_result || jsonb_build_object('warnings', v_warnings) || coalesce(v_event, jsonb_build_object(
        'event_id', NULL, 'rule_confidence', NULL, 'ml_confidence', NULL, 'blended_confidence', NULL,
        'prediction_class', NULL, 'model_version', NULL, 'fallback_reason', NULL));
END
$function$;
COMMENT ON FUNCTION ml.ingest_pattern IS
    'Inserts the event that a detector''s sentence describes, which is scored as any other; or says why there is none.';
REVOKE ALL ON FUNCTION ml.ingest_pattern FROM PUBLIC;
