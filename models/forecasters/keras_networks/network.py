"""A network of the user's with our scaling and head: built once for each form in a process, whatever the number of folds.

features -> scaling -> the user's network -> dense, plus a linear rule of the same bar's features -> per horizon a location and five
quantiles. A network that returns a sequence learns at every bar of it, if no bar of its output depends on later bars.
"""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import ForecasterFailed
from forwardtrader.core.threads import once
from forwardtrader.models.forecasters.keras_networks.builder import Build, name_of, with_options
from forwardtrader.models.forecasters.keras_networks.head import Head, NetworkForm, output_kind
from forwardtrader.models.forecasters.keras_networks.network_file import NetworkFile
from forwardtrader.models.forecasters.xla import compiled, prepare_jax

BLOCK: Final = 16
_LOUD: Final = 1e-4  # an output that changes by more than this share of its size has seen what changed
Values: TypeAlias = tuple[NDArray[Any], ...]
# Keras names its layers by counters, and traces through objects that threads share.
KERAS: Final = threading.RLock()


@dataclass(frozen=True)
class Supervision:
    """Rows of one training sequence, and how many of its last bars have a part in the loss: 1 where the network sees a window."""

    length: int
    supervised: int


class Network:
    """A user's network in one form; safe to use from several threads.

    Args:
        build: gives the network for `inputs`, a `keras.Input((bars, features))` of scaled features.

    Attributes:
        variables: the Keras variables of the model that answers; `Values` are arrays in their order.
        supervision: how it learns.

    Raises:
        ForecasterFailed: it is no network that could be trained, answer, and be read from its file.
    """

    def __init__(self, build: Build, form: NetworkForm) -> None:
        self.form = form
        self._build = build
        self._initial: dict[int, Values] = {}
        with KERAS, _seeded(0):
            _require_jax()
            head, inner = Head.of(form), self._inner(form.context)
            self._answers = head.around(inner, form.context, every_bar=False)
            self.variables: list[Any] = self._answers.variables
            self.learner, self.supervision, twin = self._learner(head, inner)
            own = dict(zip(map(id, twin.variables), inner.variables, strict=True))
            place = {id(variable): n for n, variable in enumerate(self.variables)}
            self._of_learner = {id(v): place[id(own.get(id(v), v))] for v in self.learner.variables}
            self.file = NetworkFile(self._answers)
            self._places = {name: place[id(v)] for name, v in head.named().items() if id(v) in place}
        self._initial[0] = tuple(np.asarray(v) for v in self.variables)

    def _inner(self, length: int) -> Any:
        import keras

        inputs = keras.Input((length, self.form.features))
        found = self._build(inputs)
        if not isinstance(found, keras.Model):
            raise ForecasterFailed(
                f"{name_of(self._build)} answered {type(found).__name__}; end it with `return keras.Model(inputs, outputs)`"
            )
        if not keras.utils.is_keras_tensor(found(inputs)):  # called also so that a model that is no graph has its variables
            raise ForecasterFailed(f"{name_of(self._build)} gives a network with several outputs; it has one output")
        return found

    def _learner(self, head: Head, inner: Any) -> tuple[Any, Supervision, Any]:
        """The model that learns, and the network of the user's in it: over a longer sequence where there can be one."""
        import keras

        form = self.form
        sequence, _ = output_kind(inner(keras.Input((form.context, form.features))).shape, form.context, form)
        if not sequence or not _is_causal(inner, form):
            return self._answers, Supervision(form.context, 1), inner
        length = max(form.burn_in + form.supervised, form.context)
        twin = self._twin(head, inner, length)
        if twin is not None:
            return twin[0], Supervision(length, length - form.burn_in), twin[1]
        left_out = min(form.burn_in, form.context - 1)
        return head.around(inner, form.context, every_bar=True), Supervision(form.context, form.context - left_out), inner

    def _twin(self, head: Head, inner: Any, length: int) -> tuple[Any, Any] | None:
        """The network over another number of bars; None where its weights depend on that number."""
        try:
            twin = self._inner(length)
            model = head.around(twin, length, every_bar=True)
        except Exception:  # noqa: BLE001 - the user's code, which was promised `context` bars
            return None
        same = [v.shape for v in twin.variables] == [v.shape for v in inner.variables]
        return (model, twin) if same and len(model.output.shape) == 4 and model.output.shape[1] == length else None

    def initial(self, seed: int) -> Values:
        """What everything is before it learned anything, by a seed."""
        with KERAS:
            if seed not in self._initial:
                with _seeded(seed):
                    model = Head.of(self.form).around(self._inner(self.form.context), self.form.context, every_bar=False)
                    self._initial[seed] = tuple(np.asarray(v) for v in model.variables)
            return self._initial[seed]

    def placed(self, values: Values, **named: NDArray[np.float32]) -> Values:
        """`values` with others for our own layers, where it has them: `mean`, `variance`, `linear`, `first_bias`, `other_bias`."""
        out = list(values)
        for name, value in named.items():
            if name in self._places:
                out[self._places[name]] = value.reshape(out[self._places[name]].shape).astype(np.float32)
        return tuple(out)

    def position(self, name: str) -> int | None:
        """The place of a variable of our own layers among `variables`."""
        return self._places.get(name)

    def of_learner(self, variables: Sequence[Any]) -> list[int]:
        """For each variable of the model that learns its place among `variables`."""
        return [self._of_learner[id(v)] for v in variables]

    def settled(self, values: Values) -> Values:
        """`values` with what the file does not hold as it is at first, so that a model forecasts the same before and after it was read."""
        first = self.initial(0)
        return tuple(value if n in self.file.places else first[n] for n, value in enumerate(values))

    def split(self, values: Values) -> tuple[list[Any], list[Any]]:
        """Trained and other values in the order of the model that answers."""
        place = {id(v): n for n, v in enumerate(self.variables)}
        trained, state = self._answers.trainable_variables, self._answers.non_trainable_variables
        return [values[place[id(v)]] for v in trained], [values[place[id(v)]] for v in state]

    @once
    def answer(self) -> Any:
        """The compiled forecast of one block: split values, and features [BLOCK, context, F], to [BLOCK, H, 6]."""
        import jax

        def run(trained: Any, state: Any, features: Any) -> Any:
            return self._answers.stateless_call(trained, state, features, training=False)[0]

        shape: Any = jax.ShapeDtypeStruct
        shapes = jax.tree.map(lambda x: shape(x.shape, x.dtype), self.split(self.initial(0)))
        with KERAS:
            return compiled(run, *shapes, shape((BLOCK, self.form.context, self.form.features), np.float32))


# With the function that each was built by, so that no other one gets its id.
_NETWORKS: Final[dict[tuple[Any, ...], tuple[Build, Network]]] = {}


def network_of(build: Build, options: Mapping[str, Any], form: NetworkForm) -> Network:
    """The network of this process for a function, its options and a form; built when it is first asked for."""
    key = (id(build), repr(sorted(options.items())), form)
    with KERAS:
        if key not in _NETWORKS:
            _NETWORKS[key] = build, Network(with_options(build, options), form)
        return _NETWORKS[key][1]


def _is_causal(inner: Any, form: NetworkForm) -> bool:
    """Whether no bar of a sequence depends on later ones, tried with weights that have no zeros in them."""
    import jax

    draw, run = np.random.default_rng(0), jax.jit(functools.partial(inner.stateless_call, training=False))
    trained = [np.asarray(v) + 0.2 * draw.standard_normal(v.shape).astype(np.float32) for v in inner.trainable_variables]
    state = [np.asarray(v) for v in inner.non_trainable_variables]
    before = draw.standard_normal((2, form.context, form.features)).astype(np.float32)
    for changed in {1, form.context // 2, form.context - 1} - {0}:
        after = before.copy()
        after[:, changed:] = draw.standard_normal(after[:, changed:].shape)
        first, second = (np.asarray(run(trained, state, x)[0])[:, :changed] for x in (before, after))
        if not np.allclose(first, second, rtol=_LOUD, atol=_LOUD * max(float(np.abs(first).max()), 1e-6)):
            return False
    return True


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draws of Keras, numpy and Python by a seed; what others draw afterwards is as if nothing had been drawn."""
    import keras

    python, numpy = random.getstate(), np.random.get_state()  # the one that Keras and its users draw from
    try:
        keras.utils.set_random_seed(seed % 2**32)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _require_jax() -> None:
    prepare_jax()
    import keras

    if keras.backend.backend() != "jax":
        raise ForecasterFailed(
            f"Keras runs on {keras.backend.backend()} here, and networks are trained through jax; set KERAS_BACKEND=jax before Keras is "
            "imported, or import forwardtrader first"
        )
