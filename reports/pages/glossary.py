"""What the pages' terms mean, in a sentence or two each: shown where one points at a term, and listed at the foot of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forwardtrader.reports.verdict import CONFIDENCE, MIN_BARS, MIN_BETS, MIN_YEARS

if TYPE_CHECKING:
    from markupsafe import Markup

TERMS: Final = {
    "Sharpe ratio": "Mean return over its standard deviation, from daily net returns, as an annual figure.",
    "Maximum drawdown": "The deepest fall of the account below its highest value so far, of every bar.",
    "Rank IC": "Spearman correlation of forecast and outcome: 0 is chance, 0.05 is a good hourly forecast, above 0.10 look for a leak.",
    "Hit rate": "Share of bars on which the forecast had the right sign. 51 to 53 % is usual for a forecast that is worth something.",
    "Top decile": "The same among the tenth of bars with the largest forecasts relative to their spread.",
    "Loss skill": "The share of the zero forecast's loss that is saved.",
    "90 % coverage": "Share of outcomes inside the band that was to hold 90 % of them.",
    "Round trips": "Positions that were opened and closed again.",
    "Sharpe above zero": "Probabilistic Sharpe ratio: how likely the true one is above zero, given length, skew and tails of the returns.",
    "After all trials": "Deflated Sharpe ratio: the same against the Sharpe ratio that the best of as many worthless trials would show.",
    "Trials on this data": "Every configuration whose result was ever seen on this market; each makes a good result by luck likelier.",
    "Overfitting (PBO)": "How likely the best point of a sweep in one half of the time is below the median in the other half.",
    "Break-even per side": "The cost per side at which these trades would have earned nothing.",
}

GATES: Final = {
    "The account survived": "An account that fell to nothing has no edge, whatever its forecasts were worth.",
    "Enough data": f"{MIN_BARS} independent bars can show an information coefficient of 0.10; {MIN_YEARS} years a Sharpe ratio of 2.",
    "Forecasts better than chance": "Do larger forecasts go with larger outcomes? One-sided p below 0.05, horizons and symbols together.",
    "Something was traded": "A strategy that stays out has nothing to be judged by.",
    "Money left after all costs": "Net of fees, slippage and funding.",
    "Enough trades": f"The usual position has to be turned over {MIN_BETS} times, else one lucky trade decides.",
    "Beyond the luck of all trials": f"The Sharpe ratio has to be above zero with {CONFIDENCE:.0%} after all trials on this market.",
    "Better than random entries": "The same number, length, size and side of trades at random times, with the same costs: p below 0.05.",
    "Enough years": f"Below {MIN_YEARS} years even a Sharpe ratio of 2 cannot be told from luck.",
    "Earned by the forecasts": "What the strategy earns on the same forecasts shifted in time it earns without them: p below 0.05.",
}


def term(label: str, meaning: str = "") -> Markup | str:
    """The label, with its meaning where one points at it; one that is not in the glossary stays as it is."""
    from markupsafe import Markup

    meaning = meaning or TERMS.get(label, "")
    return Markup('<abbr title="{}">{}</abbr>').format(meaning, label) if meaning else label
