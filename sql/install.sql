-- The database as it should be, in load order: `psql -v ON_ERROR_STOP=1 -1 -f sql/install.sql` on an empty one.
-- A row's way reads from top to bottom: an event arrives, gets features, is scored, logged, watched and operated on.

-- Where everything lives
\ir schema/preflight.sql
\ir schema/ml.sql
\ir schema/ml_generated.sql
\ir schema/owned_objects.sql
\ir schema/acting_role.sql

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
\ir schema/switch_lock.sql
\ir schema/ml_gates.sql
\ir schema/ml_gate_results.sql
\ir schema/model_functions.sql
\ir schema/model_features.sql
\ir schema/refuse_change.sql
\ir schema/ml_models_10_refuse_change.sql
\ir schema/ml_calibrators_10_refuse_change.sql
\ir schema/ml_deployments_10_refuse_change.sql
\ir schema/ml_gate_results_10_refuse_change.sql
\ir schema/model_functions_10_refuse_change.sql
\ir schema/model_features_10_refuse_change.sql

-- Labels of events, by definition and by analysts, and what analysts say about a confidence
\ir schema/preflight_labels.sql
\ir schema/ml_label_definitions.sql
\ir schema/ml_label_definitions_10_refuse_change.sql
\ir schema/pattern_labels.sql
\ir schema/pattern_labels_10_refuse_change.sql
\ir schema/confidence_overrides.sql
\ir schema/confidence_overrides_10_refuse_change.sql
\ir schema/overridden_patterns.sql

-- What goes out: the log
\ir schema/ml_predictions.sql
\ir schema/ml_log_drops.sql
\ir schema/confirmed_patterns.sql

-- What is kept of the log: counts and histograms
\ir schema/ml_metrics_1m.sql
\ir schema/ml_metrics_1h.sql
\ir schema/ml_jobs.sql
\ir schema/job_locks.sql

-- What drift is measured against, and what was measured
\ir schema/ml_baselines.sql
\ir schema/ml_baseline_features.sql
\ir schema/ml_drift.sql
\ir schema/ml_baselines_10_refuse_change.sql
\ir schema/ml_baseline_features_10_refuse_change.sql

-- What is measured of predictions whose outcome is known, or not yet
\ir schema/ml_baseline_performance.sql
\ir schema/ml_baseline_performance_10_refuse_change.sql
\ir schema/ml_performance.sql

-- When something is to be said: rules of alerts, their states and history, what is to be delivered
\ir schema/ml_alert_rules.sql
\ir schema/ml_alerts.sql
\ir schema/ml_alert_transitions.sql
\ir schema/ml_alert_transitions_10_refuse_change.sql
\ir schema/ml_notifications.sql

-- What backfills could not score
\ir schema/ml_backfill_errors.sql

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
\ir scoring/scoring_models.sql
\ir scoring/breaker_switch.sql
\ir scoring/challenger_switch.sql
\ir scoring/scoring_context.sql
\ir scoring/use_model.sql
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
\ir scoring/score_shadow.sql
\ir scoring/check_breaker.sql
\ir scoring/check_challenger.sql
\ir scoring/log_predictions.sql
\ir scoring/pattern_events_90_log_insert.sql
\ir scoring/pattern_events_90_log_update.sql
\ir scoring/log_ml_prediction.sql

-- Operating it: settings, each with its record
\ir ops/audit_settings.sql
\ir ops/ml_settings_90_audit.sql
\ir ops/change_setting.sql
\ir ops/close_breaker.sql
\ir ops/enable.sql
\ir ops/disable.sql
\ir ops/set_rollout.sql
\ir ops/accept_threshold.sql

-- Which version is live: gates, promotion, rollback
\ir ops/gates/audit_gates.sql
\ir ops/gates/ml_gates_90_audit.sql
\ir ops/gates/newest_calibrator.sql
\ir ops/gates/function_hashes.sql
\ir ops/gates/feature_hashes.sql
\ir ops/gates/record_functions.sql
\ir ops/gates/read_figure.sql
\ir ops/gates/stated_calibration_error.sql
\ir ops/gates/check_artefact.sql
\ir ops/gates/check_quality.sql
\ir ops/check_model.sql
\ir ops/gates/store_gate_results.sql
\ir ops/gates/check_promotion.sql
\ir ops/lock_switches.sql
\ir ops/promote.sql
\ir ops/live_versions.sql
\ir ops/rollback.sql

-- Labels, and what a model is trained on
\ir ops/labels/events_to_label.sql
\ir ops/label_outcomes.sql
\ir ops/labels/label_window.sql
\ir ops/labels/set_label.sql
\ir ops/labels/withdraw_label.sql
\ir ops/labels/override_confidence.sql
\ir ops/labels/withdraw_override.sql
\ir ops/training_dataset.sql

-- Scores after the fact: explained, computed once more, filled in, replaced
\ir ops/explain.sql
\ir ops/explain_predictions.sql
\ir ops/replay.sql
\ir ops/score_batch.sql
\ir ops/rescore_events.sql
\ir ops/score_events.sql
\ir ops/backfill.sql
\ir ops/rescore.sql
\ir ops/create_prediction_partitions.sql

-- Recalibrating it: calibrators and blend weights from the outcomes of logged predictions
\ir ops/recalibration/square.sql
\ir ops/recalibration/log_loss.sql
\ir ops/recalibration/clustered_mean.sql
\ir ops/recalibration/fitted_calibrator.sql
\ir ops/recalibration/fit_isotonic.sql
\ir ops/recalibration/fit_sigmoid.sql
\ir ops/recalibration/fit_calibrator.sql
\ir ops/recalibration/calibration_row.sql
\ir ops/recalibration/prediction_outcomes.sql
\ir ops/recalibration/calibration_rows.sql
\ir ops/recalibration/calibrated_by.sql
\ir ops/recalibration/walk_forward_starts.sql
\ir ops/recalibration/predict_walk_forward.sql
\ir ops/recalibration/compare_calibration.sql
\ir ops/recalibration/resampled_spans.sql
\ir ops/recalibration/probability_bin.sql
\ir ops/recalibration/measure_calibration.sql
\ir ops/recalibration/area_under_roc.sql
\ir ops/recalibration/choose_calibrator.sql
\ir ops/recalibration/recalibrate.sql
\ir ops/recalibration/tune_blend_weights.sql
\ir ops/recalibration/set_weights.sql

-- Events from the sentences of detectors
\ir ops/narrative/narrative_tokens.sql
\ir ops/narrative/narrative_words.sql
\ir schema/narrative_phrases.sql
\ir ops/narrative/parse_pattern.sql
\ir ops/narrative/ingest_pattern.sql

-- Watching it: counts and histograms by minute and hour
\ir monitoring/rollups/latency_bucket.sql
\ir monitoring/rollups/confidence_bin.sql
\ir monitoring/rollups/count_bins.sql
\ir monitoring/rollups/add_histograms.sql
\ir monitoring/rollups/merge_histograms.sql
\ir monitoring/rollups/add_counts.sql
\ir monitoring/rollups/merge_counts.sql
\ir monitoring/rollups/histogram_quantile.sql
\ir monitoring/rollups/summarize_predictions.sql
\ir monitoring/rollups/metrics_by_minute.sql
\ir monitoring/rollups/merge_minutes.sql
\ir monitoring/rollups/metrics_by_hour.sql
\ir monitoring/rollups/recompute_metrics.sql
\ir ops/jobs/lock_job.sql
\ir monitoring/rollups/runs_before.sql
\ir monitoring/rollups/roll_up.sql

-- Watching it
\ir monitoring/live_metrics.sql
\ir monitoring/ml_health.sql
\ir monitoring/ml_metrics.sql
\ir monitoring/ml_pattern_confidence.sql
\ir monitoring/ml_deployment_audit.sql

-- Experiments: challenger against champion, ML against rules
\ir monitoring/statistics/log1p.sql
\ir monitoring/statistics/stirling_correction.sql
\ir monitoring/statistics/poisson_deviance.sql
\ir monitoring/statistics/regularized_gamma_upper.sql
\ir monitoring/statistics/beta_kernel.sql
\ir monitoring/statistics/regularized_beta.sql
\ir monitoring/statistics/chi_square_survival.sql
\ir monitoring/statistics/normal_cdf.sql
\ir monitoring/statistics/normal_quantile.sql
\ir monitoring/statistics/student_t_cdf.sql
\ir monitoring/statistics/student_t_quantile.sql
\ir monitoring/statistics/binomial_cdf.sql
\ir monitoring/statistics/wilson_interval.sql
\ir monitoring/statistics/two_proportion_test.sql
\ir monitoring/statistics/mcnemar_test.sql
\ir monitoring/statistics/paired_difference_test.sql
\ir monitoring/statistics/delong_auc.sql
\ir monitoring/statistics/delong_test.sql
\ir monitoring/statistics/mann_whitney_test.sql
\ir monitoring/statistics/sample_ratio_test.sql
\ir monitoring/statistics/always_valid_test.sql
\ir monitoring/experiments/setting_history.sql
\ir monitoring/experiments/pair_predictions.sql
\ir monitoring/experiments/ml_challenger_pairs.sql
\ir monitoring/experiments/compare_versions.sql
\ir monitoring/experiments/ml_challenger_comparison.sql
\ir monitoring/experiments/compare_with_rules.sql
\ir monitoring/experiments/ml_rules_comparison.sql

-- Watching it: drift
\ir monitoring/drift/jensen_shannon_distance.sql
\ir monitoring/drift/hellinger_distance.sql
\ir monitoring/drift/population_stability_index.sql
\ir monitoring/drift/goodness_of_fit_test.sql
\ir monitoring/drift/homogeneity_test.sql
\ir monitoring/drift/wasserstein_distance.sql
\ir monitoring/drift/smirnov_survival.sql
\ir monitoring/drift/kolmogorov_smirnov_test.sql
\ir monitoring/drift/equal_width_edges.sql
\ir monitoring/drift/doane_edges.sql
\ir monitoring/drift/bin_together.sql
\ir monitoring/drift/measure_drift.sql
\ir monitoring/drift/drift_limits.sql
\ir monitoring/drift/describe_values.sql
\ir monitoring/drift/feature_drift.sql
\ir monitoring/drift/feature_drift_score.sql
\ir monitoring/drift/run_drift.sql
\ir monitoring/drift/ml_feature_drift.sql
\ir monitoring/ml_set_baseline.sql

-- Watching it: performance
\ir monitoring/performance/calibration_bins.sql
\ir monitoring/performance/expected_calibration_error.sql
\ir monitoring/performance/average_precision.sql
\ir monitoring/performance/classification_metrics.sql
\ir monitoring/performance/estimated_metrics.sql
\ir monitoring/performance/sampling_deviations.sql
\ir monitoring/performance/measure_performance.sql
\ir monitoring/performance/estimate_performance.sql
\ir monitoring/performance/reliability_table.sql
\ir monitoring/performance/measure_baseline.sql
\ir monitoring/performance/store_baseline_performance.sql
\ir monitoring/performance/run_performance.sql
\ir monitoring/performance/retraining_reasons.sql
\ir monitoring/performance/ml_model_performance.sql

-- Challengers: shadow, canary, and the stages that the comparisons decide
\ir ops/rollout/set_challenger.sql
\ir ops/rollout/withdraw_challenger.sql
\ir ops/rollout/check_stage.sql
\ir ops/rollout/advance.sql

-- Watching it: alerts
\ir monitoring/alerts/audit_alert_rules.sql
\ir monitoring/alerts/ml_alert_rules_90_audit.sql
\ir monitoring/alerts/minute_alert_values.sql
\ir monitoring/alerts/measure_state.sql
\ir monitoring/alerts/alert_values.sql
\ir monitoring/alerts/next_alert_state.sql
\ir monitoring/alerts/compute_alert_states.sql
\ir monitoring/alerts/describe_alert.sql
\ir monitoring/alerts/evaluate_alerts.sql
\ir monitoring/alerts/silence_alert.sql
\ir monitoring/ml_alerts.sql

-- Watching it: a view for each panel of the dashboards
\ir monitoring/panels/panel_bounds.sql
\ir monitoring/panels/panel_minutes.sql
\ir monitoring/panels/panel_hours.sql
\ir monitoring/panels/summarize_outcomes.sql
\ir monitoring/panels/summarize_adoption.sql
\ir monitoring/panels/panel_outcomes.sql
\ir monitoring/panels/v_ml_latency_1m.sql
\ir monitoring/panels/v_ml_throughput_1m.sql
\ir monitoring/panels/v_ml_cache_1m.sql
\ir monitoring/panels/v_ml_active.sql
\ir monitoring/panels/v_ml_confidence_hist.sql
\ir monitoring/panels/v_ml_fallback_reasons.sql
\ir monitoring/panels/v_ml_versions.sql
\ir monitoring/panels/v_ml_feature_success.sql
\ir monitoring/panels/v_ml_accuracy.sql
\ir monitoring/panels/v_ml_fp_fn.sql
\ir monitoring/panels/v_ml_adoption.sql
\ir monitoring/panels/v_ml_calls.sql
\ir monitoring/panels/v_ml_memory.sql
\ir monitoring/panels/v_ml_cpu.sql
\ir monitoring/panels/v_ml_io.sql
\ir monitoring/panels/v_ml_network.sql
\ir monitoring/panels/v_ml_drift_heatmap.sql
\ir monitoring/panels/v_ml_realised_estimated.sql
\ir monitoring/panels/v_ml_reliability.sql
\ir monitoring/panels/v_ml_canary.sql
\ir monitoring/panels/v_ml_alert_timeline.sql

-- Recurring jobs: every minute, every night, and what leaves the log
\ir schema/ml_archive.sql
\ir schema/ml_archives.sql
\ir ops/jobs/archived_weeks.sql
\ir ops/jobs/detach_week.sql
\ir ops/jobs/drop_week.sql
\ir ops/jobs/record_archive.sql
\ir ops/apply_retention.sql
\ir ops/jobs/refusal_to_run.sql
\ir ops/jobs/run_step.sql
\ir ops/jobs/run_job.sql
\ir ops/tick.sql
\ir ops/nightly.sql
\ir ops/jobs/schedule_jobs.sql
\ir ops/jobs/unschedule_jobs.sql
-- Watching it: one log of everything
\ir monitoring/ml_log.sql

-- Who may do what: after everything that rights are given on
\ir ops/access/governed_objects.sql
\ir ops/access/held_rights.sql
\ir ops/access/role_rights.sql
\ir ops/grant_access.sql
\ir ops/access/access.sql
