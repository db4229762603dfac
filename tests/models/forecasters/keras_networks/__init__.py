"""Tests of networks that the user builds with Keras."""
