"""Trade the forecasts live: on paper, on the practice exchange, or for real.

python run_live.py --paper --sandbox
"""

from forwardtrader.live.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
