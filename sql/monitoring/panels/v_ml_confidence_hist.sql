-- Distribution of the confidences of ML, of the rules and of their blend, hour by hour and by version, in bins of 0.05.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_hours. Writes: nothing.

CREATE VIEW ml.v_ml_confidence_hist AS
SELECT
    hour.bucket AS time,
    hour.model_version,
    -- Put together for each row, these texts would cost more than all the rest.
    (ARRAY[
        '0.00-0.05', '0.05-0.10', '0.10-0.15', '0.15-0.20', '0.20-0.25',
        '0.25-0.30', '0.30-0.35', '0.35-0.40', '0.40-0.45', '0.45-0.50',
        '0.50-0.55', '0.55-0.60', '0.60-0.65', '0.65-0.70', '0.70-0.75',
        '0.75-0.80', '0.80-0.85', '0.85-0.90', '0.90-0.95', '0.95-1.00'
    ])[bin.number] AS bin,
    (bin.number - 1) * 0.05::double precision AS bin_from,
    sum(bin.ml)::bigint AS ml,
    sum(bin.rule)::bigint AS rule,
    sum(bin.blended)::bigint AS blended
FROM ml.panel_hours AS hour
CROSS JOIN LATERAL unnest(
    hour.ml_confidence_histogram, hour.rule_confidence_histogram, hour.blended_confidence_histogram
) WITH ORDINALITY AS bin (ml, rule, blended, number)
WHERE hour.is_live
GROUP BY hour.bucket, hour.model_version, bin.number;
COMMENT ON VIEW ml.v_ml_confidence_hist IS
    'Distribution of the confidences of ML, of the rules and of their blend, hour by hour and by version, in bins of 0.05.';
COMMENT ON COLUMN ml.v_ml_confidence_hist.time IS 'Start of the hour.';
COMMENT ON COLUMN ml.v_ml_confidence_hist.model_version IS 'none: no model was asked.';
COMMENT ON COLUMN ml.v_ml_confidence_hist.bin IS 'Bin of the confidence: its first value belongs to it, its last one to the next.';
COMMENT ON COLUMN ml.v_ml_confidence_hist.bin_from IS 'First value of the bin (0 to 1).';
COMMENT ON COLUMN ml.v_ml_confidence_hist.ml IS 'Live predictions whose calibrated ML confidence lies in the bin.';
COMMENT ON COLUMN ml.v_ml_confidence_hist.rule IS 'Live predictions whose rule confidence lies in the bin.';
COMMENT ON COLUMN ml.v_ml_confidence_hist.blended IS 'Live predictions whose blended confidence lies in the bin.';
