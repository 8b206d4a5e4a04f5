-- Schema ml_generated holds compiled models: one immutable set of functions per registered version.
-- Called by: ml.score_features. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE SCHEMA IF NOT EXISTS ml_generated;
COMMENT ON SCHEMA ml_generated IS
    'Schema ml_generated holds compiled models: one immutable set of functions per registered version.';
REVOKE ALL ON SCHEMA ml_generated FROM PUBLIC;
