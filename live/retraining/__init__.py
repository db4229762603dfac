"""Walk-forward retraining beside a running session."""
