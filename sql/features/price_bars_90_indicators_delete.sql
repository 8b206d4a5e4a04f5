-- Bars were deleted: indicators from there on follow.
-- Called by: DELETE on public.price_bars. Calls: ml.maintain_bar_indicators. Reads: nothing. Writes: nothing.

CREATE TRIGGER price_bars_90_indicators_delete
AFTER DELETE ON public.price_bars
REFERENCING OLD TABLE AS changed_bars
FOR EACH STATEMENT
EXECUTE FUNCTION ml.maintain_bar_indicators();
COMMENT ON TRIGGER price_bars_90_indicators_delete ON public.price_bars IS
    'Bars were deleted: indicators from there on follow.';
