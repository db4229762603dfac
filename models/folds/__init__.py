"""Walk-forward folds: training, warm starts, and the walk over all of them."""
