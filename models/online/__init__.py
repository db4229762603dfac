"""Online learning: drift, champion and challenger, adaptation, the lifecycle of a model."""
