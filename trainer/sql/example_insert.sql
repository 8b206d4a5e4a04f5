INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)
VALUES ('MSFT', '1d', 'hammer', '2013-02-28', 0.7)
RETURNING direction, ml_confidence, blended_confidence, model_version;
