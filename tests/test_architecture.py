"""The layers and the doors of docs/architecture.md, held against every import in the tree."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import structure
from tests import ROOT

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "feeds": {"core"},
    "models": {"core"},
    "reports": {"core"},
    "sandbox": {"core"},
    "strategies": {"core", "models"},
    "backtest": {"core", "feeds", "models", "strategies", "reports"},
    "live": {"core", "feeds", "models", "strategies", "reports"},
    "serve": {"core", "models", "reports", "backtest", "live"},
}
# Within a package, from the top down: a module imports what stands below it, and modules of its own sub-package. Those on one line do not
# know each other.
LAYERS: dict[str, str] = {
    "core": """
        config
        user_code
        command
        log settings_file
        redaction settings
        credentials rooms
        atomic environment retry types
        clock errors fingerprint p_values threads
    """,
    "feeds": """
        recording
        history live
        confirmation
        fetching perpetuals
        backtrader_data files venues
        candles
        factors flags longer_bars universe
        bounds
    """,
    "models": """
        online
        folds
        registry
        forecasters
        features
        port
        signal_bars
        checks flags forecaster parallel walk_forward
    """,
    "strategies": """
        replay stints
        fast_replay
        replay_track
        backtrader replay_account
        portfolio
        position_manager
        decision ended_symbols holdings trading_state
        learning orders
        backtrader_objects costs feed_context order_rules risk signals sizing user_code
        detail
        margin
    """,
    "backtest": """
        api cli
        optimise
        sweep
        terminal
        job
        analysis audit importance run_record shifted_runs
        checks command_line forecasting market_data simulation
        dates flags progress request signals
    """,
    "live": """
        cli parity
        instruction
        session
        supervision
        preflight
        telegram
        status_report
        monitoring
        bridge mirror
        execution output request retraining
        venue
        heartbeat mailbox
        control flags priority sqlite_file
    """,
    "reports": """
        __main__
        analysis judgement logs rebuild runs
        account_judgement benchmarks pages shifted_store
        artefacts forecast_judgement summary sweep_manifest trial_ledger
        flags manifest statistics trial_reruns verdict
        sections
    """,
    "sandbox": """
        __main__
        serve
        server
        control
        practice
        protocols
        usdm
        binance bybit state
        faults
        venue
        perpetual_rules
        market
        engine process
        transport
        flags orders parent_process
    """,
    "serve": """
        command
        application
        routes
        guard live_updates rendering
        access facts flags
    """,
}
DOORS: dict[str, set[str]] = {
    "ccxt": {
        "feeds/live/client.py", "feeds/live/source.py", "feeds/venues/exchange.py", "feeds/venues/retry.py", "live/venue/ccxt_errors.py",
    },
    "keras": {
        "models/forecasters/lstm.py", "models/forecasters/trainer.py",
        *(f"models/forecasters/keras_networks/{name}.py" for name in ("head", "network", "network_file", "training_loop")),
    },
    "jax": {
        *(f"models/forecasters/{name}.py" for name in ("lstm", "recurrent", "stepwise_inference", "trainer", "xla")),
        *(f"models/forecasters/keras_networks/{name}.py" for name in ("network", "training_loop")),
    },
    "torch": {f"models/forecasters/pretrained/{name}.py" for name in ("chronos", "kronos", "timesfm")},
    "transformers": {f"models/forecasters/pretrained/{name}.py" for name in ("chronos", "foundation", "timesfm", "weights")},
    "safetensors": {"models/forecasters/pretrained/kronos.py"},
    "lightgbm": {"models/forecasters/trees.py"},
    "sklearn": {"models/forecasters/shipped/sklearn_forecaster.py"},
    "skops": {"models/forecasters/shipped/sklearn_file.py"},
    "firebase_admin": {"live/output/firestore.py"},
    "telegram": {"live/telegram/bot.py"},
    "prometheus_client": {"live/monitoring/metrics.py"},
    "quantstats": {"reports/pages/tearsheet.py"},
    "distributed": {"models/parallel/dask_cluster.py"},
    "dask": {"models/parallel/dask_cluster.py"},
    "optuna": {"backtest/sweep/search.py"},
    "uvicorn": {"serve/command.py"},
    "starlette": {
        *(f"serve/{name}.py" for name in ("application", "guard", "rendering")),
        *(f"serve/routes/{name}.py" for name in ("backtests", "files", "models", "runs", "sessions")),
    },
}  # fmt: skip
# The one place from which an order leaves.
SUBMIT = "live/execution/submit.py"
VAGUE = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(source: str) -> set[str]:
    """Full names of all modules that a source may import, nested imports included: `from a import b` is a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def ours(source: str) -> set[tuple[str, ...]]:
    """What it imports of this project, without the first name."""
    return {tuple(name.split(".")[1:]) for name in imported(source) if name.startswith("forwardtrader.")}


def upward_imports(package: str, source: str) -> set[str]:
    return {top for top, *_ in ours(source) if top in MAY_IMPORT and top != package and top not in MAY_IMPORT[package]}


def floors(package: str) -> dict[str, int]:
    """The height of each module or sub-package directly below a package."""
    lines = LAYERS[package].split("\n")[1:-1]
    return {name: len(lines) - number for number, line in enumerate(lines) for name in line.split()}


def imports_across_layers(place: str, source: str) -> set[str]:
    """What a module imports of its own package from its own height or above."""
    package, unit = Path(place).with_suffix("").parts[:2]
    height = floors(package)
    used = {name[1] for name in ours(source) if len(name) > 1 and name[0] == package and name[1] in height}
    return {name for name in used if name != unit and height[name] >= height[unit]}


def closed_doors(place: str, source: str) -> set[str]:
    tops = {name.split(".")[0] for name in imported(source)}
    return {sdk for sdk, doors in DOORS.items() if sdk in tops and place not in doors}


def sends_orders(source: str) -> bool:
    """Whether a source calls, or hands on, anything by which ccxt sends an order."""
    named = (node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", "") for node in ast.walk(ast.parse(source)))
    return any(isinstance(name, str) and name.startswith("create_") and "order" in name and " " not in name for name in named)


def places() -> Iterator[tuple[str, str]]:
    for package in MAY_IMPORT:
        for module in modules(package):
            yield str(module.relative_to(ROOT)), module.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    found = {str(m.relative_to(ROOT)): up for m in modules(package) if (up := upward_imports(package, m.read_text()))}
    assert found == {}


@pytest.mark.parametrize("package", LAYERS)
def test_every_module_of_a_package_has_its_layer(package: str) -> None:
    there = {path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert set(floors(package)) >= there - {"__init__", "__main__"}
    assert set(floors(package)) <= there


@pytest.mark.parametrize("package", LAYERS)
def test_within_a_package_imports_point_downward_only(package: str) -> None:
    found = {}
    for module in modules(package):
        place = str(module.relative_to(ROOT))
        if module.name != "__init__.py" and (across := imports_across_layers(place, module.read_text())):
            found[place] = across
    assert found == {}


def test_an_sdk_is_imported_at_its_doors_only() -> None:
    assert {place: closed for place, source in places() if (closed := closed_doors(place, source))} == {}


def test_orders_are_sent_from_one_module_only() -> None:
    assert {place for place, source in places() if not place.startswith("sandbox/") and sends_orders(source)} == {SUBMIT}


def test_the_practice_exchange_is_an_independent_witness() -> None:
    assert not [
        place for place, source in places() if place.startswith("sandbox/") and "ccxt" in {n.split(".")[0] for n in imported(source)}
    ]


def test_a_planted_upward_import_is_caught() -> None:
    planted = "def f():\n    from forwardtrader.feeds.candles.schema import check\n"
    assert upward_imports("models", planted) == {"feeds"}
    assert imports_across_layers("live/execution/journal.py", "from forwardtrader.live.bridge.store import CCXTStore") == {"bridge"}
    assert imports_across_layers("models/features/panel.py", "from forwardtrader.models import online") == {"online"}
    assert imports_across_layers("feeds/live/source.py", "from forwardtrader.feeds.history.needs import History") == {"history"}


def test_a_planted_sdk_import_is_caught() -> None:
    assert closed_doors("strategies/risk.py", "import ccxt.pro\n") == {"ccxt"}


@pytest.mark.parametrize(
    "planted", ["await client.create_order('BTC/USDT')", "getattr(client, 'create_market_order')(1)", "f = c.create_orders"]
)
def test_a_planted_order_is_caught(planted: str) -> None:
    assert sends_orders(f"async def f(client, c):\n    {planted}\n")


def test_nothing_imports_a_package_by_its_name_in_the_checkout() -> None:
    """`models.registry` and `forwardtrader.models.registry` would be two modules with two sets of classes."""
    found = {place for place, source in places() if {name.split(".")[0] for name in imported(source)} & set(MAY_IMPORT)}
    tests = {path for path in (ROOT / "tests").rglob("*.py") if {n.split(".")[0] for n in imported(path.read_text())} & set(MAY_IMPORT)}
    assert found | tests == set()


def test_no_module_is_named_for_nothing_in_particular() -> None:
    assert [place for place, _ in places() if Path(place).stem in VAGUE] == []


def test_the_structure_stays_within_its_limits() -> None:
    found = structure.modules(ROOT)
    assert max(structure.files_per_folder(found).values()) <= 15
    assert structure.untyped([module for module in found if module.name.startswith("live.")]) <= 8
    assert max(structure.function_lengths(found)) <= 52
    assert max(module.lines for module in found) <= 404


def test_an_order_takes_at_most_twelve_calls_from_the_strategy_to_the_wire() -> None:
    assert list(structure.broken_steps(structure.modules(ROOT), structure.ORDER_PATH)) == []
    assert 0 < len(structure.ORDER_PATH) - 1 <= 12


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout")
def test_what_is_ignored_is_not_tracked_either() -> None:
    """An environment that is tracked, were it only a link, takes the place of the environment of whoever checks it out."""
    listed = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout == ""
