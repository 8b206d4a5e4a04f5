-- Bars were inserted: their indicators follow.
-- Called by: INSERT on public.price_bars. Calls: ml.maintain_bar_indicators. Reads: nothing. Writes: nothing.

CREATE TRIGGER price_bars_90_indicators_insert
AFTER INSERT ON public.price_bars
REFERENCING NEW TABLE AS changed_bars
FOR EACH STATEMENT
EXECUTE FUNCTION ml.maintain_bar_indicators();
COMMENT ON TRIGGER price_bars_90_indicators_insert ON public.price_bars IS
    'Bars were inserted: their indicators follow.';
