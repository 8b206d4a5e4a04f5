-- All bars were removed: so are all indicators.
-- Called by: TRUNCATE on public.price_bars. Calls: ml.maintain_bar_indicators. Reads: nothing. Writes: nothing.

CREATE TRIGGER price_bars_90_indicators_truncate
AFTER TRUNCATE ON public.price_bars
FOR EACH STATEMENT
EXECUTE FUNCTION ml.maintain_bar_indicators();
COMMENT ON TRIGGER price_bars_90_indicators_truncate ON public.price_bars IS
    'All bars were removed: so are all indicators.';
