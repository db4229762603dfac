"""A strategy that buys at its second bar, and at its fifth reads what Prometheus would."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

import backtrader as bt


class Scraping(bt.Strategy):
    def __init__(self) -> None:
        self.bars = 0

    def next(self) -> None:
        self.bars += 1
        if self.bars == 2:
            self.buy(size=0.01)
        if self.bars == 5:
            address, _, place = os.environ["SCRAPE"].partition(" ")
            with urllib.request.urlopen(address, timeout=30) as answer:
                Path(place).write_bytes(answer.read())
