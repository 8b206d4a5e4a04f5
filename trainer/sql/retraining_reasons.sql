-- What monitoring says in favour of fitting a version anew, a sentence each.
-- Called by: trainer.retrain, where the function exists. Calls: ml.retraining_reasons. Reads, writes: nothing.

SELECT reason.sentence FROM ml.retraining_reasons(%s::text) AS reason (sentence)
