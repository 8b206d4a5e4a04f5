
-- Where there is no champion, or nobody has made a choice yet, the newest released model is live.
DO $first_champion$
BEGIN
    IF NOT EXISTS (SELECT FROM public.ml_aliases AS a WHERE a.alias = 'champion') OR NOT EXISTS (
        SELECT FROM public.ml_deployments AS d WHERE d.action IN ('promote', 'rollback', 'enable', 'disable')
    ) THEN
        INSERT INTO public.ml_aliases (alias, version, calibrator_version)
        VALUES ('champion', {version}, {calibrator_version})
        ON CONFLICT (alias) DO UPDATE SET version = excluded.version, calibrator_version = excluded.calibrator_version;
        INSERT INTO public.ml_deployments (action, version, calibrator_version, reason)
        VALUES ('install', {version}, {calibrator_version}, 'newest released model on a database without a champion');
    END IF;
END
$first_champion$;
