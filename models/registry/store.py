"""Saved models: one folder each, named by fingerprint, holding `model.keras`, `card.json` and the forecasts made so far.

`python -m models.registry list|show|promote|rollback` lists, promotes and rolls them back.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from forwardtrader.core import fingerprint, log
from forwardtrader.core.atomic import write_bytes, write_text
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, NotTrained
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.forecasters import trees
from forwardtrader.models.forecasters.model_file import require_sound_trees, require_stored
from forwardtrader.models.forecasters.trees import Trees
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.fitted import FittedModel, load_fitted
from forwardtrader.models.port.prototype import identity, prototype
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.promotion_log import PromotionLog

if TYPE_CHECKING:
    from forwardtrader.models.forecasters.lstm import Ensemble

Damage: TypeAlias = Callable[[str, str], None]
Read = TypeVar("Read")
_LOG: Final = log.logger("models")
TEMPLATES: Final = "templates"  # the folder of network templates under the root
_SEAL: Final = "seal"  # over the rest of the card: a digit that changed on the disk leaves it valid JSON


def log_damage(model_id: str, reason: str) -> None:
    """Log that a damaged model was set aside."""
    log.event(_LOG, "model_damaged", logging.WARNING, model_id=model_id, reason=reason)


class ModelRegistry:
    """Reads and writes model folders under one root; whole files or none.

    Args:
        damaged: called for every model that is set aside because it cannot be read: its id, and why.
        forecaster: whose class reads models other than the LSTM's; files never say what is to be imported.
    """

    def __init__(self, root: Path, damaged: Damage = log_damage, forecaster: BaseForecaster | None = None) -> None:
        self.root = root
        self._damaged = damaged
        self._forecaster = forecaster

    @classmethod
    def of(cls, settings: ModelSettings, damaged: Damage = log_damage) -> ModelRegistry:
        """The registry of a run, which reads models of its forecaster."""
        return cls(Path(settings.save_path).absolute(), damaged, prototype(settings))  # whatever a user's code makes the working directory

    @property
    def promotions(self) -> PromotionLog:
        """Which model was promoted, kept or rolled back, when and why."""
        return PromotionLog(self.root)

    def find(self, beginning: str) -> ModelCard:
        """The card of the one model whose id begins so.

        Raises:
            NotTrained: none does, or several do.
        """
        found = sorted(path.parent.name for path in self.root.glob("*/card.json") if path.parent.name.startswith(beginning))
        if len(found) != 1 or not beginning:
            trouble = f"{len(found)} models in {self.root} begin with {beginning!r}" if found else f"no model {beginning!r} in {self.root}"
            raise NotTrained(f"{trouble}; see `python -m models.registry list`")
        return self.card(found[0])

    def holds(self, model_id: str) -> bool:
        """Whether the model is there as a whole: its card is written last."""
        return self._file(model_id, "card.json").is_file()

    def set_aside(self, model_id: str) -> None:
        """Drop a model from the registry; its files stay on disk for inspection."""
        with contextlib.suppress(FileNotFoundError):  # another process has done so
            (self._folder(model_id) / "card.json").replace(self._folder(model_id) / "card.damaged")

    def card(self, model_id: str) -> ModelCard:
        """Read the card.

        Raises:
            NotTrained: there is no such model.
            FingerprintMismatch: the card cannot be read, was changed since it was saved, or is that of another model.
        """
        path = self._file(model_id, "card.json")
        try:
            text = path.read_text(encoding="utf-8")
            card = ModelCard.model_validate_json(text)
        except FileNotFoundError as error:
            raise NotTrained(f"model {model_id} is not in {self.root}; see `python -m models.registry list`") from error
        except (ValidationError, UnicodeDecodeError, OSError) as error:
            raise FingerprintMismatch(f"{path} cannot be read; remove its folder and train again") from error
        if card.model_id != model_id:
            raise FingerprintMismatch(f"{path} is the card of model {card.model_id}; remove its folder and train again")
        content: dict[str, Any] = json.loads(text)
        seal = content.pop(_SEAL, None)
        if seal is not None and seal != fingerprint.of_value(content):
            raise FingerprintMismatch(f"{path} was changed after it was saved; remove its folder and train again")
        return card

    def cards(self) -> list[ModelCard]:
        """All cards that can be read, newest boundary last."""
        return self.survey()[0]

    def survey(self) -> tuple[list[ModelCard], list[str]]:
        """All cards as `cards` has them, and why each of the others cannot be read."""
        found: list[ModelCard] = []
        troubles: list[str] = []
        for path in sorted(self.root.glob("*/card.json")):
            try:
                found.append(self.card(path.parent.name))
            except FingerprintMismatch as trouble:
                troubles.append(str(trouble))
            except NotTrained:
                continue  # taken away meanwhile
        return sorted(found, key=lambda card: (card.boundary, card.model_id)), troubles

    def save(self, card: ModelCard, model: FittedModel) -> None:
        """Write the model, then the card.

        Raises:
            ForecasterFailed: what a forecaster learned cannot be saved; the message names it and the fold.
        """
        folder = self._folder(card.model_id)
        try:
            model.save(folder, self.root / TEMPLATES)
        except ForecasterFailed as failure:
            raise ForecasterFailed(f"{card.forecaster}, fold {card.boundary[:10]} of {', '.join(card.symbols)}: {failure}") from failure
        content = card.model_dump(mode="json")
        write_text(folder / "card.json", json.dumps(content | {_SEAL: fingerprint.of_value(content)}, indent=1))

    def network(self, model_id: str) -> FittedModel:
        """Read the model.

        Raises:
            FingerprintMismatch: a file of it is damaged.
            NotTrained: another forecaster than the run's made it.
        """
        card = self.card(model_id)
        if not card.forecaster_id:
            return self._ensemble(card)
        if self._forecaster is None or identity(self._forecaster) != card.forecaster_id:
            raise NotTrained(f"model {model_id} was made by {card.forecaster}, as it was then; name it with --forecaster")
        return load_fitted(self._folder(model_id), self._forecaster)

    def _ensemble(self, card: ModelCard) -> Ensemble:
        """The network of the LSTM with its trees."""
        from forwardtrader.models.forecasters.network_file import read_network

        network, share = read_network(self._file(card.model_id, "model.keras")), card.trees
        if not 0.0 <= share <= 1.0:
            raise FingerprintMismatch(f"the card of {card.model_id} has a share of trees of {share}; remove its folder and train again")
        return replace(network, trees=self.trees(card.model_id, network.spec.features), share=share) if share else network

    def sound_network(self, model_id: str) -> FittedModel | None:
        """As `network`; None where there is no such model, or none that can be read: that one is set aside, so that it is trained again."""
        return self._sound(model_id, self.network)

    def sound_card(self, model_id: str) -> ModelCard | None:
        """As `card`, and as `sound_network` where it cannot be read."""
        return self._sound(model_id, self.card)

    def _sound(self, model_id: str, read: Callable[[str], Read]) -> Read | None:
        if not self.holds(model_id):
            return None
        try:
            return read(model_id)
        except (FingerprintMismatch, NotTrained) as trouble:
            self.set_aside(model_id)
            self._damaged(model_id, str(trouble).partition(";")[0])
            return None

    def trees(self, model_id: str, features: int) -> Trees:
        """The trees of a model that has some.

        Args:
            features: how many columns its forecasts are made from.

        Raises:
            FingerprintMismatch: the file is damaged, or reads columns that there are not.
        """
        path = self._file(model_id, "trees.npz")
        try:
            with zipfile.ZipFile(path) as archive:
                require_stored(archive)
            return require_sound_trees(trees.load(path), features)
        except (ValueError, OSError, MemoryError, AttributeError, zipfile.BadZipFile) as error:
            raise FingerprintMismatch(f"{path} is absent or damaged; remove its folder and train again") from error

    def save_forecasts(self, model_id: str, key: str, raw: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep raw forecasts under the fingerprint of the candles they were made from."""
        store = io.BytesIO()
        np.savez(store, **{f"symbol:{symbol}": values for symbol, values in raw.items()})  # type: ignore[arg-type]
        write_bytes(self._folder(model_id) / f"forecasts-{key}.npz", store.getvalue())

    def forecasts(self, model_id: str, key: str) -> dict[str, NDArray[np.float32]] | None:
        """Raw forecasts kept under `key`, or None where there are none that can be read."""
        path = self._file(model_id, f"forecasts-{key}.npz")
        if not path.is_file() or not self.holds(model_id):
            return None
        try:
            with zipfile.ZipFile(path) as archive:
                require_stored(archive)
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                return {name.removeprefix("symbol:"): stored[name] for name in stored.files}
        except (ValueError, OSError, EOFError, KeyError, MemoryError, zipfile.BadZipFile):
            return None  # a damaged cache is made anew

    def _folder(self, model_id: str) -> Path:
        """The folder of a model. Ids come from files too, and neither they nor links lead out of the registry."""
        if not model_id or Path(model_id).name != model_id or model_id == "..":
            raise NotTrained(f"{model_id!r} is not the id of a model; see `python -m models.registry list`")
        return self._inside(self.root / model_id)

    def _file(self, model_id: str, name: str) -> Path:
        return self._inside(self._folder(model_id) / name)

    def _inside(self, path: Path) -> Path:
        if path.is_symlink() and not path.resolve().is_relative_to(self.root.resolve()):
            raise FingerprintMismatch(f"{path} is a link that leads out of {self.root}; put a copy in its place, or remove it")
        return path
