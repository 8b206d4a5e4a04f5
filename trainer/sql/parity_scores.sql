SELECT {score}(features), {score_columns}({columns})
FROM pg_temp.parity_rows
ORDER BY place
