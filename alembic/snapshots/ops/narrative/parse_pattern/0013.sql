-- The structured fields of a detector's sentence, or what keeps it from being one clear detection of one pattern.
-- Called by: ml.ingest_pattern, people and applications. Calls: ml.narrative_tokens, ml.narrative_words.
-- Reads: ml.narrative_phrases, ml.pattern_types, ml_timeframes. Writes: nothing.

-- Every word must be known and every number explained: a word that is not in ml.narrative_phrases could be the one that
-- denies the rest. The sentence is read from left to right, the longest known phrase first. A number belongs to the
-- label before it ("target 160"), else to the label right behind it ("160 target"), else it is a price when a currency
-- or a word such as "at" says so.
--
-- Keys of the result, always all of them:
--   ok               true when there is no problem; the fields are null otherwise
--   pattern_type     of ml.pattern_types
--   direction        bullish, bearish; null when neither the type nor the text decides it
--   price, target_price, stop_price, support, resistance    numbers above 0
--   confidence       0 to 1
--   symbol, timeframe, stated_on (a date)    as the text states them
--   problems         sentences, each with what to do
--   matched          which words gave each field, also when there is a problem
-- p_symbol and p_timeframe, when given, are what the text must not contradict.
CREATE OR REPLACE FUNCTION ml.parse_pattern(
    p_text text,
    p_symbol text DEFAULT NULL,
    p_timeframe text DEFAULT NULL
)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
-- A plan made for the number of words of one sentence is no better, and planning takes longer than the rest.
SET plan_cache_mode = force_generic_plan
AS $function$
DECLARE
    -- A detection is a sentence; beyond this it is a document.
    c_longest CONSTANT integer := 2000;
    c_number CONSTANT text := '^[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?$';
    v_tokens text[];
    v_words text[];
    v_count integer;
    v_found record;
    -- Of the phrase that begins at a token: its role, what it stands for, its last token.
    v_roles text[];
    v_values text[];
    v_types text[];
    v_ends integer[];
    v_covered integer := 0;
    v_used boolean[];
    v_at integer := 1;
    v_end integer;
    v_next integer;
    v_own integer;
    v_token text;
    v_role text;
    v_kind text;
    v_number numeric;
    -- What a number that comes now would be; strong when a label said so, weak after a word such as "at".
    v_pending text;
    v_strong boolean := false;
    v_pending_at integer;
    v_is_percent boolean;
    v_has_currency boolean;
    v_is_label_of boolean;
    v_last_indicator integer := 0;
    v_has_lower_case boolean;
    v_expected_symbol text;
    v_symbol text;
    v_period interval;
    v_candidates text[];
    v_chosen text[];
    v_names text[] := '{}'::text[];
    v_stated text;
    v_own_direction text;
    v_unknown text[] := '{}'::text[];
    v_unexplained text[] := '{}'::text[];
    v_denials text[] := '{}'::text[];
    v_doubts text[] := '{}'::text[];
    v_other_times text[] := '{}'::text[];
    v_fields jsonb := '{}'::jsonb;
    v_matched jsonb := '{}'::jsonb;
    v_problems text[] := '{}'::text[];
    v_key text;
BEGIN
    IF p_text IS NULL OR p_text !~ '\S' THEN
        v_problems := ARRAY['there is no text: give the sentence of the detector'];
        v_tokens := '{}';
    ELSIF length(p_text) > c_longest THEN
        v_problems := ARRAY[format(
            'the text has %s characters, and at most %s are read: send one detection per call',
            length(p_text), c_longest)];
        v_tokens := '{}';
    ELSE
        v_tokens := ml.narrative_tokens(p_text);
    END IF;
    v_words := ml.narrative_words(v_tokens);
    v_count := cardinality(v_tokens);
    v_has_lower_case := array_to_string(v_tokens, ' ') ~ '[a-z]';
    -- BTC/USD, BTC-USD and btcusd are one symbol; Yahoo's names of currency pairs and futures have a suffix.
    v_expected_symbol := nullif(upper(regexp_replace(p_symbol, '=[XF]$|[^[:alnum:]]', '', 'g')), '');

    v_roles := array_fill(NULL::text, ARRAY[v_count]);
    v_values := v_roles;
    v_types := v_roles;
    v_ends := array_fill(NULL::integer, ARRAY[v_count]);
    v_used := array_fill(false, ARRAY[v_count]);
    FOR v_found IN
        SELECT w.place::integer AS place, w.place::integer + longest.length - 1 AS last, longest.*
        FROM unnest(v_words) WITH ORDINALITY AS w (word, place)
        CROSS JOIN LATERAL (
            SELECT
                cardinality(p.words) AS length,
                -- A phrase that is a pattern and something else is not certainly the pattern.
                coalesce(min(p.role) FILTER (WHERE p.role <> 'pattern'), 'pattern') AS role,
                min(p.value) AS value,
                array_agg(p.pattern_type) AS types
            FROM ml.narrative_phrases AS p
            WHERE p.words[1] = w.word AND p.words = v_words[w.place : w.place + cardinality(p.words) - 1]
            GROUP BY p.words
            ORDER BY cardinality(p.words) DESC
            LIMIT 1
        ) AS longest
        ORDER BY w.place
    LOOP
        IF v_found.place > v_covered THEN
            v_roles[v_found.place] := v_found.role;
            v_values[v_found.place] := v_found.value;
            v_types[v_found.place] := array_to_string(v_found.types, ' ');
            v_ends[v_found.place] := v_found.last;
            v_covered := v_found.last;
        END IF;
    END LOOP;

    WHILE v_at <= v_count LOOP
        v_token := v_tokens[v_at];
        v_role := v_roles[v_at];
        v_end := coalesce(v_ends[v_at], v_at);
        v_key := NULL;
        v_kind := NULL;

        -- May is a month beside a number only.
        IF v_role = 'month' AND v_words[v_at] = 'may'
            AND NOT (v_token = 'May' AND coalesce(v_tokens[v_at + 1], '') ~ '^\d{1,4}(st|nd|rd|th)?$')
        THEN
            v_role := 'doubt';
        -- Up 3%: what the price did, not where the pattern points.
        ELSIF v_role = 'direction' AND v_words[v_at] IN ('up', 'down') AND v_roles[v_at + 2] = 'percent' THEN
            v_role := 'ignored';
        END IF;

        IF v_role = 'pattern' OR v_role = 'direction' THEN
            IF v_pending = 'price' AND NOT v_strong THEN
                v_doubts := v_doubts || array_to_string(v_tokens[v_pending_at : v_end], ' ');
            END IF;
            IF v_role = 'pattern' THEN
                v_chosen := string_to_array(v_types[v_at], ' ');
                v_names := v_names || array_to_string(v_tokens[v_at : v_end], ' ');
                IF v_candidates IS NULL THEN
                    v_candidates := v_chosen;
                ELSE
                    -- Named twice, it must be able to be the same.
                    v_candidates := ARRAY(
                        SELECT c.name FROM unnest(v_candidates) AS c (name) WHERE c.name = ANY (v_chosen));
                END IF;
                -- A hammer is a reversal: an explanation.
                IF v_words[v_end + 1] IN ('is', 'are') AND v_words[v_end + 2] IN ('a', 'an') THEN
                    v_doubts := v_doubts || array_to_string(v_tokens[v_at : v_end + 2], ' ');
                END IF;
                v_matched := jsonb_set(v_matched, '{pattern_type}', to_jsonb(array_to_string(v_names[:5], ', ')));
            ELSE
                v_key := 'direction';
                v_kind := v_values[v_at];
            END IF;
            v_pending := NULL;
        ELSIF v_role = 'denial' OR v_role IS NULL AND v_token ~* 'n''t$' THEN
            v_denials := v_denials || array_to_string(v_tokens[v_at : v_end], ' ');
            v_pending := NULL;
        ELSIF v_role = 'doubt' THEN
            v_doubts := v_doubts || array_to_string(v_tokens[v_at : v_end], ' ');
            v_pending := NULL;
        ELSIF v_role = 'other_time' THEN
            v_other_times := v_other_times || array_to_string(v_tokens[v_at : v_end], ' ');
            v_pending := NULL;
        ELSIF v_role IN ('symbol', 'timeframe') THEN
            v_key := v_role;
            v_kind := v_values[v_at];
            v_pending := NULL;
        ELSIF v_role = 'label' THEN
            -- Used already by the number before it.
            IF NOT v_used[v_at] THEN
                v_pending := v_values[v_at];
                v_strong := true;
                v_pending_at := v_at;
            END IF;
        ELSIF v_role = 'at' THEN
            IF v_pending IS NULL OR NOT v_strong THEN
                v_pending := CASE WHEN v_last_indicator = v_at - 1 AND v_at > 1 THEN 'unclear' ELSE 'price' END;
                v_strong := false;
                v_pending_at := v_at;
            END IF;
        ELSIF v_role IN ('joining', 'currency') THEN
            NULL;
        ELSIF v_role IS NOT NULL THEN
            v_pending := NULL;

        -- Dates and times of day.
        ELSIF v_token ~ '^\d{4}-\d{2}-\d{2}' THEN
            -- make_date() takes no month 13.
            IF v_token ~ '^(19|20)\d\d-(0[1-9]|1[0-2])-' AND substr(v_token, 9, 2)::integer BETWEEN 1 AND extract(
                day FROM make_date(left(v_token, 4)::integer, substr(v_token, 6, 2)::integer, 1)
                + '1 month -1 day'::interval
            ) THEN
                v_key := 'stated_on';
                v_kind := left(v_token, 10);
            ELSE
                v_unexplained := v_unexplained || v_token;
            END IF;
            v_pending := NULL;
        ELSIF v_token ~ '^\d{1,2}([/.]\d{1,2}[/.]\d{4}$|:)' THEN
            v_pending := NULL;

        -- 5, 5th, 2024 beside a month; in 2024.
        ELSIF v_token ~ '^\d{1,2}(st|nd|rd|th)?$' AND v_pending IS NULL
            AND v_roles[v_at - 1] IS DISTINCT FROM 'currency' AND (
            v_roles[v_at - 1] = 'month' OR v_roles[v_at + 1] = 'month' AND v_words[v_at + 1] <> 'may'
            OR v_roles[v_at + 1] = 'month' AND v_tokens[v_at + 1] = 'May' AND v_tokens[v_at + 2] ~ '^(19|20)\d\d$'
        ) THEN
            NULL;
        ELSIF v_token ~ '^(19|20)\d\d$' AND v_pending IS NULL AND (
            v_words[v_at - 1] IN ('in', 'since', 'year') OR v_roles[v_at - 1] = 'month'
            OR v_roles[v_at - 2] = 'month' OR v_roles[v_at - 3] = 'month' AND v_tokens[v_at - 1] = ','
        ) THEN
            NULL;

        -- 15min, 4h, 1D; H4, M15.
        ELSIF v_pending IS DISTINCT FROM 'indicator' AND (
            v_token ~ '^\d{1,4}([mhdwMHDW]|mins?|MINS?|hrs?|HRS?|wk|mo)$' OR v_token ~ '^(M|H|D|W)\d{1,3}$'
        ) THEN
            v_key := 'timeframe';
            v_kind := substring(v_token, '\d+') || CASE substring(v_token, '^[A-Z](?=\d)|[A-Za-z]+')
                WHEN 'M' THEN CASE WHEN v_token ~ '^M' THEN 'm' ELSE 'M' END
                WHEN 'mo' THEN 'M'
                ELSE lower(left(substring(v_token, '[A-Za-z]+'), 1))
            END;
            v_pending := NULL;

        ELSIF v_token ~ c_number AND v_token ~ '\d' THEN
            v_next := v_at + 1;
            v_is_percent := coalesce(v_roles[v_next] = 'percent', false);
            v_next := v_next + v_is_percent::integer;
            v_has_currency := coalesce(v_roles[v_at - 1] = 'currency', false)
                OR coalesce(v_roles[v_next] = 'currency', false);
            WHILE v_roles[v_next] = 'currency' LOOP
                v_next := v_next + 1;
            END LOOP;

            -- 4-hour chart, 3 days, the last 20 candles, 200-day moving average.
            IF v_roles[v_next] = 'unit' AND NOT v_is_percent AND NOT v_has_currency THEN
                IF v_pending NOT IN ('indicator', 'average') AND (v_strong OR v_values[v_next] = 'bar') THEN
                    -- A target of 5 days is no price.
                    v_unexplained := v_unexplained || v_token;
                ELSIF v_roles[v_next + 1] = 'label' AND v_values[v_next + 1] = 'average' THEN
                    v_used[v_next + 1] := true;
                    v_last_indicator := v_ends[v_next + 1];
                ELSIF v_values[v_next] <> 'bar' AND v_token ~ '^\d{1,4}$' AND v_tokens[v_next] !~* 's$' THEN
                    v_key := 'timeframe';
                    v_kind := v_token || CASE v_values[v_next] WHEN 'month' THEN 'M' ELSE left(v_values[v_next], 1) END;
                END IF;
                v_end := v_next;
                v_pending := NULL;
            ELSIF v_pending IS NULL AND v_token ~ '^\d{1,3}$' AND NOT v_has_currency AND NOT v_is_percent AND (
                v_roles[v_at + 1] = 'ignored' AND v_roles[v_at + 2] = 'unit'
                OR v_roles[v_at + 1] = 'ignored' AND v_roles[v_at + 2] = 'ignored' AND v_roles[v_at + 3] = 'unit'
            ) THEN
                NULL;
            -- RSI(14) at 28
            ELSIF v_pending IN ('indicator', 'average') AND v_tokens[v_at - 1] = '(' AND v_tokens[v_at + 1] = ')' THEN
                v_end := v_at + 1;
            ELSE
                v_kind := CASE WHEN v_pending <> 'confidence' OR v_strong OR v_is_percent THEN v_pending END;
                -- A label right behind the number that has no number of its own.
                IF v_roles[v_next] = 'label' AND NOT v_used[v_next] AND (v_pending IS NULL OR NOT v_strong)
                    AND v_values[v_next] NOT IN ('price', 'indicator')
                    AND (NOT v_is_percent OR v_values[v_next] = 'confidence')
                THEN
                    v_own := v_ends[v_next] + 1;
                    WHILE v_roles[v_own] IN ('joining', 'at') LOOP
                        v_own := v_own + 1;
                    END LOOP;
                    v_is_label_of := v_is_percent
                        OR v_roles[v_own] = 'currency' AND v_values[v_next] = 'confidence'
                        OR v_roles[v_own] IS DISTINCT FROM 'currency'
                        AND coalesce(v_tokens[v_own] !~ '^[+-]?\.?\d', true);
                    IF v_is_label_of THEN
                        v_kind := v_values[v_next];
                        v_used[v_next] := true;
                        v_end := v_ends[v_next];
                    END IF;
                END IF;
                IF v_strong THEN
                    v_used[v_pending_at] := true;
                    v_used[v_at] := true;
                END IF;
                IF v_kind IN ('indicator', 'average') THEN
                    v_last_indicator := greatest(v_end, v_at + v_is_percent::integer);
                    v_kind := NULL;
                ELSIF v_is_percent AND v_kind IS NULL THEN
                    -- Up 3%: of something that is not asked for.
                    v_matched := jsonb_set(v_matched, '{percentages}',
                        coalesce(v_matched -> 'percentages', '[]') || to_jsonb(v_token || '%'));
                ELSIF v_is_percent AND v_kind <> 'confidence' THEN
                    v_problems := v_problems || format(
                        '%s%% is given for %s, which must be a price: give the price itself',
                        v_token, CASE v_kind WHEN 'unclear' THEN 'a price' ELSE 'the ' || v_kind END);
                    v_kind := NULL;
                ELSIF v_kind IN ('target', 'stop') THEN
                    v_key := v_kind || '_price';
                ELSIF v_kind IS NOT NULL AND v_kind <> 'unclear' THEN
                    v_key := v_kind;
                ELSIF v_has_currency THEN
                    v_key := 'price';
                ELSE
                    v_unexplained := v_unexplained || v_token;
                END IF;
                IF v_key IS NOT NULL THEN
                    v_kind := NULL;
                    v_number := CASE WHEN length(v_token) <= 40 THEN replace(v_token, ',', '')::numeric END;
                    IF v_key = 'confidence' THEN
                        IF v_number < 0 OR v_number > 100 OR v_number IS NULL THEN
                            v_problems := v_problems || format(
                                'confidence %s is outside 0 to 1 and 0%% to 100%%: give one of these',
                                left(v_token, 40) || CASE WHEN v_is_percent THEN '%' ELSE '' END);
                        ELSIF NOT v_is_percent AND v_number > 1 AND v_number <= 10 THEN
                            v_problems := v_problems || format(
                                'confidence %s could be of 10 or of 100: write 0 to 1, or a percent sign', v_token);
                        ELSE
                            v_kind := trim_scale(CASE
                                WHEN v_is_percent OR v_number > 1 THEN v_number / 100 ELSE v_number END)::text;
                        END IF;
                    ELSIF v_number > 0 AND v_number < 1e15 THEN
                        v_kind := trim_scale(v_number)::text;
                    ELSE
                        v_problems := v_problems || format(
                            'the %s is %s, and it must be above 0 and below 1e15: check the number',
                            replace(v_key, '_', ' '), left(v_token, 40));
                    END IF;
                    IF v_kind IS NULL THEN
                        v_key := NULL;
                    END IF;
                END IF;
                v_end := greatest(v_end, v_at + v_is_percent::integer);
                -- 80% confidence 70%: two of them, and not one and something else.
                v_pending := CASE WHEN v_key = 'confidence' AND v_is_percent THEN 'confidence' END;
                v_strong := false;
            END IF;

        ELSIF v_token ~ '\d' AND v_token !~ '^[[:alpha:]$^]' THEN
            IF v_pending = 'indicator' AND v_token ~ '^\d+([.,]\d+)*[kKmMbB]$' THEN
                v_pending := NULL;
            ELSIF v_token ~ '[-/=][A-Z]+$' THEN
                v_key := 'symbol';
                v_kind := v_token;
            ELSE
                v_unexplained := v_unexplained || v_token;
                v_pending := NULL;
            END IF;

        -- A word in capitals where a symbol would stand, or the symbol that is expected.
        ELSIF v_token ~ '^(\$[A-Za-z]+|\^[A-Z0-9]+|[A-Z0-9]+[-/=][A-Z]+)$'
            OR v_has_lower_case AND v_token ~ '^[A-Z]+\.[A-Z]+$'
            OR upper(regexp_replace(v_token, '[^[:alnum:]]', '', 'g')) = v_expected_symbol
            OR v_token ~ '^([A-Z][A-Z0-9]{0,5}|[A-Z0-9]{2,8}(USD[TC]?|EUR|GBP|JPY|CHF|BTC|ETH))$' AND (
                v_words[v_at - 1] IN ('on', 'in', 'for', 'of', 'symbol', 'ticker', 'stock', 'pair', 'asset')
                OR v_words[v_at - 1] IN (':', '=')
                AND v_words[v_at - 2] IN ('symbol', 'ticker', 'stock', 'pair', 'asset', 'nasdaq', 'nyse')
                OR v_at = 1 AND v_tokens[2] = ':'
                OR v_has_lower_case AND (
                    v_at = 1 OR v_tokens[v_at - 1] IN ('(', '[') AND v_tokens[v_at + 1] IN (')', ']', ',')
                    OR v_roles[v_at + 1] IN ('pattern', 'direction', 'timeframe')
                    OR v_tokens[v_at + 1] ~ '^\d{1,4}[mhdwMHDW]'
                )
            )
        THEN
            v_key := 'symbol';
            v_kind := ltrim(v_token, '$');
            v_pending := NULL;
        ELSE
            v_unknown := v_unknown || v_token;
            v_pending := NULL;
        END IF;

        IF v_key IS NOT NULL THEN
            IF v_key = 'timeframe' THEN
                v_period := CASE
                    WHEN v_kind ~ '^\d{1,4}[mhdwM]$' THEN regexp_replace(v_kind, 'M$', ' months')::interval
                END;
                v_kind := coalesce((
                    SELECT min(f.timeframe) FROM public.ml_timeframes AS f WHERE f.bar_period = v_period
                ), v_kind);
            END IF;
            IF v_fields ->> v_key IS NOT NULL AND v_fields ->> v_key <> v_kind AND NOT (
                v_key = 'symbol' AND upper(regexp_replace(v_fields ->> v_key, '=[XF]$|[^[:alnum:]]', '', 'g'))
                = upper(regexp_replace(v_kind, '=[XF]$|[^[:alnum:]]', '', 'g'))
            ) THEN
                v_problems := v_problems || format(
                    'two values are given for %s, %s and %s: give one',
                    replace(v_key, '_', ' '), v_fields ->> v_key, v_kind);
            ELSE
                v_fields := v_fields || jsonb_build_object(v_key, v_kind);
                v_matched := v_matched || jsonb_build_object(v_key, regexp_replace(regexp_replace(
                    array_to_string(v_tokens[CASE
                        WHEN v_key IN ('direction', 'symbol', 'timeframe', 'stated_on') THEN v_at
                        ELSE coalesce(v_pending_at, v_at - (coalesce(v_roles[v_at - 1], '') = 'currency')::integer)
                    END : v_end], ' '), '([$(\u20ac\u00a3]) ', '\1', 'g'), ' ([%),:])', '\1', 'g'));
            END IF;
        END IF;
        IF v_pending IS NULL THEN
            v_pending_at := NULL;
            v_strong := false;
        END IF;
        v_at := v_end + 1;
    END LOOP;

    -- Labels that got no number: one may have been taken by the label before it.
    FOR v_at IN 1 .. v_count LOOP
        IF v_roles[v_at] = 'label' AND NOT v_used[v_at] THEN
            IF v_used[v_at - 1] OR v_roles[v_at - 1] IN ('currency', 'percent') AND v_used[v_at - 2] THEN
                v_problems := v_problems || format(
                    'the number before "%s" could belong to it or to the word before: write the number behind its word',
                    array_to_string(v_tokens[v_at : v_ends[v_at]], ' '));
            ELSIF v_values[v_at] IN ('target', 'stop', 'confidence') THEN
                v_problems := v_problems || format(
                    '"%s" has no number: give it or leave the word out',
                    array_to_string(v_tokens[v_at : v_ends[v_at]], ' '));
            END IF;
        END IF;
    END LOOP;

    v_stated := v_fields ->> 'direction';
    IF v_candidates = '{}' THEN
        v_problems := v_problems || format(
            'the text names more than one pattern (%s): send one detection per call',
            array_to_string(v_names[:5], ', '));
    ELSIF v_candidates IS NOT NULL THEN
        -- What is said decides between the types of a name; a name with an undecided type needs no direction.
        SELECT
            coalesce(
                array_agg(c.name) FILTER (WHERE own.direction = v_stated),
                array_agg(c.name) FILTER (WHERE own.direction IS NULL),
                array_agg(c.name ORDER BY c.name) FILTER (WHERE v_stated IS NULL),
                '{}'),
            min(own.direction)
        INTO v_chosen, v_own_direction
        FROM unnest(v_candidates) AS c (name)
        CROSS JOIN LATERAL (
            SELECT (SELECT t.direction FROM ml.pattern_types AS t WHERE t.pattern_type = c.name) AS direction
        ) AS own;
        IF v_chosen = '{}' THEN
            v_problems := v_problems || format(
                'the text says %s, and %s is %s: correct one of them',
                v_stated, array_to_string(v_names[:5], ', '), v_own_direction);
        ELSIF cardinality(v_chosen) > 1 THEN
            v_problems := v_problems || format(
                '"%s" can be %s: say which, for example by bullish or bearish',
                array_to_string(v_names[:5], ', '), array_to_string(v_chosen, ' or '));
        ELSE
            v_fields := v_fields || jsonb_build_object(
                'pattern_type', v_chosen[1],
                'direction', coalesce(v_stated, CASE WHEN cardinality(v_candidates) = 1 THEN v_own_direction END));
        END IF;
    ELSIF v_count > 0 OR v_problems = '{}' THEN
        v_problems := v_problems
            || 'no pattern of ml.pattern_types is named: name one, or add its words to ml.narrative_phrases'::text;
    END IF;

    IF v_denials <> '{}' THEN
        v_problems := v_problems || format(
            'the text denies or withdraws a detection (%s): only a detection that stands is taken',
            (SELECT string_agg(format('"%s"', left(w.word, 40)), ', ') FROM unnest(v_denials[:5]) AS w (word)));
    END IF;
    IF v_doubts <> '{}' THEN
        v_problems := v_problems || format(
            'the text leaves open whether there is a pattern, or which (%s): only a certain detection is taken',
            (SELECT string_agg(format('"%s"', left(w.word, 40)), ', ') FROM unnest(v_doubts[:5]) AS w (word)));
    END IF;
    IF v_other_times <> '{}' THEN
        v_problems := v_problems || format(
            'the text speaks of another time than that of the detection (%s): leave that out',
            (SELECT string_agg(format('"%s"', left(w.word, 40)), ', ') FROM unnest(v_other_times[:5]) AS w (word)));
    END IF;
    IF v_unknown <> '{}' THEN
        v_problems := v_problems || format(
            'not understood: %s: reword the sentence, or add what these mean to ml.narrative_phrases',
            (SELECT string_agg(format('"%s"', left(w.word, 40)), ', ') FROM unnest(v_unknown[:5]) AS w (word)));
    END IF;
    IF v_unexplained <> '{}' THEN
        v_problems := v_problems || format(
            'it is not clear what %s is: write numbers as 1,234.50, behind a word that says what they are ("at", '
            '"target", "stop", "confidence")',
            (SELECT string_agg(format('"%s"', left(w.word, 40)), ', ') FROM unnest(v_unexplained[:5]) AS w (word)));
    END IF;

    -- Target above the price and stop below it when bullish, the other way round when bearish.
    FOREACH v_key IN ARRAY ARRAY['target_price', 'stop_price'] LOOP
        IF (CASE
            WHEN (v_fields ->> 'direction' = 'bullish') = (v_key = 'target_price')
                THEN (v_fields ->> v_key)::numeric <= (v_fields ->> 'price')::numeric
            WHEN v_fields ->> 'direction' IS NOT NULL
                THEN (v_fields ->> v_key)::numeric >= (v_fields ->> 'price')::numeric
        END) THEN
            v_problems := v_problems || format(
                '%s %s lies on the wrong side of the price %s for a %s pattern: correct one of them',
                CASE v_key WHEN 'target_price' THEN 'target' ELSE 'stop' END, v_fields ->> v_key, v_fields ->> 'price',
                v_fields ->> 'direction');
        END IF;
    END LOOP;

    v_symbol := v_fields ->> 'symbol';
    IF upper(regexp_replace(v_symbol, '=[XF]$|[^[:alnum:]]', '', 'g')) <> v_expected_symbol THEN
        v_problems := v_problems || format(
            'the text speaks of %s, and the symbol given is %s: correct one of them',
            left(v_symbol, 40), left(p_symbol, 40));
    END IF;
    IF v_fields ->> 'timeframe' <> coalesce(
        (SELECT min(same.timeframe) FROM public.ml_timeframes AS same
        WHERE same.bar_period = (SELECT f.bar_period FROM public.ml_timeframes AS f WHERE f.timeframe = p_timeframe)),
        p_timeframe)
    THEN
        v_problems := v_problems || format(
            'the text speaks of timeframe %s, and the timeframe given is %s: correct one of them',
            v_fields ->> 'timeframe', left(p_timeframe, 40));
    END IF;

    IF v_problems <> '{}' THEN
        v_fields := '{}';
    END IF;
    RETURN jsonb_build_object(
        'ok', v_problems = '{}',
        'pattern_type', v_fields -> 'pattern_type',
        'direction', v_fields -> 'direction',
        'price', (v_fields ->> 'price')::numeric,
        'target_price', (v_fields ->> 'target_price')::numeric,
        'stop_price', (v_fields ->> 'stop_price')::numeric,
        'support', (v_fields ->> 'support')::numeric,
        'resistance', (v_fields ->> 'resistance')::numeric,
        'confidence', (v_fields ->> 'confidence')::numeric,
        'symbol', v_fields -> 'symbol',
        'timeframe', v_fields -> 'timeframe',
        'stated_on', v_fields -> 'stated_on',
        'problems', v_problems,
        'matched', v_matched
    );
END
$function$;
COMMENT ON FUNCTION ml.parse_pattern IS
    'The structured fields of a detector''s sentence, or what keeps it from being one clear detection of one pattern.';
REVOKE ALL ON FUNCTION ml.parse_pattern FROM PUBLIC;
