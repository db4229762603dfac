"""Whether this Python can run the project at all. Read by whatever Python a command was typed with: nothing newer than 3.8, no package."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import forwardtrader

ROOT = Path(forwardtrader.__file__).resolve().parent.parent  # the folder that holds the package: a checkout, or site-packages
OLDEST = (3, 11)
# A Python that has these was set up for the project; to look for all of them would take each process ten times as long.
_TELLING = ("backtrader", "dotenv", "numpy", "pydantic")
# The packages that setup.cfg requires, those of `live` and `firestore` among them, by the names that they are imported under.
PACKAGES = (
    "aiohttp", "anyio", "arch", "backtrader", "ccxt", "dotenv", "filelock", "firebase_admin", "h5py", "jax", "jinja2", "keras",
    "lightgbm", "matplotlib", "numpy", "optuna", "orjson", "pandas", "prometheus_client", "psutil", "pyarrow", "pydantic",
    "quantstats", "requests", "rich", "scipy", "starlette", "statsmodels", "ta", "threadpoolctl", "urllib3", "uvicorn", "yaml",
)  # fmt: skip
# Those of the other extras, which are imported when they are needed: by then a user's folder may be searched too.
OPTIONAL = ("dask", "distributed", "safetensors", "sklearn", "skops", "telegram", "torch", "transformers")
_IN_CHECKOUT = "run `make backtest` once, then `source .venv/bin/activate`"
MEND = _IN_CHECKOUT if (ROOT / "run_live.py").is_file() else "run `pip install 'forwardtrader[live,firestore]'`"


def require() -> None:
    """End a command with one line and exit code 2 where this Python is too old or lacks packages.

    Raises:
        ImportError: the same, where it is a program of someone else that imports us.
    """
    trouble = _trouble()
    if not trouble:
        return
    if not _is_our_command():
        raise ImportError(trouble)
    sys.stderr.write(trouble + "\n")
    raise SystemExit(2)


def _trouble() -> str:
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:2]))
        return f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, {sys.executable} is {found}; {MEND} (make backtest PYTHON=python3.11)"
    if all(map(find_spec, _TELLING)):
        return ""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    more = f" and {len(missing) - 3} more packages" if len(missing) > 3 else ""
    return f"{sys.executable} lacks {', '.join(missing[:3])}{more}; {MEND}"


def _is_our_command() -> bool:
    """`python -m room.module`, a script beside the rooms, or the command `forwardtrader`."""
    if sys.argv[:1] == ["-m"]:
        return True
    script = Path(sys.argv[0] if sys.argv else "").resolve()
    module = script.name == "__main__.py" and ROOT in script.parents
    return script.is_file() and (module or script.name == "forwardtrader" or script.parent == ROOT)
