-- What a version must reach to be promoted: thresholds as data, changed by UPDATE, in effect at once.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_gates (
    gate text NOT NULL,
    threshold double precision,
    blocking boolean NOT NULL DEFAULT true,
    description text NOT NULL,
    CONSTRAINT ml_gates_pkey PRIMARY KEY (gate),
    -- NaN sorts above infinity, so a bound below infinity refuses it.
    CONSTRAINT ml_gates_threshold_check CHECK (threshold > '-infinity' AND threshold < 'infinity'),
    CONSTRAINT ml_gates_threshold_given_check CHECK (
        threshold IS NOT NULL OR gate IN (
            'functions', 'features', 'artefact', 'latency', 'card', 'training data', 'label definition', 'leak checks',
            'stage errors', 'stage fallbacks',
            'stage latency', 'stage breaker'
        )
    ),
    -- A version without functions scores nothing: no setting lets it pass.
    CONSTRAINT ml_gates_functions_check CHECK (gate <> 'functions' OR blocking)
);
COMMENT ON TABLE public.ml_gates IS
    'What a version must reach to be promoted: thresholds as data, changed by UPDATE, in effect at once.';
COMMENT ON COLUMN public.ml_gates.threshold IS 'NULL: the gate compares nothing with a number, or its description says with what.';
COMMENT ON COLUMN public.ml_gates.blocking IS 'False: the outcome is recorded and shown, and does not refuse a promotion.';

INSERT INTO public.ml_gates (gate, threshold, blocking, description)
VALUES
('functions', NULL, true, 'The compiled functions of the version are installed; not even p_force goes around this.'),
('features', NULL, true,
    'The names of the model''s features are those of its card, and their definitions in the catalogue have not changed since registration.'),
('artefact', NULL, true, 'The source of every compiled function has the SHA-256 that was recorded at registration.'),
('golden rows', 1e-9, true, 'Largest difference between the probabilities of the card''s golden rows and those computed on this server.'),
('latency', NULL, true,
    '95th percentile, in milliseconds, of warm calls of the model with its golden rows on this server; NULL: latency_target_ms of ml_settings.'),
('card', NULL, true, 'No text of the model card is empty or a placeholder.'),
('training data', NULL, true, 'The model was not trained on synthetic events.'),
('label definition', NULL, true, 'The label is the champion''s: figures of different labels say nothing about each other.'),
('leak checks', NULL, false,
    'No check for leaks of the evaluation has an unexpected outcome; not blocking, as one random deal of outcomes may mislead.'),
('labels', 200, true, 'Fewest labelled training events of an outcome.'),
('calibration', 0.05, true, 'Expected calibration error on events that neither the model nor the calibrator was fitted on.'),
('calibration against champion', 0, true,
    'Lower bound of the difference between its calibration error and the champion''s: above 0, it is shown to be worse.'),
('ranking', 0.5, true, 'Lower bound of the ROC-AUC in walk-forward, which must be above this.'),
('ranking against champion', -0.01, true, 'Lower bound of its ROC-AUC less the lower bound of the champion''s.'),
('holdout', 0.5, false,
    'Lower bound of the ROC-AUC on the holdout, which should be above this; not blocking, as a holdout that decides is one no more.'),
('gain over rules', 0.1, false,
    'Lower bound of the gain in true positives over the rule at as many confirmations; not blocking, as 3,000 events leave it an interval some 0.12 wide, in which a real 10 % would rarely show.'),
('stage predictions', 100, true, 'Fewest scorings of a stage of a shadow, a canary or a rollout before it can end.'),
('stage acted on', 20, false,
    'Fewest scorings of a canary''s stage that were acted on, not in shadow; not blocking, as 5 % of few events are very few.'),
('stage hours', 24, false, 'Hours that a stage should last; not blocking, because a quiet market may ask for more.'),
('stage errors', NULL, true, 'Highest share of calls that failed; NULL: error_warning_rate of ml_settings.'),
('stage fallbacks', NULL, true, 'Highest share of calls that fell back; NULL: fallback_warning_rate of ml_settings.'),
('stage latency', NULL, true, '95th percentile of warm calls in milliseconds; NULL: latency_target_ms of ml_settings.'),
('stage sample ratio', 0.001, true,
    'Smallest p-value of the share of events that a canary or rollout got: below it something else than chance filled it.'),
('stage outcomes', 0.05, true,
    'Always-valid p-value of being worse on events whose outcome is known: below this, the new one is shown to be worse.'),
('stage breaker', NULL, true, 'The circuit breaker is closed, and the challenger was not stopped.');
