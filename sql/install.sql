-- The database as it should be, in load order: `psql -v ON_ERROR_STOP=1 -1 -f sql/install.sql` on an empty one.
-- A row's way reads from top to bottom: an event arrives, gets features, is scored, logged, watched and operated on.

-- Where everything lives
\ir schema/preflight.sql
\ir schema/ml.sql
\ir schema/ml_generated.sql
\ir schema/owned_objects.sql

-- What comes in: bars, patterns, events
\ir schema/price_bars.sql
\ir schema/ml_timeframes.sql
\ir schema/pattern_types.sql
\ir schema/pattern_events.sql
\ir schema/pattern_lifecycle_history.sql
\ir schema/record_status_changes.sql
\ir schema/pattern_events_95_lifecycle.sql

-- What is known about models and switches
\ir schema/ml_features.sql
\ir schema/ml_models.sql
\ir schema/ml_calibrators.sql
\ir schema/ml_aliases.sql
\ir schema/ml_deployments.sql
\ir schema/ml_settings.sql
\ir schema/refuse_change.sql
\ir schema/ml_models_10_refuse_change.sql
\ir schema/ml_calibrators_10_refuse_change.sql
\ir schema/ml_deployments_10_refuse_change.sql

-- What goes out: the log
\ir schema/ml_predictions.sql
\ir schema/ml_log_drops.sql
\ir schema/confirmed_patterns.sql

-- Features of an event: one definition for live rows, backfill and training
\ir features/event_inputs.sql
\ir features/feature_vector.sql
\ir features/event_feature_result.sql
\ir features/feature_array.sql
\ir features/bar_series.sql
\ir features/bar_states.sql
\ir features/bar_indicators.sql
\ir features/recompute_bar_indicators.sql
\ir features/maintain_bar_indicators.sql
\ir features/refresh_bar_indicators.sql
\ir features/price_bars_90_indicators_insert.sql
\ir features/price_bars_90_indicators_update.sql
\ir features/price_bars_90_indicators_delete.sql
\ir features/price_bars_90_indicators_truncate.sql
\ir features/compute_event_features.sql
\ir features/feature_catalogue.sql

-- Scoring of an event: the row trigger fills NEW, the statement trigger logs
\ir scoring/compiler_runtime.sql
\ir scoring/rollout_bucket.sql
\ir scoring/blend_confidence.sql
\ir scoring/calibrate.sql
\ir scoring/scoring_context.sql
\ir scoring/event_score.sql
\ir scoring/finish_score.sql
\ir scoring/score_features.sql
\ir scoring/derived_columns.sql
\ir scoring/trusted_transactions.sql
\ir scoring/brings_own_score.sql
\ir scoring/score_pattern_event.sql
\ir scoring/pattern_events_10_score.sql
\ir scoring/compute_contributions.sql
\ir scoring/explain_features.sql
\ir scoring/top_contributions.sql
\ir scoring/log_predictions.sql
\ir scoring/pattern_events_90_log_insert.sql
\ir scoring/pattern_events_90_log_update.sql
\ir scoring/log_ml_prediction.sql

-- Operating it: switches, promotion, labels, backfill, partitions
\ir ops/audit_settings.sql
\ir ops/ml_settings_90_audit.sql
\ir ops/change_setting.sql
\ir ops/enable.sql
\ir ops/disable.sql
\ir ops/set_rollout.sql
\ir ops/accept_threshold.sql
\ir ops/check_model.sql
\ir ops/promote.sql
\ir ops/live_versions.sql
\ir ops/rollback.sql
\ir ops/label_outcomes.sql
\ir ops/training_dataset.sql
\ir ops/explain.sql
\ir ops/explain_predictions.sql
\ir ops/replay.sql
\ir ops/score_batch.sql
\ir ops/backfill.sql
\ir ops/create_prediction_partitions.sql

-- Events from the sentences of detectors
\ir ops/narrative_tokens.sql
\ir ops/narrative_words.sql
\ir schema/narrative_phrases.sql
\ir ops/parse_pattern.sql
\ir ops/ingest_pattern.sql

-- Watching it
\ir monitoring/ml_health.sql
\ir monitoring/ml_pattern_confidence.sql
