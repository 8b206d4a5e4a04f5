-- What the words of detectors' sentences mean: patterns with their synonyms, directions, prices, denials.
-- Called by: ml.parse_pattern. Calls: ml.narrative_tokens, ml.narrative_words.
-- Reads: ml.pattern_types. Writes: nothing.

-- A sentence is taken only when every word of it is known, so what a word means here decides what is refused. A user
-- adds the words of a detector of theirs as rows, and changes the role of a row to change what it does.
CREATE TABLE ml.narrative_phrases (
    id integer GENERATED ALWAYS AS IDENTITY,
    phrase text NOT NULL,
    role text NOT NULL,
    pattern_type text,
    value text,
    words text[] NOT NULL GENERATED ALWAYS AS (ml.narrative_words(ml.narrative_tokens(phrase))) STORED,
    CONSTRAINT narrative_phrases_pkey PRIMARY KEY (id),
    CONSTRAINT narrative_phrases_words_key UNIQUE NULLS NOT DISTINCT (words, pattern_type),
    CONSTRAINT narrative_phrases_pattern_type_fkey FOREIGN KEY (pattern_type)
    REFERENCES ml.pattern_types (pattern_type) ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT narrative_phrases_words_check CHECK (cardinality(words) BETWEEN 1 AND 12),
    CONSTRAINT narrative_phrases_meaning_check CHECK (
        CASE
            WHEN role = 'pattern' THEN pattern_type IS NOT NULL AND value IS NULL
            WHEN role = 'direction' THEN value IN ('bullish', 'bearish')
            WHEN role = 'label' THEN value IN (
                'price', 'target', 'stop', 'support', 'resistance', 'confidence', 'average', 'indicator')
            WHEN role = 'symbol' THEN value <> ''
            WHEN role = 'timeframe' THEN value <> ''
            WHEN role = 'unit' THEN value IN ('minute', 'hour', 'day', 'week', 'month', 'bar')
            ELSE role IN ('denial', 'doubt', 'other_time', 'at', 'joining', 'currency', 'percent', 'month', 'ignored')
                AND value IS NULL
        END
        AND (role = 'pattern' OR pattern_type IS NULL)
    )
);
COMMENT ON TABLE ml.narrative_phrases IS
    'What the words of detectors'' sentences mean: patterns with their synonyms, directions, prices, denials.';
COMMENT ON COLUMN ml.narrative_phrases.phrase IS 'Case, hyphens and the plural s do not matter.';
COMMENT ON COLUMN ml.narrative_phrases.role IS
    'pattern; direction; symbol; timeframe; label (says what the number beside it is); at (a price follows); joining '
    '(stands between a label and its number); currency; percent; unit (of time, or counted); month; denial, doubt, '
    'other_time (the text is refused); ignored (says nothing about the event).';
COMMENT ON COLUMN ml.narrative_phrases.pattern_type IS
    'One of the types that the phrase can mean; several rows with one phrase when the direction decides.';
COMMENT ON COLUMN ml.narrative_phrases.words IS 'The phrase as it is compared.';

CREATE INDEX narrative_phrases_first_word_idx ON ml.narrative_phrases ((words[1]));

-- The vocabulary by its own names, and by the names of TA-Lib's functions.
INSERT INTO ml.narrative_phrases (phrase, role, pattern_type)
SELECT replace(t.pattern_type, '_', ' '), 'pattern', t.pattern_type FROM ml.pattern_types AS t
-- A verb by itself: the price is thrusting upward.
WHERE t.pattern_type <> 'thrusting'
UNION ALL
SELECT lower(t.talib_function), 'pattern', t.pattern_type FROM ml.pattern_types AS t WHERE t.talib_function IS NOT NULL
UNION ALL
-- An engulfing is bullish or bearish: its direction must be said.
SELECT regexp_replace(replace(t.pattern_type, '_', ' '), '^(bullish|bearish|bull|bear) ', ''), 'pattern', t.pattern_type
FROM ml.pattern_types AS t
WHERE t.pattern_type ~ '^(bullish|bearish|bull|bear)_';

INSERT INTO ml.narrative_phrases (phrase, role, pattern_type)
SELECT DISTINCT synonym.phrase, 'pattern', t.pattern_type
FROM (VALUES
    ('2 crows', 'two_crows'),
    ('3 black crows; three crows; 3 crows', 'three_black_crows'),
    ('3 inside up', 'three_inside_up'),
    ('3 inside down', 'three_inside_down'),
    ('3 line strike; three line strike', 'bullish_three_line_strike'),
    ('3 line strike; three line strike', 'bearish_three_line_strike'),
    ('3 outside up', 'three_outside_up'),
    ('3 outside down', 'three_outside_down'),
    ('3 stars in the south', 'three_stars_in_the_south'),
    ('3 white soldiers; three soldiers; 3 soldiers; three advancing white soldiers; 3 advancing white soldiers',
        'three_white_soldiers'),
    ('dark cloud', 'dark_cloud_cover'),
    ('dragon fly doji; doji dragonfly', 'dragonfly_doji'),
    ('grave stone doji; doji gravestone; tombstone doji', 'gravestone_doji'),
    ('bull engulfing; bullish engulfment; bullish engulf', 'bullish_engulfing'),
    ('bear engulfing; bearish engulfment; bearish engulf', 'bearish_engulfing'),
    ('engulfment', 'bullish_engulfing'),
    ('engulfment', 'bearish_engulfing'),
    ('morning star doji; doji morning star', 'morning_doji_star'),
    ('evening star doji; doji evening star', 'evening_doji_star'),
    ('hanged man; hanging men', 'hanging_man'),
    ('inverse hammer; inverted hammer', 'inverted_hammer'),
    ('harami crosses', 'bullish_harami_cross'),
    ('harami crosses', 'bearish_harami_cross'),
    ('kicker', 'bullish_kicking'),
    ('kicker', 'bearish_kicking'),
    ('tri star', 'bullish_tristar'),
    ('tri star', 'bearish_tristar'),
    ('counter attack; counterattack line; counter attack line', 'bullish_counterattack'),
    ('counter attack; counterattack line; counter attack line', 'bearish_counterattack'),
    ('identical 3 crows', 'identical_three_crows'),
    ('long legged dojis', 'long_legged_doji'),
    ('piercing pattern; bullish piercing; piercing candle', 'piercing_line'),
    ('rickshaw men', 'rickshaw_man'),
    ('rising 3 methods; rising three; bullish mat hold three methods', 'rising_three_methods'),
    ('falling 3 methods; falling three', 'falling_three_methods'),
    ('3 river bottom; three river bottom; unique 3 river; unique three river bottom', 'unique_three_river'),
    ('upside gap 2 crows', 'upside_gap_two_crows'),
    ('upside gap 3 methods', 'upside_gap_three_methods'),
    ('downside gap 3 methods', 'downside_gap_three_methods'),
    ('upward tasuki gap; bullish tasuki gap; tasuki gap', 'upside_tasuki_gap'),
    ('downward tasuki gap; bearish tasuki gap; tasuki gap', 'downside_tasuki_gap'),
    ('bearish stalled; deliberation', 'stalled_pattern'),
    ('thrusting line; thrusting pattern; bearish thrusting', 'thrusting'),
    ('in neck line', 'in_neck'),
    ('on neck line', 'on_neck'),
    ('takuri line', 'takuri'),
    ('spinning tops', 'spinning_top'),
    ('high wave candle', 'high_wave'),
    ('h and s; h&s; head & shoulders top; head and shoulder; head and shoulders top', 'head_and_shoulders'),
    ('inverse h&s; inverted head and shoulders; inverse head & shoulders; reverse head and shoulders;'
        || 'head and shoulders bottom', 'inverse_head_and_shoulders'),
    ('rounded top', 'rounding_top'),
    ('rounded bottom; saucer bottom', 'rounding_bottom'),
    ('cup & handle; cup with handle', 'cup_and_handle'),
    ('inverted cup and handle', 'inverse_cup_and_handle'),
    ('bullish flag; flag', 'bull_flag'),
    ('bearish flag; flag', 'bear_flag'),
    ('bullish pennant; pennant', 'bull_pennant'),
    ('bearish pennant; pennant', 'bear_pennant'),
    ('symmetric triangle', 'symmetrical_triangle'),
    ('break out; upside breakout; bullish breakout', 'breakout'),
    ('break down; downside breakout; bearish breakout; bearish breakdown', 'breakdown'),
    ('bounce off support; bounce from support; bounced off support; bounced from support', 'support_bounce'),
    ('rejection at resistance; rejected at resistance; rejection from resistance', 'resistance_rejection'),
    ('bullish gap; gapped up; gapping up; gap higher', 'gap_up'),
    ('bearish gap; gapped down; gapping down; gap lower', 'gap_down')
) AS given (phrases, pattern_type)
JOIN ml.pattern_types AS t ON t.pattern_type = given.pattern_type
CROSS JOIN LATERAL regexp_split_to_table(given.phrases, ';\s*') AS synonym (phrase)
ON CONFLICT ON CONSTRAINT narrative_phrases_words_key DO NOTHING;

-- A chart pattern is complete when the price leaves it: one detection, and not a breakout beside it.
INSERT INTO ml.narrative_phrases (phrase, role, pattern_type)
SELECT min(p.phrase) || CASE WHEN min(t.direction) = 'bullish' THEN ' breakout' ELSE ' breakdown' END, 'pattern',
    min(t.pattern_type)
FROM ml.narrative_phrases AS p
JOIN ml.pattern_types AS t ON t.pattern_type = p.pattern_type AND t.talib_function IS NULL AND t.bars = 5
GROUP BY p.words
HAVING count(*) = 1 AND min(t.direction) IS NOT NULL;

-- Every other word; may is a month beside a number and a doubt elsewhere.
INSERT INTO ml.narrative_phrases (phrase, role, value)
SELECT said.phrase, given.role, given.value
FROM (VALUES
    ('direction', 'bullish',
        'bullish, bull, long, buy, buying, upside, upward, upwards, up, direction up, go long, going long, bullishly'),
    ('direction', 'bearish',
        'bearish, bear, short, sell, selling, downside, downward, downwards, down, direction down, go short, going
        short, bearishly'),
    ('denial', NULL,
        'no, not, non, none, never, neither, nor, nope, without, nothing, nowhere, cannot, zero, isnt, arent, wasnt,
        werent, doesnt, didnt, dont, cant, couldnt, wont, wouldnt, hasnt, havent, hadnt, aint, shouldnt, no
        longer, not a, fail, fails, failed, failing, failure, invalid, invalidate, invalidated, invalidates,
        invalidating, invalidation, negate, negated, negates, negating, cancel, cancelled, canceled, cancels,
        void, voided, false, fake, fakeout, fake out, bogus, spurious, absent, absence, missing, lack, lacks,
        lacked, lacking, rejected, rejects, disproved, denied, wrong, incorrect, wrongly, incorrectly,
        mistaken, mistakenly, error, erroneous, ruled out, except for, except, excluding, excludes, ignore,
        ignored, ignores, ignoring, disregard, avoid, discard, discarded, dismiss, dismissed, instead, rather,
        stopped out, broken, broke, busted, faded, fades, fading, disappeared, vanished, gone, lost, expired,
        closed out, withdrawn, retracted, removed, deleted, hardly, barely, scarcely, rarely, seldom, unseen,
        undetected, unlike, unconfirmed, dead, undone, stale, revoked, reset, nullified, nah, forget, hoax,
        unsuccessful, doubt, misread, misidentified, rule out, rules out, trap, is off, is over, is out,
        called off'),
    ('doubt', NULL,
        'if, would, could, might, should, can, unless, until, till, when, whenever, once, whether, maybe, perhaps,
        possible, possibly, possibility, potential, potentially, probable, probably, likely, unlikely,
        plausible, likelihood of, chance, expect, expects, expected, expecting, anticipate, anticipated,
        anticipating, wait, waits, waiting, await, awaits, awaiting, watch, watching, look for, looking for,
        watch for, monitor, monitoring, almost, nearly, partially, partial, incomplete, unfinished, pending,
        about to, close to, before, going to, scan for, scanning for, search for, searching for, may form,
        will, shall, ll, seem, seems, seemed, seemingly, appear, appears, appeared, apparently, apparent,
        looks like, look like, looking like, like, resemble, resembles, resembling, similar, suspected,
        suspect, alleged, questionable, doubtful, dubious, uncertain, unsure, unclear, unconvincing,
        ambiguous, or, either, versus, vs, still forming, starting to form, beginning to form, begins to form,
        developing, attempting, attempt, attempts, trying, tries, try, hypothetical, hypothetically, suppose,
        supposing, assume, assuming, imagine, example, for example, e g, simulated, simulation, test, demo,
        quasi, pseudo, low confidence, little confidence, ?, another, other, different, second, third, two,
        both, several, multiple, many, few, some, any'),
    ('other_time', NULL,
        'yesterday, tomorrow, ago, previous, previously, prior, earlier, later, former, formerly, historical,
        historically, recent, recently, last week, last month, last year, next week, next month, next, past,
        upcoming, soon, next day, used to be'),
    ('at', NULL,
        'at, @, broke above, broke below, breaks above, breaks below, breaking above, breaking below, broken above,
        broken below, near, around, about, ~, approximately, approx, circa, roughly, above, below, over,
        under, >, <'),
    ('joining', NULL,
        'of, is, the, a, :, =, (, [, to, set, placed, level, price of, area, zone, currently, now, stands, sits, was'),
    ('currency', NULL, '$, usd, usdt, usdc, eur, gbp, jpy, chf, dollar, dollars, euro, euros, us$'),
    ('percent', NULL, '%, percent, pct'),
    ('label', 'price',
        'price, entry, entry price, enter, entering, entered, close, closed, closing, close price, closing price,
        current price, last price, market price, spot price, trading, traded, priced, quoted'),
    ('label', 'target',
        'target, target price, price target, profit target, take profit, takeprofit, tp, tp1, targeting, pt,
        objective'),
    ('label', 'stop', 'stop, stop loss, stoploss, stop price, sl, protective stop'),
    ('label', 'support', 'support, support level, support price, support zone, support area'),
    ('label', 'resistance',
        'resistance, resistance level, resistance price, resistance zone, resistance area, supply zone'),
    ('label', 'confidence',
        'confidence, confident, conf, probability, prob, certainty, certain, sure, likelihood, confidence score,
        confidence level, rule confidence, probability score, detection confidence, model confidence'),
    ('label', 'average',
        'sma, ema, wma, dma, vwap, moving average, simple moving average, exponential moving average, average, ma'),
    ('label', 'indicator',
        'rsi, atr, adx, macd, cci, mfi, obv, stochastic, stoch, volume, vol, neckline, neck line, bollinger band,
        fibonacci, fib, retracement, pivot, high of, low of, day high, day low, z score, score, strength, vix'),
    ('timeframe', '1h', 'hourly'),
    ('timeframe', '1d', 'daily'),
    ('timeframe', '1w', 'weekly'),
    ('timeframe', '1M', 'monthly'),
    ('unit', 'minute', 'minute, minutes, min, mins'),
    ('unit', 'hour', 'hour, hours, hr, hrs'),
    ('unit', 'day', 'day, days'),
    ('unit', 'week', 'week, weeks, wk'),
    ('unit', 'month', 'month, months'),
    ('unit', 'bar',
        'bar, bars, candle, candles, candlestick, candlesticks, session, sessions, period, periods, touch'),
    ('month', NULL,
        'january, february, march, april, may, june, july, august, september, october, november, december, jan, feb,
        mar, apr, jun, jul, aug, sep, sept, oct, nov, dec'),
    ('ignored', NULL,
        'an, this, that, there, here, it, its, i, we, our, my, you, am, are, be, been, being, were, has, have, had, do,
        does, did, on, in, for, from, by, with, and, as, into, onto, off, after, during, following, while,
        within, across, through, along, since, then, but, so, also, plus, just, very, quite, really, clearly,
        clear, obvious, obviously, definite, definitely, which, where, these, those, their, his, her, us,
        today, right, currently forming, at present, at market, pattern, patterns, candlestick pattern, candle
        pattern, chart pattern, formation, formations, setup, set up, setups, signal, signals, signalling,
        signaling, signaled, signalled, alert, alerts, notification, notice, note, detection, detections,
        detector, event, events, update, breaking, new, fresh, latest, found, finding, seen, seeing, see,
        sees, saw, spot, spotted, spotting, spots, detect, detected, detecting, detects, identified, identify,
        identifies, identifying, recognized, recognised, recognize, recognizes, recognizing, observed,
        observe, observing, observes, noticed, noticing, noted, printed, printing, prints, print, formed,
        form, forms, forming, completed, complete, completes, completing, completion, confirmed, confirms,
        confirm, confirming, confirmation, validated, validates, valid, triggered, triggers, trigger,
        triggering, emerged, emerging, emerges, occurred, occurring, occurs, present, made, making, makes,
        make, created, creating, creates, produced, produces, giving, gives, gave, got, getting, gets,
        showing, shows, show, shown, displaying, displays, indicating, indicates, indicate, indicated,
        indication, suggesting, suggests, suggest, suggested, pointing, points, point, implying, implies,
        reported, reports, report, flagged, flagging, flags up, posted, posting, exhibits, exhibiting,
        appearing, returned, returns, name, named, called, type, pattern type, kind, classic, textbook,
        strong, stronger, strongly, weak, nice, good, great, solid, perfect, big, large, small, tall, huge,
        massive, tiny, clean, beautiful, powerful, significant, notable, key, major, minor, well, defined,
        well defined, high quality, high probability, high confidence, strong confidence, good confidence,
        reversal, reversals, reversing, reverse, continuation, trend, trends, trending, uptrend, up trend,
        downtrend, down trend, sideways, range, ranging, rally, rallies, rallying, decline, declines,
        declining, drop, drops, dropping, sell off, selloff, pullback, pull back, dip, correction,
        consolidation, swing, swing high, swing low, momentum, pressure, buying pressure, selling pressure,
        buyer, buyers, seller, sellers, demand, supply, market, markets, bull market, bear market, stock,
        stocks, share, shares, ticker, symbol, asset, instrument, pair, crypto, forex, index, futures, equity,
        equities, coin, nasdaq, nyse, binance, coinbase, exchange, chart, charts, timeframe, time frame, time,
        date, interval, tf, intraday, bottom of the range, top of the range, body, bodies, real body, shadow,
        shadows, wick, wicks, tail, tails, upper, lower, long lower, long upper, long lower wick, long upper
        wick, long lower shadow, long upper shadow, short term, long term, mid term, medium term, red, green,
        black, white, high, higher, highs, low, lows, open, opens, opening, opened, gap, gaps, heavy, rising,
        falling, increasing, increased, decreasing, elevated, light, on high volume, on low volume, on heavy
        volume, on strong volume, with high volume, with strong volume, with heavy volume, above average
        volume, high volume, low volume, heavy volume, strong volume, rising volume, increasing volume, volume
        spike, volume confirmation, volume increase, price action, at the end of, at the bottom of, at the top
        of, at the moment, oversold, overbought, oversold conditions, overbought conditions, conditions,
        outlook, bias, sentiment, opportunity, trade, position, action, recommended, recommendation, info,
        details, summary, analysis, result, output, direction, state, status, active, live, real time,
        realtime, hello, hi, hey, please, attention, team, guys, ok, okay, yes, whoa, wow, look, looks,
        looking, good looking, consecutive, row, straight, first, one, single, only, respectively, between
        buyers and sellers, morning, evening, afternoon, noon, midnight, monday, tuesday, wednesday, thursday,
        friday, saturday, sunday, utc, gmt, est, et, pm, london, new york, asia, session high, session low,
        year, years, took, taken, place, hold, holding, holds, held, continuing, continues, leading, leads,
        lead, based, according, per, via, using, system, scanner, bot, model, algo, algorithm, service,
        engine, rule, rules, ., !, ;, |, ), ], {, }, /, +, w, confidence high,
        long wick, long tail, long shadow, bullish trend, bearish trend, bullish momentum, bearish momentum,
        at the top, at the bottom, last, it''s, here''s, there''s,
        that''s, i''m, we''re, we''ve, i''ve, spiking')
) AS given (role, value, phrases)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (ml.narrative_words(ml.narrative_tokens(p.phrase))) p.phrase
    FROM regexp_split_to_table(regexp_replace(given.phrases, '\s+', ' ', 'g'), ', ') AS p (phrase)
    ORDER BY ml.narrative_words(ml.narrative_tokens(p.phrase)), p.phrase
) AS said
UNION ALL
SELECT ',', 'ignored', NULL;
