"""Photographs in object stores: what is true of any, and a real server of S3 with Ray."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")
fsspec = pytest.importorskip("fsspec", reason="pip install 'ibsd[cluster]' brings what is tested")

from cluster.fakes import open_fake, write_pictures  # noqa: E402
from ibsd.cluster import store  # noqa: E402
from ibsd.cluster.listing import listed, refuse_existing_targets, rows_of  # noqa: E402
from ibsd.cluster.manifest import opened  # noqa: E402
from ibsd.cluster.worker import Result, Upscaling  # noqa: E402
from ibsd.commands import upscale_cluster  # noqa: E402
from ibsd.commands.upscale_cluster import ClusterRun, upscale_on_cluster  # noqa: E402
from ibsd.types import InputError  # noqa: E402
from ibsd.upscaling import upscale_files  # noqa: E402

SECRET = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY"


@pytest.fixture
def memory() -> Generator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def test_names_below_a_folder_are_mirrored(memory: Any, tmp_path: Path) -> None:
    names = ("a.JPG", "sub/b.c.png", "sub/notes.txt", ".hidden.png", "out/a.png", "//etc/x.png")
    for name in (*names, "../x.png"):
        memory.store[f"/b/in/{name}"] = memory.open(f"/b/in/{name}", "wb")
    memory.pipe_file("/b/in2/z.png", b"")
    found = listed(["memory://b/in/"], "memory://b/in/out", suffix="_x4")
    assert [*rows_of(found.jobs)] == [
        ("memory://b/in/a.JPG", "memory://b/in/out/a_x4.JPG"),
        ("memory://b/in/sub/b.c.png", "memory://b/in/out/sub/b.c_x4.png"),
    ]
    assert found.passed_over == ["memory://b/in///etc/x.png", "memory://b/in/sub/notes.txt"]
    refuse_existing_targets(found.jobs, "memory://b/in/out")
    memory.pipe_file("/b/in/out/a_x4.JPG", b"")
    with pytest.raises(InputError, match=r"memory://b/in/out/a_x4.JPG exists already"):
        refuse_existing_targets(found.jobs, "memory://b/in/out")
    for given, targets in (
        ("memory://b/in/sub/*.png", ["b.c.png"]),
        ("memory://b/in/a.JPG", ["a.JPG"]),
    ):
        jobs = listed([given], str(tmp_path)).jobs
        assert jobs["target"].to_pylist() == [f"{tmp_path}/{name}" for name in targets]


def test_lists_name_objects(memory: Any, tmp_path: Path) -> None:
    memory.pipe_file("/b/list.csv", b"path\nsub/a.png\nmemory://b/sub/deep/c.png\n")
    assert listed(["memory://b/list.csv"], "out").jobs["target"].to_pylist() == [
        os.path.abspath("out/a.png"),
        os.path.abspath("out/deep/c.png"),
    ]
    for rows, words in (
        ("../../x.png", r"or \. or \.\."),
        (f"s3://KEY:{SECRET}@b/x.png", "credentials come from the environment"),
    ):
        (tmp_path / "list.csv").write_text(f"path\nmemory://b/a.png\n{rows}\n")
        if rows[0] == ".":
            memory.pipe_file("/b/list.csv", (tmp_path / "list.csv").read_bytes())
        given = "memory://b/list.csv" if rows[0] == "." else str(tmp_path / "list.csv")
        with pytest.raises(InputError, match=words) as raised:
            listed([given], "out")
        assert SECRET not in str(raised.value)
    (tmp_path / "list.csv").write_text("path\nmemory://b/a.png\nb.png\n")
    with pytest.raises(InputError, match="make it several lists"):
        listed([str(tmp_path / "list.csv")], "out")


def test_a_manifest_lies_there_too_and_two_runs_notice_each_other(memory: Any) -> None:
    from cluster.test_manifest import SETTINGS, left, row

    with opened("memory://b/out", SETTINGS) as manifest:
        manifest.add(row("a"))
        manifest.commit()
        manifest.number = 0  # as of one that was opened before this one wrote
        manifest.add(row("b"))
        with pytest.raises(InputError, match="another run writes into memory://b/out"):
            manifest.commit()
        manifest.rows = []
    with opened("memory://b/out", SETTINGS) as manifest:
        assert left(manifest, "a", "b") == ["/in/b"]
    assert store.create("memory://b/x", b"1") and store.create("memory://b/x", b"1")
    assert not store.create("memory://b/x", b"2")
    with opened("memory://b/out", {"other": 1}, force=True) as manifest:
        assert left(manifest, "a") == ["/in/a"]


class Broken:
    """A store that raises some errors, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]

    def cat_file(self, address: str) -> bytes:
        if self.errors:
            raise self.errors.pop(0)
        return b"here"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        made.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(store.time, "sleep", sleep)
    monkeypatch.setattr(store.time, "monotonic", lambda: now[0])
    return made


def test_network_trouble_is_waited_for_within_bounds(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    trouble = [TimeoutError(), ConnectionResetError(104, "reset"), OSError(16, "SlowDown")]
    monkeypatch.setattr(store, "_store", lambda _: broken)
    broken = Broken(*trouble)
    assert store.read("s3://b/x") == b"here"
    assert waits == [0.5, 1.0, 2.0]
    broken = Broken(*trouble * 100)
    with pytest.raises(store.NoAnswerError, match="s3://b/x is not reached"):
        store.read("s3://b/x")
    assert max(waits) == 15
    assert sum(waits[3:]) == pytest.approx(store.PATIENCE_SECONDS)


def test_what_no_wait_ends_is_one_sentence_without_credentials(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    class NoCredentialsError(Exception):
        pass

    for error, words in (
        (FileNotFoundError(SECRET), "s3://b/x does not exist"),
        (PermissionError(SECRET), "s3://b/x is refused: check the credentials"),
        (NoCredentialsError(SECRET), "s3://b/x is refused: check the credentials"),
        (OSError(36, SECRET), "File name too long"),
        (KeyError(SECRET), r"\(KeyError\)"),
        (ImportError(SECRET), "s3:// is no store that fsspec opens here"),
    ):
        monkeypatch.setattr(store, "_store", lambda _, error=error: Broken(error))
        with pytest.raises(InputError, match=words) as raised:
            store.read("s3://b/x")
        assert SECRET not in str(raised.value) and "\n" not in str(raised.value)
    assert waits == []


# -- a real server, and Ray


class Server:
    """moto's, on loopback. Its objects outlive a stop."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self.make: Callable[[int], Any] = lambda port: ThreadedMotoServer(
            "127.0.0.1", port, verbose=False
        )
        self.server = self.make(0)
        self.server.start()
        _, self.port = self.server.get_host_and_port()

    def away(self, seconds: float) -> None:
        self.server.stop()
        self.server = self.make(self.port)
        threading.Timer(seconds, self.server.start).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[Server]:
    for package in ("moto", "s3fs"):
        pytest.importorskip(package, reason=f"pip install {package} brings the server")
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    made = Server()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}"),
        ("AWS_ACCESS_KEY_ID", f"ID{SECRET}"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("PYTHONPATH", os.pathsep.join(sys.path)),
    ):
        monkeypatch.setenv(name, value)
    yield made
    made.server.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of ray's own code, and of botocore's
def test_a_server_that_is_away_in_mid_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    pictures = write_pictures(tmp_path / "in", 4)
    s3 = fsspec.filesystem("s3")
    s3.mkdir("bucket")
    for path in pictures:
        s3.put_file(str(path), f"bucket/in/{path.name}")
    s3.pipe_file("bucket/in/bad.png", b"no image")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(ClusterRun, "upscaling", lambda *_: Upscaling(open_fake))
    weights = Path("imdn-small-x4")
    results: list[Result] = []

    def on_file(result: Result, done: int, total: int) -> None:
        results.append(result)
        if done == 2:
            server.away(1.5)

    logs = []
    with pytest.MonkeyPatch.context() as patch:
        real = upscale_cluster.Workers

        def workers(*args: Any) -> Any:
            logs.append(Path(ray._private.worker._global_node.get_logs_dir_path()))
            return real(*args)

        patch.setattr(upscale_cluster, "Workers", workers)
        run = ClusterRun(["s3://bucket/in"], "s3://bucket/out", weights, "local")
        outcome = upscale_on_cluster(run, on_file, print)
    assert (outcome.total, outcome.num_skipped, len(results)) == (5, 0, 5)
    assert len(outcome.errors) == 1 and "s3://bucket/in/bad.png" in outcome.errors[0]
    upscale_files(pictures, tmp_path / "one", open_fake())
    for path in (tmp_path / "one").iterdir():
        assert s3.cat_file(f"bucket/out/{path.name}") == path.read_bytes()
    with opened(run.output, run.settings()) as manifest:
        states = manifest.read(["state"])["state"].to_pylist()
    assert sorted(states) == ["done"] * 4 + ["failed"]
    written = [path for path in logs[0].rglob("*") if path.is_file()]
    kept = [s3.cat_file(name) for name in s3.find("bucket/out/.manifest")]
    assert written and len(kept) >= 2
    assert not any(SECRET.encode() in text for text in kept + [p.read_bytes() for p in written])

    with pytest.raises(InputError, match="s3://none/out.* does not exist"):
        upscale_on_cluster(
            ClusterRun(["s3://bucket/in"], "s3://none/out", weights, "local"), on_file, print
        )
    import requests

    requests.post(f"http://127.0.0.1:{server.port}/moto-api/reset-auth", data=b"0")
    with pytest.raises(InputError, match="s3://bucket/in is refused") as raised:
        upscale_on_cluster(run, on_file, print)
    assert SECRET not in str(raised.value)
