"""Trade the forecasts live: on paper, on the practice exchange, or for real.

python run_live.py --paper --sandbox
"""

import sys

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.cli import command

if __name__ == "__main__":
    sys.exit(command(sys.argv[1:], SystemClock()))
