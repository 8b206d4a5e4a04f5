"""Sentences of detectors: what is taken as one clear detection, what is refused, and the events that come of them."""

import re
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from support import PROBABILITY, START, add_bars, event, go_live, one, predictions, rows, value

KEYS = {
    "ok", "pattern_type", "direction", "price", "target_price", "stop_price", "support", "resistance", "confidence",
    "symbol", "timeframe", "stated_on", "problems", "matched",
}  # fmt: skip
AT = START + timedelta(days=290)
PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parse(db, text, *arguments):
    holes = ", ".join(["%s"] * (1 + len(arguments)))
    result = value(db, f"SELECT ml.parse_pattern({holes})", text, *arguments)
    assert set(result) == KEYS
    assert result["ok"] == (result["problems"] == [])
    if not result["ok"]:
        assert {name for name in KEYS if result[name] is not None} == {"ok", "problems", "matched"}
    return result


def said(result):
    """Return the fields that a result has."""
    return {
        name: field for name, field in result.items() if field is not None and name not in ("ok", "problems", "matched")
    }


def ingest(db, text, symbol="TEST", timeframe="1d", detected_at=AT, **more):
    names = "".join(f", p_{name} => %s" for name in more)
    return value(
        db, f"SELECT ml.ingest_pattern(%s, %s, %s, %s{names})", text, symbol, timeframe, detected_at, *more.values()
    )


# The pattern type and its fields; the direction is the type's where it is not given.
TAKEN = [
    ("Seeing bullish engulfing pattern at $150", "bullish_engulfing", {"price": 150}),
    ("Engulfing (bullish) at 150.25", "bullish_engulfing", {"price": 150.25}),
    ("bull engulfing @150", "bullish_engulfing", {"price": 150}),
    ("Bearish engulfing. Price: $150. Confidence: 70%. Target: $140. Stop: $155.", "bearish_engulfing",
     {"price": 150, "confidence": 0.7, "target_price": 140, "stop_price": 155}),
    ("Alert: hammer at 42", "hammer", {"price": 42}),
    ("morning-star doji on AAPL 1h at $150.25, target 160, stop 140, 80% confidence", "morning_doji_star",
     {"price": 150.25, "target_price": 160, "stop_price": 140, "confidence": 0.8, "symbol": "AAPL", "timeframe": "1h"}),
    ("3 white soldiers @ 1,234.50", "three_white_soldiers", {"price": 1234.5}),
    ("THREE WHITE SOLDIERS DETECTED ON AAPL AT 150 USD", "three_white_soldiers", {"price": 150, "symbol": "AAPL"}),
    ("Shooting star detected with 72 % probability around €150", "shooting_star", {"price": 150, "confidence": 0.72}),
    ("Inverted hammers at £1,000", "inverted_hammer", {"price": 1000}),
    ("hanging man at 150 USDT", "hanging_man", {"price": 150}),
    ("Head & shoulders on TSLA (daily), neckline at 240, target $200", "head_and_shoulders",
     {"symbol": "TSLA", "timeframe": "1d", "target_price": 200}),
    ("inverse head-and-shoulders near 99.5", "inverse_head_and_shoulders", {"price": 99.5}),
    ("Double bottom confirmed at $42.50; target $48; stop-loss $40", "double_bottom",
     {"price": 42.5, "target_price": 48, "stop_price": 40}),
    ("hammer at $150, $160 target, $140 stop", "hammer", {"price": 150, "target_price": 160, "stop_price": 140}),
    ("hammer at 150 with TP 160 and SL 140", "hammer", {"price": 150, "target_price": 160, "stop_price": 140}),
    ("hammer at 150, take profit at 160, stop below 140", "hammer",
     {"price": 150, "target_price": 160, "stop_price": 140}),
    ("I'm seeing a clear evening star on EURUSD=X near 1.0850, stop loss at 1.0950", "evening_star",
     {"price": 1.085, "stop_price": 1.095, "symbol": "EURUSD=X"}),
    ("BTC/USD 4h: bearish engulfing spotted at 64,250.50 with 80% confidence", "bearish_engulfing",
     {"price": 64250.5, "confidence": 0.8, "symbol": "BTC/USD", "timeframe": "4h"}),
    ("Dark cloud cover on BRK.B, daily chart, at 410", "dark_cloud_cover",
     {"price": 410, "symbol": "BRK.B", "timeframe": "1d"}),
    ("$AAPL bull flag at 150", "bull_flag", {"price": 150, "symbol": "AAPL"}),
    ("bullish flag breakout at 150", "bull_flag", {"price": 150}),
    ("double top breakdown at 150", "double_top", {"price": 150}),
    ("Breakout above $150 on high volume", "breakout", {"price": 150}),
    ("Gap up of 2.5% at 150", "gap_up", {"price": 150}),
    ("Cup and handle at 150", "cup_and_handle", {"price": 150}),
    ("cup & handle at 150", "cup_and_handle", {"price": 150}),
    ("Detected: BULLISH_ENGULFING | price=150.25 | confidence=0.82 | symbol=AAPL", "bullish_engulfing",
     {"price": 150.25, "confidence": 0.82, "symbol": "AAPL"}),
    ('{"pattern": "bullish_engulfing", "price": 150.25, "confidence": 0.8}', "bullish_engulfing",
     {"price": 150.25, "confidence": 0.8}),
    ("BullishEngulfing at 150", "bullish_engulfing", {"price": 150}),
    ("CDLMARUBOZU bearish at 150", "bearish_marubozu", {"price": 150}),
    ("**Bullish engulfing** on #AAPL at $150!", "bullish_engulfing", {"price": 150, "symbol": "AAPL"}),
    ("🚀 Bullish engulfing at $150", "bullish_engulfing", {"price": 150}),
    ("Bullish engulfing @ $150.00 [AAPL, 1h] w/ 80% confidence", "bullish_engulfing",
     {"price": 150, "symbol": "AAPL", "timeframe": "1h", "confidence": 0.8}),
    ("Bullish\u00a0engulfing at\u2009150", "bullish_engulfing", {"price": 150}),
    ("morning\u2011star at 150", "morning_star", {"price": 150}),
    ("Morning \u2013 star \u2014 at 150", "morning_star", {"price": 150}),
    ("Bullish engulfing\nprice 150\ntimeframe 15m", "bullish_engulfing", {"price": 150, "timeframe": "15m"}),
    ("Hammer on the 5-minute chart at 150", "hammer", {"price": 150, "timeframe": "5m"}),
    ("Hammer on the 60 min chart at 150", "hammer", {"price": 150, "timeframe": "1h"}),
    ("Hammer (H4) at 150", "hammer", {"price": 150, "timeframe": "4h"}),
    ("Hammer on 1M chart at 150", "hammer", {"price": 150, "timeframe": "1M"}),
    ("Hammer on 1m chart at 150", "hammer", {"price": 150, "timeframe": "1m"}),
    ("weekly hammer at 150", "hammer", {"price": 150, "timeframe": "1w"}),
    ("Hammer on 2024-01-05 at 2024", "hammer", {"price": 2024, "stated_on": "2024-01-05"}),
    ("Hammer at 2024-01-05T14:30:00Z, price 150", "hammer", {"price": 150, "stated_on": "2024-01-05"}),
    ("Hammer on January 5, 2024 at 150", "hammer", {"price": 150}),
    ("Hammer on 5th January 2024 at 150", "hammer", {"price": 150}),
    ("Hammer on 5 May 2024 at 150", "hammer", {"price": 150}),
    ("Hammer in 2024 at 150", "hammer", {"price": 150}),
    ("Hammer at 14:30 UTC, at 150", "hammer", {"price": 150}),
    ("Hammer with RSI(14) at 28 near $42", "hammer", {"price": 42}),
    ("Hammer, RSI 28, volume 1.2M, at 42", "hammer", {"price": 42}),
    ("Hammer above the 200-day moving average at $42", "hammer", {"price": 42}),
    ("Hammer above the 50 EMA, price 42", "hammer", {"price": 42}),
    ("Hammer after 3 red candles at 42", "hammer", {"price": 42}),
    ("Three black crows after 5 days of rally, at $20", "three_black_crows", {"price": 20}),
    ("Hammer at 150, support 145, resistance 160", "hammer", {"price": 150, "support": 145, "resistance": 160}),
    ("Strong hammer on TSLA near support at 245.30", "hammer", {"support": 245.3, "symbol": "TSLA"}),
    ("Hammer confidence 80", "hammer", {"confidence": 0.8}),
    ("Hammer, confidence .8", "hammer", {"confidence": 0.8}),
    ("Hammer with confidence 1", "hammer", {"confidence": 1}),
    ("Hammer, 100% sure", "hammer", {"confidence": 1}),
    ("Hammer, 1% confidence", "hammer", {"confidence": 0.01}),
    ("Hammer: probability 85.5%", "hammer", {"confidence": 0.855}),
    ("Hammer up 3%", "hammer", {}),
    ("hammers", "hammer", {}),
    ("hammer $5 Jan 5", "hammer", {"price": 5}),
    ("Shooting star, long wick, after a bullish trend, at 150", "shooting_star", {"price": 150}),
    ("buy signal: hammer at 150", "hammer", {"price": 150}),
    ("hammer at 150 and hammer at 150", "hammer", {"price": 150}),
    ("Bullish engulfing: an engulfing at 150", "bullish_engulfing", {"price": 150}),
    ("doji at 150", "doji", {"price": 150, "direction": None}),
    ("bullish doji at 150", "doji", {"price": 150, "direction": "bullish"}),
    ("spinning top, short, at 150", "spinning_top", {"price": 150, "direction": "bearish"}),
    ("doji down 3% at 150", "doji", {"price": 150, "direction": None}),
    ("rectangle at 30", "rectangle", {"price": 30, "direction": None}),
    ("rectangle (bearish) at 30", "bearish_rectangle", {"price": 30}),
    ("bullish tasuki gap at 5", "upside_tasuki_gap", {"price": 5}),
    ("A bullish engulfing pattern has formed on the daily chart of TSLA at $245.30 with 85% confidence.",
     "bullish_engulfing", {"price": 245.3, "symbol": "TSLA", "timeframe": "1d", "confidence": 0.85}),
]  # fmt: skip


@pytest.fixture
def types(db):
    """Return the direction of every pattern type."""
    return {row["pattern_type"]: row["direction"] for row in rows(db, "SELECT * FROM ml.pattern_types")}


@pytest.fixture
def phrases(db):
    """Return every phrase, in a stable order."""
    return rows(db, "SELECT phrase, role, pattern_type FROM ml.narrative_phrases ORDER BY id")


def test_sentences_that_are_taken(db, types):
    wrong = {}
    for text, pattern_type, fields in TAKEN:
        expected = {"pattern_type": pattern_type, "direction": types[pattern_type], **fields}
        result = parse(db, text)
        if said(result) != {name: field for name, field in expected.items() if field is not None}:
            wrong[text] = result
    assert wrong == {}


REFUSED = [
    (None, "no text"),
    ("", "no text"),
    (" \t\n", "no text"),
    ("hello", "no pattern"),
    ("#", "no pattern"),
    ("\U0001f680", "no pattern"),
    ("Price is at $150", "no pattern"),
    ("golden cross at 150", '"golden", "cross"'),
    ("unicorn hammer at 150", '"unicorn"'),
    ("No bullish engulfing at 150", '"No"'),
    ("not seeing a bullish engulfing", '"not"'),
    ("This isn't a hammer", '"isn\'t"'),
    ("This isn\u2019t a hammer", '"isn\'t"'),
    ("we didnt see a hammer", '"didnt"'),
    ("n\u200bot a hammer", '"not a"'),
    ("Bullish engulfing failed to form at 150", '"failed"'),
    ("The hammer at 150 was invalidated", '"invalidated"'),
    ("It is no longer a hammer", '"no longer"'),
    ("We never saw a hammer", '"never"'),
    ("Reversal without a hammer", '"without"'),
    ("Neither hammer at 150", '"Neither"'),
    ("false breakout at 150", '"false"'),
    ("fake hammer at 150", '"fake"'),
    ("DEAD hammer at 150", '"DEAD"'),
    ("hammer, but it has been negated", '"negated"'),
    ("There is a hammer nowhere near 150", '"nowhere"'),
    ("hammer missing at 150", '"missing"'),
    ("unlikely hammer at 150", '"unlikely"'),
    ("It would be a hammer at 150", '"would"'),
    ("If price breaks 150, a bullish engulfing", '"If"'),
    ("waiting for a hammer at 150", '"waiting"'),
    ("almost a hammer at 150", '"almost"'),
    ("near hammer at 150", '"near hammer"'),
    ("close to a hammer at 150", '"close to"'),
    ("potential bullish engulfing at 150", '"potential"'),
    ("this may be a hammer", '"may"'),
    ("hammer\u2011like candle at 150", '"like"'),
    ("looks like a hammer at 150", '"looks like"'),
    ("Hammer? at 150", '"?"'),
    ("A hammer is a bullish reversal pattern", '"hammer is a"'),
    ("two hammers at 150", '"two"'),
    ("hammer two days ago at 150", '"ago"'),
    ("hammer on AAPL is off", '"is off"'),
    ("the hammer is over", '"is over"'),
    ("yesterday: hammer at 150", '"yesterday"'),
    ("hammer or hanging man at 150", "more than one pattern"),
    ("hammer and shooting star at 150", "more than one pattern"),
    ("bullish engulfing at 150, bearish engulfing", "more than one pattern"),
    ("engulfing at 150", "bearish_engulfing or bullish_engulfing"),
    ("flag at 150", "bear_flag or bull_flag"),
    ("bearish hammer at 150", "the text says bearish, and hammer is bullish"),
    ("sell: bullish engulfing at 150", "the text says bearish, and bullish engulfing is bullish"),
    ("bullish bearish doji", "two values are given for direction"),
    ("hammer at 150; hammer at 155", "two values are given for price, 150 and 155"),
    ("hammer at 150-152", '"-152"'),
    ("hammer at $150 or $160", "two values are given for price"),
    ("hammer, target 160, target 170", "two values are given for target price"),
    ("hammer at 150, targets 160, 170", '"170"'),
    ("hammer $160 target $140 stop", "could belong"),
    ("hammer at 150 with a tight stop", '"tight"'),
    ("hammer at 150 with a stop", '"stop" has no number'),
    ("hammer, target 5%", "must be a price"),
    ("hammer at 5%", "must be a price"),
    ("hammer, target 5 days", '"5"'),
    ("hammer at 3 bars", '"3"'),
    ("hammer 150", '"150"'),
    ("hammer 2024", '"2024"'),
    ("hammer at 150,25", '"150,25"'),
    ("hammer at 1.234,50", '"1.234,50"'),
    ("hammer at $65k", '"65k"'),
    ("hammer at 150 150", '"150"'),
    ("hammer on 2024-13-05 at 150", '"2024-13-05"'),
    ("hammer on 2023-02-29 at 150", '"2023-02-29"'),
    ("RSI 14 at 28, hammer", '"28"'),
    ("hammer at 0", "above 0"),
    ("hammer at -5", "above 0"),
    ("hammer at " + "9" * 30, "below 1e15"),
    ("hammer at " + "9" * 500, "below 1e15"),
    ("hammer, confidence 150%", "confidence 150% is outside"),
    ("hammer, confidence 101", "confidence 101 is outside"),
    ("hammer, confidence -0.1", "confidence -0.1 is outside"),
    ("hammer, confidence 8", "of 10 or of 100"),
    ("hammer, 80% confidence, 70% confidence", "two values are given for confidence"),
    ("hammer, 80% confidence 70%", "two values are given for confidence"),
    ("hammer with low confidence", '"low confidence"'),
    ("hammer on AAPL on TSLA", "two values are given for symbol"),
    ("hammer on the 1h and 4h chart", "two values are given for timeframe"),
    ("❌ hammer at 150", '"❌"'),
    ("'); DROP TABLE pattern_events; --", "no pattern"),
    ("hammer'; DROP TABLE pattern_events; --", '"TABLE"'),
    (r".*+?[](){}^$|\ hammer (((((((((( [[[[ \1", "not understood"),
    ("hammer\x01 at 150", "not understood"),
    ("h\u0430mmer at 150", "no pattern"),  # a Cyrillic letter
    ("hammer " * 300, "at most 2000"),
]  # fmt: skip


def test_sentences_that_are_refused_and_why(db):
    wrong = {}
    for text, why in REFUSED:
        result = parse(db, text)
        if result["ok"] or not any(why in problem for problem in result["problems"]):
            wrong[text] = result
    assert wrong == {}


def test_every_type_is_known_by_its_name(db, types):
    for pattern_type, direction in types.items():
        name = "thrusting_pattern" if pattern_type == "thrusting" else pattern_type
        for text in (name, name.replace("_", " "), name.replace("_", "-").upper(), name.replace("_", " ").title()):
            expected = {"pattern_type": pattern_type, "price": 150}
            if direction:
                expected["direction"] = direction
            assert said(parse(db, f"{text} at 150")) == expected
            if direction:
                other = {"bullish": "bearish", "bearish": "bullish"}[direction]
                assert not parse(db, f"{other}: {text} at 150")["ok"]


# Pieces of sentences with what they say. No piece ends in a way that the next one could change.
OPENERS = st.sampled_from(
    [
        "",
        "Seeing a ",
        "Detected: ",
        "We have a clear ",
        "ALERT - ",
        "There is a ",
        "\U0001f514 ",
        "pattern=",
        "spotted ",
    ]
)
SPACES = st.sampled_from([" ", "-", "_", "\u00a0", "\u2011", "  ", " - "])
CASES = st.sampled_from([str, str.upper, str.title, str.capitalize])
PRICES = st.decimals("0.0001", "99999", places=4, allow_nan=False, allow_infinity=False).map(
    lambda number: number.normalize()
)
PRICE_FORMS = {
    "price": [
        "at {}",
        "@ {}",
        "@{}",
        "at ${}",
        "at {} USD",
        "price: {}",
        "price={}",
        "entry {}",
        "around \u20ac{}",
        "${}",
    ],
    "target_price": ["target {}", "target: ${}", "price target of {}", "TP {}", "take profit at {}", "${} target"],
    "stop_price": ["stop {}", "stop-loss at {}", "SL: {}", "stop loss below ${}", "${} stop"],
    "support": ["support {}", "support level of {}", "${} support"],
    "resistance": ["resistance {}", "resistance at ${}"],
}
CONFIDENCE_FORMS = [
    "{:%} confidence",
    "confidence {:%}",
    "confidence: {}",
    "with {:%} probability",
    "{:%} sure",
    "conf={}",
]
TIMEFRAME_FORMS = {
    "1h": ["on the 1h chart", "(H1)", "hourly", "on the 60-minute chart"],
    "15m": ["15m", "on the 15-minute chart", "timeframe: 15min"],
    "1d": ["daily", "on the 1D chart", "(daily chart)"],
}
SYMBOL_FORMS = {
    "AAPL": ["on AAPL", "$AAPL", "symbol: AAPL", "for AAPL"],
    "BTC-USD": ["on BTC-USD", "BTC-USD"],
    "EURUSD": ["in EURUSD", "ticker=EURUSD"],
}
WAYS = {"bullish": ["bullish", "long", "buy"], "bearish": ["bearish", "short", "sell"]}
SEPARATORS = st.sampled_from([", ", "; ", ". ", " | ", "\n", " and "])


def number_text(number, draw):
    text = f"{number:f}"
    whole, dot, rest = text.partition(".")
    return f"{int(whole):,}{dot}{rest}" if draw(st.booleans()) else text


@st.composite
def sentences(draw, types):
    """Draw a sentence and what it says."""
    pattern_type = draw(st.sampled_from(sorted(types)))
    direction = types[pattern_type]
    name, stated = pattern_type.split("_"), None
    if name == ["thrusting"]:
        name = ["thrusting", "pattern"]
    if name[0] in WAYS and draw(st.booleans()):
        # Said apart from the name.
        name, stated = name[1:], draw(st.sampled_from(WAYS[name[0]]))
    text = draw(CASES)(draw(SPACES).join(name))
    truth = {"pattern_type": pattern_type}
    if direction:
        truth["direction"] = direction
    pieces = []
    if stated:
        pieces.append(f"({stated})")
    for field, forms in PRICE_FORMS.items():
        if draw(st.booleans()):
            number = draw(PRICES)
            truth[field] = float(number)
            pieces.append(draw(st.sampled_from(forms)).format(number_text(number, draw)))
    if draw(st.booleans()):
        percent = draw(st.integers(11, 100))
        truth["confidence"] = percent / 100
        form = draw(st.sampled_from(CONFIDENCE_FORMS))
        pieces.append(form.replace("{:%}", f"{percent}%").replace("{}", f"{percent / 100}"))
    for field, forms in (("timeframe", TIMEFRAME_FORMS), ("symbol", SYMBOL_FORMS)):
        if draw(st.booleans()):
            truth[field] = draw(st.sampled_from(sorted(forms)))
            pieces.append(draw(st.sampled_from(forms[truth[field]])))
    pieces = draw(st.permutations(pieces))
    separator = draw(SEPARATORS)
    first = draw(st.sampled_from([" ", ", ", ": "])) if pieces else ""
    end = draw(st.sampled_from(["", ".", "!", " "]))
    return draw(OPENERS) + text + first + separator.join(pieces) + end, truth


@PROPERTY
@given(data=st.data())
def test_a_sentence_of_the_grammar_gives_what_it_says(db, types, data):
    text, truth = data.draw(sentences(types))
    result = parse(db, text)
    wrong = wrong_sides(truth)
    if wrong:
        assert not result["ok"], (text, result)
        assert len(result["problems"]) == wrong
        assert all("lies on the wrong side of the price" in problem for problem in result["problems"])
    else:
        assert said(result) == truth, (text, result)


def wrong_sides(truth):
    """Count the levels of a sentence that contradict its direction: a target behind the price, a stop before it."""
    price, side = truth.get("price"), {"bullish": 1, "bearish": -1}.get(truth.get("direction"))
    if price is None or side is None:
        return 0
    target, stop = truth.get("target_price"), truth.get("stop_price")
    return (target is not None and side * (target - price) <= 0) + (stop is not None and side * (price - stop) <= 0)


@PROPERTY
@given(data=st.data())
def test_one_word_of_denial_or_doubt_anywhere_is_enough(db, types, phrases, data):
    text, _ = data.draw(sentences(types))
    # Broken above 150 is where the price is.
    refusing = [
        row["phrase"]
        for row in phrases
        if row["role"] in ("denial", "doubt", "other_time") and row["phrase"] not in ("broke", "broken")
    ]
    phrase = data.draw(st.sampled_from([*refusing, "hasn't", "didn\u2019t"]))
    words = text.split(" ")
    place = data.draw(st.integers(0, len(words)))
    result = parse(db, " ".join([*words[:place], data.draw(CASES)(phrase), *words[place:]]))
    assert not result["ok"], (text, phrase, result)


def plain(text):
    """Return the words of a text, without case, punctuation and the plural s: an oracle that shares no code."""
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text.replace("&", " and ").replace("_", " "))
    words = re.findall(r"[^\W_]+", text.lower())
    return f" {' '.join(re.sub(r'(?<=..[^su])s$', '', word) for word in words)} "


def check_nothing_is_made_up(db, types, phrases, text):
    result = parse(db, text)
    if result["ok"]:
        names = [row["phrase"] for row in phrases if row["pattern_type"] == result["pattern_type"]]
        assert any(plain(name) in plain(text) for name in names), (text, result)
        own = types[result["pattern_type"]]
        assert own is None or result["direction"] == own
        for field in PRICE_FORMS:
            if result[field] is not None:
                assert float(result[field]) in {
                    float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?|\.\d+", text)
                }


ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)


@PROPERTY
@given(text=ANY_TEXT)
def test_any_text_is_answered(db, types, phrases, text):
    check_nothing_is_made_up(db, types, phrases, text)
    result = ingest(db, text)
    assert result["ok"] is False
    assert result["event_id"] is None


@PROPERTY
@given(data=st.data())
def test_known_words_in_any_order_make_nothing_up(db, types, phrases, data):
    known = [row["phrase"] for row in phrases if row["role"] not in ("denial", "doubt", "other_time")]
    pieces = st.one_of(
        st.sampled_from(known),
        st.sampled_from(["hammer", "bullish engulfing", "at 150", "target 160", "$140", "80%", "confidence", "AAPL"]),
        st.sampled_from(["5", "14.5", "1h", "5-minute", "2024", "2024-01-05", "(", ")", ",", ".", ":", "'", "\\", "%"]),
        ANY_TEXT.filter(lambda text: len(text) < 5),
    )
    text = " ".join(data.draw(st.lists(pieces, max_size=12)))
    check_nothing_is_made_up(db, types, phrases, text)


def test_long_texts_cost_little(db):
    db.execute("SET statement_timeout = '2s'")
    pieces = [
        "a",
        "a'",
        "1",
        "1,",
        "1.1",
        "(",
        "$",
        "no ",
        "hammer ",
        "-",
        "\u200b",
        "\U0001f680",
        "2024-01-05T",
        "A.",
        "at 1 ",
    ]
    for piece in pieces:
        result = parse(db, (piece * 2000)[:2000])
        assert "at most 2000" not in str(result["problems"])
        assert not result["ok"]
        result = parse(db, piece * 1_000_000)
        assert len(result["problems"]) == 1
        assert "at most 2000 are read" in result["problems"][0]


def test_what_a_caller_expects_is_not_contradicted(db):
    assert parse(db, "hammer on BTC-USD 1h", "BTC/USD", "1h")["ok"]
    assert parse(db, "hammer on EURUSD at 1.08", "EURUSD=X")["ok"]
    assert parse(db, "hammer on the 60 min chart", "AAPL", "1h")["ok"]
    # Its own symbol is known however it is written, and where no other word would be.
    assert said(parse(db, "hammer aapl at 150", "AAPL"))["symbol"] == "aapl"
    assert "AAPL, and the symbol given is TSLA" in parse(db, "hammer on AAPL", "TSLA")["problems"][0]
    assert "1h, and the timeframe given is 4h" in parse(db, "hammer, 1h", "AAPL", "4h")["problems"][0]
    # A name that no bars have is compared as it is.
    assert not parse(db, "hammer, 1h", "AAPL", "tick1000")["ok"]
    assert parse(db, "hammer", "AAPL", "tick1000")["ok"]


def test_users_add_the_words_of_their_detectors(db):
    assert not parse(db, "Umgekehrter Hammer in Apfel bei 150 gesichtet")["ok"]
    db.execute(
        """
        INSERT INTO ml.narrative_phrases (phrase, role, pattern_type, value) VALUES
            ('Umgekehrter Hammer', 'pattern', 'inverted_hammer', NULL), ('Apfel', 'symbol', NULL, 'AAPL'),
            ('bei', 'at', NULL, NULL), ('gesichtet', 'ignored', NULL, NULL)
        """
    )
    result = parse(db, "Umgekehrter Hammer in Apfel bei 150 gesichtet")
    assert said(result) == {"pattern_type": "inverted_hammer", "direction": "bullish", "symbol": "AAPL", "price": 150}
    # Who calls everything a potential pattern can say so.
    db.execute("UPDATE ml.narrative_phrases SET role = 'ignored' WHERE phrase = 'potential'")
    assert parse(db, "potential hammer at 150")["ok"]
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute("INSERT INTO ml.narrative_phrases (phrase, role) VALUES ('NOT', 'ignored')")
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute("INSERT INTO ml.narrative_phrases (phrase, role) VALUES ('word', 'nonsense')")


def test_a_session_changes_nothing(db):
    text = "hammer on 2024-01-05 at 1,234.50, 80% confidence, 1h"
    expected = parse(db, text)
    assert expected["ok"]
    for setting in (
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'German'",
        "IntervalStyle = 'iso_8601'",
        "search_path = ''",
    ):
        db.execute(f"SET {setting}")
        assert parse(db, text) == expected


def test_a_price_far_from_the_bars_is_said_and_taken(db):
    add_bars(db)
    close = value(db, "SELECT close FROM price_bars WHERE ts <= %s ORDER BY ts DESC LIMIT 1", AT)
    far = ingest(db, f"hammer at {round(close * 3, 2)}, 70% confidence")
    assert far["ok"] and far["event_id"]
    assert [warning.partition(", and the last bar of TEST 1d closed at")[1] != "" for warning in far["warnings"]] == [
        True
    ]
    assert ingest(db, f"hammer at {round(close, 2)}, 70% confidence")["warnings"] == []


def test_an_ingested_sentence_is_scored_as_any_event(db):
    add_bars(db)
    go_live(db)
    text = "Seeing bullish engulfing pattern at $150, target 160, stop 140, support 139, resistance 161, 72% confidence"
    result = ingest(db, text, metadata=Jsonb({"detector": "nightly"}))
    stored = event(db, result["event_id"])
    assert result["ok"] and result["problems"] == []
    assert result["ml_confidence"] == stored["ml_confidence"] == PROBABILITY
    assert result["blended_confidence"] == stored["blended_confidence"] == pytest.approx(0.798)
    assert (result["rule_confidence"], result["model_version"], result["prediction_class"]) == (0.72, "toy", "win")
    assert result["fallback_reason"] is None
    names = (
        "symbol",
        "timeframe",
        "pattern_type",
        "direction",
        "detected_at",
        "entry_price",
        "target_price",
        "stop_price",
        "support",
        "resistance",
    )
    assert [stored[name] for name in names] == [
        "TEST",
        "1d",
        "bullish_engulfing",
        "bullish",
        AT,
        150,
        160,
        140,
        139,
        161,
    ]
    assert stored["metadata"] == {"detector": "nightly", "source_text": text}
    (logged,) = predictions(db, result["event_id"])
    assert (logged["source"], logged["blended_confidence"]) == ("insert", stored["blended_confidence"])


def test_what_is_not_stated_is_computed_as_for_any_event(db):
    add_bars(db)
    go_live(db)
    result = ingest(db, "hammer", rule_confidence=0.72)
    plain_row = one(
        db,
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " VALUES ('TEST', '1d', 'hammer', %s, 0.72) RETURNING ml_features, direction, entry_price",
        AT,
    )
    stored = event(db, result["event_id"])
    assert {name: stored[name] for name in plain_row} == plain_row


def test_without_bars_the_rule_counts_and_the_reason_is_told(db):
    go_live(db)
    result = ingest(db, "hammer, 80% confidence")
    assert result["ok"]
    assert (result["ml_confidence"], result["blended_confidence"]) == (None, 0.8)
    assert result["fallback_reason"] == "bar_missing"


MISFITS = [
    ({"text": None, "rule_confidence": 0.5}, "no text"),
    ({"text": "no hammer", "rule_confidence": 0.5}, "denies"),
    ({"text": "hammer"}, "no confidence is stated or given"),
    ({"text": "hammer, 80%"}, "no confidence is stated or given"),
    ({"text": "hammer, 80% confidence", "rule_confidence": 0.7}, "states a confidence of 0.8"),
    ({"text": "hammer", "rule_confidence": 1.01}, "p_rule_confidence is 1.01"),
    ({"text": "hammer", "rule_confidence": float("nan")}, "p_rule_confidence is NaN"),
    ({"text": "hammer", "rule_confidence": 0.5, "symbol": None}, "p_symbol is empty"),
    ({"text": "hammer", "rule_confidence": 0.5, "symbol": " "}, "p_symbol is empty"),
    ({"text": "hammer", "rule_confidence": 0.5, "timeframe": None}, "p_timeframe is empty"),
    ({"text": "hammer", "rule_confidence": 0.5, "detected_at": None}, "p_detected_at is not a time"),
    ({"text": "hammer", "rule_confidence": 0.5, "detected_at": "infinity"}, "p_detected_at is not a time"),
    ({"text": "hammer on AAPL", "rule_confidence": 0.5}, "AAPL, and the symbol given is TEST"),
    ({"text": "hammer, 1h", "rule_confidence": 0.5}, "timeframe 1h, and the timeframe given is 1d"),
    ({"text": "hammer on 2024-01-05", "rule_confidence": 0.5}, "2024-01-05, and p_detected_at is 2024-10-17"),
    ({"text": "hammer", "rule_confidence": 0.5, "metadata": "[]"}, "p_metadata is not a JSON object"),
    ({"text": "hammer", "rule_confidence": 0.5, "metadata": '{"source_text": 1}'}, "has the key source_text"),
]


def test_what_does_not_fit_inserts_nothing_and_says_why(db):
    for arguments, why in MISFITS:
        result = ingest(db, **arguments)
        assert result["ok"] is False
        assert any(why in problem for problem in result["problems"]), (arguments, result["problems"])
        assert result["pattern_type"] is None
        assert result["event_id"] is None
    assert value(db, "SELECT count(*) FROM pattern_events") == 0


def test_it_runs_with_the_rights_of_its_caller(db):
    db.execute("CREATE ROLE narrator_test")
    try:
        db.execute(
            """
            GRANT USAGE ON SCHEMA ml TO narrator_test;
            GRANT EXECUTE ON FUNCTION ml.ingest_pattern, ml.parse_pattern, ml.narrative_tokens, ml.narrative_words
            TO narrator_test;
            GRANT SELECT ON ml.narrative_phrases, ml.pattern_types, ml_timeframes TO narrator_test;
            SET ROLE narrator_test
            """
        )
        assert parse(db, "hammer at 150")["ok"]
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="pattern_events"):
            ingest(db, "hammer", rule_confidence=0.5)
        db.execute(
            """
            RESET ROLE;
            GRANT SELECT, INSERT (symbol, timeframe, pattern_type, direction, detected_at, entry_price, target_price,
                stop_price, support, resistance, rule_confidence, metadata) ON pattern_events TO narrator_test;
            SET ROLE narrator_test
            """
        )
        assert ingest(db, "hammer", rule_confidence=0.5)["ok"]
    finally:
        db.execute("RESET ROLE; DROP OWNED BY narrator_test; DROP ROLE narrator_test")


def test_a_row_that_a_trigger_keeps_out_is_said(db):
    db.execute(
        """
        CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER a_keep_out BEFORE INSERT ON pattern_events FOR EACH ROW EXECUTE FUNCTION keep_out()
        """
    )
    result = ingest(db, "hammer", rule_confidence=0.5)
    assert not result["ok"]
    assert "kept the row out" in result["problems"][0]
    assert result["pattern_type"] is None
