"""A run on a cluster equals one on one machine; only Ray is left out here."""

from __future__ import annotations

import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")

import ibsd
from cluster.fakes import open_fake, write_pictures
from ibsd.cluster.engine import Job
from ibsd.cluster.manifest import opened
from ibsd.cluster.store import NoAnswerError
from ibsd.cluster.worker import Made, Result, Upscaling, Worker
from ibsd.commands import upscale_cluster
from ibsd.commands.upscale_cluster import ClusterRun, estimate, upscale_on_cluster
from ibsd.inference.open import open_network
from ibsd.types import InputError
from ibsd.upscaling import upscale_files


class Here:
    """The `Workers` of one process."""

    on_gpu = False
    stops_after = 100

    def __init__(self, upscaling: Upscaling, device: str, most: int, log: object) -> None:
        self.worker = Worker(upscaling, ibsd.__version__)
        self.worker.network = open_fake()

    def __len__(self) -> int:
        return 2

    def results(self, jobs: Iterator[Job]) -> Generator[tuple[Job, Made]]:
        for number, job in enumerate(jobs):
            if number == self.stops_after:
                raise KeyboardInterrupt
            yield job, self.worker.upscale(job.source, job.target)

    def measured(self, jobs: list[Job]) -> list[tuple[float, int] | str]:
        return [self.worker.measure(job.source, job.target) for job in jobs]

    def in_flight(self) -> list[Job]:
        return []


class Metric(dict[str, float]):
    """Sums by the state of photographs, or last values."""

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...] = ()) -> None:
        metrics[name] = self

    def inc(self, value: float, tags: dict[str, str] | None = None) -> None:
        assert value > 0  # as Ray wants it
        key = (tags or {"state": ""})["state"]
        self[key] = self.get(key, 0) + value

    def set(self, value: float) -> None:
        self[""] = value


metrics: dict[str, Metric] = {}


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def connected(address: str) -> Generator[None]:
        yield

    monkeypatch.setattr(upscale_cluster, "connected", connected)
    monkeypatch.setattr(upscale_cluster, "Workers", Here)
    ray = SimpleNamespace(Counter=Metric, Gauge=Metric)
    monkeypatch.setattr("ibsd.cluster.metrics.import_module", lambda name: ray)


class Heard:
    def __init__(self) -> None:
        self.calls: list[tuple[Result, int, int]] = []

    def __call__(self, result: Result, done: int, total: int) -> None:
        self.calls.append((result, done, total))


def run(folder: Path, **options: object) -> ClusterRun:
    given = {"inputs": [str(folder / "in")], "output": str(folder / "out"), "address": "local"}
    return ClusterRun(**{**given, "weights": Path("imdn-small-x4"), **options})  # type: ignore[arg-type]


@pytest.mark.slow
def test_it_stops_and_goes_on_and_makes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = write_pictures(tmp_path / "in", 5)
    (tmp_path / "in" / "bad.png").write_text("not an image")
    monkeypatch.setattr(Here, "stops_after", 2)
    heard = Heard()
    with pytest.raises(KeyboardInterrupt):
        upscale_on_cluster(run(tmp_path), heard, print)
    assert [call[1:] for call in heard.calls] == [(1, 6), (2, 6)]
    monkeypatch.setattr(Here, "stops_after", 100)
    again = Heard()
    said = upscale_on_cluster(run(tmp_path), again, print)
    assert metrics["ibsd_files"] == {"done": 3, "failed": 1}
    assert metrics["ibsd_pixels"] == {"": 3 * 16 * 16} and metrics["ibsd_files_left"] == {"": 0}
    assert metrics["ibsd_worker_seconds"][""] > 0.3 and not metrics["ibsd_worker_deaths"]
    assert (said.total, said.num_skipped, len(said.errors)) == (6, 2, 1)
    assert [call[1] for call in again.calls] == [3, 4, 5, 6]
    assert {call[0].source for call in heard.calls} & {
        call[0].source for call in again.calls
    } == set()
    upscale_files(pictures, tmp_path / "one", open_fake())
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    with opened(str(tmp_path / "out"), run(tmp_path).settings()) as manifest:
        rows = manifest.read(["source", "state", "reason"]).to_pylist()
    assert sorted(row["state"] for row in rows) == ["done"] * 5 + ["failed"]
    assert all(row["reason"] == said.errors[0] for row in rows if row["state"] == "failed")


@pytest.mark.slow
def test_an_object_store_takes_what_a_disk_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec", reason="pip install 'ibsd[cluster]' brings it")
    files = fsspec.filesystem("memory")
    pictures = write_pictures(tmp_path / "in", 2)
    for path in pictures:
        files.pipe_file(f"/bucket/in/{path.name}", path.read_bytes())
    files.pipe_file("/bucket/in/bad.png", b"no image")
    there = {"inputs": ["memory://bucket/in"], "output": "memory://bucket/out"}
    said = upscale_on_cluster(run(tmp_path, **there), Heard(), print)
    assert said.errors[0].startswith("memory://bucket/in/bad.png is not an image")
    upscale_files(pictures, tmp_path / "one", open_fake())
    for path in (tmp_path / "one").iterdir():
        assert files.cat_file(f"/bucket/out/{path.name}") == path.read_bytes()
    heard = Heard()
    assert upscale_on_cluster(run(tmp_path, **there), heard, print).num_skipped == 2
    assert [call[0].source for call in heard.calls] == ["memory://bucket/in/bad.png"]
    found = estimate(run(tmp_path, **there | {"output": "memory://bucket/new"}), print)
    assert (found.files, len(found.errors)) == (3, 1)
    assert files.find("/bucket/new") == []
    files.store.clear()

    def silent(*_: object) -> None:
        raise NoAnswerError("memory://bucket is not reached")

    monkeypatch.setattr("ibsd.cluster.worker.local_job", silent)
    with pytest.raises(InputError, match="is not reached; 0 of 2 are done, the same command"):
        upscale_on_cluster(run(tmp_path), Heard(), print)


@pytest.mark.slow
def test_tars_hold_what_a_folder_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec", reason="pip install 'ibsd[cluster]' brings it")
    files = fsspec.filesystem("memory")
    pictures = write_pictures(tmp_path / "in", 3)
    (tmp_path / "in" / "bad.png").write_text("not an image")
    upscale_files(pictures, tmp_path / "one", open_fake())
    monkeypatch.setattr("ibsd.cluster.tars.BYTES", 500)  # two of them
    monkeypatch.setattr(Here, "stops_after", 3)
    there = {"shards": "tar", "output": "memory://bucket/tars"}
    for options in ({"shards": "tar"}, there):
        with pytest.raises(KeyboardInterrupt):
            upscale_on_cluster(run(tmp_path, **options), Heard(), print)
        with monkeypatch.context() as patch:
            patch.setattr(Here, "stops_after", 100)
            heard = Heard()
            said = upscale_on_cluster(run(tmp_path, **options), heard, print)
        assert (said.total, len(said.errors)) == (4, 1)
        assert said.errors[0].startswith(f"{tmp_path}/in/bad.png")
        (last,) = (call[0].target for call in heard.calls if not call[0].error)
        assert last.endswith("shard-000001.tar")
    files.get("/bucket/tars", str(tmp_path / "got"), recursive=True)
    for folder in (tmp_path / "out", tmp_path / "got"):
        tars = sorted(path for path in folder.rglob("*") if path.suffix in (".tar", ".png"))
        assert [path.name for path in tars] == ["shard-000000.tar", "shard-000001.tar"]
        for path in tars:
            with tarfile.open(path) as tar:
                tar.extractall(folder, filter="data")
        for path in (tmp_path / "one").iterdir():
            assert path.read_bytes() == (folder / path.name).read_bytes()
    files.store.clear()
    with pytest.raises(InputError, match=r"holds a run with other settings \(shards tar, now None"):
        upscale_on_cluster(run(tmp_path), Heard(), print)
    with pytest.raises(InputError, match="leave one out"):
        upscale_on_cluster(run(tmp_path, skip_existing=True, shards="tar"), Heard(), print)
    rmtree(tmp_path / "out" / ".manifest")
    with pytest.raises(InputError, match=r"shard-00000\d.tar exists already"):
        upscale_on_cluster(run(tmp_path, shards="tar"), Heard(), print)


def test_a_result_without_a_row_is_not_made_again(tmp_path: Path) -> None:
    """As where this process was killed between the two."""
    (picture,) = write_pictures(tmp_path / "in", 1)
    with opened(str(tmp_path / "out"), run(tmp_path).settings()):
        pass
    (tmp_path / "out" / picture.name).write_bytes(b"made")
    heard = Heard()
    said = upscale_on_cluster(run(tmp_path), heard, print)
    assert (said.num_skipped, said.errors) == (0, [])
    assert (tmp_path / "out" / picture.name).read_bytes() == b"made"
    upscale_on_cluster(run(tmp_path, force=True), heard, print)
    assert (tmp_path / "out" / picture.name).read_bytes() != b"made"


@pytest.mark.slow
def test_what_is_there_is_refused_kept_or_replaced(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "in", 2)
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / pictures[0].name
    mine.write_bytes(b"mine")
    heard = Heard()
    with pytest.raises(InputError, match="exists already"):
        upscale_on_cluster(run(tmp_path), heard, print)
    assert not (tmp_path / "out" / ".manifest").exists()
    with pytest.raises(InputError, match="choose one of them"):
        upscale_on_cluster(run(tmp_path, force=True, skip_existing=True), heard, print)
    said = upscale_on_cluster(run(tmp_path, skip_existing=True), heard, print)
    assert (said.total, said.num_skipped) == (2, 1)
    assert mine.read_bytes() == b"mine"
    with pytest.raises(InputError, match="other settings"):
        upscale_on_cluster(run(tmp_path, quality=80), heard, print)
    assert upscale_on_cluster(run(tmp_path, force=True), heard, print).num_skipped == 0
    assert mine.read_bytes() != b"mine"


@pytest.mark.slow
def test_an_estimate_keeps_nothing(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", 20)
    (tmp_path / "in" / "00.png").write_text("not an image")
    found = estimate(run(tmp_path), print)
    assert (found.files, found.workers, len(found.seconds_each), len(found.errors)) == (20, 2, 7, 1)
    assert found.worker_seconds == pytest.approx(20 * sum(found.seconds_each) / 7)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_look_is_of_the_network_and_of_the_settings(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "in", 1)
    safe = {"weights": Path("imdn-safe-x4"), "look": 0.5}
    half = run(tmp_path, **safe)
    assert half.settings() != run(tmp_path, **safe | {"look": 0.0}).settings()
    lr = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    opened_here = open_network("imdn-safe-x4", look=0.5)(lr)
    assert np.array_equal(half.upscaling(False).open()(lr), opened_here)
    with pytest.raises(InputError, match="imdn-small-x4 has no crisp weights"):
        upscale_on_cluster(run(tmp_path, look=0.5), lambda *_: None, print)
    assert [*tmp_path.rglob("*.*")] == pictures
