"""Settings from `config.yaml`, the environment and flags, in rising order of strength."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError

from forwardtrader.core import environment as variables
from forwardtrader.core import log
from forwardtrader.core.command.flags import nearest
from forwardtrader.core.credentials import note_settings
from forwardtrader.core.errors import ConfigError, InvalidSetting, UnknownSetting
from forwardtrader.core.settings import Settings

# The environment variables that are settings; secrets are read where they are used and never stored in Settings.
ENVIRONMENT: Final = {
    "MODEL_SAVE_PATH": "models.save_path",
    "DATA_CACHE_MINUTES": "feeds.cache_minutes",
    "RISK_TOLERANCE": "strategies.risk_tolerance",
    "HEARTBEAT_URL": "live.heartbeat_url",
}
# Settings whose keys are the user's: one of them is named room.key.name.
OPEN: Final = ("models.params",)
# Settings of earlier versions that no longer have an effect: a file that still has them is read, with a warning.
RETIRED: Final = ("models.carry", "models.trend")
_LOG: Final = log.logger("core")


def load_settings(
    path: Path | None = None, *, overrides: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Build the settings in force.

    Args:
        path: a YAML file with one mapping per room; the project's `config.yaml` if it exists and no path is given.
        overrides: `room.key` to value, from flags; they win.
        environment: for tests; the process environment over `.env` otherwise.

    Raises:
        UnknownSetting: a room or key nobody knows; the message names the nearest.
        InvalidSetting: a value outside its range or of the wrong kind.
        ConfigError: the file is missing or is not YAML.
    """
    tree = _read_yaml(path)
    env = variables.environment() if environment is None else environment
    for name, key in ENVIRONMENT.items():
        if env.get(name):
            _place(tree, key, env[name], origin=name)
    for key, value in (overrides or {}).items():
        _place(tree, key, value, origin=key)
    note_settings(tree)
    _drop_retired(tree)
    _reject_unknown(tree)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _translated(error) from error


def changed(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    """The same settings with some replaced: `room.key` to value as YAML has it.

    Raises:
        UnknownSetting, InvalidSetting: as `load_settings`.
    """
    tree: dict[str, Any] = settings.model_dump(mode="json")
    for key, value in overrides.items():
        _place(tree, key, value, origin=key)
    note_settings(tree)
    _drop_retired(tree)
    _reject_unknown(tree)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _translated(error) from error


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `room.key=value`; the value is read as YAML.

    Raises:
        InvalidSetting: the text is not of that form.
    """
    key, sign, value = text.partition("=")
    if not sign or not (key.count(".") == 1 or (key.count(".") == 2 and key.rpartition(".")[0].strip() in OPEN)):
        raise InvalidSetting(f"--set {text!r}: write it as room.key=value, for example models.units=64")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InvalidSetting(f"--set {text!r}: the value cannot be read as YAML") from error


def all_keys() -> dict[str, list[str]]:
    """Every room with its keys."""
    return {
        room: list(field.annotation.model_fields)
        for room, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _read_yaml(path: Path | None) -> dict[str, Any]:
    source = path or Path("config.yaml")
    if not source.is_file():
        if path is None:
            return {}
        raise ConfigError(f"settings file {source} does not exist")
    try:
        tree = yaml.safe_load(source.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise ConfigError(f"settings file {source} is not valid YAML{line}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"settings file {source} must be a mapping of rooms; see the shipped config.yaml")
    return tree


def _place(tree: dict[str, Any], key: str, value: Any, *, origin: str) -> None:
    room, dot, name = key.partition(".")
    if not dot:
        raise UnknownSetting(f"{origin}: a setting is named room.key")
    branch = _branch(tree, room)
    outer, dot, inner = name.partition(".")
    if dot and f"{room}.{outer}" in OPEN:
        branch, name = _branch(branch, outer), inner
    branch[name] = value


def _branch(tree: dict[str, Any], name: str) -> dict[str, Any]:
    branch = tree.setdefault(name, {})
    if not isinstance(branch, dict):
        raise InvalidSetting(f"{name}: must be a mapping of settings")
    return branch


def _drop_retired(tree: Mapping[str, Any]) -> None:
    """Take settings without an effect out of the tree; one warning names all that were there."""
    found = []
    for key in RETIRED:
        room, _, name = key.partition(".")
        branch = tree.get(room)
        if isinstance(branch, dict) and name in branch:
            del branch[name]
            found.append(key)
    if found:
        _LOG.warning(f"{', '.join(found)}: no longer in use and without effect; remove from the settings")


def _reject_unknown(tree: Mapping[str, Any]) -> None:
    rooms = all_keys()
    for room, branch in tree.items():
        if room not in rooms:
            raise UnknownSetting(f"{room}: no such room of settings{nearest(str(room), rooms)}")
        if not isinstance(branch, dict):
            raise InvalidSetting(f"{room}: must be a mapping of settings")
        for key in branch:
            if key not in rooms[room]:
                raise UnknownSetting(f"{room}.{key}: no such setting{nearest(str(key), rooms[room], before=f'{room}.')}")


def _translated(error: ValidationError) -> InvalidSetting:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    if first["type"] == "extra_forbidden":
        return InvalidSetting(f"{where}: there is no such setting; see config.yaml and docs")
    reason = first["msg"].removeprefix("Value error, ")
    if not where or isinstance(first["input"], Mapping):  # settings that contradict each other, named by the reason
        return InvalidSetting(reason)
    return InvalidSetting(f"{where}: {reason}, not {first['input']!r}")
