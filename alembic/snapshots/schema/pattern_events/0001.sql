-- Detected chart patterns: created here, or adopted when the user already has the table.
-- Called by: nothing. Calls: nothing. Reads: pg_catalog. Writes: ml.owned_objects.

-- An adopted table keeps everything it has; whatever does not fit is said before anything is changed.
DO $adoption$
DECLARE
    v_table regclass := to_regclass('public.pattern_events');
    v_problems text[] := '{}';
    v_column record;
    v_refuses boolean;
BEGIN
    IF v_table IS NULL THEN
        CREATE TABLE public.pattern_events (
            id uuid NOT NULL DEFAULT gen_random_uuid(),
            symbol text NOT NULL,
            timeframe text NOT NULL,
            pattern_type text NOT NULL,
            detected_at timestamptz NOT NULL,
            rule_confidence double precision NOT NULL,
            CONSTRAINT pattern_events_pkey PRIMARY KEY (id)
        -- A scored row has some 3 kB: kept in line as it is, it costs neither compression nor a second insert.
        ) WITH (toast_tuple_target = 8160);
        v_table := 'public.pattern_events';
        INSERT INTO ml.owned_objects (kind, name) VALUES ('table', 'pattern_events');
    END IF;

    SELECT v_problems || CASE
        WHEN c.relkind = 'p' THEN 'it is partitioned: move the rows to a plain table'
        WHEN c.relispartition THEN 'it is a partition of another table: detach it'
        WHEN c.relkind <> 'r' THEN 'it is not a plain table: rename it'
    END INTO v_problems FROM pg_catalog.pg_class AS c WHERE c.oid = v_table;
    v_problems := array_remove(v_problems, NULL);

    IF NOT pg_catalog.pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = v_table), 'USAGE') THEN
        v_problems := v_problems || format(
            'role %s does not own it: run the migration as its owner', quote_ident(current_user));
    END IF;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = v_table AND i.indisunique AND i.indisvalid
            AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = 'id' AND a.attnotnull
    ) THEN
        v_problems := v_problems || format('it has no unique column id that is never null: add id uuid with a primary key');
    END IF;

    FOR v_column IN
        SELECT
            w.name, w.type, format_type(a.atttypid, NULL) AS actual, a.attgenerated <> '' AS generated,
            a.attnotnull AND w.is_result AS refuses_null
        FROM (VALUES
            ('id', 'uuid'), ('symbol', 'text'), ('timeframe', 'text'), ('pattern_type', 'text'),
            ('direction', 'text'), ('detected_at', 'timestamp with time zone'),
            ('start_at', 'timestamp with time zone'), ('entry_price', 'double precision'),
            ('target_price', 'double precision'), ('stop_price', 'double precision'),
            ('support', 'double precision'), ('resistance', 'double precision'),
            ('rule_confidence', 'double precision'), ('status', 'text'), ('metadata', 'jsonb'),
            ('snapshot_url', 'text'), ('outcome_label', 'text'), ('outcome_at', 'timestamp with time zone'),
            ('realized_pnl', 'double precision'), ('max_drawdown', 'double precision'), ('label_source', 'text'),
            ('data_quality_score', 'double precision'), ('used_for_training', 'boolean'),
            ('training_split', 'text'), ('ml_features', 'jsonb'), ('ml_confidence_raw', 'double precision'),
            ('ml_confidence', 'double precision'), ('blended_confidence', 'double precision'),
            ('prediction_class', 'text'), ('model_version', 'text'), ('ml_metadata', 'jsonb')
        ) AS columns (name, type)
        CROSS JOIN LATERAL (
            SELECT columns.name, columns.type, columns.name IN (
                'ml_features', 'ml_confidence_raw', 'ml_confidence', 'blended_confidence', 'prediction_class',
                'model_version', 'ml_metadata'
            ) AS is_result
        ) AS w
        LEFT JOIN pg_catalog.pg_attribute AS a
            ON a.attrelid = v_table AND a.attname = w.name AND NOT a.attisdropped
    LOOP
        IF v_column.actual IS NULL AND v_column.name <> 'id' AND v_problems = '{}' THEN
            EXECUTE format('ALTER TABLE public.pattern_events ADD COLUMN %I %s', v_column.name, v_column.type);
            INSERT INTO ml.owned_objects (kind, name) VALUES ('column', v_column.name);
        ELSIF v_column.actual <> v_column.type THEN
            v_problems := v_problems || format(
                'its column %s is %s and not %s: change the type or rename the column',
                quote_ident(v_column.name), v_column.actual, v_column.type);
        ELSIF v_column.generated THEN
            v_problems := v_problems || format(
                'its column %s is generated: make it a plain column', quote_ident(v_column.name));
        ELSIF v_column.refuses_null THEN
            v_problems := v_problems || format(
                'its column %s is NOT NULL, and an event without a score has none: drop that constraint',
                quote_ident(v_column.name));
        END IF;
    END LOOP;

    FOR v_column IN
        SELECT k.conname, a.attname
        FROM pg_catalog.pg_constraint AS k
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
        WHERE k.conrelid = v_table AND k.contype IN ('f', 'u', 'x') AND a.attname IN (
            'ml_features', 'ml_confidence_raw', 'ml_confidence', 'blended_confidence', 'prediction_class',
            'model_version', 'ml_metadata'
        )
    LOOP
        v_problems := v_problems || format(
            'its constraint %s would refuse our values of %s: drop it',
            quote_ident(v_column.conname), quote_ident(v_column.attname));
    END LOOP;

    -- A CHECK on result columns is tried on what they will hold: no score, the ends of the range, the middle.
    IF v_problems = '{}' THEN
        FOR v_column IN
            SELECT k.conname, pg_get_expr(k.conbin, k.conrelid) AS expression
            FROM pg_catalog.pg_constraint AS k
            WHERE k.conrelid = v_table AND k.contype = 'c' AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_attribute AS a
                WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND a.attname NOT IN (
                    'ml_features', 'ml_confidence_raw', 'ml_confidence', 'blended_confidence', 'prediction_class',
                    'model_version', 'ml_metadata'
                )
            )
        LOOP
            EXECUTE format(
                $check$
                SELECT NOT bool_and((%s) IS NOT FALSE)
                FROM (VALUES
                    (NULL::double precision, NULL, NULL, NULL::jsonb), (0, 'win', 'v0001', '{}'),
                    (0.5, 'rest', 'local-01234567', '{}'), (1, 'win', 'v0002', '{}')
                ) AS sample (score, class, version, features)
                CROSS JOIN LATERAL (
                    SELECT
                        score AS ml_confidence_raw, score AS ml_confidence, score AS blended_confidence,
                        class AS prediction_class, version AS model_version, features AS ml_features,
                        jsonb_build_object('scoring', '{}'::jsonb) AS ml_metadata
                ) AS pattern_events
                $check$, v_column.expression
            ) INTO v_refuses;
            IF v_refuses THEN
                v_problems := v_problems || format(
                    'its constraint %s would refuse our results: drop it', quote_ident(v_column.conname));
            END IF;
        END LOOP;
    END IF;

    FOR v_column IN
        SELECT t.tgname FROM pg_catalog.pg_trigger AS t
        -- tgtype bits: 1 = row, 2 = before, 4 = insert, 16 = update
        WHERE t.tgrelid = v_table AND NOT t.tgisinternal AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0
            AND t.tgname COLLATE "C" > 'pattern_events_10_score'
    LOOP
        v_problems := v_problems || format(
            'its trigger %s would change rows after they are scored: rename it to sort before pattern_events_10_score',
            quote_ident(v_column.tgname));
    END LOOP;

    IF v_problems <> '{}' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'table pattern_events cannot be adopted: ' || array_to_string(v_problems, '; ');
    END IF;
END
$adoption$;

-- What the user has written about a table or column of theirs stays.
DO $comments$
DECLARE
    v_comment record;
BEGIN
    IF EXISTS (SELECT FROM ml.owned_objects WHERE kind = 'table' AND name = 'pattern_events') THEN
        COMMENT ON TABLE public.pattern_events IS
            'Detected chart patterns: created here, or adopted when the user already has the table.';
        COMMENT ON COLUMN public.pattern_events.detected_at IS
            'Names the last bar used: the bar that opens at this time, else the last one that has ended by it.';
    END IF;
    FOR v_comment IN
        SELECT c.name, c.text
        FROM (VALUES
            ('ml_features', 'Every feature of the catalogue by name; null when missing.'),
            ('ml_confidence_raw', 'Uncalibrated probability of the outcome win.'),
            ('ml_confidence', 'Calibrated probability of the outcome win.'),
            ('blended_confidence', 'Weighted mean of ml_confidence and rule_confidence.'),
            ('ml_metadata', 'The key scoring is written by the scoring trigger; all other keys are the user''s.')
        ) AS c (name, text)
        JOIN ml.owned_objects AS owned ON owned.kind = 'column' AND owned.name = c.name
    LOOP
        EXECUTE format('COMMENT ON COLUMN public.pattern_events.%I IS %L', v_comment.name, v_comment.text);
    END LOOP;
END
$comments$;

DO $indexes$
BEGIN
    IF to_regclass('public.pattern_events_symbol_timeframe_detected_at_idx') IS NULL THEN
        CREATE INDEX pattern_events_symbol_timeframe_detected_at_idx
        ON public.pattern_events (symbol, timeframe, detected_at);
        INSERT INTO ml.owned_objects (kind, name) VALUES ('index', 'pattern_events_symbol_timeframe_detected_at_idx');
    END IF;
    -- Few rows once scoring is live: what backfill looks for.
    IF to_regclass('public.pattern_events_unscored_idx') IS NULL THEN
        CREATE INDEX pattern_events_unscored_idx
        ON public.pattern_events (detected_at, id) WHERE model_version IS NULL;
        INSERT INTO ml.owned_objects (kind, name) VALUES ('index', 'pattern_events_unscored_idx');
    END IF;
END
$indexes$;
