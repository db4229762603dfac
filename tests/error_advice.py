"""What to do about each error of the tree, and messages as they are seen; docs/troubleshooting.md is made from it."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """What to do, and messages as they are seen; none for a class that only gathers others."""

    remedy: str
    examples: tuple[str, ...] = ()


ADVICE = {
    "ConfigError": Advice(
        "Correct what the line names; `--help` lists the flags of a command, and "
        "[config.yaml](../config.yaml) every setting with its meaning.",
        ("settings file mine.yaml does not exist", "mystrategy:Trend: there is no module mystrategy on the path or in /home/me/bot"),
    ),
    "UnknownSetting": Advice(
        "Take the name that is suggested, or look it up in [config.yaml](../config.yaml). A setting is always written `room.key`.",
        ("models.unit: no such setting; did you mean 'models.units'?",),
    ),
    "InvalidSetting": Advice(
        "Give a value of the kind and range that the line names; config.yaml says both beside the setting.",
        ("--set 'models.units': write it as room.key=value, for example models.units=64",),
    ),
    "UnknownSymbol": Advice(
        "Write it as BTC/USDT, or BTC/USDT:USDT for a perpetual. A symbol of your own comes in by `--data "
        "FILE` or `forwardtrader import`; "
        "`forwardtrader candles` lists what the store has.",
        (
            "BTC/USD:BTC is an inverse contract, settled in BTC, which is not traded here; take a linear one such as BTC/USDT:USDT",
            "BTC/USDT is spot and ETH/USDT:USDT is a perpetual, and one account trades either; take symbols of one kind",
        ),
    ),
    "UnknownTimeframe": Advice(
        "Take a length that the line names. Longer bars than the venue has are made with `--resample`.",
        ("timeframe '1hour' is not known; use a form like 1m, 15m, 1h, 4h or 1d",),
    ),
    "UnknownVenue": Advice(
        "Take ccxt's name of the exchange, in small letters.",
        ("no exchange is called 'binanse'; did you mean binance, binanceus?",),
    ),
    "InvalidDates": Advice(
        "Days are UTC and written 2022-01-31; `--from` lies before `--to`, and both within the candles that there are.",
        ("--from '2022-31-01' is not a date; write it as 2022-01-31",),
    ),
    "AccountTooSmall": Advice(
        "Put more money into the account, trade a symbol with a smaller least order, or practise with `--sandbox`.",
        ("the account holds 3 USDT, the smallest order of BTC/USDT needs 10.02; deposit some first",),
    ),
    "StrategyFailed": Advice(
        "The line begins with the place in your file, as in `trend.py:12 in next: AttributeError: ...`. "
        "`forwardtrader check-strategy FILE:CLASS --data FILE` tries a strategy without a whole run.",
        ("Trend took no part in the run: it raised StrategySkipError",),
    ),
    "ForecasterFailed": Advice(
        "Mend the method that is named. `forwardtrader check-forecaster FILE:NAME` tries fit, predict, save and load in seconds "
        "([your own forecaster](forecasters.md)).",
        ("Ridge.fit answered NoneType; end it with `return self`",),
    ),
    "FeatureFailed": Advice(
        "A feature looks at closed bars only, gives the same twice, and says how many bars it looks back ([features](features.md)).",
        ("my_features.py:rsi changes the bars it is given; work on a copy: bars.close.copy()",),
    ),
    "ForecasterChecksFailed": Advice(
        "Every check that failed is named with its remedy; mend these and check again.",
        ("Ridge failed 1 of 14 checks: learned attributes: fit answers NoneType; end it with `return self`",),
    ),
    "StrategyChecksFailed": Advice(
        "Every check that failed is named. `truncation` and `newest close` mean that the strategy saw later bars: no positive "
        "index, nothing read beside the feed.",
        (
            "Trend failed 1 of 7 checks: determinism: 12 orders for 11 in a second run on the same candles, "
            "the first that differs at 2024-03-01 12:00",
        ),
    ),
    "DataError": Advice("Get the data again, or choose other data; nothing is guessed in its place."),
    "CandleFileInvalid": Advice(
        "Get the file again, or correct the rows that are named. [Candle files](candle-files.md) has the shapes that are read.",
        ("btc.csv: the file is empty; get it again",),
    ),
    "TooLittleHistory": Advice(
        "Let the run begin later, set a shorter `models.train_window`, or get more candles with `forwardtrader download`.",
        (
            "the window before 2022-01-01 has 212 samples to learn from, fewer than the 500 needed; set a longer models.train_window, "
            "or take shorter bars",
        ),
    ),
    "FactorNotYetPublished": Advice(
        "`known_at` is when a value could first be read anywhere, and never before the time that it describes ([factors](factors.md)).",
        ("fear_greed: the value of 2024-01-05 would be known before its time; correct known_at",),
    ),
    "RunUnreadable": Advice(
        "Name the folder of a finished run or session; a damaged run is made again by its own command, in "
        "seconds where its models are kept.",
        ("reports/output/demo does not exist; name the folder of a finished run",),
    ),
    "AuditIncomplete": Advice(
        "Nothing was found, and too little was looked at: give the audit more candles, or a strategy that trades on them.",
        (
            "audit incomplete: 1 of 14 proofs were not testable, first the fills: 3 fills, 10 are needed; "
            "the others found nothing; all in reports/output/demo/audit.json",
        ),
    ),
    "StoreDamaged": Advice(
        "What was damaged is set aside, never used. Download or import it again, or put a copy back.",
        ("var/funding/BTC.parquet fails its checksum; delete it, and download or import the funding again",),
    ),
    "StorageFull": Advice(
        "Free some disk, or make the folder writable, and run the same command again. A session whose "
        "journal cannot be written sends no order.",
        ("no space left to write var/models/3f2a; free some and run the command again",),
    ),
    "VenueUnreachable": Advice(
        "Look at the network and at the venue's status page. A backtest runs without either: `--source sample`, or `--data FILE`. "
        "A session tries again for `live.start_patience_s` at its start, and for as long as it runs.",
        ("binance does not answer (NetworkError: binance GET https://api.binance.com/api/v3/exchangeInfo)",),
    ),
    "VenueBusy": Advice(
        "Wait: it is asked again by itself when the pause is over. Where it comes back, something else uses the same address or key.",
        ("binance asks for fewer requests (429 Too Many Requests)",),
    ),
    "VenueRefused": Advice(
        "Look at key, secret and the rights of the key, at the addresses that it is bound to, and whether the venue serves your country.",
        ("bybit does not accept the key, or restricts the account: Invalid api_key",),
    ),
    "VenueRedirected": Advice(
        "Somebody answers in the venue's place: a login page of the network, a proxy, or a wrong `feeds.exchange_url`. No key went there.",
        (
            "api.binance.com redirected a request to http://login.hotel, which was not followed; look at "
            "feeds.exchange_url and at the network",
        ),
    ),
    "DownloadCutShort": Advice(
        "What came is kept: run it again later, or end the range earlier.",
        (
            "candles of BTC/USDT 1h end at 2024-03-01 12:00, 2024-03-02 00:00 was requested; they are kept: run it again later, "
            "or give an earlier end",
        ),
    ),
    "ModelError": Advice(
        "Choose another model, or none: sessions train what they need. `python -m models.registry list` shows what there is.",
        ("model 3f2a91c04b77 cannot be in force here: it was trained by another version of this software",),
    ),
    "NotTrained": Advice(
        "`python -m models.registry list` shows the models there are; a backtest over these days trains them.",
        ("model 3f2a91c04b77 is not in var/models; see `python -m models.registry list`",),
    ),
    "FingerprintMismatch": Advice(
        "Put settings, features and factor files back as they were, or train anew; a stale model is never used in silence.",
        ("the model was trained with the factor fear_greed, which is not at hand; name its file under feeds.factors",),
    ),
    "LookAheadFound": Advice(
        "A column, a label, an order or a fill knew something too early; the audit names it and the "
        "bar. Do not believe the run until it is mended.",
        (
            "1 of 14 proofs failed, first the truncation: rsi looks ahead, by 1 bar: "
            "1 of 900 earlier values changed with the bars after 2023-04-01 cut away; all in reports/output/demo/audit.json",
        ),
    ),
    "TrainingDiverged": Advice(
        "Lower the learning rate, or look for targets or features of a wrong scale. No model was kept of this fold.",
        ("the training diverged: a loss of 8e+12 on the bars it learned from, 1.4 of a constant; lower its learning rate",),
    ),
    "ClusterUnusable": Advice(
        "Start scheduler and workers in this project's folder and environment, or leave `--cluster` out ([scaling](scaling.md)).",
        ("no Dask scheduler answers at tcp://10.0.0.5:8786; start one with `dask scheduler`, or leave --cluster out",),
    ),
    "TelegramUnreachable": Advice(
        "Nothing, if it comes seldom: what was to be sent is tried again. Else look at the network and the proxy of the machine.",
        ("Telegram cannot be reached (TimedOut)",),
    ),
    "TelegramConflict": Advice(
        "A bot token has one receiver. Give each session a bot of its own, or set `live.telegram_commands: false` in all but one ([live]"
        "(live.md#telegram)).",
        ("another process receives with this bot token; give each session a bot of its own, or set live.telegram_commands=false",),
    ),
    "TelegramRefused": Advice(
        "Copy the token from BotFather and the chat's number again, and write to the bot once: before that it may not write to you.",
        ("Telegram refuses the bot token; correct TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, or set live.telegram=false",),
    ),
    "RiskHalt": Advice(
        "`forwardtrader status` says which limit it was and what is held. Look at the account first; `python "
        "run_live.py --resume` lets it trade again.",
        ("session 'demo' was killed; no order of it rests anywhere; use --resume to let it start again",),
    ),
    "NotObeyed": Advice(
        "The line says what the session answered. Where it hangs, `--kill` ends it: from then on no order leaves.",
        ("session demo: does not answer: it hangs, and the pause was withdrawn; use --kill",),
    ),
    "StartRefused": Advice(
        "Put back what was changed, set the account as the line says, or begin another session with `--session NAME`.",
        ("the account is in hedge mode; set its position mode to one-way at the venue, then start again",),
    ),
    "AccountLocked": Advice(
        "Two programs never trade one account: stop the other one first. A lock of a process that died is free by itself.",
        ("session 'demo' is in use by another process (number 4711); stop it first, or choose another --session",),
    ),
    "ReconciliationFailed": Advice(
        "Nothing was sent. Put coins or journal back as the line says, or begin a session of another name; "
        "[live](live.md#journal-and-venue) has what is settled without you.",
        ("0.5 BTC: they were moved or sold by hand; put them back, or start a session of another name",),
    ),
}
