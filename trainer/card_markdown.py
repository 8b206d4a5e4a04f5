"""The model card to read: Markdown with the sections of skops and Hugging Face, made of ``model_card.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trainer.dataset import OUTCOMES
from trainer.evaluate import describe_calibrator, shown
from trainer.search import describe_choice, describe_search


def render_card(card: dict[str, Any]) -> str:
    """Return the card as Markdown with the metadata that Hugging Face reads at its head."""
    sections = {
        "Model description": [card["description"], "", f"Target: {card['target']}.", "", _label(card)],
        "Intended use": [card["intended_use"]],
        "Limitations": _bullets(card["limitations"]),
        "How to get started": _started(card),
        "Training data": _data(card),
        "Training procedure": _procedure(card),
        "Evaluation": _evaluation(card),
        "Calibration and threshold": _calibration(card),
        "In the database": _database(card),
        "Environment": _table(
            ["Library", "Version"], [[name, text] for name, text in card["library_versions"].items()]
        ),
        "Authors": _bullets(card["authors"]),
        "Contact": [card["contact"]],
        "Citation": [card["citation"]],
        "License": [card["license"]],
    }
    lines = ["---", "library_name: pattern-confidence", f"model_name: {json.dumps(card['version'])}", "tags:"]
    tags = ["tabular-classification", "postgresql", card["algorithm"], card["label"]["name"]]
    tags += ["synthetic-data"] if card["synthetic"] else []
    lines += [*(f"- {json.dumps(tag)}" for tag in tags), "---", "", f"# Model card: {card['version']}"]
    lines += [line for warning in card["warnings"] for line in ("", f"> **Warning.** {warning}")]
    for title, content in sections.items():
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _bullets(items: Sequence[str]) -> list[str]:
    return [f"- {item}" for item in items]


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(_cell(value) for value in line)} |" for line in lines]


def _label(card: dict[str, Any]) -> str:
    return f"Label {card['label']['name']}: {card['label']['definition']}"


def _started(card: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for part in card["get_started"]:
        lines += [*([""] if lines else []), f"{part['title']}:", "", f"```{part['language']}", part["code"], "```"]
    return lines


def _data(card: dict[str, Any]) -> list[str]:
    synthetic = {True: "yes", False: "no", None: "not declared"}[card["synthetic"]]
    parts = [
        [
            name,
            f"{card[name]['events']:,}",
            *(f"{card[name]['class_counts'][outcome]:,}" for outcome in OUTCOMES),
            f"{card[name]['data_window']['start'][:10]} to {card[name]['data_window']['end'][:10]}",
        ]
        for name in ("training", "holdout")
    ]
    series = [
        [s["symbol"], s["timeframe"], f"{s['events']:,}", s["first"][:10], s["last"][:10], f"{s['base_rate']:.3f}"]
        for s in card["series"]
    ]
    missing = sorted(card["missing_share"].items(), key=lambda item: -item[1])
    return [
        f"Source: {card['data_source']['description']} Synthetic: {synthetic}.",
        "",
        *_table(["Part", "Events", *OUTCOMES, "Detected"], parts),
        "",
        f"Between the two, {card['purged_events']:,} events were purged; {card['left_out_events']:,} labelled events "
        f"could not be used. SHA-256 of the data set: `{card['dataset_sha256']}`.",
        "",
        *_table(["Symbol", "Timeframe", "Events", "First", "Last", "Share of wins"], series),
        "",
        f"{len(card['feature_names'])} features, of which {len(missing)} are missing somewhere"
        + (f" (most often {missing[0][0]}, in {missing[0][1]:.1%} of the events)." if missing else "."),
    ]


def _procedure(card: dict[str, Any]) -> list[str]:
    protocol = card["protocol"]
    blocks = [[b["test_start"][:10], f"{b['train']:,}", f"{b['test']:,}"] for b in protocol["walk_forward"]]
    ranked = sorted(card["candidates"], key=lambda row: (row["blocks"] < protocol["folds"], row["log_loss"]))
    candidates = [
        [
            f"**{row['name']}**" if row["name"] == card["champion"] else row["name"],
            f"{row['log_loss']:.5f}",
            f"{row['behind_best']:+.5f}",
            f"{row['standard_error']:.5f}",
            "yes"
            if row["eligible"]
            else "not explained"
            if not row["explained"]
            else f"dropped after {row['blocks']} blocks"
            if row["blocks"] < protocol["folds"]
            else "no",
            f"{row['microseconds_per_row']:.0f}",
            *([f"{row['seconds']:.1f}"] if "seconds" in row else []),
        ]
        for row in ranked
    ]
    header = ["Candidate", "Log loss", "Behind the best", "Standard error", "Within one", "us per row in SQL"]
    header += ["Seconds"] if any("seconds" in row for row in ranked) else []
    return [
        card["training_procedure"],
        "",
        *_table(["Walk-forward block from", "Events to train on", "Events to test on"], blocks),
        "",
        f"Embargo: {protocol['embargo_bars']} bars. Seed: {protocol['seed']}.",
        "",
        "### Hyper-parameters",
        "",
        *_table(["Parameter", "Value"], _hyperparameters(card)),
        "",
        "### Candidates",
        "",
        card["champion_rule"],
        "",
        *([f"{card['search']['rule']} {describe_search(card['search'])}", ""] if card["search"] else []),
        *_table(header, candidates),
        "",
        describe_choice(card["choice"]),
    ]


def _hyperparameters(card: dict[str, Any]) -> list[list[Any]]:
    if "members" in card["hyperparameters"]:
        return [["member", member["name"]] for member in card["hyperparameters"]["members"]]
    return [[name, value] for name, value in card["hyperparameters"].items()]


def _evaluation(card: dict[str, Any]) -> list[str]:
    parts = [card["metrics"][name] for name in ("walk_forward", "holdout")]
    rows = [["events", *(f"{part['events']:,}" for part in parts)]]
    rows += [
        [f"AUC, {title}", *(shown(part["auc"][name]) for part in parts)]
        for name, title in (
            ("calibrated", "model"),
            ("rule_confidence", "rule score"),
            ("prior", "pattern prior"),
            ("volatility", "volatility alone"),
            ("placebo", "placebo"),
        )
        if name in parts[0]["auc"]
    ]
    titles = {
        "base_rate": "share of wins",
        "auc_win_vs_loss": "AUC, win against loss",
        "brier": "Brier score",
        "brier_skill_own_base_rate": "Brier skill against the own base rate",
        "log_loss": "log loss",
        "ece": "calibration error",
    }
    if not any(part["class_counts"]["loss"] for part in parts):
        del titles["auc_win_vs_loss"]
    rows += [[title, *(shown(part[name]) for part in parts)] for name, title in titles.items()]
    return [
        "With 95 % intervals from a bootstrap over months (weeks for intraday bars). The walk-forward figures are "
        "those by which choices were made, the holdout's are not.",
        "",
        *_table(["", "Walk-forward", "Holdout"], rows),
        "",
        *_bullets(card["conclusions"]),
    ]


def _calibration(card: dict[str, Any]) -> list[str]:
    methods = [
        [row["method"], f"{row['log_loss']:.5f}", f"{row['better_than_identity']:+.5f}", f"{row['standard_error']:.5f}"]
        for row in card["calibrator"].get("methods", [])
    ]
    return [
        f"{describe_calibrator(card['calibrator']['method'])} {card['calibrator']['rule']}",
        *(["", *_table(["Method", "Log loss", "Better than identity", "Standard error"], methods)] if methods else []),
        "",
        f"Recommended threshold: {card['recommended_threshold']:.4f}. {card['recommended_threshold_rule']}",
    ]


def _database(card: dict[str, Any]) -> list[str]:
    compiled, artefact = card.get("compiled"), card.get("artefact_sha256")
    lines = [f"The compiler expects {card['microseconds_per_row']:.0f} us for one row of a transaction."]
    if compiled and artefact:
        lines = [
            f"{compiled['sql_bytes'] / 1000:,.0f} kB of SQL, {compiled['trees']:,} trees with "
            f"{compiled['splits']:,} splits. {lines[0]}",
            "",
            f"SHA-256 of score.sql: `{artefact}`.",
        ]
    golden = f"{len(card['golden_rows'])} golden rows in model_card.json are replayed before every promotion."
    return [*lines, "", golden]
