SELECT w.partition, w.exported FROM ml.archived_weeks AS w ORDER BY w.partition
