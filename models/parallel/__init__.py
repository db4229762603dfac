"""Workers for training: threads, processes, a Dask cluster."""
