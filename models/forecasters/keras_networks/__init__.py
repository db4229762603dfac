"""Networks that the user builds with Keras."""
