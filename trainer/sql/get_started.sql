SELECT ml.enable('{version} is the champion');
INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)
VALUES ('{symbol}', '{timeframe}', '{pattern_type}', '{detected_at}', {rule_confidence})
RETURNING direction, ml_confidence, blended_confidence, model_version;
SELECT ml.accept_threshold('{version}', 'recommended by its card: {threshold:.4f}');
