"""The recurrent layer with its own backward pass: the gates of the forward pass are kept, the weight gradient is one matrix product."""

from __future__ import annotations

import functools
from typing import Any

from forwardtrader.models.forecasters.lstm import step

Array: Any = Any


@functools.cache
def recurrent_layer() -> Any:
    """An LSTM over a sequence: (kernel [F + U, 4U], bias [4U], inputs [L, B, F]) to hidden states [L, B, U], from a zero state.

    Same equations and gate order (input, forget, cell, output) as `keras.layers.LSTM`; only its reverse pass is written out.
    """
    import jax
    from jax import numpy as jnp

    def forward(kernel: Array, bias: Array, inputs: Array) -> Any:
        start = jnp.zeros((inputs.shape[1], kernel.shape[1] // 4), inputs.dtype)

        def advance(carry: Any, x: Array) -> Any:
            hidden, memory, gates = step(kernel, bias, x, *carry)
            return (hidden, memory), (hidden, memory, gates)

        return jax.lax.scan(advance, (start, start), inputs)[1]

    @jax.custom_vjp
    def layer(kernel: Array, bias: Array, inputs: Array) -> Array:
        return forward(kernel, bias, inputs)[0]

    def keep(kernel: Array, bias: Array, inputs: Array) -> Any:
        hidden, memory, gates = forward(kernel, bias, inputs)
        return hidden, (kernel, inputs, hidden, memory, gates)

    def reverse(kept: Any, d_hidden: Array) -> Any:
        kernel, inputs, hidden, memory, gates = kept
        features, units = inputs.shape[-1], hidden.shape[-1]
        zero = jnp.zeros_like(hidden[0])
        before = jnp.concatenate([zero[None], memory[:-1]])
        back = kernel[features:].T

        def retreat(carry: Any, at: Any) -> Any:
            dh, dc = carry
            d_out, gate, after, earlier = at
            i, f, g, o = (gate[:, k * units : (k + 1) * units] for k in range(4))
            dh = dh + d_out
            bent = jnp.tanh(after)
            dc = dc + dh * o * (1 - bent * bent)
            dz = jnp.concatenate([dc * g * i * (1 - i), dc * earlier * f * (1 - f), dc * i * (1 - g * g), dh * bent * o * (1 - o)], -1)
            return (dz @ back, dc * f), dz

        _, dz = jax.lax.scan(retreat, (zero, zero), (d_hidden, gates, memory, before), reverse=True)
        seen = jnp.concatenate([inputs, jnp.concatenate([zero[None], hidden[:-1]])], -1)
        flat = dz.reshape(-1, 4 * units)
        d_kernel = seen.reshape(-1, features + units).T @ flat
        return d_kernel, flat.sum(0), dz @ kernel[:features].T

    layer.defvjp(keep, reverse)
    return layer
