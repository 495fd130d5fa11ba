"""Exact tests and intervals for counts of right and wrong answers, in plain Python."""

import math

Z = 1.959963984540054
"""The normal distribution's quantile of 97.5 %: an interval of 95 % has it on both sides."""


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """The 95 % confidence interval of a share, by Wilson's score; (0, 1) without a trial.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, Z * Z / trials
    centre = (share + spread / 2) / (1 + spread)
    reach = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def at_least(successes: int, trials: int, probability: float) -> float:
    """P(X ≥ successes) of X ~ Binomial(trials, probability).

    With a probability of 1/2 and the pairs of which exactly one model is right as `trials`, it is
    the p-value of the exact one-sided McNemar test.
    """
    if successes <= 0:
        return 1.0
    if not 0 < probability < 1:
        return float(probability >= 1 and successes <= trials)
    yes, no = math.log(probability), math.log1p(-probability)
    total = math.lgamma(trials + 1)
    terms = (
        total
        - math.lgamma(each + 1)
        - math.lgamma(trials - each + 1)
        + each * yes
        + (trials - each) * no
        for each in range(successes, trials + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))
