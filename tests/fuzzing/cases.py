"""Bad input at scale: mutated images, pair folders, configs, weight files and command lines, each
given to the command line in this process.

A case is judged by laws that hold for any input: exit code 0 or 2 (or a signal's), no traceback, at
most `SECONDS`, at most `MEMORY` more than before, and nothing opened for writing, made, renamed or
removed outside the case's output folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

import numpy as np
import torch
from PIL import Image

import tiny
from ibsd.cli.main import app, main
from ibsd.export.weights import save_student
from ibsd.system import largest_resident_bytes

SECONDS = 10
MEMORY = 1536 * 2**20
CACHES = ("torchinductor", "/.cache/ibsd")
"""torch's temporary folder and the compiled bound: caches, which hold nothing of the user's."""
CHANGES = {
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.truncate",
    "os.chmod",
    "os.link",
    "os.symlink",
    "shutil.rmtree",
}


RELATIVE = {"os.mkdir", "os.remove", "os.rmdir"}
"""Their last argument is the folder's descriptor, or -1."""


class Hang(BaseException):
    """Raised by the alarm."""


class Outcome(NamedTuple):
    kind: str
    seed: int
    code: int
    seconds: float
    broken: str
    """The law that was broken, with what shows it; "" for none."""


class Watch:
    """Notes every change to files outside `inside`, as Python announces it to audit hooks."""

    def __init__(self) -> None:
        self.inside: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.inside is None:
            return
        if event == "open":
            path, _, flags = arguments
            if not (flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                return
        elif event in CHANGES:
            path = arguments[0]
        else:
            return
        if isinstance(path, (str, bytes, os.PathLike)):
            place = os.path.abspath(os.fsdecode(path))
            if event in RELATIVE and (folder := arguments[-1]) >= 0:
                place = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
            if not place.startswith((str(self.inside), "/dev/")) and not any(
                cache in place for cache in CACHES
            ):
                self.seen.append(f"{event} {place}")


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut, repeated, filled or swapped, once or a few times."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        if not data:
            break
        where, how = chance.randrange(len(data)), chance.randrange(7)
        if chance.random() < 0.5:
            where = min(where, chance.randrange(64))  # headers matter most
        if how == 0:
            data[where] ^= 1 << chance.randrange(8)
        elif how == 1:
            data[where] = chance.choice((0, 1, 127, 128, 255))
        elif how == 2:
            del data[where:]
        elif how == 3:
            del data[where : where + chance.randrange(1, 64)]
        elif how == 4:
            data[where:where] = data[where : where + chance.randrange(1, 256)]
        elif how == 5:
            data[where : where + 4] = chance.choice((0, 2**31 - 1, 2**32 - 1, 65535)).to_bytes(
                4, chance.choice(("little", "big"))
            )
        else:
            data[where : where + 16] = bytes(chance.randrange(256) for _ in range(16))
    return bytes(data)


class Fuzzer:
    """Makes and runs cases in `folder`, which becomes its own."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        self.folder, self.watch = folder, watch
        self.seeds = folder / "seeds"
        self.case = folder / "case"
        self.seeds.mkdir(parents=True)
        self.streams: Sequence[Callable[[], TextIO | None]] = (io.StringIO, io.StringIO)
        """What makes stdout and stderr of a case."""
        os.environ["IBSD_MODELS"] = "never"  # a model of every weight file takes seconds
        self.images = self.make_images()
        self.pairs = self.make_pairs()
        self.weights = self.make_weights()
        self.config = (
            f'student = {{ name = "imdn", scale = 2, options = {{ width = 8, num_blocks = 3 }} }}\n'
            f'data = {{ pairs = "{self.pairs}", batch_size = 2, patch_px = 8 }}\n'
            'objective = { name = "ibsd", options = { warm_up = 1, ramp = 2, period = 2 } }\n'
            'run = { threads = 1, folder = "out/run" }\n'
            "[training]\nnum_steps = 1\nlog_every = 1\nvalidate_every = 0\ncheckpoint_every = 0\n"
        )
        self.kinds: dict[str, Callable[[random.Random], list[str]]] = {
            "image": self.image,
            "pair folder": self.pair_folder,
            "config": self.config_case,
            "safetensors": self.safetensors,
            "pth": self.pth,
            "command line": self.command_line,
        }

    def make_images(self) -> dict[str, bytes]:
        pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        images = {}
        for suffix, form, options in (
            ("png", "PNG", {}),
            ("jpg", "JPEG", {}),
            ("webp", "WEBP", {}),
            ("tif", "TIFF", {}),
            ("bmp", "BMP", {}),
            ("tiff", "TIFF", {"compression": "tiff_lzw"}),
        ):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, form, **options)
            images[suffix] = file.getvalue()
        return images

    def make_pairs(self) -> Path:
        for index, split in enumerate(("train", "train", "test")):
            [pair] = tiny.write_pairs(self.seeds / f"pair{index}", [(12, 12)], 2, seed=index)
            for side, path in (("LR", pair.lr), ("HR", pair.hr)):
                (self.seeds / "pairs" / f"{split}_{side}").mkdir(parents=True, exist_ok=True)
                shutil.move(path, self.seeds / "pairs" / f"{split}_{side}" / f"{index}.png")
        return self.seeds / "pairs"

    def make_weights(self) -> dict[str, bytes]:
        student = tiny.student()
        save_student(student, self.seeds / "a.safetensors")
        torch.save({"params": student.state_dict()}, self.seeds / "new.pth")
        torch.save(
            student.state_dict(), self.seeds / "old.pth", _use_new_zipfile_serialization=False
        )
        return {
            name: (self.seeds / name).read_bytes()
            for name in ("a.safetensors", "new.pth", "old.pth")
        }

    # -- what is done with a random input; each returns a command line

    def image(self, chance: random.Random) -> list[str]:
        suffix = chance.choice(list(self.images))
        Path(f"a.{chance.choice((suffix, suffix, suffix, *self.images))}").write_bytes(
            mutate(self.images[suffix], chance)
        )
        [name] = [path.name for path in Path().iterdir() if path.name.startswith("a.")]
        tile = chance.choice(([], [], ["--tile", "16"], ["--format", "png"], ["--format", "jpg"]))
        return ["upscale", name, "-o", "out", "--weights", str(self.seeds / "a.safetensors"), *tile]

    def pair_folder(self, chance: random.Random) -> list[str]:
        shutil.copytree(self.pairs, "pairs")
        for _ in range(chance.randrange(1, 4)):
            files = sorted(path for path in Path("pairs").rglob("*") if path.is_file())
            if not files:
                break
            path = chance.choice(files)
            how = chance.randrange(8)
            if how == 0:
                path.unlink()
            elif how == 1:
                path.write_bytes(mutate(path.read_bytes(), chance))
            elif how == 2:
                path.rename(
                    path.with_name(
                        chance.choice(
                            (
                                "x_LR4.png",
                                "0_HR.png",
                                "é\n.png",
                                "-o.png",
                                "a" * 200 + ".png",
                                "0.jpg",
                            )
                        )
                    )
                )
            elif how == 3:
                path.unlink()
                path.mkdir()
            elif how == 4:
                path.unlink()
                path.symlink_to(chance.choice(("nowhere", str(path.absolute()), "/dev/null", "..")))
            elif how == 5:
                Image.new(
                    chance.choice(("L", "1", "P", "RGBA", "I;16", "F", "CMYK")),
                    (chance.randrange(1, 40), chance.randrange(1, 40)),
                ).save(path.with_suffix(".tif"))
            elif how == 6:
                shutil.rmtree(path.parent)
            else:
                path.write_bytes(b"")
        command = chance.choice(("train", "doctor", "doctor", "evaluate"))
        if command == "doctor":
            return ["doctor", "pairs", "-o", "out"]
        if command == "evaluate":
            return [
                "evaluate",
                str(self.seeds / "a.safetensors"),
                "pairs",
                "--no-lpips",
                "-o",
                "out",
            ]
        Path("run.toml").write_text(self.config)
        return ["train", "run.toml", "data.pairs=pairs"]

    def config_case(self, chance: random.Random) -> list[str]:
        values = (
            "0",
            "-1",
            "1e300",
            "nan",
            "inf",
            "true",
            '""',
            '"x"',
            "[]",
            "{}",
            "[1, [2]]",
            "99999999999999999999",
            "0.5",
            "1979-05-27",
            '"\\u0000"',
        )
        text = self.config
        if chance.random() < 0.5:
            text = mutate(text.encode(), chance).decode(
                "utf-8", chance.choice(("replace", "ignore"))
            )
        if chance.random() < 0.2:
            text = text.replace(
                "num_steps", chance.choice(("steps", "num_stepss", "training", "é"))
            )
        Path("run.toml").write_text(text, encoding="utf-8")
        keys = (
            "student.name",
            "student.scale",
            "student.options",
            "data.patch_px",
            "data.batch_size",
            "data.pairs",
            "data.drop",
            "objective.name",
            "objective.options.period",
            "objective.options.links",
            "training.learning_rate",
            "training.schedule.kind",
            "training.precision",
            "run.seed",
            "run.device",
            "run.threads",
            "a.b",
            "run",
            "data.select",
            "training.keep",
            "data.cache",
            "run.data_seed",
        )
        overrides = [
            f"{chance.choice(keys)}={chance.choice(values)}" for _ in range(chance.randrange(3))
        ]
        # what might take long is kept short, whatever the text says; where it writes is not part of
        # the game
        return ["train", "run.toml", *overrides, "training.num_steps=1", "run.folder=out/run"]

    def safetensors(self, chance: random.Random) -> list[str]:
        Path("w.safetensors").write_bytes(mutate(self.weights["a.safetensors"], chance))
        Path("a.png").write_bytes(self.images["png"])
        return ["upscale", "a.png", "-o", "out", "--weights", "w.safetensors"]

    def pth(self, chance: random.Random) -> list[str]:
        Path("w.pth").write_bytes(
            mutate(self.weights[chance.choice(("new.pth", "old.pth"))], chance)
        )
        Path("a.png").write_bytes(self.images["png"])
        return ["upscale", "a.png", "-o", "out", "--weights", "w.pth"]

    def command_line(self, chance: random.Random) -> list[str]:
        commands = [
            name
            for name in app
            if name not in ("serve", "demo", "students", "efficiency", "export")
            and not name.startswith("-")
        ]
        words = (
            "--help",
            "-o",
            "out",
            "--force",
            "--json",
            "--scale",
            "-1",
            "3",
            "--lr",
            "--hr",
            "nowhere",
            "",
            "--",
            "-",
            "é",
            "a=b",
            "--weights",
            "training.num_steps=1",
            "--tile",
            "none",
            "--version",
            "--device",
            "cpu",
            "abacus",
            "\x00",
            "x" * 5000,
            "..",
            "--split",
            "--resume",
            "--nope",
            "run.toml",
        )
        Path("run.toml").write_text("[student]\n")
        command = chance.choice([*commands, "nope", "--version", "--help"])
        return [command, *(chance.choice(words) for _ in range(chance.randrange(6)))]

    # -- judging

    def run(self, seed: int) -> Outcome:
        """The case of this number: the same one every time."""
        chance = random.Random(seed)
        kind = list(self.kinds)[seed % len(self.kinds)]
        shutil.rmtree(self.case, ignore_errors=True)
        self.case.mkdir()
        before = os.getcwd()
        os.chdir(self.case)
        try:
            arguments = self.kinds[kind](chance)
            return self.judged(kind, seed, arguments)
        finally:
            os.chdir(before)

    def judged(self, kind: str, seed: int, arguments: list[str]) -> Outcome:
        memory = largest_resident_bytes()
        self.watch.seen, started = [], time.perf_counter()
        code, said, broken = -1, "", ""
        out, err = (make() for make in self.streams)
        with (
            alarm(),
            contextlib.redirect_stdout(cast(TextIO, out)),
            contextlib.redirect_stderr(cast(TextIO, err)),
        ):
            try:
                self.watch.inside = self.case / "out"
                code = main(arguments)
            except Hang:
                broken = "hang"
            except BaseException:
                broken = traceback.format_exc()
            finally:
                self.watch.inside = None
        seconds = time.perf_counter() - started
        said = err.getvalue() if isinstance(err, io.StringIO) else ""
        for stream in (out, err):
            with contextlib.suppress(OSError, AttributeError):
                cast(TextIO, stream).close()
        grown = largest_resident_bytes() - memory
        unread = 128 + signal.SIGPIPE  # where nobody reads what is said
        read = isinstance(out, io.StringIO) and isinstance(err, io.StringIO)
        codes = (0, 2) if read else (0, 2, unread)
        if not broken and (code not in codes or "Traceback" in said):
            broken = f"exit code {code}: {said[-2500:]}"
        broken = broken or (f"wrote outside: {self.watch.seen[:3]}" if self.watch.seen else "")
        broken = broken or (f"{grown / 2**20:.0f} MiB more" if grown > MEMORY else "")
        return Outcome(kind, seed, code, seconds, f"{arguments}: {broken}" if broken else "")


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    """Raises `Hang` after `SECONDS`, counted in processor time and, thrice as long, on the clock,
    because other work may hold the processor."""

    def ring(number: int, frame: object) -> None:
        raise Hang

    before = {number: signal.signal(number, ring) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 3 * SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
