-- The tokens of a narrative text in their order: words, numbers, dates, symbols and signs.
-- Called by: ml.narrative_words, ml.parse_pattern. Calls: nothing. Reads: nothing. Writes: nothing.

-- Nothing but white space, hyphens, quotes and marks of emphasis is dropped: what a token means, and that a token means
-- nothing, is for the caller to say. Where several forms begin at one place, the longest is taken (POSIX).
CREATE OR REPLACE FUNCTION ml.narrative_tokens(p_text text)
RETURNS text[]
LANGUAGE plpgsql
IMMUTABLE
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_text text := p_text;
BEGIN
    IF v_text ~ '[^\x01-\x7f]' AND getdatabaseencoding() = 'UTF8' THEN
        -- Invisible characters and variation selectors; spaces; hyphens and dashes; quotes; signs that only decorate.
        v_text := regexp_replace(v_text, '[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff]', '', 'g');
        v_text := regexp_replace(v_text, '[\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]', ' ', 'g');
        v_text := regexp_replace(v_text, '[\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]', '-', 'g');
        v_text := regexp_replace(v_text, '[\u2018\u2019\u201b\u02bc]', '''', 'g');
        v_text := regexp_replace(v_text, '[\u201c-\u201f\u00ab\u00bb]', '"', 'g');
        v_text := regexp_replace(v_text, '\u2026', ' . ', 'g');
        v_text := regexp_replace(
            v_text, '[\u2022\u26a1\u2705\u2714\U0001f3af\U0001f440\U0001f4c8-\U0001f4ca\U0001f514\U0001f525'
            || '\U0001f56f\U0001f680\U0001f6a8]', ' ', 'g');
    END IF;
    -- A line is a statement of its own.
    v_text := regexp_replace(v_text, '[\r\n]+', ' ; ', 'g');
    -- Names from programs: bullish_engulfing, BullishEngulfing; 150USD, 80pct.
    v_text := regexp_replace(translate(v_text, '_', ' '), '([a-z])([A-Z])', '\1 \2', 'g');
    v_text := regexp_replace(v_text, '(\d)(usdt|usdc|usd|eur|gbp|jpy|chf|percent|pct)\M', '\1 \2', 'gi');
    RETURN ARRAY(
        SELECT token.parts[1]
        FROM regexp_matches(
            v_text,
            -- 2024-01-05T14:30:00Z
            '\d{4}-\d{2}-\d{2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?'
            -- 01/05/2024, 5.1.2024; 14:30, 2:30 pm UTC
            || '|\d{1,2}[/.]\d{1,2}[/.]\d{4}|\d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp][Mm])?(?: ?(?:UTC|GMT|EST|EDT|ET|CET))?'
            -- $AAPL, BTC/USD, EURUSD=X, ^GSPC, BRK.B
            || '|\$[A-Za-z]{1,6}|[A-Z0-9]*[A-Z][A-Z0-9]*[-/](?:USD[TC]?|EUR|GBP|JPY|CHF|CAD|AUD|NZD|BTC|ETH|PERP)\M'
            || '|[A-Z0-9]*[A-Z][A-Z0-9]*=[XF]\M|\^[A-Z0-9]{2,8}|[A-Z]{1,6}\.[A-Z]{1,4}\M'
            -- 1,234.50, -5, .8, 15min
            || '|[+-]?\d+(?:[.,]\d+)*[A-Za-z]*|[+-]?\.\d+'
            -- Letters of any script; apostrophes inside.
            || '|[[:alpha:]](?:[[:alnum:]]|''(?=[[:alpha:]]))*'
            || '|\S',
            'g'
        ) AS token (parts)
        WHERE token.parts[1] NOT IN ('-', '"', '''', '*', '#', '`')
    );
END
$function$;
COMMENT ON FUNCTION ml.narrative_tokens IS
    'The tokens of a narrative text in their order: words, numbers, dates, symbols and signs.';
REVOKE ALL ON FUNCTION ml.narrative_tokens FROM PUBLIC;
