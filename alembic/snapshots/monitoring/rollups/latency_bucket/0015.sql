-- Number of the latency bucket of some microseconds: bucket i is from 1.25^(i-1) up to 1.25^i, from 1 us to 11.9 s.
-- Called by: ml.summarize_predictions. Calls: nothing. Reads: nothing. Writes: nothing.
--
-- 1 to 73, and 74 for all above; less than 1 us counts as 1. Latencies are whole microseconds, so the bounds of buckets
-- 2 to 74, rounded up to whole ones, put every latency where the exact bounds would.

CREATE OR REPLACE FUNCTION ml.latency_bucket(p_us integer)
RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT 1 + pg_catalog.width_bucket(p_us, (
        '{2,2,2,3,4,4,5,6,8,10,12,15,19,23,29,36,45,56,70,87,109,136,170,212,265,331,414,517,647,808,1010,1263,'
        '1578,1973,2466,3082,3852,4815,6019,7524,9404,11755,14694,18368,22959,28699,35874,44842,56052,70065,'
        '87582,109477,136846,171057,213822,267277,334096,417620,522025,652531,815664,1019579,1274474,1593092,'
        '1991365,2489207,3111508,3889385,4861731,6077164,7596455,9495568,11869460}'
    )::integer [])
$function$;
COMMENT ON FUNCTION ml.latency_bucket IS
    'Number of the latency bucket of some microseconds: bucket i is from 1.25^(i-1) up to 1.25^i, from 1 us to 11.9 s.';
REVOKE ALL ON FUNCTION ml.latency_bucket FROM PUBLIC;
