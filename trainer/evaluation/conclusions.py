"""What the intervals show and what they do not, in words: every sentence but the last follows from the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.evaluation.bootstrap import ABOVE, BELOW, LEAST_OF_EACH_CLASS, LEAST_SPANS, NOT_SHOWN, TOO_FEW
from trainer.evaluation.checks import NOT_AS_EXPECTED
from trainer.evaluation.holdout_record import HoldoutUses
from trainer.evaluation.names import BASELINES, TRUE_POSITIVE_GOAL, ranks_by

FEW_SPANS = 36
WEAK_AUC = 0.60
NO_CLAIM = "Costs and slippage are in none of these figures, and nothing is claimed about earning money."
SHOWN, OPPOSITE = "shown", "the opposite is shown"
_WHERE = {"walk_forward": "In walk-forward", "holdout": "On the holdout"}


def conclusions(parts: Mapping[str, dict[str, Any]], checks: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """Say in words what the intervals show and what they do not."""
    sentences = []
    for part, figures in parts.items():
        where = _WHERE[part]
        sentences += _ranking(where, figures)
        if _verdict(figures["auc"]["calibrated"]) != TOO_FEW:
            within, sign, decided = _directions(where, figures)
            sentences += [within, sign, *decided]
            sentences += _against_baselines(where, figures)
            sentences += _probabilities(where, figures)
            sentences += _equal_confirmations(where, figures)
            sentences += _within_markets(where, figures)
        sentences += _confirmations(where, figures)
    return sentences + failed_checks(checks)


def notes(candidates: int, calibrator: str, uses: HoldoutUses | None = None) -> list[str]:
    """Say what is to be known of any figures: how much was chosen by them, and what they leave out."""
    used = [] if uses is None else [uses.sentence()]
    return [_choices(candidates), *used, describe_calibrator(calibrator), NO_CLAIM]


def failed_checks(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each check whose outcome was not as expected."""
    return [
        f"In the {check['part']}, the {check['check']} is {_found(check['found'])}, where {check['expected']} was "
        "expected: look for a leak, and distrust the figures until it is explained."
        for check in checks
        if check["status"] == NOT_AS_EXPECTED
    ]


def _found(found: Any) -> str:
    return shown(found) if isinstance(found, Mapping) else str(found)


def headline(
    holdout: dict[str, Any], label: str, checks: Sequence[Mapping[str, Any]], kind: str | None = None
) -> dict[str, str]:
    """Return the first thing to say: ``verdict``, a few words, ``sentence``, which bears them out, and a ``but``."""
    area = holdout["auc"]["calibrated"]
    if failed := failed_checks(checks):
        return {"verdict": "Not to be trusted", "sentence": failed[0], "but": ""}
    if _verdict(area) == TOO_FEW:
        return {"verdict": "Too few events to judge", "sentence": _too_few("On the holdout", holdout), "but": ""}
    unseen = f"On {holdout['events']:,} events that it had not seen"
    by = ranks_by(label, kind)
    if _verdict(area) == ABOVE:
        strength = "weak signal" if area["value"] < WEAK_AUC else "signal"
        return {
            "verdict": f"A {strength} is shown",
            "sentence": f"{unseen}, the model ranks events by {by} better than chance: AUC {shown(area)}, "
            "where 0.5 is a coin toss and 1 is certainty.",
            "but": _but(holdout),
        }
    worse = "worse than chance" if _verdict(area) == BELOW else "not shown to be better than chance"
    return {
        "verdict": "No signal is shown",
        "sentence": f"{unseen}, the model's ranking by {by} is {worse}: AUC {shown(area)}, where 0.5 is a coin toss.",
        "but": "",
    }


def _but(holdout: dict[str, Any]) -> str:
    """Say at once what a signal does not amount to: baselines not beaten, direction not told, wins not gained."""
    beaten_not = [name for score, name in BASELINES.items() if _verdict(holdout["auc_above"][score]) != ABOVE]
    said = [f"It is not shown to rank better than {_and(beaten_not, 'or')}."] if beaten_not else []
    if holdout["spans"] < FEW_SPANS:
        said.append(f"With {holdout['spans']} {holdout['span']}s to draw from, the intervals are rough.")
    if _has_losses(holdout) and _verdict(holdout["auc_win_vs_loss"]) != ABOVE:
        said.append("It is not shown to tell which barrier comes first.")
    cut = holdout["true_positives"][-1]
    rule, volatility = cut["model_to_rule"], cut["model_to_volatility"]
    if TOO_FEW not in (_verdict(rule), _verdict(volatility)):
        more = {ABOVE: "more", BELOW: "fewer", NOT_SHOWN: "not shown to be more"}
        said.append(
            f"Confirming {cut['events']:,} events, {cut['confirmations']}, it finds {shown(rule, 2)} times the rule's "
            f"wins ({more[_verdict(rule)]}), and {shown(volatility, 2)} times those of volatility alone "
            f"({more[_verdict(volatility)]})."
        )
    return " ".join(said)


def claims(parts: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what might be claimed of a model, and whether each part's intervals bear it out.

    A list of ``claim`` and, per part, ``verdict`` (shown, not shown, the opposite is shown, too few to judge) with
    the ``figure``, ``name`` being what the figure is.
    """
    found: list[dict[str, Any]] = []

    def claim(text: str, name: str, of_part: Any) -> None:
        entry: dict[str, Any] = {"claim": text, "name": name}
        for part, figures in parts.items():
            figure, verdict = of_part(figures)
            entry[part] = {"figure": figure, "verdict": {ABOVE: SHOWN, BELOW: OPPOSITE}.get(verdict, verdict)}
        found.append(entry)

    def with_verdict(figure: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        return figure, _verdict(figure)

    claim("It ranks events better than chance", "AUC", lambda part: with_verdict(part["auc"]["calibrated"]))
    for score, name in BASELINES.items():
        claim(
            f"It ranks events better than {name}",
            "AUC above it",
            lambda part, score=score: with_verdict(part["auc_above"][score]),
        )
    claim(
        "Its probabilities are better than always saying the period's own base rate",
        "Brier skill",
        lambda part: (part["brier_skill_own_base_rate"], _skill_verdict(part, "_own_base_rate")),
    )
    for place, cut in enumerate(next(iter(parts.values()))["true_positives"]):
        claim(
            f"It confirms more wins than the rule at equally many confirmations ({cut['confirmations']})",
            "wins per win of the rule",
            lambda part, place=place: with_verdict(part["true_positives"][place]["model_to_rule"]),
        )
    owners = next(iter(parts.values()))["true_positives"][-1]["confirmations"]
    claim(
        f"It confirms at least {TRUE_POSITIVE_GOAL - 1:.0%} more wins than the rule ({owners})",
        "wins per win of the rule",
        lambda part: _at_least_the_goal(part["true_positives"][-1]["model_to_rule"]),
    )
    if any(_has_losses(part) for part in parts.values()):
        claim(
            "It tells which barrier comes first, timeouts left out",
            "AUC win against loss",
            lambda part: with_verdict(part["auc_win_vs_loss"]),
        )
    return found


def _at_least_the_goal(ratio: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if _verdict(ratio) == TOO_FEW:
        return ratio, TOO_FEW
    if ratio["low"] >= TRUE_POSITIVE_GOAL:
        return ratio, ABOVE
    return ratio, BELOW if ratio["high"] < TRUE_POSITIVE_GOAL else NOT_SHOWN


def summary(holdout: dict[str, Any]) -> list[str]:
    """Say in five sentences at most what the holdout shows."""
    where = "On the holdout"
    if _verdict(holdout["auc"]["calibrated"]) == TOO_FEW:
        return [_too_few(where, holdout), NO_CLAIM]
    within, _, decided = _directions(where, holdout)
    gain, skill = holdout["auc_above"]["volatility"], holdout["brier_skill_own_base_rate"]
    return [
        _ranking_verdict(where, holdout),
        within,
        *decided,
        f"{where}, its AUC is {_against(gain)} that of volatility alone ({shown_gain(gain)}), and its probabilities "
        f"are {_goodness(_skill_verdict(holdout, '_own_base_rate'))} always saying the period's own base rate (Brier "
        f"skill {shown(skill)}).",
        NO_CLAIM,
    ]


def not_shown(holdout: dict[str, Any]) -> list[str]:
    """Say what the holdout does not show: a sentence for each claim that its intervals do not bear out."""
    where = "On the holdout"
    if _verdict(holdout["auc"]["calibrated"]) == TOO_FEW:
        return [_too_few(where, holdout)]
    sentences = []
    if _verdict(holdout["auc"]["calibrated"]) != ABOVE:
        sentences.append(_ranking_verdict(where, holdout))
    within, _, decided = _directions(where, holdout)
    if any(_verdict(found["auc"]) != ABOVE for found in holdout["by_direction"].values()):
        sentences.append(within)
    if _verdict(holdout["auc_win_vs_loss"]) != ABOVE:
        sentences += decided
    for score, name in BASELINES.items():
        gain = holdout["auc_above"][score]
        if _verdict(gain) != ABOVE:
            sentences.append(f"{where}, its AUC is {_against(gain)} that of {name} ({shown_gain(gain)}).")
    if _skill_verdict(holdout, "_own_base_rate") != ABOVE:
        sentences += _probabilities(where, holdout)
    return sentences


def describe_calibrator(method: str) -> str:
    """Say in a sentence what the calibrator does."""
    if method == "identity":
        return "The calibrator is identity, that is, none: the probabilities are the model's own."
    return f"The calibrator is {method}, fitted on the walk-forward predictions."


def _choices(candidates: int) -> str:
    chosen = "the calibrator and the threshold"
    if candidates > 1:
        chosen = f"the model (among {candidates} candidates), the calibrator and the threshold"
    return (
        f"The walk-forward figures are the ones by which {chosen} were chosen, and so are optimistic; the fit used "
        "the holdout for no choice."
    )


def _too_few(where: str, figures: dict[str, Any]) -> str:
    return (
        f"{where}, there are {figures['events']:,} events, of which {figures['class_counts']['win']:,} won, in "
        f"{figures['spans']} {figures['span']}s: {TOO_FEW} (needed are {LEAST_SPANS} {figures['span']}s, and "
        f"{LEAST_OF_EACH_CLASS} events of each class)."
    )


def _ranking(where: str, figures: dict[str, Any]) -> list[str]:
    area = figures["auc"]["calibrated"]
    if _verdict(area) == TOO_FEW:
        return [_too_few(where, figures)]
    sentences = []
    if figures["spans"] < FEW_SPANS:
        sentences.append(
            f"{where}, there are only {figures['spans']} {figures['span']}s to draw from: its intervals are "
            "rough, and of twenty claims one may be chance."
        )
    sentences.append(_ranking_verdict(where, figures))
    return sentences


def _ranking_verdict(where: str, figures: dict[str, Any]) -> str:
    area = figures["auc"]["calibrated"]
    verdict = _goodness(_verdict(area))
    return f"{where}, the model's AUC is {shown(area)} on {figures['events']:,} events: {verdict} chance."


def _within_markets(where: str, figures: dict[str, Any]) -> list[str]:
    """Say whether the ranking holds within markets, or lives in their different base rates."""
    within = figures["auc_within_symbol"]
    markets = [row for row in figures["per_market"] if "others" not in row and _verdict(row["auc"]) != TOO_FEW]
    if len(markets) < 2:
        return []
    above = sum(row["auc"]["value"] > 0.5 for row in markets)
    return [
        f"{where}, the mean AUC within a market is {shown(within)}, {_goodness(_verdict(within))} chance; it is over "
        f"0.5 in {above} of the {len(markets)} markets with enough events."
    ]


def _has_losses(figures: Mapping[str, Any]) -> bool:
    """Say whether there are losses: labels without a stop, such as HIT and RX, have none."""
    return bool(figures["class_counts"]["loss"])


def _directions(where: str, figures: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Say how it ranks within each direction, what the direction alone tells, and whether it tells wins from losses.

    The last is nothing where there are no losses.
    """
    within = []
    for name, found in figures["by_direction"].items():
        verdict = _verdict(found["auc"])
        if verdict == TOO_FEW:
            within.append(f"within {name} events rests on {TOO_FEW}")
        else:
            within.append(f"within {name} events is {_goodness(verdict)} chance (AUC {shown(found['auc'])})")
    sign, decided = figures["auc_direction_sign"], figures["auc_win_vs_loss"]
    by_sign = {
        ABOVE: "bullish events won more often",
        BELOW: "bearish events won more often",
        NOT_SHOWN: "neither is shown to have won more often",
    }
    if _verdict(decided) == TOO_FEW:
        of_decided = f"{where}, without the timeouts there are {TOO_FEW}."
    else:
        tells = {
            ABOVE: "better than chance at telling which barrier comes first",
            BELOW: "worse than chance at telling which barrier comes first",
            NOT_SHOWN: "not shown to tell which barrier comes first",
        }[_verdict(decided)]
        of_decided = f"{where}, its AUC for wins against losses, timeouts left out, is {shown(decided)}: {tells}."
    return (
        f"{where}, its ranking {_and(within)}.",
        f"{where}, the direction alone, bullish above bearish, has an AUC of {shown(sign)}: {by_sign[_verdict(sign)]}.",
        [of_decided] if _has_losses(figures) else [],
    )


def _against_baselines(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    for wanted in (ABOVE, NOT_SHOWN, BELOW):
        gains = {name: figures["auc_above"][score] for score, name in BASELINES.items()}
        found = [f"{name} ({shown_gain(gain)})" for name, gain in gains.items() if _verdict(gain) == wanted]
        if found:
            sentences.append(f"{where}, its AUC is {_against({'verdict': wanted})} that of {_and(found)}.")
    return sentences


def _probabilities(where: str, figures: dict[str, Any]) -> list[str]:
    def against(constant: str) -> str:
        brier, loss = figures[f"brier_skill{constant}"], figures[f"log_loss_skill{constant}"]
        return f"(Brier skill {shown(brier)}, log-loss skill {shown(loss)})"

    learnt, own = _skill_verdict(figures, ""), _skill_verdict(figures, "_own_base_rate")
    if learnt == own == ABOVE:
        sentence = (
            f"{where}, its probabilities are better than always saying the base rate, both that of the training "
            f"data {against('')} and the period's own {against('_own_base_rate')}"
        )
    else:
        sentence = (
            f"{where}, its probabilities are {_goodness(learnt)} always saying the training data's base rate "
            f"{against('')}, and {_goodness(own)} always saying the period's own, {shown(figures['base_rate'])} "
            f"{against('_own_base_rate')}"
        )
    sentences = [f"{sentence}."]
    if learnt == ABOVE and own != ABOVE:
        sentences.append(f"{where}, what they gain on the former may be no more than a shift of the base rate.")
    gain = figures["average_precision_above"]["constant"]
    sentences.append(
        f"{where}, its average precision is {shown(figures['average_precision']['calibrated'])}, "
        f"{_against(gain)} the base rate ({shown_gain(gain)})."
    )
    sentences.append(f"{where}, the calibration error is {shown(figures['ece'])}.")
    return sentences


def _skill_verdict(figures: dict[str, Any], constant: str) -> str:
    """Return the verdict on which Brier score and log loss agree."""
    verdicts = {_verdict(figures[f"{loss}_skill{constant}"]) for loss in ("brier", "log_loss")}
    return verdicts.pop() if len(verdicts) == 1 else NOT_SHOWN


def _equal_confirmations(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    for cut in figures["true_positives"]:
        for ratio, name in (("model_to_rule", "the rule's"), ("model_to_volatility", "volatility's")):
            found = cut[ratio]
            said = (
                f"{where}, its {cut['events']:,} highest scores ({cut['confirmations']}) hold {shown(found, 2)} times "
                f"the wins of {name}"
            )
            verdict = _verdict(found)
            if verdict == TOO_FEW:
                said = (
                    f"{where}, of wins among its {cut['events']:,} highest scores ({cut['confirmations']}) and {name} "
                    f"there are {TOO_FEW}"
                )
            elif verdict != ABOVE:
                said += ": fewer" if verdict == BELOW else ": not shown to be more"
            elif found["low"] >= TRUE_POSITIVE_GOAL:
                said += f": at least {TRUE_POSITIVE_GOAL - 1:.0%} more"
            else:
                said += f": more, though a gain of {TRUE_POSITIVE_GOAL - 1:.0%} is not certain"
            sentences.append(f"{said}.")
    return sentences


def _confirmations(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    in_use, recommended = figures["confirmed"][:2], figures["confirmed"][2:]
    for name, cases in (("", in_use), ("the recommended ", recommended)):
        said = [
            f"{who} confirms {case['events']:,} events ({case['share']:.0%}){_won(case)}"
            for who, case in zip(("the rule alone", "the blend"), cases, strict=True)
        ]
        sentences.append(f"{where}, at {name}{cases[0]['threshold']:.3f} {'; '.join(said)}.")
    return sentences


def _won(case: dict[str, Any]) -> str:
    """Say how many of the confirmed events won, beside the base rate."""
    if not case["events"]:
        return ""
    if _verdict(case["win_rate"]) == TOO_FEW:
        return f", of which {case['wins']:,} won ({case['win_rate']['value']:.2f}; {TOO_FEW})"
    than = {ABOVE: "above", BELOW: "below", NOT_SHOWN: "not shown to differ from"}[_verdict(case["above_base_rate"])]
    return (
        f", of which {shown(case['win_rate'], 2)} won: {than} the base rate, and {case['recall']['value']:.0%} of all "
        "that won"
    )


def _verdict(figure: Mapping[str, Any]) -> str:
    return str(figure.get("verdict"))


def _goodness(verdict: str) -> str:
    return {ABOVE: "better than", BELOW: "worse than"}.get(verdict, "not shown to be better than")


def _against(gain: Mapping[str, Any]) -> str:
    return {ABOVE: "above", BELOW: "below"}.get(_verdict(gain), "not shown to be above")


def shown(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Return a figure with its interval, for people."""
    if figure is None or figure.get("verdict") == TOO_FEW:
        return TOO_FEW
    if figure["value"] is None:
        return "undefined"
    return f"{figure['value']:.{digits}f} {_range(figure, digits)}".strip()


def shown_gain(figure: Mapping[str, Any]) -> str:
    """Return a difference with its interval, for people."""
    return f"{figure['value']:+.3f} {_range(figure)}".strip()


def _range(figure: Mapping[str, Any], digits: int = 3) -> str:
    if figure["low"] is None or figure["high"] is None:
        return ""
    return f"[{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def _and(names: list[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
