"""A seeded run as the backtest would leave it: stochastic volatility, weak forecasts, slow positions, real costs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from forwardtrader.core.types import DataKind
from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import RunArtefacts
from forwardtrader.reports.manifest import DataSection, FoldSection, RunManifest, WalkForwardSection
from forwardtrader.reports.sections.forecasts import DieboldMariano, ForecastScores, SymbolForecast
from forwardtrader.reports.summary import portfolio_of, summarise_strategy

Z = {"q05": -1.6449, "q25": -0.6745, "q50": 0.0, "q75": 0.6745, "q95": 1.6449}
CREATED = datetime(2026, 11, 22, 15, 14, 2, tzinfo=UTC)


def candles(bars: int, *, seed: int = 0, timeframe: str = "1h", first: str = "2022-01-01") -> pd.DataFrame:
    """Candles of a market with clustered volatility; index is the bar open (UTC)."""
    rng = np.random.default_rng(seed)
    level = np.zeros(bars)
    shocks = rng.normal(0, 0.12, bars)
    for t in range(1, bars):
        level[t] = 0.985 * level[t - 1] + shocks[t]
    returns = 0.0045 * np.exp(level) * rng.standard_t(4, bars) / np.sqrt(2)
    close = 46_000 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[46_000.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.001, (2, bars)))
    index = pd.date_range(first, periods=bars, freq=timeframe.replace("d", "D"), tz="UTC", name="timestamp")
    high, low = np.maximum(opened, close) * (1 + wick[0]), np.minimum(opened, close) * (1 - wick[1])
    frame = {"open": opened, "high": high, "low": low, "close": close, "volume": np.exp(rng.normal(6, 0.5, bars))}
    return pd.DataFrame(frame, index=index)


def forecasts(market: pd.DataFrame, symbol: str, *, seed: int = 0, horizon: int = 1) -> pd.DataFrame:
    """Forecasts with a rank correlation of about 0.08 and honest bands."""
    rng = np.random.default_rng(seed + 1)
    log_price = np.log(market["close"])
    realised = log_price.shift(-horizon) - log_price
    scale = realised.rolling(168, min_periods=2).std().shift(horizon).bfill().to_numpy()
    location = 0.08 * scale * (0.08 * realised.fillna(0).to_numpy() / scale + rng.normal(0, 1, len(market)))
    bands = {name: location + z * scale for name, z in Z.items()}
    p_up = 0.5 + 0.4 * np.tanh(location / scale)
    frame = {"timestamp": market.index, "symbol": symbol, "horizon": horizon, "location": location, "scale": scale, **bands}
    month = (np.arange(len(market)) // 672).astype(str)
    models = np.char.add("lstm-", np.char.zfill(month, 3))
    return pd.DataFrame({**frame, "p_up": p_up, "model_id": models, "realised": realised.to_numpy()})


def account(market: pd.DataFrame, symbol: str, *, seed: int, cash: float, trades: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Long or flat in slow blocks, fills at the next open with 10 basis points of fee and 2 of slippage."""
    rng = np.random.default_rng(seed + 2)
    want = np.repeat(rng.random(len(market) // 60 + 1) < 0.35, 60)[: len(market)] & trades
    size, rows, series, base = 0.0, [], [], symbol.split("/")[0]
    for t, (at, bar) in enumerate(market.iterrows()):
        if t and want[t - 1] != (size > 0):
            side = "buy" if want[t - 1] else "sell"
            price = bar["open"] * (1.0002 if side == "buy" else 0.9998)
            amount = round(0.6 * cash / price, 5) if side == "buy" else size
            fee = amount * price * 0.001
            cash += (-1 if side == "buy" else 1) * amount * price - fee
            size = amount if side == "buy" else 0.0
            slip = amount * bar["open"] * 0.0002
            rows.append((at, symbol, side, amount, price, fee, "USDT", f"o{len(rows)}", "edge" if side == "buy" else "edge gone", slip))
        value = cash + size * bar["close"]
        series.append((value, cash, size * bar["close"] / value))
    table = pd.DataFrame(rows, columns=[*artefacts.FILL_COLUMNS, "slippage"]) if rows else artefacts.empty_fills()
    assert base
    return pd.DataFrame(series, columns=artefacts.EQUITY_COLUMNS, index=market.index), table


def run(
    bars: int = 3000,
    *,
    symbols: tuple[str, ...] = ("BTC/USDT",),
    kind: DataKind = DataKind.REAL,
    trades: bool = True,
    scored: bool = True,
    timeframe: str = "1h",
    seed: int = 0,
) -> RunArtefacts:
    """A whole run in memory."""
    markets = {s: candles(bars, seed=seed + 10 * i, timeframe=timeframe) for i, s in enumerate(symbols)}
    parts = [account(m, s, seed=seed + i, cash=10_000 / len(symbols), trades=trades) for i, (s, m) in enumerate(markets.items())]
    equity = sum(p[0][["equity", "cash"]] for p in parts)
    equity["exposure"] = sum(p[0]["exposure"] * p[0]["equity"] for p in parts) / equity["equity"]
    for symbol, market in markets.items():
        equity[f"close:{symbol}"] = market["close"]
    held = sum(10_000 / len(symbols) * m["close"] / m["open"].iloc[0] for m in markets.values())
    equity["buy_and_hold"], equity["volatility_targeted"] = held * 0.999, 10_000 + 0.45 * (held - 10_000)
    fills = pd.concat([p[1] for p in parts]).sort_values("timestamp", kind="stable", ignore_index=True)
    told = pd.concat([forecasts(m, s, seed=seed + i) for i, (s, m) in enumerate(markets.items())], ignore_index=True)
    made = manifest(markets, equity, fills, kind=kind, timeframe=timeframe, scored=scored)
    return artefacts.RunArtefacts(
        made.model_copy(update={"portfolio": portfolio_of(equity, fills, markets, 365, 10_000.0)}), told, fills, equity
    )


def manifest(
    markets: dict[str, pd.DataFrame], equity: pd.DataFrame, fills: pd.DataFrame, *, kind: DataKind, timeframe: str, scored: bool
) -> RunManifest:
    summary = summarise_strategy(equity, fills, 365, start_equity=10_000.0)
    luck = {"sharpe_ci": (-0.21, 1.62), "psr": 0.91, "dsr": 0.62, "trials": 17}
    benchmark = {
        name: summarise_strategy(equity[[name]].rename(columns={name: "equity"}), fills.iloc[:0], 365, start_equity=10_000.0)
        for name in artefacts.BENCHMARKS
    }
    reasons = ["The deflated Sharpe ratio is 0.62; 0.95 is needed after 17 trials.", "The 95 % interval of the Sharpe ratio contains zero."]
    return RunManifest(
        run_id="20261122-151402-BTC-USDT-1h-3fa9c1",
        created=CREATED,
        command="python run_backtest.py --from 2022-01-01",
        git="0dfafeb",
        versions={"python": "3.11.7", "keras": "3.15.1", "jax": "0.10.2", "backtrader": "1.9.78.123"},
        data=DataSection(kind=kind, symbols={s: _data(s, m, kind) for s, m in markets.items()}, timeframe=timeframe, exchange="binance"),
        config={"models": {"units": 32, "dropout": 0.2, "horizons": [1, 24]}, "strategies": {"cash": 10000.0, "fee_bps": 10.0}},
        walk_forward=WalkForwardSection(purge_bars=24, embargo_bars=0, deployment_lag_bars=1, folds=_folds(markets)),
        forecast={s: _scores(i) for i, s in enumerate(markets)} if scored else {},
        strategy=summary.model_copy(update=luck) if scored else summary,
        benchmark=benchmark,
        verdict="no edge" if scored else None,
        verdict_reasons=reasons if scored else [],
        alarms=["Rank IC of 0.112 is above 0.10: look for a leak first."] if scored else [],
        timing_s={"data": 0.31, "features": 0.42, "train": 31.2, "simulate": 3.9, "report": 1.7, "total": 38.1},
        not_computed={} if scored else {"forecast": "the statistics were switched off", "verdict": "the statistics were switched off"},
    )


def _data(symbol: str, market: pd.DataFrame, kind: DataKind) -> dict[str, Any]:
    source = "sample market, seed 0" if kind is DataKind.SAMPLE else "store: binance"
    return {"source": source, "rows": len(market), "first": market.index[0], "last": market.index[-1], "gaps": 2, "fingerprint": "9f" * 32}


def _folds(markets: dict[str, pd.DataFrame]) -> list[FoldSection]:
    rng = np.random.default_rng(3)
    step, folds = pd.Timedelta(days=28), []
    for symbol, market in markets.items():
        for number, at in enumerate(pd.date_range(market.index[0], market.index[-1], freq=step)):
            loss = 0.42 + 0.01 * rng.normal()
            times = {"train_from": at - pd.Timedelta(days=730), "train_to": at, "effective_from": at, "effective_to": at + step}
            reason = "calendar" if number % 9 else "drift: Page-Hinkley on the loss"
            losses = {"train_loss": loss, "valid_loss": loss + 0.012 + 0.006 * rng.normal(), "seconds": 0.62 + 0.05 * rng.random()}
            folds.append(FoldSection(symbol=symbol, model_id=f"lstm-{number:03d}", reason=reason, **times, **losses))
    return folds


def _scores(number: int) -> SymbolForecast:
    names = {
        "lightgbm": 0.083,
        "huber_linear": 0.076,
        "ridge": 0.038,
        "momentum": -0.041,
        "reversal": 0.059,
        "zero": None,
        "majority": None,
    }
    baselines = {name: _score(ic, 0.5 + (ic or 0) / 2.2) for name, ic in names.items()}
    against = {n: DieboldMariano(statistic=-2.2 + (ic or 0) * 12, p=0.028 + max(ic or 0, 0)) for n, ic in names.items() if n != "majority"}
    return SymbolForecast(lstm=_score(0.091 - 0.01 * number, 0.542), baselines=baselines, diebold_mariano=against)


def _score(ic: float | None, accuracy: float) -> ForecastScores:
    def around(x: float | None, half: float) -> tuple[float, float] | None:
        return None if x is None else (x - half, x + half)

    linear = None if ic is None else ic * 0.8
    return ForecastScores(
        n=32_112, ic=linear, rank_ic=ic, accuracy=accuracy, accuracy_top10=accuracy + 0.04, loss_skill=(ic or 0) ** 2, coverage_90=0.897,
        ic_ci=around(linear, 0.013), rank_ic_ci=around(ic, 0.012), accuracy_ci=around(accuracy, 0.006),
        accuracy_top10_ci=around(accuracy + 0.04, 0.017), loss_skill_ci=around((ic or 0) ** 2, 0.001), coverage_90_ci=(0.893, 0.901),
    )  # fmt: skip
