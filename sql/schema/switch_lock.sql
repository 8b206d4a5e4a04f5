-- One row that switches of the live version lock, so that they wait for each other and nobody without rights holds them up.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE ml.switch_lock (
    singleton boolean NOT NULL DEFAULT true,
    CONSTRAINT switch_lock_pkey PRIMARY KEY (singleton),
    CONSTRAINT switch_lock_singleton_check CHECK (singleton)
);
COMMENT ON TABLE ml.switch_lock IS
    'One row that switches of the live version lock, so that they wait for each other and nobody without rights holds them up.';

INSERT INTO ml.switch_lock DEFAULT VALUES;
