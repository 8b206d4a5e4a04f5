"""Independent computations of the statistics of experiments: scipy, statsmodels, and definitions written out in numpy."""

import math
from typing import Any

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    proportions_ztest,
)

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def mcnemar_test(first: Booleans, second: Booleans, exact_below: int = 25) -> dict[str, Any]:
    table = np.array(
        [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    )
    discordant = int(table[0, 1] + table[1, 0])
    answer = {
        "pairs": len(first),
        "both_true": table[0, 0],
        "first_only": table[0, 1],
        "second_only": table[1, 0],
        "neither_true": table[1, 1],
    }
    if discordant:
        found = mcnemar(table, exact=discordant < exact_below, correction=True)
        answer |= {"statistic": found.statistic, "p_value": found.pvalue, "is_exact": discordant < exact_below}
    else:
        answer |= {"statistic": None, "p_value": None, "is_exact": None}
    return answer


def paired_difference_test(
    first: Floats, second: Floats, clusters: NDArray[np.int_] | None, level: float = 0.95, minimum_clusters: int = 12
) -> dict[str, Any]:
    difference = second - first
    if clusters is not None and len(set(clusters)) >= minimum_clusters:
        fitted = sm.OLS(difference, np.ones(len(difference))).fit(
            cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True
        )
        low, high = fitted.conf_int(1 - level)[0]
        return {
            "clusters": len(set(clusters)),
            "difference": fitted.params[0],
            "standard_error": fitted.bse[0],
            "degrees_of_freedom": len(set(clusters)) - 1,
            "low": low,
            "high": high,
            "statistic": fitted.tvalues[0],
            "p_value": fitted.pvalues[0],
        }
    found = stats.ttest_rel(second, first)
    interval = found.confidence_interval(level)
    return {
        "clusters": None,
        "difference": difference.mean(),
        "standard_error": difference.std(ddof=1) / math.sqrt(len(difference)),
        "degrees_of_freedom": found.df,
        "low": interval.low,
        "high": interval.high,
        "statistic": found.statistic,
        "p_value": found.pvalue,
    }


def delong_test(first: Floats, second: Floats, positive: Booleans, level: float = 0.95) -> dict[str, Any]:
    """Write out DeLong, DeLong and Clarke-Pearson (1988): the kernel of every pair of a positive and a negative."""

    def components(scores: Floats) -> tuple[Floats, Floats]:
        above = scores[positive][:, None] - scores[~positive][None, :]
        kernel = (above > 0) + 0.5 * (above == 0)
        return kernel.mean(axis=1), kernel.mean(axis=0)

    (positives_first, negatives_first), (positives_second, negatives_second) = components(first), components(second)
    of_positives = np.cov(positives_first, positives_second) / positive.sum()
    of_negatives = np.cov(negatives_first, negatives_second) / (~positive).sum()
    covariance = of_positives + of_negatives
    difference = positives_second.mean() - positives_first.mean()
    error = math.sqrt(max(np.array([-1, 1]) @ covariance @ np.array([-1, 1]), 0))
    half = error * stats.norm.ppf(0.5 + level / 2)
    answer = {
        "positives": positive.sum(),
        "negatives": (~positive).sum(),
        "auc_first": positives_first.mean(),
        "auc_second": positives_second.mean(),
        "difference": difference,
        "standard_error": error,
        "low": difference - half,
        "high": difference + half,
    }
    if error > 1e-12:
        answer |= {"statistic": difference / error, "p_value": 2 * stats.norm.sf(abs(difference / error))}
    else:
        answer |= {"standard_error": 0.0, "statistic": None, "p_value": None}
    return answer


def delong_auc(scores: Floats, positive: Booleans, level: float = 0.95) -> dict[str, Any]:
    both = delong_test(np.zeros(len(scores)), scores, positive, level)
    # A constant score adds nothing to the variance.
    error = both["standard_error"]
    half = error * stats.norm.ppf(0.5 + level / 2)
    auc = both["auc_second"]
    return {
        "positives": both["positives"],
        "negatives": both["negatives"],
        "auc": auc,
        "standard_error": error,
        "low": max(auc - half, 0),
        "high": min(auc + half, 1),
    }


def two_proportion_test(first: tuple[int, int], second: tuple[int, int], level: float = 0.95) -> dict[str, Any]:
    low, high = confint_proportions_2indep(
        second[0], second[1], first[0], first[1], method="newcomb", compare="diff", alpha=1 - level
    )
    answer = {"difference": second[0] / second[1] - first[0] / first[1], "low": low, "high": high}
    if 0 < first[0] + second[0] < first[1] + second[1]:
        statistic, p_value = proportions_ztest([second[0], first[0]], [second[1], first[1]])
        return answer | {"statistic": statistic, "p_value": p_value}
    return answer | {"statistic": None, "p_value": None}


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> dict[str, Any]:
    low, high = proportion_confint(successes, trials, method="wilson", alpha=1 - level)
    return {"share": successes / trials, "low": low, "high": high}


def mann_whitney_test(first: Floats, second: Floats) -> dict[str, Any]:
    found = stats.mannwhitneyu(first, second, method="asymptotic", use_continuity=True)
    return {
        "values_first": len(first),
        "values_second": len(second),
        "statistic": found.statistic,
        "second_larger": np.mean((second[:, None] > first[None, :]) + 0.5 * (second[:, None] == first[None, :])),
        "p_value": found.pvalue,
    }


def sample_ratio_test(counts: NDArray[np.int_], shares: Floats) -> dict[str, Any]:
    found = stats.chisquare(counts, counts.sum() * shares / shares.sum())
    return {
        "events": counts.sum(),
        "statistic": found.statistic,
        "degrees_of_freedom": len(counts) - 1,
        "p_value": found.pvalue,
        "is_mismatch": found.pvalue < 0.001,
    }


def always_valid_test(estimate: float, error: float, tau: float, level: float = 0.95) -> dict[str, Any]:
    """Ratio of the normal likelihood mixed over N(0, tau^2) to that of no effect (Johari et al. 2022), as densities."""
    log_ratio = stats.norm.logpdf(estimate, scale=math.hypot(error, tau)) - stats.norm.logpdf(estimate, scale=error)
    # The interval holds the effects that a test against them does not reject; its end is where p is 1 - level.
    variance, mixture = error**2, tau**2
    half = math.sqrt(
        variance
        * (variance + mixture)
        / mixture
        * (math.log((variance + mixture) / variance) - 2 * math.log(1 - level))
    )
    return {"p_value": min(1.0, math.exp(min(-log_ratio, 0))), "low": estimate - half, "high": estimate + half}
