"""Real processes of the command line in folders of their own: how they are started, limited, and
judged when they end."""

from __future__ import annotations

import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tiny
from comparison.two_cameras import TOML, write_crops
from ibsd.export.weights import save_student
from ibsd.images.rgb import read_rgb, write_rgb
from processes import Command

SOURCE = Path(__file__).parents[2] / "src"
MOST_SECONDS = 240
RUN = """
student = { name = "imdn", scale = 2, options = { width = 8, num_blocks = 3 } }
data = { pairs = "pairs", batch_size = 2, patch_px = 8 }
objective = { name = "ibsd", options = { warm_up = 1, ramp = 2, period = 2 } }
run = { threads = 1, folder = "out/run" }
[training]
num_steps = 8
log_every = 1
diagnostics_every = 4
validate_every = 4
checkpoint_every = 2
"""
WITHOUT = """
import sys
names, sys.argv = set(sys.argv[1].split(",")), ["ibsd", *sys.argv[2:]]
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in names else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
if __name__ == "__main__":
    from ibsd.__main__ import main
    sys.exit(main())
"""
"""The command line where some packages are not installed."""


class Ended(NamedTuple):
    """What a process came to."""

    arguments: tuple[str, ...]
    code: int
    """Negative for a signal that killed it."""
    out: str
    err: str
    seconds: float
    memory_mib: float
    """Most that was resident, of the process itself; never less than the one that started it holds,
    for Linux counts that too."""

    @property
    def last(self) -> str:
        """The sentence that starts with `ibsd:`, or the last line."""
        lines = self.err.rstrip().splitlines()
        return next(
            (line for line in reversed(lines) if line.startswith("ibsd: ")),
            lines[-1] if lines else "",
        )


def assert_sentence(ended: Ended, *words: str, noise: bool = False) -> None:
    """Exit code 2 and a sentence that holds the words; no traceback, unless `noise` of libraries
    before it is no surprise."""
    assert ended.code == 2, (ended.arguments, ended.code, ended.err[-2000:])
    assert ended.last.startswith("ibsd: "), ended.err[-2000:]
    assert noise or "Traceback" not in ended.err, ended.err[-4000:]
    assert "defect of ibsd" not in ended.err, ended.err[-4000:]
    for word in words:
        assert word in ended.err, f"{word!r} is not in {ended.err[-2000:]!r}"


def assert_done(ended: Ended) -> None:
    assert (ended.code, "Traceback" in ended.err) == (0, False), (
        ended.arguments,
        ended.code,
        ended.err[-3000:],
    )


class CannotMountError(Exception):
    """This user, or this machine, mounts no file systems."""


class Place:
    """A folder with pairs, photographs, weights and configs, in which commands run; `ended` keeps
    what they came to. `forked` saves the seconds in which each loads torch; their memory is then
    not known."""

    def __init__(self, folder: Path, forked: bool = False) -> None:
        self.folder = folder
        self.forked = forked
        self.out = folder / "out"
        self.ended: list[Ended] = []
        self.out.mkdir(parents=True)
        (folder / "photos").mkdir()
        write_pairs(folder / "pairs")
        for index in range(4):
            write_rgb(
                folder / "photos" / f"{index}.png",
                np.random.default_rng(index).integers(0, 256, (60, 80, 3), dtype=np.uint8),
            )
        save_student(tiny.student(), folder / "tiny.safetensors")
        (folder / "run.toml").write_text(RUN)
        write_crops(folder / "cameras")
        compare = (
            TOML.replace('"results"', '"out/results"')
            .replace('"work"', '"out/work"')
            .replace('"pairs"', '"cameras"', 1)
        )
        (folder / "compare.toml").write_text(compare)

    def start(
        self, *arguments: object, memory_mib: int = 0, without: Sequence[str] = ()
    ) -> Running:
        """`ibsd arguments...` here, in a process group of its own."""
        if self.forked and not memory_mib and not without:
            return Forked(self, tuple(map(str, arguments)))
        command = (
            [sys.executable, "-c", WITHOUT, ",".join(without)]
            if without
            else [sys.executable, "-m", "ibsd"]
        )
        return Running(
            self, [*command, *map(str, arguments)], tuple(map(str, arguments)), memory_mib
        )

    def run(self, *arguments: object, memory_mib: int = 0, without: Sequence[str] = ()) -> Ended:
        """`start`, until it ends."""
        return self.start(*arguments, memory_mib=memory_mib, without=without).wait()

    def left_behind(self) -> list[str]:
        """Partial files, and processes that still work here.

        Processes get a moment, as helpers of Python's end when they notice that they are alone."""
        time.sleep(0.3)
        partial = [
            str(path)
            for path in self.folder.rglob("*")
            if path.name.startswith(".") and path.name != ".ibsd-demo"
        ]
        return partial + [
            f"process {path.parent.name}"
            for path in Path("/proc").glob("[0-9]*/cwd")
            if os.path.exists(path) and Path(os.readlink(path)).is_relative_to(self.folder)
        ]

    @contextmanager
    def small_disk(self, kib: int, read_only: bool = False) -> Iterator[Callable[[int], None]]:
        """`out` is a disk of this size; gives a function that makes it larger. CannotMountError
        without the right to mount."""

        def mount(options: str) -> None:
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "ibsd-test", str(self.out)],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise CannotMountError(done.stderr.strip())

        if not shutil.which("mount"):
            raise CannotMountError("there is no mount")
        mount(f"size={kib}k{',ro' if read_only else ''}")
        try:
            yield lambda larger: mount(f"remount,rw,size={larger}k")
        finally:
            subprocess.run(["umount", "--lazy", str(self.out)], check=True, capture_output=True)


class Running:
    """A process that was started."""

    def __init__(
        self, place: Place, command: list[str], arguments: tuple[str, ...], memory_mib: int
    ) -> None:
        self.place, self.arguments = place, arguments
        self.files = [
            open(place.folder.with_suffix(f".{name}"), "w+")  # noqa: SIM115
            for name in ("stdout", "stderr")
        ]
        limit = memory_mib * 2**20
        environment = {key: value for key, value in os.environ.items() if key != "IBSD_BOUND"}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=place.folder,
            env=environment | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"},
            stdout=self.files[0],
            stderr=self.files[1],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
            if limit
            else None,
        )

    def until(self, seen: Callable[[], object], seconds: float = 90) -> Running:
        """Waits until something is there, or the process has ended."""
        deadline = time.monotonic() + seconds
        while not seen() and time.monotonic() < deadline and not self.has_ended():
            time.sleep(0.01)
        assert seen(), (self.arguments, self.said(1)[-3000:])
        return self

    def has_ended(self) -> bool:
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, options) is not None

    def said(self, number: int) -> str:
        self.files[number].seek(0)
        return self.files[number].read()

    def wait(self, number: signal.Signals | None = None, seconds: float = MOST_SECONDS) -> Ended:
        """What it comes to, once it has been sent a signal if there is one. AssertionError if it
        takes too long, after killing it."""
        if number is not None:
            self.process.send_signal(number)
        asked, status, usage = time.monotonic(), None, None
        while status is None and time.monotonic() - asked < seconds:
            pid, found, usage = os.wait4(self.process.pid, os.WNOHANG)
            status = found if pid else None
            time.sleep(0.01)
        if status is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        assert status is not None and usage is not None, (
            f"{self.arguments}: has not ended after {seconds} s: {self.said(1)[-3000:]}"
        )
        self.process.returncode = os.waitstatus_to_exitcode(status)
        taken = time.monotonic() - (self.started if number is None else asked)
        ended = Ended(
            self.arguments,
            self.process.returncode,
            self.said(0),
            self.said(1),
            taken,
            usage.ru_maxrss / 1024,
        )
        for file in self.files:
            file.close()
        self.place.ended.append(ended)
        return ended


class Forked(Running):
    """The same, forked from a process that has loaded torch."""

    def __init__(self, place: Place, arguments: tuple[str, ...]) -> None:
        self.place, self.arguments = place, arguments
        self.started = time.monotonic()
        self.process = Command(*arguments, folder=place.folder)

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def said(self, number: int) -> str:
        return self.process.said()[number]

    def wait(self, number: signal.Signals | None = None, seconds: float = MOST_SECONDS) -> Ended:
        if number is not None:
            self.process.send_signal(number)
        asked = self.started if number is None else time.monotonic()
        code = self.process.wait(seconds)
        taken = time.monotonic() - asked
        ended = Ended(self.arguments, code, *self.process.said(), taken, math.nan)
        self.place.ended.append(ended)
        return ended


def write_pairs(folder: Path, lr_px: int = 24) -> None:
    """Two pairs to train on, one for val and one for test, in the published layout."""
    for seed, (split, name) in enumerate(
        (("train", "a"), ("train", "b"), ("val", "c"), ("test", "d"))
    ):
        [pair] = tiny.write_pairs(folder / "made", [(lr_px, lr_px)], 2, seed=seed)
        for side, path in (("LR", pair.lr), ("HR", pair.hr)):
            (folder / f"{split}_{side}").mkdir(parents=True, exist_ok=True)
            path.rename(folder / f"{split}_{side}" / f"{name}.png")
    shutil.rmtree(folder / "made")


def pictures(folder: Path) -> dict[str, bytes]:
    """Pixels of all pictures in a folder: each can be read, so none is half a file."""
    return {path.name: read_rgb(path).tobytes() for path in sorted(folder.glob("*.png"))}


def tensors(path: Path) -> bytes:
    """The weights of a file, less what stands beside them."""
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def assert_clean(place: Place) -> None:
    left = place.left_behind()
    assert not left, left
