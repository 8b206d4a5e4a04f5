"""An evaluation as a table and sentences in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from trainer.evaluation.bootstrap import TOO_FEW
from trainer.evaluation.checks import NOT_AS_EXPECTED
from trainer.evaluation.conclusions import shown, shown_gain
from trainer.evaluation.names import BASELINES, DIRECTIONS, SCORES, market_name


def print_evaluation(evaluation: dict[str, Any], console: Console | None = None, *, brief: bool = False) -> None:
    """Print the figures as a table, and the conclusions; in brief, the main figures and the summary."""
    console = console or Console()
    console.print(f"{evaluation['version']}: {evaluation['champion']}, {evaluation['target']}", highlight=False)
    if "headline" in evaluation and not brief:
        said = evaluation["headline"]
        console.print(
            f"\n[bold]{said['verdict']}.[/] {said['sentence']} {said['but']}".rstrip() + "\n", highlight=False
        )
    parts = [evaluation["walk_forward"], evaluation["holdout"]]
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("")
    for name, figures in zip(("walk-forward", "holdout"), parts, strict=True):
        table.add_column(f"{name}\n{figures['start'][:7]} to {figures['end'][:7]}")

    def row(name: str, *values: str) -> None:
        table.add_row(name, *values)

    def figure_row(name: str, key: str) -> None:
        # An evaluation that was stored by an earlier version lacks some.
        if all(key in part for part in parts):
            row(name, *(shown(part[key]) for part in parts))

    row("used for choices", "yes", "no")
    row("events", *(f"{part['events']:,}" for part in parts))
    row(
        "win / loss / timeout",
        *(" / ".join(f"{n:,}" for n in part["class_counts"].values()) for part in parts),
    )
    figure_row("base rate", "base_rate")
    for score, name in {**SCORES, "placebo": "placebo (random outcomes)"}.items():
        row(f"AUC {name}", *(shown(part["auc"][score]) for part in parts))
    for name in DIRECTIONS:
        if all("by_direction" in part for part in parts):
            row(f"AUC within {name}", *(shown(part["by_direction"][name]["auc"]) for part in parts))
    if any(part["class_counts"]["loss"] for part in parts):
        figure_row("AUC win against loss", "auc_win_vs_loss")
    figure_row("AUC direction alone", "auc_direction_sign")
    skills = {"brier_skill": "brier skill, training rate", "brier_skill_own_base_rate": "brier skill, own base rate"}
    if brief:
        for key, name in {**skills, "ece": "calibration error"}.items():
            figure_row(name, key)
        for position, cut in enumerate(parts[0]["true_positives"]):
            ratios = (part["true_positives"][position]["model_to_rule"] for part in parts)
            row(f"wins vs rule, {cut['confirmations']}", *(shown(ratio, 2) for ratio in ratios))
        console.print(table)
        for sentence in evaluation.get("summary") or evaluation["conclusions"][-1:]:
            console.print(sentence, highlight=False)
        return
    for score, name in BASELINES.items():
        row(f"AUC above {name.removeprefix('the ')}", *(_gain_cell(part["auc_above"][score]) for part in parts))
    figure_row("mean AUC within a market", "auc_within_symbol")
    by_market = [{market_name(item): item for item in part.get("per_market") or part["per_symbol"]} for part in parts]
    for market in dict.fromkeys(name for found in by_market for name in found):
        row(f"AUC {market}", *(shown(found[market]["auc"]) if market in found else "-" for found in by_market))
    if all("average_precision" in part for part in parts):
        for score in ("calibrated", *BASELINES):
            row(f"average precision {SCORES[score]}", *(shown(part["average_precision"][score]) for part in parts))
    figure_row("brier", "brier")
    for key, name in skills.items():
        figure_row(name, key)
    figure_row("log loss", "log_loss")
    figure_row("log loss, training rate", "log_loss_constant")
    figure_row("log loss, own base rate", "log_loss_own_base_rate")
    figure_row("log-loss skill, training rate", "log_loss_skill")
    figure_row("log-loss skill, own base rate", "log_loss_skill_own_base_rate")
    figure_row("calibration error", "ece")
    for position, cut in enumerate(parts[0]["true_positives"]):
        for ratio, name in (("model_to_rule", "rule"), ("model_to_volatility", "volatility")):
            cells = (shown(part["true_positives"][position][ratio], 2) for part in parts)
            row(f"wins vs {name}, {cut['confirmations']}", *cells)
    for position, case in enumerate(parts[0]["confirmed"]):
        found = [part["confirmed"][position] for part in parts]
        row(f"{SCORES[case['by']]} >= {case['threshold']:.3f}", *(_confirmed_cell(item) for item in found))
    console.print(table)
    if "blocks" in evaluation["walk_forward"]:
        console.print(_blocks(evaluation))
    if evaluation.get("goals"):
        console.print(_statuses(evaluation["goals"], "goals, on the holdout"))
    if "leak_checks" in evaluation:
        _print_checks(evaluation["leak_checks"], console)
    if "claims" in evaluation:
        console.print(_claims(evaluation["claims"]))
    console.print()
    for sentence in evaluation.get("notes") or evaluation["conclusions"]:
        console.print(f"- {sentence}", highlight=False)


def _gain_cell(gain: Mapping[str, Any]) -> str:
    return TOO_FEW if gain.get("verdict") == TOO_FEW else shown_gain(gain)


def _confirmed_cell(case: Mapping[str, Any]) -> str:
    if case["win_rate"].get("verdict") == TOO_FEW:
        return f"{case['events']:,}, {case['wins']:,} won: {TOO_FEW}"
    recall = f", {case['recall']['value']:.0%} of wins" if "recall" in case else ""
    return f"{case['events']:,}{recall}, won {shown(case['win_rate'], 2)}"


def _blocks(evaluation: dict[str, Any]) -> Table:
    table = _titled("\nby block, the last one being the holdout")
    for name in ("from", "events", "base rate", "AUC model", "AUC volatility", "AUC rule"):
        table.add_column(name)
    for block in (*evaluation["walk_forward"]["blocks"], *evaluation["holdout"]["blocks"]):
        table.add_row(
            block["start"][:10],
            f"{block['events']:,}",
            shown(block["base_rate"], 2),
            shown(block["auc"], 2),
            *(shown(block["baselines"][name], 2) for name in ("volatility", "rule_confidence")),
        )
    return table


def _statuses(rows: list[dict[str, Any]], title: str) -> Table:
    """Return goals or checks as a table."""
    table = _titled(f"\n{title}")
    for name in ("", "found", ""):
        table.add_column(name)
    for item in rows:
        what = item.get("goal") or f"{item['check']}, {item['part']}: {item['expected']}"
        found = item["found"]
        table.add_row(what, found if isinstance(found, str) else shown(found), item["status"])
    return table


def _print_checks(checks: list[dict[str, Any]], console: Console) -> None:
    """Print how many checks for leaks there are of each outcome, and those whose outcome was not as expected."""
    counts = Counter(check["status"] for check in checks)
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.print(f"\n[bold]checks for leaks[/]: {said}", highlight=False)
    if failed := [check for check in checks if check["status"] == NOT_AS_EXPECTED]:
        console.print(_statuses(failed, "not as expected"))


def _claims(claims: list[dict[str, Any]]) -> Table:
    table = _titled("\nwhat is shown, and what is not")
    for name in ("", "walk-forward", "holdout"):
        table.add_column(name)
    for claim in claims:
        table.add_row(claim["claim"], claim["walk_forward"]["verdict"], claim["holdout"]["verdict"])
    return table


def _titled(title: str) -> Table:
    return Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
