SELECT jsonb_build_object(
    'health', public.ml_health(),
    'bars', (SELECT count(*) FROM public.price_bars),
    'events', (SELECT count(*) FROM public.pattern_events),
    'scored', (SELECT count(*) FROM public.pattern_events WHERE model_version IS NOT NULL),
    'labelled', (SELECT count(*) FROM public.pattern_events WHERE outcome_label IS NOT NULL),
    'confirmed', (SELECT count(*) FROM public.confirmed_patterns),
    'predictions', (SELECT count(*) FROM public.ml_predictions),
    'predictions_by', (
        SELECT jsonb_build_object(
            'live', count(*) FILTER (
                WHERE p.role IN ('champion', 'challenger') AND p.source IN ('insert', 'update') AND p.fallback_reason IS NULL
            ),
            'fallback', count(*) FILTER (
                WHERE p.role IN ('champion', 'challenger') AND p.source IN ('insert', 'update')
                    AND p.fallback_reason IS NOT NULL
            ),
            'rule', count(*) FILTER (WHERE p.role = 'rule' AND p.source IN ('insert', 'update')),
            'shadow', count(*) FILTER (WHERE p.role = 'shadow'),
            'backfill', count(*) FILTER (WHERE p.source = 'backfill'),
            'external', count(*) FILTER (WHERE p.source = 'external')
        )
        FROM public.ml_predictions AS p
    ),
    'models', coalesce((
        SELECT jsonb_agg(
            jsonb_build_object(
                'version', model.version,
                'algorithm', model.algorithm,
                'created_at', model.created_at,
                'aliases', coalesce((
                    SELECT jsonb_agg(alias.alias ORDER BY alias.alias)
                    FROM public.ml_aliases AS alias WHERE alias.version = model.version
                ), '[]')
            ) ORDER BY model.created_at, model.version
        )
        FROM public.ml_models AS model
    ), '[]')
)
