"""Networks, rivals and timings of the training benchmark."""
