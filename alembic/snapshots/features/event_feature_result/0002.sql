-- What ml.compute_event_features returns: the completed inputs, the features, and the bar they were computed at.
-- Called by: ml.compute_event_features. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TYPE ml.event_feature_result AS (
    inputs ml.event_inputs,
    features ml.feature_vector,
    bar_ts timestamptz,
    reason text
);
COMMENT ON TYPE ml.event_feature_result IS
    'What ml.compute_event_features returns: the completed inputs, the features, and the bar they were computed at.';
COMMENT ON COLUMN ml.event_feature_result.reason IS
    'NULL, bar_missing or timeframe_unknown; with a reason, no features.';
