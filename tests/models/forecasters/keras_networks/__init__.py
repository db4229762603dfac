"""Tests of networks that the user builds with Keras."""

import forwardtrader  # noqa: F401 - before Keras, which is then told to run on jax
