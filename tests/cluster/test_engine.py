"""Ray itself, as two machines on this one: what dies is made again, and nothing else."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("ray") is None:  # which takes long to import
    pytest.skip("pip install 'ibsd[cluster]' brings what is tested here", allow_module_level=True)
pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")

from cluster.fakes import fatal, open_fake, refuse, write_pictures
from ibsd.cluster import Failed, engine, tasks
from ibsd.cluster.engine import Job, Workers, connected
from ibsd.cluster.tasks import values_on_cluster
from ibsd.cluster.worker import Upscaling
from ibsd.types import InputError
from ibsd.upscaling import upscale_files

QUICK = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of ray's own code
]


@pytest.fixture(autouse=True)
def workers_find_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


@pytest.fixture
def two_machines() -> Generator[Any]:
    cluster = import_module("ray.cluster_utils").Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "_system_config": QUICK, "include_dashboard": False},
    )
    cluster.other = cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def test_a_machine_dies_and_a_file_ends_its_workers(
    two_machines: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_TRIES", 2)  # each costs a start of Python
    pictures = write_pictures(tmp_path / "in", 20)
    (poison,) = write_pictures(tmp_path / "bad", 1, black=True)
    jobs = [Job(str(path), str(tmp_path / "out" / path.name)) for path in pictures]
    jobs.insert(10, Job(str(poison), str(tmp_path / "out" / "poison.png")))
    found: list[str] = []
    tries: dict[str, int] = {}
    before = signal.getsignal(signal.SIGTERM)
    with connected(two_machines.address):
        assert signal.getsignal(signal.SIGTERM) == before
        monkeypatch.setattr(tasks, "MOST_TRIES", 1)
        values = values_on_cluster(two_machines.address, fatal, range(4), lambda done, total: None)
        assert values[::3] == [0, 3]
        for value, words in zip(values[1:3], ("ended 1 processes", "ZeroDivision"), strict=True):
            assert isinstance(value, Failed) and words in value.reason
        for opening, device, words in (
            (refuse, "cpu", "no such network"),
            (open_fake, "cuda", "no GPU"),
        ):
            with pytest.raises(InputError, match=words):
                list(Workers(Upscaling(opening), device, 1, print).results(iter(jobs)))
        workers = Workers(Upscaling(open_fake), "auto", len(jobs), print)
        for job, made in workers.results(iter(jobs)):
            found.append(job.source)
            tries[job.source] = job.tries + 1
            if two_machines.other and len(found) >= 4 and len(workers.in_flight()) >= 2:
                two_machines.remove_node(two_machines.other, allow_graceful=False)
                two_machines.other = None
            if job.source == str(poison):
                assert made.result.error is not None
                assert f"{poison} ended 2 workers" in made.result.error
            else:
                assert made.result.error is None
    assert two_machines.other is None
    assert sorted(found) == sorted(job.source for job in jobs)  # each once
    assert tries.pop(str(poison)) == 2
    # What the dead machine was at; and the poison ends two workers, sometimes before the result of
    # the file before it has come back.
    assert sum(tries.values()) <= len(pictures) + 3
    upscale_files([tmp_path / "in"], tmp_path / "one", open_fake())
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    assert len(os.listdir(tmp_path / "out")) == len(pictures)


def test_a_signal_waits_until_ray_is_done() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background
    reached: list[int] = []

    def stopped() -> None:
        with engine.signals_held() as let_through:
            let_through()
            signal.raise_signal(signal.SIGINT)
            reached.append(1)
            let_through()
            reached.append(2)

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert reached == [1]
    assert signal.signal(signal.SIGINT, before) == signal.default_int_handler


def test_addresses_that_cannot_be_are_one_sentence() -> None:
    for address, words in (
        ("here", "choose local, or the address"),
        ("127.0.0.1:1", "no cluster answers at 127.0.0.1:1"),
        ("127.0.0.1:99999", "no cluster answers"),
    ):
        with pytest.raises(InputError, match=words), connected(address):
            pass
