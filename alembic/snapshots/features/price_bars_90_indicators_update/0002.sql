-- Bars were corrected: indicators from the first changed one on follow.
-- Called by: UPDATE on public.price_bars. Calls: ml.maintain_bar_indicators. Reads: nothing. Writes: nothing.

CREATE TRIGGER price_bars_90_indicators_update
AFTER UPDATE ON public.price_bars
REFERENCING OLD TABLE AS old_bars NEW TABLE AS changed_bars
FOR EACH STATEMENT
EXECUTE FUNCTION ml.maintain_bar_indicators();
COMMENT ON TRIGGER price_bars_90_indicators_update ON public.price_bars IS
    'Bars were corrected: indicators from the first changed one on follow.';
