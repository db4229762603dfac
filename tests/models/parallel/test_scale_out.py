"""The same tasks by threads, processes and a Dask cluster: the same results, also when a worker dies at work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import ClusterUnusable, InvalidSetting, TooLittleHistory
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.walk import walk_forward
from forwardtrader.models.parallel.dask_cluster import DaskCluster
from forwardtrader.models.parallel.local_workers import Processes, Threads
from forwardtrader.models.parallel.workers import Workers
from tests import PATIENCE_S
from tests.models.bars import simulated_bars
from tests.models.dask_processes import ROOT, Cluster
from tests.models.scale_out_tasks import die_once, fail_at_three, total

SHARED = np.arange(1000.0)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.stop()


def results(workers: Workers, count: int = 12) -> dict[int, float]:
    return {n: value for n, (value, _) in workers.run(total, SHARED, range(count))}


EXPECTED = {n: float(SHARED[: n + 1].sum()) for n in range(12)}


@pytest.mark.parametrize("workers", [Threads(3), Processes(2), Processes(1)], ids=["threads", "processes", "one process"])
def test_every_item_comes_back_once_with_its_result(workers: Workers) -> None:
    assert results(workers) == EXPECTED


@pytest.mark.parametrize("workers", [Threads(2), Processes(2)], ids=["threads", "processes"])
def test_the_first_failure_is_raised(workers: Workers) -> None:
    with pytest.raises(TooLittleHistory, match="three"):
        list(workers.run(fail_at_three, SHARED, range(8)))


def test_work_of_a_process_that_died_is_done_again(tmp_path: Path) -> None:
    assert sorted(Processes(2).run(die_once, tmp_path, range(5))) == [(n, n) for n in range(5)]


def test_no_process_is_left_once_everything_has_come_back() -> None:
    results(Processes(2))
    assert active_children() == []


INTERRUPTED = """
from forwardtrader.models.parallel.local_workers import {kind}
from tests.models.scale_out_tasks import quick
print("begun", flush=True)
for _ in {kind}(2).run(quick, None, range(5000)):
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Threads", "Processes"])
def test_an_interrupt_ends_the_work_whenever_it_comes(kind: str) -> None:
    draw = random.Random(1)
    for _ in range(12):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", INTERRUPTED.format(kind=kind)]
        # A group of its own: Ctrl-C reaches the workers as well.
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            time.sleep(draw.uniform(0.0, 1.2))
            os.killpg(process.pid, signal.SIGINT)
            try:
                _, said = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        assert process.returncode == -signal.SIGINT
        assert said.count("Traceback") == 1  # no worker complains


@pytest.mark.slow
def test_a_cluster_does_what_threads_do_and_outlives_a_worker(cluster: Cluster) -> None:
    workers = DaskCluster(cluster.ready())
    done: dict[int, float] = {}
    pids = set()
    for n, (value, pid) in workers.run(total, SHARED, range(150)):
        done[n] = value
        pids.add(pid)
        if len(done) == 20:
            cluster.workers[0].kill()
    assert done == {n: float(SHARED[: n + 1].sum()) for n in range(150)}
    assert cluster.workers[1].pid in pids
    with pytest.raises(TooLittleHistory, match="three"):
        list(workers.run(fail_at_three, SHARED, range(8)))


@pytest.mark.slow
@pytest.mark.parametrize("together", [True, False], ids=["the other was there", "the other comes later"])
def test_work_goes_on_when_the_one_worker_that_held_everything_is_lost(tmp_path: Path, together: bool) -> None:
    pytest.importorskip("distributed", reason="Dask is an extra: pip install forwardtrader[cluster]")
    cluster = Cluster(tmp_path, workers=1)
    try:
        cluster.ready()
        done: dict[int, float] = {}
        for n, (value, _) in DaskCluster(cluster.address, patience_s=PATIENCE_S).run(total, SHARED, range(60)):
            done[n] = value
            if len(done) == 20:
                cluster.workers.append(cluster.add_worker())
                if together:
                    cluster.ready()
                cluster.workers[0].kill()
        assert done == {n: float(SHARED[: n + 1].sum()) for n in range(60)}
    finally:
        cluster.stop()


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("tcp://127.0.0.1:9", ClusterUnusable, "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("nonsense", InvalidSetting, "write it as tcp://HOST:PORT"),
        ("carrier://pigeon:1", InvalidSetting, "write it as tcp://HOST:PORT"),
    ],
)
def test_a_cluster_that_cannot_be_had_is_one_line(address: str, error: type[Exception], said: str) -> None:
    pytest.importorskip("distributed", reason="Dask is an extra: pip install forwardtrader[cluster]")
    with pytest.raises(error, match=said) as caught:
        list(DaskCluster(address).run(total, SHARED, range(3)))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_cluster_without_workers_is_named(cluster: Cluster) -> None:
    address = cluster.address
    for worker in cluster.workers:
        worker.kill()
    with pytest.raises(ClusterUnusable, match="has no worker"):
        list(DaskCluster(address, patience_s=3.0).run(total, SHARED, range(3)))


@pytest.mark.slow
def test_a_walk_forward_is_the_same_on_a_cluster_that_loses_a_worker(cluster: Cluster, tmp_path: Path) -> None:
    candles = {"A/USD": simulated_bars(24 * 101, reversal=0.25)}

    def walk(folder: str, address: str, killed: bool = False) -> pd.DataFrame:
        settings = ModelSettings.model_validate(
            {"horizons": (1, 4), "units": 4, "seeds": 1, "epochs": 1, "train_window": "40d", "retrain_every": "3d", "context": 16}
            | {"save_path": str(tmp_path / folder), "cluster": address}
        )

        def progress(done: int, _: int) -> None:
            if killed and done == 2:
                cluster.workers[0].kill()

        first, last = datetime(2020, 3, 21, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC)
        made = walk_forward(candles, first, last, settings=settings, timeframe=Timeframe.parse("1h"), progress=progress)
        assert not any(served.cached for served in made.served)
        return made.frame("A/USD", 4)

    here = walk("here", "")
    cluster.ready()
    pd.testing.assert_frame_equal(walk("there", cluster.address, killed=True), here, check_exact=True)
