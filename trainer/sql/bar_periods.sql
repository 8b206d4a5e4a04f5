-- Length of a bar per timeframe, in seconds (a month counts as 30 days).
-- Called by: trainer.dataset. Calls: nothing. Reads: public.ml_timeframes. Writes: nothing.

SELECT f.timeframe, extract(epoch FROM f.bar_period)::float8 FROM public.ml_timeframes AS f
