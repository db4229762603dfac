"""Train an LSTM walk-forward, trade its forecasts through Backtrader, and write a report one can trust.

python run_backtest.py --from 2022-01-01
"""

import sys

from backtest.entry import command
from core.clock import SystemClock

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:], SystemClock()))
