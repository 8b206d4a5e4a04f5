-- Tokens in the form in which phrases are compared: lower case, no plural s, & as and, any currency sign as $.
-- Called by: ml.narrative_phrases, ml.parse_pattern. Calls: nothing. Reads: nothing. Writes: nothing.

-- Only ASCII letters change their case, whatever the collation of the database: other letters are compared as they are.
CREATE OR REPLACE FUNCTION ml.narrative_words(p_tokens text[])
RETURNS text[]
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT array_agg(
        CASE
            WHEN token.text = '&' THEN 'and'
            WHEN token.text ~ '^[\u00a3\u00a5\u20ac\u20b9\u20bf]$' THEN '$'
            -- hammers becomes hammer; cross and status stay.
            WHEN token.text ~ '^[A-Za-z]{2,}[A-RTV-Za-rtv-z][Ss]$' THEN left(lower(token.text COLLATE "C"), -1)
            ELSE lower(token.text COLLATE "C")
        END
        ORDER BY token.place
    )
    FROM unnest(p_tokens) WITH ORDINALITY AS token (text, place)
$function$;
COMMENT ON FUNCTION ml.narrative_words IS
    'Tokens in the form in which phrases are compared: lower case, no plural s, & as and, any currency sign as $.';
REVOKE ALL ON FUNCTION ml.narrative_words FROM PUBLIC;
