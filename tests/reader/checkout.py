"""A checkout of a reader's own, with the files that the pages speak of, and a config.yaml that makes every run short."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import yaml

from tests import ROOT

_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__")
_RESULTS: Final = ROOT / "reports" / "output"
_PACKAGES: Final = (
    "backtest", "benchmarks", "core", "examples", "feeds", "forwardtrader", "live", "models", "reports", "sandbox", "serve", "strategies",
)  # fmt: skip
_SHORT: Final = {
    "models": {"train_window": "120d", "retrain_every": "180d", "seeds": 1, "epochs": 1, "cache": True},
    "reports": {"bootstrap_samples": 100},
}
_CROSSING: Final = """\
import backtrader as bt


class Crossing(bt.Strategy):
    params = (("fast", 10), ("slow", 50))

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self):
        if self.cross[0] > 0 and not self.position:
            self.order_target_percent(target=0.5)
        elif self.cross[0] < 0 and self.position:
            self.close()


Trend = MyStrategy = Crossing
"""
_FILES: Final = {
    **dict.fromkeys(("mystrategies.py", "mystrategy.py", "mymodule.py", "my_module.py", "trend.py"), _CROSSING),
    "my_models.py": "from sklearn.ensemble import HistGradientBoostingRegressor\n\nimport forwardtrader as ft\n\n"
    "boosted = ft.SklearnForecaster(HistGradientBoostingRegressor(max_iter=20))\n",
    "members.csv": "symbol,from,to\nBTC/USDT,,\n",
    "ours.yaml": "window: 60d\nevery: 30d\nstrategies.margin: [1.0, 1.5]\n",
    "faults.yaml": "F2: {count: 1}\n",
}


def make_checkout(folder: Path) -> Path:
    """Copy this checkout to `folder`, and put beside it what the pages take for granted."""
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=_left_out, symlinks=True)
    for name in ("run_backtest.py", "run_live.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    _run_on_few_shifts(folder / "backtest" / "shifted_runs.py")
    _write_settings(folder)
    _write_candles(folder)
    shown = _shown_files()
    for name, text in {**shown, **_FILES}.items():
        (folder / name).write_text(text, encoding="utf-8")
    with (folder / "my_strategy.py").open("a", encoding="utf-8") as more:
        more.write(f"\n\n{_CROSSING}")
    (folder / "mine.py").write_text(shown["my_model.py"], encoding="utf-8")
    return folder


def _left_out(folder: str, names: list[str]) -> set[str]:
    """What was compiled, and the results of this checkout's own runs."""
    return _LEFT_OUT(folder, names) | ({_RESULTS.name} if Path(folder) == _RESULTS.parent else set())


def _run_on_few_shifts(module: Path) -> None:
    """Five runs on shifted forecasts in place of a hundred, which take most of the time of a short run and are no setting."""
    text = module.read_text(encoding="utf-8")
    assert "\nSHIFTS: Final = 100\n" in text
    module.write_text(text.replace("\nSHIFTS: Final = 100\n", "\nSHIFTS: Final = 5\n"), encoding="utf-8")


def _write_settings(folder: Path) -> None:
    settings = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for room, values in _SHORT.items():
        settings[room].update(values)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def _shown_files() -> dict[str, str]:
    """The files that the pages show: named in the sentence before them, or in their first line."""
    found: dict[str, str] = {}
    for page in ("tutorial.md", "scaling.md", "features.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        found |= dict(re.findall(r"into `([\w.]+)`:\n\n```(?:python|yaml)\n(.*?)```", text, re.S))
        found |= {name: body for body, name in re.findall(r"```yaml\n(# ([\w]+\.yaml)\b.*?)```", text, re.S)}
        if examples := re.findall(r"```python\n(.*?)```", text, re.S):
            found.setdefault(f"my_{page.removesuffix('.md')}.py", examples[0])
    return found


def _write_candles(folder: Path) -> None:
    hours = pd.date_range("2022-06-01", "2024-12-31", freq="h", tz="UTC")  # what is imported is what later runs trade on
    days = pd.date_range("2012-01-01", "2020-12-31", freq="D", tz="UTC")
    for name in ("BTCUSDT-1h.csv", "btc-1h.csv", "binance.csv", "candles.csv", "candles.csv.gz"):
        _candles(hours, 0).to_csv(folder / name, index=False)
    _elsewhere(_candles(hours, 0)).to_csv(folder / "kraken.csv", index=False)
    _candles(hours[::4], 0).to_csv(folder / "btc-4h.csv", index=False)
    minutes = pd.date_range("2024-07-01", "2024-07-15", freq="min", tz="UTC", inclusive="left")
    _finer(_candles(hours, 0), minutes).to_csv(folder / "btc-1m.csv", index=False)
    _candles(days, 1).to_csv(folder / "spy.csv", index=False)
    times = pd.date_range("2019-01-01", "2026-12-31", freq="8h", tz="UTC")
    facts = pd.DataFrame({"timestamp": times, "known_at": times, "value": np.random.default_rng(2).normal(0, 1e-4, len(times))})
    for name in ("funding.csv.gz", "fear_greed.csv.gz"):
        with gzip.open(folder / name, "wt") as file:
            facts.to_csv(file, index=False)


def _finer(hours: pd.DataFrame, minutes: pd.DatetimeIndex) -> pd.DataFrame:
    """Minutes inside those hours: the open first, then the low, the high, and the close to the end."""
    whole = hours.set_index("timestamp").reindex(minutes.floor("h")).reset_index(drop=True)
    at = minutes.minute.to_numpy()
    close = np.select([at == 0, at == 1, at == 2], [whole["open"], whole["low"], whole["high"]], whole["close"])
    first = np.where(at == 0, whole["open"], np.concatenate([[np.nan], close[:-1]]))
    prices = {"open": first, "high": np.maximum(first, close), "low": np.minimum(first, close), "close": close}
    return pd.DataFrame({"timestamp": minutes, **prices, "volume": 10.0 / 60.0})


def _elsewhere(candles: pd.DataFrame) -> pd.DataFrame:
    """The same market at another venue, a few hundredths of a percent apart."""
    apart = np.random.default_rng(3).normal(1, 2e-4, len(candles))
    return candles.assign(**{name: candles[name] * apart for name in ("open", "high", "low", "close")})


def _candles(times: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    steps = np.random.default_rng(seed).normal(0, 0.005, len(times))
    close = 100 * np.exp(np.cumsum(steps))
    first = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(first, close) * 1.002, np.minimum(first, close) * 0.998
    return pd.DataFrame({"timestamp": times, "open": first, "high": high, "low": low, "close": close, "volume": 10.0})
