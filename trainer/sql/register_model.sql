INSERT INTO public.ml_models (
    version, algorithm, classes, feature_names, artefact_sha256, card, metrics, data_window
)
VALUES (
    {version},
    {algorithm},
    {classes}::text[],
    {feature_names}::text[],
    {artefact_sha256},
    {card}::jsonb,
    {metrics}::jsonb,
    {data_window}::tstzrange
);
INSERT INTO public.ml_calibrators (calibrator_version, model_version, method, a, b, knots_x, knots_y)
VALUES (
    {calibrator_version},
    {version},
    {method},
    {a}::double precision,
    {b}::double precision,
    {knots_x}::double precision[],
    {knots_y}::double precision[]
);
