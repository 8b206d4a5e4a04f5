-- The state of an alert after one more minute: breached, not breached, or (NULL) not judged for want of data.
-- Called by: ml.compute_alert_states. Calls: nothing. Reads: nothing. Writes: nothing.

-- normal -> pending at the first minute beyond the threshold -> firing when for_duration is full of them -> resolved at
-- the first minute within -> normal after an hour. A minute that is not judged changes nothing and does not count; after
-- twice for_duration of them, at least five minutes, pending and firing end. Minutes that nobody evaluated are the same.
CREATE OR REPLACE FUNCTION ml.next_alert_state(
    p_alert public.ml_alerts, p_rule public.ml_alert_rules, p_at timestamptz, p_breached boolean
)
RETURNS public.ml_alerts
LANGUAGE plpgsql
IMMUTABLE
AS $function$
DECLARE
    v_needed CONSTANT integer := greatest(pg_catalog.ceil(extract(epoch FROM p_rule.for_duration) / 60), 1);
    v_silence interval := p_at - p_alert.last_known_at;
    v_patience CONSTANT interval := greatest(2 * p_rule.for_duration, interval '5 minutes');
BEGIN
    IF p_breached THEN
        IF p_alert.state IN ('normal', 'resolved') OR (p_alert.state = 'pending' AND v_silence > v_patience) THEN
            p_alert.breached_minutes := 0;
            p_alert.pending_since := p_at;
        END IF;
        p_alert.breached_minutes := p_alert.breached_minutes + 1;
        IF p_alert.state <> 'firing' THEN
            p_alert.state := 'pending';
            p_alert.resolved_at := NULL;
            IF p_alert.breached_minutes >= v_needed THEN
                p_alert.state := 'firing';
                p_alert.firing_since := p_at;
            END IF;
        END IF;
    ELSIF p_alert.state IN ('pending', 'firing') AND (NOT p_breached OR v_silence >= v_patience) THEN
        IF p_alert.state = 'firing' THEN
            p_alert.state := 'resolved';
            p_alert.resolved_at := p_at;
        ELSE
            p_alert.state := 'normal';
        END IF;
        p_alert.pending_since := NULL;
        p_alert.breached_minutes := 0;
    ELSIF p_alert.state = 'resolved' AND p_at >= p_alert.resolved_at + interval '1 hour' THEN
        p_alert.state := 'normal';
    END IF;
    IF p_breached IS NOT NULL THEN
        p_alert.last_known_at := p_at;
    END IF;
    p_alert.last_evaluated_at := p_at;
    RETURN p_alert;
END
$function$;
COMMENT ON FUNCTION ml.next_alert_state IS
    'The state of an alert after one more minute: breached, not breached, or (NULL) not judged for want of data.';
REVOKE ALL ON FUNCTION ml.next_alert_state FROM PUBLIC;
