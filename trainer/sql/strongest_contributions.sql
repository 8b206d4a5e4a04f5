SELECT explained.feature, explained.value, explained.contribution
FROM ml.explain(%s) AS explained
WHERE explained.rank <= 3 AND explained.contribution <> 0
ORDER BY explained.rank
