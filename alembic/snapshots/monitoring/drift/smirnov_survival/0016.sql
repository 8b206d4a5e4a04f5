-- P-value of the two-sided two-sample Kolmogorov-Smirnov statistic: exact, or for large samples an expansion.
-- Called by: ml.kolmogorov_smirnov_test. Calls: nothing. Reads: nothing. Writes: nothing.

-- p_lattice is the statistic times both sample sizes, a whole number; ties are treated as in scipy, as if there were none.
-- Equal sizes: a closed form (B. V. Gnedenko and V. S. Korolyuk 1951). Other sizes: the chance that a random path through
-- the lattice leaves the band, cell by cell (J. L. Hodges 1958), as long as the band has no more than p_most_cells cells.
-- Beyond that: Kolmogorov's series for n = n1 n2 / (n1 + n2) with J. Vrbik's correction (2018) of its argument, within 3 %
-- of scipy 1.17 above 1e-6 and 10 % above 1e-12; still smaller ones are right in their order of magnitude at best.
CREATE OR REPLACE FUNCTION ml.smirnov_survival(
    p_first bigint,
    p_second bigint,
    p_lattice bigint,
    p_most_cells double precision DEFAULT 50000
)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_m bigint := least(p_first, p_second);
    v_n bigint := greatest(p_first, p_second);
    v_h bigint := p_lattice;
    v_size double precision;
    v_statistic double precision;
    v_root double precision;
    v_argument double precision;
    v_term double precision;
    v_sum double precision := 0;
    v_outside double precision[];
    v_previous double precision;
    v_low bigint;
    v_high bigint;
BEGIN
    IF (v_m > 0 AND v_h BETWEEN 0 AND v_m * v_n) IS NOT TRUE THEN
        RETURN NULL;
    ELSIF v_h = 0 THEN
        RETURN 1;
    END IF;
    v_statistic := v_h::double precision / v_m / v_n;

    IF v_m = v_n THEN
        -- 2 * sum over k of (-1)^(k - 1) * choose(2n, n - k h) / choose(2n, n), each term made from the one before.
        v_h := v_h / v_n;
        v_term := 2;
        FOR k IN 1 .. v_n / v_h LOOP
            FOR j IN (k - 1) * v_h .. k * v_h - 1 LOOP
                v_term := v_term * (v_n - j) / (v_n + j + 1);
                -- Postgres refuses to round a product down to zero.
                IF v_term < 1e-290 THEN
                    RETURN greatest(least(v_sum, 1), 0);
                END IF;
            END LOOP;
            v_sum := v_sum + CASE WHEN k % 2 = 1 THEN v_term ELSE -v_term END;
            EXIT WHEN v_term < 1e-17 * v_sum;
        END LOOP;
        RETURN greatest(least(v_sum, 1), 0);
    END IF;

    IF v_m::double precision * v_n * least(2 * v_statistic, 1) <= p_most_cells THEN
        -- v_outside[j + 1]: the chance that a random path from (0, 0) to (i, j) has left the band |i/m - j/n| < D.
        v_outside := array_fill(1::double precision, ARRAY[(v_n + 1)::integer]);
        FOR j IN 0 .. (v_h - 1) / v_m LOOP
            v_outside[j + 1] := 0;
        END LOOP;
        FOR i IN 1 .. v_m LOOP
            -- The cells of this row with |i n - j m| < h; those that the band has left behind are outside.
            v_low := greatest((i * v_n - v_h) / v_m + CASE WHEN i * v_n >= v_h THEN 1 ELSE 0 END, 0);
            v_high := least((i * v_n + v_h - 1) / v_m, v_n);
            v_previous := 1;
            FOR j IN greatest(((i - 1) * v_n - v_h) / v_m, 0) .. v_low - 1 LOOP
                v_outside[j + 1] := 1;
            END LOOP;
            FOR j IN v_low .. v_high LOOP
                v_previous := (i * v_outside[j + 1] + j * v_previous) / (i + j);
                IF v_previous < 1e-280 THEN
                    v_previous := 0;
                END IF;
                v_outside[j + 1] := v_previous;
            END LOOP;
        END LOOP;
        RETURN v_outside[v_n + 1];
    END IF;

    v_size := v_m::double precision * v_n / (v_m + v_n);
    v_root := sqrt(v_size) * v_statistic;
    v_argument := v_root + 1 / (6 * sqrt(v_size)) + (v_root - 1) / (4 * v_size);
    IF v_argument > 15 THEN
        RETURN 0;
    ELSIF v_argument < 0.2 THEN
        RETURN 1;
    END IF;
    FOR k IN 1 .. 50 LOOP
        v_term := -2 * (k * v_argument) ^ 2;
        EXIT WHEN v_term < -700;
        v_term := 2 * exp(v_term);
        v_sum := v_sum + CASE WHEN k % 2 = 1 THEN v_term ELSE -v_term END;
        EXIT WHEN v_term < 1e-17 * v_sum;
    END LOOP;
    RETURN greatest(least(v_sum, 1), 0);
END
$function$;
COMMENT ON FUNCTION ml.smirnov_survival IS
    'P-value of the two-sided two-sample Kolmogorov-Smirnov statistic: exact, or for large samples an expansion.';
REVOKE ALL ON FUNCTION ml.smirnov_survival FROM PUBLIC;
