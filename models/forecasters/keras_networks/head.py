"""Our layers around a network of the user's: scaling before it, location and quantiles of every horizon after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forwardtrader.core.errors import ForecasterFailed
from forwardtrader.models.forecasters.lstm import FEATURE_CLIP, OUTPUTS


@dataclass(frozen=True, kw_only=True)
class NetworkForm:
    """What decides the shape of a network beside the user's `build`."""

    features: int
    horizons: int
    context: int
    burn_in: int
    supervised: int
    linear: bool


@dataclass(frozen=True)
class Head:
    """Our layers around the user's network, shared between the model that learns and the one that answers."""

    form: NetworkForm
    scaling: Any
    first: Any
    others: Any
    linear: Any

    @classmethod
    def of(cls, form: NetworkForm) -> Head:
        import keras

        def half() -> Any:  # half of what Glorot and Bengio draw: a forecast begins small
            return keras.initializers.VarianceScaling(0.25, mode="fan_avg", distribution="uniform")

        rest, all_outputs = (form.horizons - 1) * OUTPUTS, form.horizons * OUTPUTS
        return cls(
            form,
            # With nothing to be trained it only subtracts and divides. `Normalization` keeps copies of its variables, which no stateless
            # call could change.
            keras.layers.BatchNormalization(epsilon=0.0, center=False, scale=False, trainable=False, name="scaling"),
            keras.layers.Dense(OUTPUTS, kernel_initializer=half(), name="first_horizon"),
            keras.layers.Dense(rest, kernel_initializer=half(), name="other_horizons") if rest else None,
            keras.layers.Dense(all_outputs, use_bias=False, kernel_initializer="zeros", name="linear") if form.linear else None,
        )

    def around(self, inner: Any, length: int, *, every_bar: bool) -> Any:
        """The Keras model: features [B, length, F] to forecasts [B, H, 6], or [B, length, H, 6] at every bar."""
        import keras

        inputs = keras.Input((length, self.form.features), name="features")
        seen = keras.ops.clip(self.scaling(inputs), -FEATURE_CLIP, FEATURE_CLIP)
        hidden = inner(seen)
        sequence, whole = output_kind(hidden.shape, length, self.form)
        if not (sequence and every_bar):
            hidden, seen = hidden[:, -1] if sequence else hidden, seen[:, -1]
        return keras.Model(inputs, hidden if whole else self._read(hidden, seen), name="forecaster")

    def named(self) -> dict[str, Any]:
        """The variables of our own layers that are in use."""
        found = {"mean": self.scaling.moving_mean, "variance": self.scaling.moving_variance}
        for name, layer in (("first_bias", self.first), ("other_bias", self.others)):
            if layer is not None and layer.built:
                found[name] = layer.bias
        return found | ({"linear": self.linear.kernel} if self.linear is not None and self.linear.built else {})

    def _read(self, hidden: Any, seen: Any) -> Any:
        """The first horizon alone shapes the network: longer ones have fewer independent targets, and it would learn their chances."""
        import keras

        raw = self.first(hidden)
        if self.others is not None:
            raw = keras.layers.Concatenate()([raw, self.others(keras.ops.stop_gradient(hidden))])
        if self.linear is not None:
            raw = keras.layers.Add()([raw, self.linear(seen)])
        return keras.layers.Reshape((*raw.shape[1:-1], self.form.horizons, OUTPUTS))(raw)


def output_kind(shape: Sequence[int | None], length: int, form: NetworkForm) -> tuple[bool, bool]:
    """Whether an output is a sequence, and whether it is a forecast already."""
    rest, forecast = tuple(shape[1:]), (form.horizons, OUTPUTS)
    if rest == forecast or rest == (length, *forecast):
        return rest != forecast, True
    if len(rest) == 1 or (len(rest) == 2 and rest[0] == length):
        return len(rest) == 2, False
    raise ForecasterFailed(
        f"a network whose output has the shape {list(shape)}; make it [batch, units], [batch, {length}, units] for a sequence, or "
        f"[batch, {form.horizons}, {OUTPUTS}] for the forecasts themselves"
    )
