"""Train an LSTM walk-forward, trade its forecasts through Backtrader, and write a report one can trust.

python run_backtest.py --from 2022-01-01
"""

import sys

from forwardtrader.core.cli import collect_rarely, leave

if __name__ == "__main__":
    collect_rarely()  # before what follows is imported, which makes half of all objects
    from forwardtrader.backtest.cli import command
    from forwardtrader.core.clock import SystemClock

    leave(command(sys.argv[1:], SystemClock()))
