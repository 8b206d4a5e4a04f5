-- What the migrations added to tables that may be the user's; a downgrade drops exactly this.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE ml.owned_objects (
    kind text NOT NULL,
    name text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT owned_objects_pkey PRIMARY KEY (kind, name),
    CONSTRAINT owned_objects_kind_check CHECK (kind IN ('table', 'column', 'index'))
);
COMMENT ON TABLE ml.owned_objects IS
    'What the migrations added to tables that may be the user''s; a downgrade drops exactly this.';
