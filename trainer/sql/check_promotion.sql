SELECT to_jsonb(result) - '{id,actor}'::text[] FROM ml.check_promotion(%s) AS result ORDER BY result.id
