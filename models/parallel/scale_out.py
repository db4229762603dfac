"""Chooses the workers of a run: threads, processes, or a Dask cluster."""

from __future__ import annotations

from forwardtrader.models.parallel.dask_cluster import DaskCluster
from forwardtrader.models.parallel.local_workers import Processes, Threads
from forwardtrader.models.parallel.workers import Workers, cores


def fold_workers(jobs: int, cluster: str) -> Workers:
    """For tasks that leave Python for most of their time: the cluster where one is named, else `jobs` threads (0: one per core)."""
    return DaskCluster(cluster) if cluster else Threads(jobs or cores())


def point_workers(jobs: int, cluster: str) -> Workers:
    """For tasks that are Python throughout: the cluster where one is named, else `jobs` processes (0: one per core)."""
    return DaskCluster(cluster) if cluster else Processes(jobs or cores())
