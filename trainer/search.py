"""Trying candidates on walk-forward blocks, for as long as one likes, and choosing among them by a stated rule.

Nothing here sees the holdout. Every candidate is judged on the same purged blocks as every other.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import Floats
from trainer.candidates import (
    CANDIDATES,
    FAMILIES,
    VOTING,
    Candidate,
    can_explain,
    ensemble,
    fit_model,
    microseconds_per_row,
    reason_not_to_try,
    win_probability,
)
from trainer.dataset import Dataset
from trainer.metrics import clustered_mean, log_losses
from trainer.progress import Progress, no_progress
from trainer.splits import Fold

CHAMPION_RULE = (
    "Of the candidates whose pooled walk-forward log loss is within one standard error of the best one's (of "
    "the paired difference, events of a calendar month, or week for intraday bars, taken together), the one "
    "that is expected to take the fewest microseconds per row in SQL (one row of a transaction, as the compiler "
    "estimates it, to the nearest 10: it knows no better); of equally cheap ones, the one with the lowest log loss. "
    "Candidates whose scores cannot be explained are tried and shown, and take no part in the choice."
)
ENSEMBLE_FAMILIES = 4
RACE_ERRORS = 3.0
RACE_BLOCKS = 2
SEARCH_RULE = (
    "The quick set first, then configurations drawn at random and without replacement from the grid of each "
    "family, the next one always from the family that has had the least time; at the end soft votes of two and of "
    f"three among the best of the {ENSEMBLE_FAMILIES} best families. A configuration is dropped after {RACE_BLOCKS} or "
    "more blocks when its log loss on them is behind that of the best so far by more than "
    f"{RACE_ERRORS:g} standard errors of the paired difference."
)
ENDINGS = {
    "exhausted": "everything in the registry was tried",
    "budget": "the time was over",
    "interrupted": "it was interrupted",
}
RESAMPLES = 300
TOTAL_TOLERANCE = 0.25
"""Share by which the expected number of fits must change before the progress bar is told."""

Clock = Callable[[], float]


@dataclass(frozen=True, eq=False)
class Trial:
    """What came of one candidate: its predictions for the blocks that it was tested on, in block order."""

    candidate: Candidate
    predictions: tuple[Floats, ...]
    microseconds: float
    """Per row in SQL; of the model that was fitted for the last block."""
    seconds: float
    is_dropped: bool = False
    is_explained: bool = True
    """Whether the log can say which features moved a score of this model."""

    @property
    def raw(self) -> Floats:
        """All predictions, in block order."""
        return np.concatenate(self.predictions)


@dataclass
class Trials:
    """All that was tried, in order, and what was not."""

    done: list[Trial] = field(default_factory=list)
    not_tried: list[dict[str, str]] = field(default_factory=list)
    """Families, and configurations that failed, each with a ``reason``."""
    not_reached: int = 0
    """Configurations of the registry for which no time was left."""
    ended_by: str | None = None
    """How a search ended: ``exhausted``, ``budget`` or ``interrupted``; None without a search."""
    seconds: float = 0.0

    @property
    def finished(self) -> list[Trial]:
        """The trials that were tested on all blocks."""
        return [trial for trial in self.done if not trial.is_dropped]


class Judge:
    """Fits candidates block by block and scores the events of each block."""

    def __init__(self, dataset: Dataset, blocks: Sequence[Fold], spans: NDArray[np.int64], seed: int) -> None:
        self._dataset, self._blocks, self._seed = dataset, tuple(blocks), seed
        self._spans = [spans[block.test] for block in blocks]
        self._wins = [dataset.is_win[block.test] for block in blocks]

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return len(self._blocks)

    def predictions(self, candidate: Candidate) -> Iterator[tuple[Any, Floats]]:
        """Yield the fitted model and the predictions of each block."""
        for block in self._blocks:
            features, is_win = self._dataset.features[block.train], self._dataset.is_win[block.train]
            model = fit_model(candidate, features, is_win, self._seed)
            yield model, win_probability(model, self._dataset.features[block.test])

    def losses(self, predictions: Sequence[Floats]) -> Floats:
        """Return the log loss of every event of the first ``len(predictions)`` blocks."""
        wins = np.concatenate(self._wins[: len(predictions)])
        return log_losses(np.concatenate(predictions), wins)

    def loss(self, trial: Trial) -> float:
        """Return the mean log loss of a trial on its blocks."""
        return float(self.losses(trial.predictions).mean())

    def is_hopeless(self, predictions: Sequence[Floats], best: Trial | None) -> bool:
        """Say whether a candidate is so far behind the best on the blocks it has seen that the rest is not tried."""
        count = len(predictions)
        if best is None or count < RACE_BLOCKS or count == len(self._blocks):
            return False
        difference = self.losses(predictions) - self.losses(best.predictions[:count])
        behind, error = clustered_mean(difference, np.concatenate(self._spans[:count]))
        return behind > RACE_ERRORS * error


def try_all(judge: Judge, candidates: Sequence[Candidate], on_fit: Callable[[str], None]) -> Trials:
    """Try every candidate on every block."""
    trials = Trials()
    for candidate in candidates:
        model: Any = None
        predictions = []
        for model, predicted in judge.predictions(candidate):  # noqa: B007  the last one is compiled
            predictions.append(predicted)
            on_fit(candidate.name)
        cost = microseconds_per_row(model)
        trials.done.append(Trial(candidate, tuple(predictions), cost, 0.0, is_explained=can_explain(model)))
    return trials


class Search:
    """A search by ``SEARCH_RULE`` over the registry, for a number of seconds."""

    def __init__(
        self,
        judge: Judge,
        *,
        seconds: float,
        seed: int,
        first: Sequence[Candidate] = CANDIDATES,
        families: Sequence[str] | None = None,
        on_fit: Progress = no_progress,
        clock: Clock = time.monotonic,
    ) -> None:
        """Prepare a search.

        ``first`` is tried whatever the time; ``families`` are by default all of the registry. ``on_fit`` is told what
        was fitted, how many fits are done, and how many there will be at this pace.
        """
        self._judge, self._seconds, self._on_fit, self._clock = judge, seconds, on_fit, clock
        self._trials = Trials(ended_by="exhausted")
        self._first = list(first)[::-1]
        self._fits = self._expected = 0
        self._best: Trial | None = None
        known = {candidate.key for candidate in first}
        self._queues: dict[str, list[Candidate]] = {}
        for name in FAMILIES if families is None else families:
            reason = reason_not_to_try(name)
            if reason is None:
                queue = [candidate for candidate in FAMILIES[name].configurations(seed) if candidate.key not in known]
                self._queues[name] = queue[::-1]
            else:
                self._trials.not_tried.append({"family": name, "reason": reason})
        self._spent = dict.fromkeys(self._queues, 0.0)

    def run(self) -> Trials:
        """Search until the time is over, the registry exhausted, or Ctrl-C pressed, and return what was tried.

        Raises:
            KeyboardInterrupt: no candidate was finished when it came.
        """
        self._start = self._clock()
        candidate: Candidate | None = None
        try:
            while (candidate := self._next()) is not None:
                self._try(candidate)
        except KeyboardInterrupt:
            if not self._trials.finished:
                raise
            self._trials.ended_by = "interrupted"
        self._trials.not_reached = self._waiting
        self._trials.done += _votes(self._judge, self._trials)
        self._trials.seconds = self._clock() - self._start
        return self._trials

    @property
    def _is_late(self) -> bool:
        return self._clock() - self._start >= self._seconds

    @property
    def _waiting(self) -> int:
        return len(self._first) + sum(map(len, self._queues.values()))

    def _queue(self) -> list[Candidate] | None:
        """Return the queue whose last candidate is the next one, or None when the search is over."""
        if self._first:
            return self._first
        if self._is_late:
            self._trials.ended_by = "budget"
            return None
        waiting = [name for name, queue in self._queues.items() if queue]
        return self._queues[min(waiting, key=self._spent.__getitem__)] if waiting else None

    def _next(self) -> Candidate | None:
        queue = self._queue()
        return queue[-1] if queue else None

    def _try(self, candidate: Candidate) -> None:
        """Try a candidate, and take it from its queue when it is done with."""
        began = self._clock()
        model: Any = None
        predictions: list[Floats] = []
        is_dropped = False
        try:
            for model, predicted in self._judge.predictions(candidate):  # noqa: B007  the last one is compiled
                predictions.append(predicted)
                self._report(candidate)
                is_dropped = self._judge.is_hopeless(predictions, self._best)
                if is_dropped:
                    break
                if not self._first and self._is_late and len(predictions) < self._judge.blocks:
                    self._trials.ended_by = "budget"
                    return
            cost, is_explained = microseconds_per_row(model), can_explain(model)
            trial = Trial(candidate, tuple(predictions), cost, self._clock() - began, is_dropped, is_explained)
        except MemoryError:
            raise
        except Exception as error:  # one configuration that a library refuses must not lose the others
            self._trials.not_tried.append({"configuration": candidate.name, "reason": str(error)})
        else:
            self._trials.done.append(trial)
            if not is_dropped and (self._best is None or self._judge.loss(trial) < self._judge.loss(self._best)):
                self._best = trial
        self._spent[candidate.family] = self._spent.get(candidate.family, 0.0) + self._clock() - began
        if self._first:
            self._first.pop()
        else:
            self._queues[candidate.family].pop()

    def _report(self, candidate: Candidate) -> None:
        self._fits += 1
        elapsed = self._clock() - self._start
        at_most = self._judge.blocks * self._waiting
        in_time = int(max(0.0, self._seconds - elapsed) * self._fits / elapsed) if elapsed else at_most
        left = min(at_most, max(in_time, self._judge.blocks * len(self._first)))
        # Short, so that rate and time left have room beside it.
        leader = "" if self._best is None else f", best {self._judge.loss(self._best):.4f}"
        total = self._fits + left
        # A bar begins to measure its rate anew whenever its total changes.
        if self._fits > self._expected or abs(total - self._expected) > TOTAL_TOLERANCE * self._expected:
            self._expected = total
        self._on_fit(f"{candidate.family}{leader}", self._fits, self._expected)


def _votes(judge: Judge, trials: Trials) -> list[Trial]:
    """Return soft votes of the best configurations of the best families; nothing has to be fitted for them."""
    best: dict[str, Trial] = {}
    for trial in sorted(trials.finished, key=judge.loss):
        best.setdefault(trial.candidate.family, trial)
    leaders = list(best.values())[:ENSEMBLE_FAMILIES]
    if len(leaders) < 2:
        return []
    reason = reason_not_to_try(VOTING)
    if reason is not None:
        trials.not_tried.append({"family": VOTING, "reason": reason})
        return []
    votes = []
    for members in (*itertools.combinations(leaders, 2), *itertools.combinations(leaders, 3)):
        # A soft vote is the mean of its members' probabilities, and these were fitted on the same events.
        predictions = tuple(
            np.asarray(np.mean(parts, axis=0)) for parts in zip(*(m.predictions for m in members), strict=True)
        )
        cost = sum(member.microseconds for member in members)
        votes.append(Trial(ensemble([member.candidate for member in members]), predictions, cost, 0.0))
    return votes


# --------------------------------------------------------------------------------------------------- the choice


def choose_champion(
    trials: Sequence[Trial], is_win: NDArray[np.bool_], spans: NDArray[np.int64]
) -> tuple[list[dict[str, Any]], Trial]:
    """Apply ``CHAMPION_RULE`` to events in block order; return a table of all trials, and the champion.

    A dropped trial is compared with the best on the blocks that both have seen, and is never eligible.
    """
    losses = [log_losses(trial.raw, is_win[: len(trial.raw)]) for trial in trials]
    contending = contenders(trials)
    places = [place for place, trial in enumerate(trials) if trial in contending]
    best = min(places, key=lambda place: float(losses[place].mean()))
    table = []
    for place, trial in enumerate(trials):
        events = len(losses[place])
        difference, error = clustered_mean(losses[place] - losses[best][:events], spans[:events])
        table.append(
            {
                "name": trial.candidate.name,
                "family": trial.candidate.family,
                "parameters": trial.candidate.parameters,
                "log_loss": float(losses[place].mean()),
                "behind_best": difference,
                "standard_error": 0.0 if place == best else error,
                "microseconds_per_row": trial.microseconds,
                "blocks": len(trial.predictions),
                "explained": trial.is_explained,
                "eligible": place == best or (trial in contending and difference <= error),
            }
        )
    eligible = [place for place in places if table[place]["eligible"]]
    winner = min(eligible, key=lambda p: (_cost(trials[p]), table[p]["log_loss"], trials[p].candidate.name))
    return table, trials[winner]


def contenders(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that take part in the choice: not dropped, and explained, if any is."""
    finished = [trial for trial in trials if not trial.is_dropped]
    return [trial for trial in finished if trial.is_explained] or finished


def _cost(trial: Trial) -> float:
    """Return what ``CHAMPION_RULE`` compares: microseconds to the nearest 10."""
    return round(trial.microseconds, -1)


def flattery(
    trials: Sequence[Trial], champion: Trial, is_win: NDArray[np.bool_], spans: NDArray[np.int64], seed: int
) -> dict[str, Any]:
    """Say by how much having chosen among trials flatters the champion's walk-forward log loss.

    Bootstrap bias correction (Tsamardinos, Greasidou, Borboudakis, Machine Learning 107, 2018): the choice, by the
    whole rule, is made again on calendar months (or weeks) drawn with replacement, and judged on those not drawn.
    ``optimism`` is the mean of that choice's log loss less the champion's on the same events; a positive one is
    what the champion's own figure hides.
    """
    finished = contenders(trials)
    groups = np.unique(spans, return_inverse=True)[1]
    count = int(groups.max()) + 1
    sizes = np.bincount(groups).astype(float)
    sums = np.vstack([np.bincount(groups, weights=log_losses(trial.raw, is_win)) for trial in finished])
    costs = np.array([_cost(trial) for trial in finished])
    own = finished.index(champion)
    random = np.random.default_rng(seed)
    hidden, events, chosen = 0.0, 0.0, np.zeros(len(finished))
    for weights in random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(float):
        total = float(weights @ sizes)
        means = sums @ weights / total
        best = int(np.argmin(means))
        deviations = (sums - sums[best]) - (means - means[best])[:, None] * sizes
        errors = np.sqrt(count / max(count - 1, 1) * (deviations**2 @ weights)) / total
        eligible = np.flatnonzero(means - means[best] <= errors)
        picked = min(eligible, key=lambda place: (costs[place], means[place]))
        chosen[picked] += 1
        left_out = weights == 0
        hidden += float((sums[picked] - sums[own])[left_out].sum())
        events += float(sizes[left_out].sum())
    log_loss = float(sums[own].sum() / sizes.sum())
    optimism = hidden / events if events else None
    by_family: dict[str, float] = {}
    for trial, times in zip(finished, chosen, strict=True):
        family = trial.candidate.family
        by_family[family] = by_family.get(family, 0.0) + float(times) / RESAMPLES
    return {
        "finished": len(finished),
        "resamples": RESAMPLES,
        "log_loss": log_loss,
        "optimism": optimism,
        "log_loss_corrected": None if optimism is None else log_loss + optimism,
        "champion_chosen_share": float(chosen[own]) / RESAMPLES,
        "family_chosen_share": {name: share for name, share in sorted(by_family.items()) if share > 0},
    }


def describe_search(search: dict[str, Any]) -> str:
    """Say in a sentence how a search went."""
    said = (
        f"{search['tried']:,} configurations were tried in {search['seconds']:.0f} s, until "
        f"{ENDINGS[search['ended_by']]}; {search['dropped']:,} of them dropped early; "
        f"{search['not_reached']:,} of the registry were not reached."
    )
    for item in search["not_tried"]:
        said += f" Not tried: {item.get('family') or item['configuration']} ({item['reason'].rstrip('.')})."
    return said


def describe_choice(choice: dict[str, Any]) -> str:
    """Say in words how much the choice among candidates flatters, and how firm it is."""
    if choice["finished"] == 1:
        return "There was one candidate, so that no choice flatters its walk-forward figures."
    said = f"The champion was chosen among {choice['finished']:,} candidates by the walk-forward log loss"
    if choice["optimism"] is None:
        return f"{said}, which flatters it: the events lie in too few months or weeks to say by how much."
    return (
        f"{said}, which flatters that figure, the more candidates the more: it is {choice['log_loss']:.5f}, and "
        f"{choice['log_loss_corrected']:.5f} when the choice is made on resampled months or weeks and judged on the "
        f"others (bootstrap bias correction, somewhat pessimistic). {choice['champion_chosen_share']:.0%} of the "
        f"{choice['resamples']} resamples choose this candidate."
    )
