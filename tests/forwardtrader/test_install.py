"""The package as `pip install` puts it into somebody else's environment."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("core", "feeds", "models", "strategies", "backtest", "live", "reports", "sandbox", "serve")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
# Nobody's environment but the wheel and the packages that it requires: neither the checkout nor its editable install.
START = "import sys; sys.path[1:1] = [{site!r}, {packages!r}]"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds."""
    source, built, site = (tmp_path_factory.mktemp(name) for name in ("source", "built", "site"))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    for name in ("forwardtrader", *PACKAGES):
        shutil.copytree(
            ROOT / name,
            source / name,
            symlinks=True,
            ignore=lambda folder, _names: {"__pycache__", *({"output"} if folder == str(ROOT / "reports") else ())},
        )
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def run_in(folder: Path, site: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A program of somebody who installed the wheel; `-S` leaves out this environment's own path files."""
    start = START.format(site=str(site), packages=sysconfig.get_path("purelib"))
    (folder / "program.py").write_text(f"{start}\n{code}\n")
    return subprocess.run([sys.executable, "-S", "program.py"], cwd=folder, env={}, capture_output=True, text=True, check=False)


def test_the_wheel_holds_one_package_and_says_that_it_is_typed(site: Path) -> None:
    assert sorted(path.name for path in site.iterdir() if not path.name.endswith(".dist-info")) == ["forwardtrader"]
    assert (site / "forwardtrader" / "py.typed").is_file()
    [entry] = next(site.glob("*.dist-info/entry_points.txt")).read_text().strip().splitlines()[1:]
    assert entry == "forwardtrader = forwardtrader.__main__:main"


def test_every_module_template_and_asset_of_the_checkout_is_in_the_wheel(site: Path) -> None:
    for package in PACKAGES:
        here = (ROOT / package).rglob("*")
        ours = {path.relative_to(ROOT) for path in here if path.suffix == ".py" or path.parent.name in ("templates", "assets")}
        theirs = {path.relative_to(site / "forwardtrader") for path in (site / "forwardtrader" / package).rglob("*") if path.is_file()}
        assert ours == {path for path in theirs if path.suffix != ".pyc"}


def test_the_packages_that_are_installed_are_those_that_are_there() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {path.parent.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")}
    named = setup["options"]["packages"].split()
    assert named == ["forwardtrader", *(name for name in named[1:] if name.startswith("forwardtrader."))]
    assert sorted(named[1:]) == sorted("forwardtrader." + ".".join(folder.parts) for folder in folders)


def test_every_package_that_is_imported_is_required_and_the_other_way_round() -> None:
    """Required by the base, or by the extra of what imports it; a requirement of a requirement does not count."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    texts = [
        setup["options"]["install_requires"],
        *(extras[name] for name in ("live", "firestore", "telegram", "cluster", "sklearn", "foundation", "serve")),
    ]
    required = {re.split(r"[>=<;]", line)[0].strip() for text in texts for line in text.splitlines() if line.strip()}
    found = {name for package in PACKAGES for path in (ROOT / package).rglob("*.py") for name in imported(path)}
    parts_of = {"google": "firebase-admin", "markupsafe": "jinja2"}
    others = {"firebase_admin": "firebase-admin", "dotenv": "python-dotenv", "yaml": "pyyaml", "sklearn": "scikit-learn"}
    others |= {"telegram": "python-telegram-bot", "prometheus_client": "prometheus-client"}
    # Not imported: dask is what distributed runs on.
    assert {parts_of.get(name, others.get(name, name)) for name in found} == required - {"dask"}


def imported(path: Path) -> set[str]:
    """The top-level packages of others that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and node.level == 0}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"forwardtrader"}


def test_a_project_with_packages_of_the_same_names_has_both(site: Path, tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "models" / "registry.py").write_text("MINE = True\n")
    code = f"""
import {", ".join(PACKAGES)}, models.registry
import forwardtrader as ft
from forwardtrader.models.registry.store import ModelRegistry
assert models.registry.MINE and all(package.MINE for package in ({", ".join(PACKAGES)}))
print(*(thing.__module__ for thing in (ft.LSTMForecast, ft.LSTMStrategy, ft.CCXTStore, ft.build_cerebro, ModelRegistry)))
"""
    done = run_in(tmp_path, site, code)
    assert done.returncode == 0, done.stderr
    assert all(name.startswith("forwardtrader.") for name in done.stdout.split())


def test_an_installed_command_works_in_the_folder_it_is_typed_in(site: Path, tmp_path: Path) -> None:
    done = run_in(tmp_path, site, "from forwardtrader.__main__ import main\nraise SystemExit(main(['trials']))")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "no trials yet in reports/output/trials.sqlite", "")
