-- Every label of every event, by definition, with who, when and why; a label that no longer holds is withdrawn.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

-- No foreign key to pattern_events: it would lock the event, and hold up its deletion.
CREATE TABLE public.pattern_labels (
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    definition text NOT NULL,
    outcome_label text NOT NULL,
    outcome_at timestamptz NOT NULL,
    realized_pnl double precision,
    max_drawdown double precision,
    data_quality_score double precision,
    bars_to_outcome integer,
    reason text,
    labelled_by text NOT NULL DEFAULT ml.acting_role(),
    recorded_by text NOT NULL DEFAULT ml.acting_role(),
    labelled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    withdrawn_at timestamptz,
    withdrawn_by text,
    withdrawn_reason text,
    CONSTRAINT pattern_labels_pkey PRIMARY KEY (id),
    CONSTRAINT pattern_labels_definition_fkey FOREIGN KEY (definition) REFERENCES public.ml_label_definitions (name),
    CONSTRAINT pattern_labels_outcome_label_check CHECK (outcome_label IN ('win', 'loss', 'timeout')),
    CONSTRAINT pattern_labels_outcome_at_check CHECK (pg_catalog.isfinite(outcome_at)),
    CONSTRAINT pattern_labels_bars_to_outcome_check CHECK (bars_to_outcome > 0),
    CONSTRAINT pattern_labels_reason_check CHECK (definition <> 'analyst' OR coalesce(pg_catalog.btrim(reason), '') <> ''),
    CONSTRAINT pattern_labels_withdrawn_check CHECK (
        pg_catalog.num_nulls(withdrawn_at, withdrawn_by, withdrawn_reason) IN (0, 3)
    )
);
-- One label of a definition stands at a time.
CREATE UNIQUE INDEX pattern_labels_standing_idx
ON public.pattern_labels (event_id, definition) WHERE withdrawn_at IS NULL;
COMMENT ON TABLE public.pattern_labels IS
    'Every label of every event, by definition, with who, when and why; a label that no longer holds is withdrawn.';
COMMENT ON COLUMN public.pattern_labels.outcome_at IS
    'When the outcome was known: the end of the bar that decided, or what an analyst says.';
COMMENT ON COLUMN public.pattern_labels.bars_to_outcome IS
    'Bars from the entry bar to the one that decided, both counted; null when not known.';
COMMENT ON COLUMN public.pattern_labels.labelled_by IS
    'Who judged; recorded_by is the login role of the session that wrote it down.';
