"""Walk-forward optimisation: parameters chosen anew at each boundary, on the past alone."""
