"""Train an LSTM walk-forward, trade its forecasts through Backtrader, and write a report one can trust.

python run_backtest.py --from 2022-01-01
"""

from forwardtrader.backtest.cli import main
from forwardtrader.core.command.cli import leave

if __name__ == "__main__":
    leave(main())
