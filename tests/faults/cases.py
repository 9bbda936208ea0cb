"""What a machine may do to a command: each case is one fault for one command in real processes, and
the laws of its end.

Every case: the end comes by itself, with exit code 2 and a sentence (or that of a signal), no
traceback, no partial file and no process left behind; what had been done is whole, and the same
command goes on to the end that it would have had.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faults.place import Place, assert_clean, assert_done, assert_sentence, pictures, tensors
from ibsd.images.rgb import write_rgb

TRAIN = ("train", "run.toml")
UPSCALE = ("upscale", "photos", "-o", "out/large", "--weights", "tiny.safetensors")
COMPARE = ("compare", "compare.toml")
COMPARE_2 = (*COMPARE, "--jobs", "2")
EVALUATE = ("evaluate", "tiny.safetensors", "pairs", "--no-lpips", "-o", "out/scores")
DOCTOR = ("doctor", "pairs", "-o", "out/checkup")
PREVIEW = ("data", "preview", "photos/0.png", "-o", "out/preview.png", "--scale", "2")
EXPORTS = {
    format: ("export", "tiny.safetensors", "--format", format, "-o", f"out/model{ending}")
    for format, ending in (
        ("onnx", ".onnx"),
        ("openvino", ".xml"),
        ("ncnn", ".param"),
        ("safetensors", ".safetensors"),
    )
}
DEMO = ("demo", "--steps", "2", "-o", "out/demo")
EXTRAS = (
    "pyvips",
    "openvino",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "pnnx",
    "ncnn",
    "nncf",
    "starlette",
    "uvicorn",
    "tensorboardX",
    "triton",
    "kornia",
    "scipy",
    "skimage",
    "pywt",
    "matplotlib",
    "torchvision",
    "cv2",
)
CORE = ("torch", "numpy", "PIL", "safetensors", "rich", "cyclopts")

Case = Callable[[Place], None]
CASES: dict[str, Case] = {}
"""By name, `fault: command`."""
QUICK: list[str] = []
"""Those that `make test` runs."""


def case(
    name: str, quick: bool = False, **options: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a function as a case, with options if it takes some."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        assert name not in CASES
        CASES[name] = lambda place: function(place, **options)
        if quick:
            QUICK.append(name)
        return function

    return register


# -- a disk that is full


@case("disk full: train", quick=True, kib=400)
@case("disk full: train, before the first checkpoint", kib=40)
@case("disk full: train, no room at all", kib=4)
def train_on_a_full_disk(place: Place, kib: int) -> None:
    assert_done(place.run(*TRAIN, "run.folder=whole"))
    with place.small_disk(kib) as grow:
        assert_sentence(place.run(*TRAIN), "No space left")
        assert_clean(place)
        grow(8000)
        assert_done(place.run(*TRAIN, "--resume"))
        assert tensors(place.out / "run" / "last.safetensors") == tensors(
            place.folder / "whole" / "last.safetensors"
        )
        assert logged(place.out / "run") == logged(place.folder / "whole")


@case("disk full: upscale", quick=True, ending="")
@case("disk full: upscale to tiff", ending="tiff")
@case("disk full: upscale to avif", ending="avif")
def upscale_on_a_full_disk(place: Place, ending: str) -> None:
    form = ("--format", ending) if ending else ()
    assert_done(place.run(*UPSCALE[:3], "whole", *UPSCALE[4:], *form))
    sizes = [path.stat().st_size for path in sorted((place.folder / "whole").iterdir())]
    with place.small_disk(sum(sizes[:2]) // 1024 + 8) as grow:
        assert_sentence(
            place.run(*UPSCALE, *form), "No space left", "of 4 are done, go on with --skip-existing"
        )
        assert_clean(place)
        grow(8000)
        assert_done(place.run(*UPSCALE, *form, "--skip-existing"))
        ours, theirs = (
            {path.name: path.read_bytes() for path in folder.iterdir()}
            for folder in (place.out / "large", place.folder / "whole")
        )
        assert ours == theirs


@case("disk full: compare", command=COMPARE)
@case("disk full: compare in two processes", command=COMPARE_2)
def compare_on_a_full_disk(place: Place, command: tuple[str, ...]) -> None:
    with place.small_disk(250) as grow:
        assert_sentence(place.run(*command), "No space left")
        assert_clean(place)
        grow(8000)
        assert_done(place.run(*command))
        found = differences(place)
    assert_done(place.run(*COMPARE))  # on the disk below
    assert found == differences(place)


@case("disk full: export onnx", command=EXPORTS["onnx"])
@case("disk full: export openvino", command=EXPORTS["openvino"])
@case("disk full: export ncnn", quick=True, command=EXPORTS["ncnn"])
@case("disk full: export safetensors", command=EXPORTS["safetensors"])
@case("disk full: evaluate", command=EVALUATE, kib=4)
@case("disk full: doctor", command=DOCTOR, kib=4)
@case("disk full: data preview", command=PREVIEW, kib=4)
@case("disk full: demo", command=DEMO)
def one_on_a_full_disk(place: Place, command: tuple[str, ...], kib: int = 100) -> None:
    with place.small_disk(kib) as grow:
        assert_sentence(place.run(*command), "No space left")
        assert_clean(place)
        grow(64000)
        assert_done(place.run(*command, *(() if command[0] == "data" else ("--force",))))
        assert_clean(place)


# -- an output that may not be written to

for command in (TRAIN, UPSCALE, COMPARE, *EXPORTS.values(), EVALUATE, DOCTOR, PREVIEW, DEMO):
    name = " ".join(
        command[:1]
        if command[0] not in ("export", "data")
        else (command[0], command[3] if command[0] == "export" else command[1])
    )

    @case(f"read-only output: {name}", quick=command in (TRAIN, UPSCALE), command=command)
    def on_a_read_only_disk(place: Place, command: tuple[str, ...]) -> None:
        with place.small_disk(1000, read_only=True):
            assert_sentence(place.run(*command), "out", "ead-only file system")
            assert list(place.out.iterdir()) == []


# -- a limit on memory (ulimit -v)

LIMITS = (*range(200, 1000, 80), 1200, 2400)
"""MiB of address space: from where Python starts to where all have enough."""


@case("memory limit: upscale", command=UPSCALE, limits=LIMITS)
@case("memory limit: upscale a large photograph", command=UPSCALE, limits=LIMITS, large=True)
@case("memory limit: train", command=TRAIN, limits=LIMITS)
@case("memory limit: evaluate", command=EVALUATE, limits=LIMITS)
@case("memory limit: doctor", command=DOCTOR, limits=LIMITS)
@case("memory limit: export openvino", command=EXPORTS["openvino"], limits=range(300, 2400, 300))
@case("memory limit: compare in two processes", command=COMPARE_2, limits=range(200, 1000, 200))
@case("memory limit: some of upscale", quick=True, command=UPSCALE, limits=(300, 500), large=True)
def under_limits(
    place: Place, command: tuple[str, ...], limits: range | tuple[int, ...], large: bool = False
) -> None:
    """Under every limit it is done or says so, and a training goes on without the limit."""
    if large:
        write_rgb(place.folder / "photos" / "large.png", np.zeros((1500, 2000, 3), np.uint8))
    refused = 0
    for limit in limits:
        ended = place.run(*command, memory_mib=limit)
        if ended.code:
            assert_sentence(ended, "memory", noise=True)
            refused += 1
        else:
            assert_clean(place)  # a crash may leave a hidden folder, as kill -9 does
        if command == TRAIN:
            assert_done(
                place.run(
                    *command, *(("--resume",) if (place.out / "run" / "run.json").exists() else ())
                )
            )
        shutil.rmtree(place.out)
        place.out.mkdir()
    assert refused


# -- packages that are not installed


NEED_NONE = (
    TRAIN,
    UPSCALE,
    EVALUATE,
    DOCTOR,
    PREVIEW,
    EXPORTS["safetensors"],
    COMPARE,
    ("models",),
    ("students", "imdn", "--no-measure"),
)


@case("without extras: commands that need none", commands=NEED_NONE)
@case("without extras: some commands that need none", quick=True, commands=(UPSCALE,))
def works_without_extras(place: Place, commands: tuple[tuple[str, ...], ...]) -> None:
    for command in commands:
        assert_done(place.run(*command, without=EXTRAS))


@case("without extras: commands that need one")
def names_the_extra(place: Place) -> None:
    (place.folder / "model.xml").write_text("<net/>")
    needed = {
        EXPORTS["onnx"]: "ibsd[export]",
        EXPORTS["openvino"]: "ibsd[export]",
        EXPORTS["ncnn"]: "ibsd[export]",
        (*EXPORTS["onnx"], "--int8"): "ibsd[export,int8]",
        ("serve", "--port", "0"): "ibsd[app]",
        (
            "upscale",
            "photos/0.png",
            "-o",
            "out/a.avif",
            "--weights",
            "tiny.safetensors",
        ): "ibsd[upscale]",
        ("upscale", "photos/0.png", "-o", "out/a.png", "--weights", "model.xml"): "ibsd[openvino]",
    }
    for command, extra in needed.items():
        assert_sentence(place.run(*command, without=EXTRAS), f"pip install '{extra}'")


@case("without extras: each package of the core")
def names_the_package(place: Place) -> None:
    for package in CORE:
        for command in (TRAIN, UPSCALE, EVALUATE, DOCTOR):
            assert_sentence(place.run(*command, without=(package,)), f"{package} is not installed")


# -- files that vanish or change meanwhile

LONG = ("training.num_steps=100000", "training.checkpoint_every=0", "training.validate_every=20")


@case(
    "vanishes: a pair of val, in training",
    quick=True,
    change=lambda path: path.unlink(),
    words=("val_LR/c.png", "does not exist"),
)
@case(
    "changes: a pair of val, in training",
    change=lambda path: write_rgb(path, np.zeros((9, 9, 3), np.uint8)),
    words=("val_LR/c.png",),
)
@case(
    "is damaged: a pair of val, in training",
    change=lambda path: path.write_bytes(b"\x89PNG\r\n"),
    words=("val_LR/c.png",),
)
def val_changes(place: Place, change: Callable[[Path], None], words: tuple[str, ...]) -> None:
    running = place.start(*TRAIN, *LONG).until(lambda: logged(place.out / "run"))
    before = (place.folder / "pairs" / "val_LR" / "c.png").read_bytes()
    change(place.folder / "pairs" / "val_LR" / "c.png")
    assert_sentence(running.wait(), *words)
    (place.folder / "pairs" / "val_LR" / "c.png").write_bytes(before)
    step = len(logged(place.out / "run"))
    assert_done(place.run(*TRAIN, f"training.num_steps={step + 2}", *LONG[1:], "--resume"))
    assert len(logged(place.out / "run")) == step + 2


@case("vanishes: the pairs and the config, in training")
def pairs_and_config_vanish(place: Place) -> None:
    """Once they are there again the run goes on and ends as it would have."""
    steps = "training.num_steps=300"
    assert_done(place.run(*TRAIN, "run.folder=whole", steps))
    running = place.start(*TRAIN, steps).until(lambda: logged(place.out / "run"))
    for name in ("pairs", "run.toml"):
        (place.folder / name).rename(place.folder / f"away-{name}")
    assert_sentence(running.wait(), "pairs/", "does not exist")
    assert_sentence(place.run(*TRAIN, steps, "--resume"), "run.toml", "no such config file")
    for name in ("pairs", "run.toml"):
        (place.folder / f"away-{name}").rename(place.folder / name)
    assert_done(place.run(*TRAIN, steps, "--resume"))
    assert tensors(place.out / "run" / "last.safetensors") == tensors(
        place.folder / "whole" / "last.safetensors"
    )
    assert logged(place.out / "run") == logged(place.folder / "whole")


@case("vanishes: the run folder, in training")
def run_folder_vanishes(place: Place) -> None:
    running = place.start(*TRAIN, *LONG).until(lambda: logged(place.out / "run"))
    shutil.rmtree(place.out)
    ended = running.wait(signal.SIGTERM)
    assert ended.code in (2, 143), ended.err[-3000:]
    assert "Traceback" not in ended.err, ended.err[-3000:]


@case(
    "vanishes: a photograph of a folder",
    quick=True,
    change=lambda path: path.unlink(),
    words=("3.png", "does not exist"),
)
@case(
    "changes: a photograph of a folder",
    change=lambda path: path.write_bytes(path.read_bytes()[:200]),
    words=("3.png", "damaged or cut short"),
)
@case(
    "becomes a folder: a photograph of a folder",
    change=lambda path: (path.unlink(), path.mkdir()),
    words=("3.png", "is a folder"),
)
def photograph_changes(
    place: Place, change: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    for index in range(3):  # so that there is time
        write_rgb(
            place.folder / "photos" / f"{index}.png",
            np.random.default_rng(index).integers(0, 256, (600, 800, 3), dtype=np.uint8),
        )
    running = place.start(*UPSCALE).until((place.out / "large" / "0.png").exists)
    change(place.folder / "photos" / "3.png")
    assert_sentence(running.wait(), "3 of 4 upscaled, 1 left out", *words)
    assert sorted(pictures(place.out / "large")) == ["0.png", "1.png", "2.png"]
    assert_clean(place)


@case(
    "changes: the config of a comparison",
    change=lambda path: path.write_text(
        path.read_text().replace("num_steps = 60", "num_steps = 61")
    ),
)
@case("vanishes: the config of a comparison", change=lambda path: path.unlink())
def comparison_changes(place: Place, change: Callable[[Path], object]) -> None:
    config = place.folder / "compare.toml"
    config.write_text(config.read_text().replace("num_steps = 6", "num_steps = 60"))
    before = config.read_text()
    running = place.start(*COMPARE_2).until(
        lambda: list((place.out / "work").glob("*/checkpoints/*"))
    )
    change(config)
    assert_done(running.wait())
    config.write_text(before)
    assert "0 to make" in place.run(*COMPARE).err  # all are of the config that was asked for
    assert_clean(place)


# -- SIGTERM


@case("SIGTERM: upscale", quick=True, command=UPSCALE, seen="large/0.png")
@case(
    "SIGTERM: compare",
    command=(*COMPARE, "base.training.num_steps=100000"),
    seen="work/*/checkpoints/*",
)
@case(
    "SIGTERM: compare in two processes",
    command=(*COMPARE_2, "base.training.num_steps=100000"),
    seen="work/*/checkpoints/*",
)
@case("SIGTERM: demo", command=("demo", "-o", "out/demo"), seen="demo/**/log.jsonl")
@case("SIGTERM: export openvino", command=EXPORTS["openvino"], seen=".ibsd-export-*")
@case("SIGTERM: export ncnn", command=EXPORTS["ncnn"], seen=".ibsd-export-*/traced*")
@case("SIGTERM: train", command=(*TRAIN, *LONG), seen="run/log.jsonl")
@case("SIGTERM: doctor", command=("doctor", "many", "-o", "out/checkup"), seen="")
@case(
    "SIGTERM: evaluate",
    command=("evaluate", "tiny.safetensors", "many", "--split", "train", "-o", "out/scores"),
    seen="",
)
def terminated(place: Place, command: tuple[str, ...], seen: str) -> None:
    """It leaves within ten seconds with 128 + 15, whatever it was at, and takes its processes with
    it."""
    for index in range(4):
        write_rgb(
            place.folder / "photos" / f"{index}.png",
            np.random.default_rng(index).integers(0, 256, (900, 1200, 3), dtype=np.uint8),
        )
    if "many" in command:
        for side, px in (("LR", 96), ("HR", 192)):
            (place.folder / "many" / f"train_{side}").mkdir(parents=True)
            for index in range(300):
                pixels = np.random.default_rng(index).integers(0, 256, (px, px, 3), dtype=np.uint8)
                write_rgb(place.folder / "many" / f"train_{side}" / f"{index}.png", pixels)
    running = place.start(*command)
    running.until(
        (lambda: list(place.out.glob(seen)))
        if seen
        else lambda: mapped(running.process.pid, "libtorch_cpu")
    )
    ended = running.wait(signal.SIGTERM, seconds=60)
    assert ended.code == 128 + signal.SIGTERM, (ended.code, ended.err[-3000:])
    assert "Traceback" not in ended.err, ended.err[-3000:]
    assert ended.seconds < 30
    assert [
        each for each in place.left_behind() if "/checkpoints/.step-" not in each
    ] == []  # that goes when the next one is saved


# -- what is looked at


def logged(run: Path) -> list[str]:
    """The lines of a run's log that steps wrote, less what time there is in them."""
    log = run / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [
        json.dumps({key: value for key, value in row.items() if "second" not in key})
        for row in rows
        if "learning_rate" in row
    ]


def differences(place: Place) -> Any:
    return json.loads((place.out / "results" / "results.json").read_text())["differences"]


def mapped(pid: int, library: str) -> bool:
    """Whether a process has loaded a library."""
    return library in Path(f"/proc/{pid}/maps").read_text()
