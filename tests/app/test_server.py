"""The server as a process: it starts light, takes photographs, queues, cancels, and leaves nothing
behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image

from app.pages import ENVIRONMENT, Page, Served, png, waited
from ibsd.app.server import private_folder, remove_abandoned
from images.oracles import camera_notes, srgb_profile

pytestmark = pytest.mark.slow

LARGE = png(2200, 2200)
"""Work for many seconds."""


def test_it_starts_soon_without_torch_and_leaves_when_asked(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve(tmp_path / "scratch")
    fields = Path(f"/proc/{served.process.pid}/stat").read_text().rpartition(")")[2].split()
    processor_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    assert processor_seconds < 3  # under 1 on a quiet machine
    assert "torch" not in Path(f"/proc/{served.process.pid}/maps").read_text()
    assert served.request("GET", "/")[0] == 200
    assert not served.workers(), "nobody has asked for anything yet"
    assert served.end(signal.SIGINT) == (128 + signal.SIGINT, "")
    assert not list((tmp_path / "scratch").iterdir())


def test_it_leaves_without_a_word_while_a_page_listens_and_an_upload_is_on_its_way(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve(tmp_path / "scratch")
    with served.page() as page, socket.create_connection(("127.0.0.1", served.port)) as slow:
        slow.sendall(page.upload_head(1000) + b"\x89PNG")
        assert waited(served.photographs)
        assert served.end(signal.SIGINT) == (128 + signal.SIGINT, "")
    assert not list((tmp_path / "scratch").iterdir())


def test_the_lock_of_a_folder_is_held_before_another_server_can_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    really_lock = fcntl.flock

    def lock_while_another_starts(file: IO[str], how: int) -> None:
        if how == fcntl.LOCK_EX:
            remove_abandoned(tmp_path)
        really_lock(file, how)

    monkeypatch.setattr(fcntl, "flock", lock_while_another_starts)
    with private_folder() as home:
        assert home.is_dir()


def test_a_killed_server_is_cleared_up_by_the_next(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    first = serve(tmp_path / "scratch")
    with first.page() as page:
        page.reach(page.take(png(40, 40)), "done")
        workers = first.workers()
        first.end(signal.SIGKILL)
    assert first.photographs()
    assert waited(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers)), (
        "workers outlive their server"
    )
    second = serve(tmp_path / "scratch")
    assert not second.photographs()
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    assert os.stat(next((tmp_path / "scratch").iterdir())).st_mode & 0o077 == 0, (
        "others can look into the folder"
    )
    assert second.end() == (128 + signal.SIGTERM, "")


def test_a_photograph_comes_back_larger_with_all_that_belongs_to_it(page: Page) -> None:
    memory = BytesIO()
    picture = Image.open(BytesIO(png(60, 90)))
    picture.save(
        memory,
        "JPEG",
        quality=95,
        icc_profile=srgb_profile(),
        exif=camera_notes().tobytes(),
        dpi=(240, 240),
    )
    key = page.take(memory.getvalue(), "Ferien, Tag 1.JPG", weights="1")
    job = page.reach(key, "done", "failed")
    assert (job["size"], job["scale"], job["result"]["name"]) == (
        [90, 60],
        3,
        "Ferien, Tag 1_tiny-x3.jpg",
    ), job
    assert job["tiles"] == [1, 1]
    status, headers, body = page.server.request("GET", f"/jobs/{key}/result")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert "attachment" in headers["content-disposition"]
    assert "Ferien%2C%20Tag%201_tiny-x3.jpg" in headers["content-disposition"]
    with Image.open(BytesIO(body)) as result:
        assert result.size == (270, 180)
        assert result.info["icc_profile"] == srgb_profile()
        assert result.getexif()[271] == camera_notes()[271]
        assert tuple(map(round, result.info["dpi"])) == (240, 240)
    for side, size in (("before", (90, 60)), ("after", (270, 180))):
        for name in ("overview", "0-0"):
            _, headers, body = page.server.request("GET", f"/jobs/{key}/{side}/{name}")
            assert headers["content-type"] == "image/jpeg"
            assert Image.open(BytesIO(body)).size == size
    status, _, body = page.server.request("POST", f"/jobs/{key}/again?weights=0&format=png")
    assert status == 201
    other = page.reach(json.loads(body)["key"], "done", "failed")
    assert (other["size"], other["scale"], other["state"]) == ([90, 60], 2, "done"), other
    status, headers, body = page.server.request("GET", f"/results?session={page.session}")
    assert (status, headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert {job["result"]["name"], other["result"]["name"]} <= set(archive.namelist())
    assert page.server.request("DELETE", f"/jobs/{key}")[0] == 200
    assert page.server.request("GET", f"/jobs/{key}/result")[0] == 404
    assert page.server.request("POST", f"/jobs/{key}/again?weights=0")[0] == 404


def test_formats_and_what_they_lose(page: Page) -> None:
    import tifffile

    memory = BytesIO()
    tifffile.imwrite(memory, np.zeros((20, 20, 3), np.uint16), photometric="rgb")
    deep = memory.getvalue()
    kept, lost = page.take(deep, "deep.tif"), page.take(deep, "deep.tif", format="jpg")
    assert page.reach(kept, "done", "failed")["result"]["note"] is None
    assert (
        page.reach(lost, "done", "failed")["result"]["note"]
        == "16 bits a channel became 8, because JPEG holds no more"
    )
    assert page.send(deep, "deep.tif", format="gif")[0] == 400
    clear = BytesIO()
    Image.new("RGBA", (9, 9)).save(clear, "PNG")
    failed = page.reach(page.take(clear.getvalue(), format="jpg"), "done", "failed")
    assert failed["error"].startswith(
        "the result cannot be written, because JPEG cannot keep transparency"
    )
    assert str(page.server.scratch) not in failed["error"]


def test_cancelling_frees_the_worker_at_once(page: Page) -> None:
    long, next_one, last = page.take(LARGE), page.take(png(30, 30)), page.take(LARGE)
    page.until(lambda: page.job(long).get("tiles", [0])[0] > 0)
    page.reach(next_one, "waiting")
    assert page.job(next_one)["ahead"] == 1
    page.server.request("POST", f"/jobs/{last}/cancel")
    page.reach(last, "cancelled")
    page.server.request("POST", f"/jobs/{long}/cancel")
    page.reach(long, "cancelled")
    assert page.reach(next_one, "done", "failed")["state"] == "done"
    assert page.job(long)["tiles"][0] < page.job(long)["tiles"][1]
    assert page.server.request("GET", f"/jobs/{long}/result")[0] == 409


def test_a_part_comes_before_the_whole_and_waits_for_an_answer(page: Page) -> None:
    def ask(path: str) -> tuple[int, dict[str, Any]]:
        status, _, body = page.server.request("POST", f"/jobs/{key}/{path}")
        return status, json.loads(body)

    large = png(1000, 2100)
    key = page.take(large, part="1")
    job = page.reach(key, "asking", "failed")
    left, top, width, height = job["part"]["box"]
    assert (left + width / 2, top + height / 2) == (1050, 500)
    for side, scale in (("before", 1), ("after", 2)):
        address = f"/jobs/{key}/part/{job['part']['name']}-{side}"
        _, headers, body = page.server.request("GET", address)
        assert headers["content-type"] == "image/jpeg"
        assert Image.open(BytesIO(body)).size == (width * scale, height * scale)
    assert page.server.request("GET", f"/jobs/{key}/part/{'x' * 11}-after")[0] == 404
    assert [ask(f"part?{query}")[0] for query in ("x=0.1", "x=0&y=nan", "x=2&y=0")] == [400] * 3
    assert page.server.request("GET", f"/jobs/{key}/result")[0] == 409
    assert ask("part?x=0&y=1")[0] == 200
    page.until(lambda: page.job(key)["part"]["box"][0] == 0)
    assert page.job(key)["part"]["box"][1] > 500
    status, said = ask("again?weights=0&part=1")
    assert status == 201
    other = page.reach(said["key"], "asking", "failed")
    assert other["part"]["box"] == page.job(key)["part"]["box"], "the part that was seen last"
    assert ask("whole")[0] == 200
    page.until(lambda: page.job(key)["tiles"][0] > 0)
    assert ask("whole")[0] == 409
    for number in (key, other["key"]):
        page.server.request("DELETE", f"/jobs/{number}")
    assert page.reach(page.take(png(30, 30), part="1"), "asking", "done")["state"] == "done"
    assert waited(lambda: len({file.parent for file in page.server.photographs()}) == 3)


def test_a_photograph_that_was_cancelled_or_failed_can_be_taken_again(page: Page) -> None:
    clear = BytesIO()
    Image.new("RGBA", (9, 9)).save(clear, "PNG")
    key = page.take(clear.getvalue(), format="jpg")
    page.reach(key, "failed")
    status, _, body = page.server.request("POST", f"/jobs/{key}/again?weights=0&format=png")
    assert status == 201
    assert page.reach(json.loads(body)["key"], "done", "failed")["state"] == "done"
    bad = page.take(b"no picture")
    page.reach(bad, "failed")
    status, _, body = page.server.request("POST", f"/jobs/{bad}/again?weights=0")
    assert (status, "drop it once more" in json.loads(body)["error"]) == (409, True)


def test_a_lost_page_frees_the_worker_and_takes_its_photographs_along(
    server: Served, page: Page
) -> None:
    with server.page() as lost:
        key = lost.take(LARGE)
        lost.until(lambda: lost.job(key).get("tiles", [0])[0] > 0)
    mine = page.take(png(30, 30))
    started = time.monotonic()
    assert page.reach(mine, "done", "failed")["state"] == "done"
    assert time.monotonic() - started < 60
    assert server.request("GET", f"/jobs/{key}/result")[0] == 404
    assert waited(
        lambda: (
            {file.relative_to(server.scratch).parts[1] for file in server.photographs()} == {mine}
        )
    )


def test_a_page_that_comes_back_finds_its_photographs(server: Served) -> None:
    with server.page() as first:
        key = first.take(png(30, 30))
        first.reach(key, "done")
    with server.page(first.session) as again:
        time.sleep(1.5)  # longer than a page may be away
        assert again.job(key)["state"] == "done"
        assert server.request("GET", f"/jobs/{key}/result")[0] == 200


def test_the_queue_is_bounded(page: Page) -> None:
    assert waited(lambda: not page.server.photographs()), (
        "those of earlier pages leave after a second"
    )
    keys = [page.take(png(20, 20)) for _ in range(12)]
    status, said = page.send(png(20, 20))
    assert (status, "12 photographs are here already" in said["error"]) == (503, True)
    for key in keys:
        page.reach(key, "done")
        page.server.request("DELETE", f"/jobs/{key}")
    assert page.send(png(20, 20))[0] == 201


def test_time_is_bounded(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve(tmp_path / "scratch", "--max-seconds", 2)
    with served.page() as page:
        page.reach(page.take(png(20, 20)), "done", "failed")
        failed = page.reach(page.take(png(5400, 5400)), "done", "failed")
        assert "longer than 2 seconds" in failed["error"]
        page.reach(
            page.take(png(20, 20)), "working", "done"
        )  # its turn has come; a busy machine may take as long to load torch again
    served.end()


def test_a_worker_that_dies_takes_one_photograph_with_it_and_not_the_server(page: Page) -> None:
    key = page.take(LARGE)
    page.until(lambda: page.job(key).get("tiles", [0])[0] > 0)
    workers = page.server.workers()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert waited(lambda: not set(workers) & set(page.server.workers()))
    assert "SIGKILL" in page.reach(key, "failed")["error"]
    assert page.reach(page.take(png(20, 20)), "done", "failed")["state"] == "done"


def test_an_upload_that_dawdles_is_given_up_and_others_do_not_wait_for_it(page: Page) -> None:
    with (
        socket.create_connection(("127.0.0.1", page.server.port)) as slow,
        socket.create_connection(("127.0.0.1", page.server.port)) as silent,
    ):
        slow.sendall(page.upload_head(1000) + b"\x89PNG")
        silent.sendall(b"GET / HTTP/1.1\r\nHost:")  # and never the rest
        assert page.server.request("GET", "/")[0] == 200
        slow.settimeout(20)
        assert slow.recv(2000).startswith(b"HTTP/1.1 408")
        silent.settimeout(20)
        assert silent.recv(2000) == b""
    assert waited(lambda: not page.server.photographs())


def test_heavy_uploads_do_not_block_the_page(page: Page) -> None:
    content, ends = bytes(5_900_000), threading.Event()

    def upload() -> None:
        while not ends.is_set():
            page.send(content, "heavy.png")

    threads = [threading.Thread(target=upload) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        times = []
        for _ in range(12):
            started = time.monotonic()
            assert page.server.request("GET", "/")[0] == 200
            times.append(time.monotonic() - started)
            time.sleep(0.05)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert sorted(times)[len(times) // 2] < 1, times  # 0.3 on a quiet machine


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "missing"], ["missing", "no such weight file"]),
        (["--weights", "."], ["holds no weights"]),
        (["--weights", ".", "--port", "99999"], ["--port is 99999"]),
        (["--weights", ".", "--max-upload-mb", "0"], ["--max-upload-mb is 0"]),
    ],
)
def test_wrong_settings_are_one_sentence(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ibsd", "serve", *arguments],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_a_port_that_is_taken_is_one_sentence(server: Served, weights: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "ibsd",
        "serve",
        "--weights",
        str(weights),
        "--port",
        str(server.port),
    ]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "choose another --port" in done.stderr
