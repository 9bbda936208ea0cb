"""`ibsd upscale` as a process: Ctrl-C and SIGTERM leave no half file, options arrive, and what is
not needed is not loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Call, assert_one_sentence
from ibsd.images.rgb import read_rgb, write_rgb
from processes import Command

pytest.importorskip("pyvips")

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_half_file_and_the_run_can_go_on(
    weights: Path, tmp_path: Path, number: int
) -> None:
    (tmp_path / "in").mkdir()
    write_rgb(tmp_path / "in" / "a.png", np.zeros((8, 8, 3), np.uint8))
    write_rgb(tmp_path / "in" / "b.png", np.zeros((3000, 3000, 3), np.uint8))
    out = tmp_path / "out"
    process = Command("upscale", tmp_path / "in", "-o", out, "--weights", weights)
    deadline = time.monotonic() + 120
    while not list(out.glob(".b.png.*")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in said
    assert "stopped, 1 of 2 done: the same command with --skip-existing goes on" in said
    assert [path.name for path in out.iterdir()] == ["a.png"]


@pytest.mark.slow
def test_a_terminal_shows_something_within_a_second_of_the_processor(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    ours, its = os.openpty()
    command = [sys.executable, "-m", "ibsd", "upscale", "a.png", "-o", "b.png"]
    environment = ENVIRONMENT | {"TERM": "xterm"}
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdin=its, stdout=its, stderr=its
    ) as process:
        said = b""
        while b"opening imdn" not in said:
            said += os.read(ours, 1000)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        process.kill()
    os.close(ours)
    os.close(its)
    assert (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") < 1


def test_existing_results_are_skipped_or_replaced(
    ibsd: Call, weights: Path, tmp_path: Path
) -> None:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    for name in ("a.png", "b.png"):
        write_rgb(tmp_path / "in" / name, np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "out" / "a.png").write_text("mine")
    assert_one_sentence(ibsd("upscale", "in", "-o", "out", "--weights", weights), "exists already")
    said = ibsd("upscale", "in", "-o", "out", "--weights", weights, "--skip-existing")
    assert (said.code, said.out) == (0, "1 of 2 upscaled, 1 there already.\n")
    assert said.err.startswith(f"opening {weights.stem} for 2 photographs\n")  # no terminal here
    assert (tmp_path / "out" / "a.png").read_text() == "mine"
    assert_one_sentence(
        ibsd("upscale", "in", "-o", "out", "--weights", weights, "--skip-existing", "--force"),
        "one of them",
    )
    assert ibsd("upscale", "in", "-o", "out", "--weights", weights, "--force").code == 0
    assert read_rgb("out/a.png").shape == (16, 16, 3)


@pytest.mark.slow
def test_format_and_quality(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    write_rgb(
        tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    )
    for quality in (10, 90):
        said = ibsd(
            "upscale",
            "a.png",
            "-o",
            f"out-{quality}",
            "--weights",
            weights,
            "--format",
            "webp",
            "--quality",
            quality,
        )
        assert said.code == 0, said.err
    assert Path("out-10/a.webp").stat().st_size < Path("out-90/a.webp").stat().st_size
    assert_one_sentence(
        ibsd("upscale", "a.png", "-o", "out", "--weights", weights, "--quality", 0), "quality is 0"
    )
    assert_one_sentence(
        ibsd("upscale", "a.png", "-o", "out", "--weights", weights, "--format", "heic"),
        "format is 'heic'",
    )


def test_names_are_checked_before_the_network_is_opened(
    ibsd: Call, weights: Path, tmp_path: Path
) -> None:
    assert_one_sentence(
        ibsd("upscale", "none.png", "-o", "out", "--weights", "none.safetensors"),
        "none.png does not exist",
    )
    (tmp_path / "in").mkdir()
    write_rgb(tmp_path / "in" / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "in" / "notes.txt").write_text("notes")
    said = ibsd("upscale", "in", "-o", "out", "--weights", weights)
    assert "passed over, not named as an image: in/notes.txt" in said.err


@pytest.mark.slow
def test_the_size_that_is_asked_for(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    for option, value, shape in (
        ("--scale", 3, (60, 90, 3)),
        ("--width", 45, (30, 45, 3)),
        ("--max-side", 60, (40, 60, 3)),
    ):
        said = ibsd(
            "upscale", "a.png", "-o", "b.png", "--weights", weights, option, value, "--force"
        )
        assert said.code == 0, said.err
        assert read_rgb("b.png").shape == shape
    both = ("--scale", 2, "--height", 9)
    assert_one_sentence(
        ibsd("upscale", "a.png", "-o", "c.png", *both), "--scale, --height each say"
    )


def test_bits_that_are_lost_are_named(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((9, 9, 3), np.uint16), photometric="rgb")
    said = ibsd("upscale", "deep.tif", "-o", "out", "--weights", weights, "--format", "jpg")
    assert said.code == 0
    assert "out/deep.jpg: 16 bits a channel became 8, because JPEG holds no more" in said.err


LIGHT = """
import sys
import numpy as np
from pathlib import Path
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.upscaling import upscale_files
descriptor = NetworkDescriptor("repeat", 2, 0, pools_globally=False, minimum_size_px=1)
repeat = Network(descriptor, lambda lr: lr.repeat(2, 2).repeat(2, 3))
(result,) = upscale_files([sys.argv[1]], sys.argv[2], repeat)
assert result.error is None, result.error
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_upscaling_files_loads_nothing_heavy(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, tmp_path / "a.png", tmp_path / "b.png"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(done.stdout.split()) & {
        "torch",
        "scipy",
        "skimage",
        "matplotlib",
        "pandas",
        "ray",
        "pyarrow",
    }
    assert read_rgb(tmp_path / "b.png").shape == (16, 16, 3)


WITHOUT_TORCH = """
import sys
absent = "torch", "tensorboardX", "fcntl", "resource"  # the last two are not on Windows
sys.modules.update(dict.fromkeys(absent))
from ibsd.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_shipped_weights_need_no_torch_and_training_names_its_extra(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "run.toml").write_text("")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
        return subprocess.run(
            command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    done = run("upscale", "a.png", "-o", "b.png", "--weights", "imdn-small-x4")
    assert done.returncode == 0, done.stderr
    assert read_rgb(tmp_path / "b.png").shape == (32, 32, 3)
    assert "imdn-small-x4" in run("models").stdout
    assert "ibsd serve needs Linux or macOS" in run("serve").stderr
    for extra, *arguments in (
        ("train", "train", "run.toml"),
        ("train", "upscale", "a.png", "-o", "c.png", "--backend", "torch"),
        ("export", "export", "imdn-small-x4", "--format", "onnx"),
    ):
        done = run(*arguments)
        assert done.returncode == 2, done.stderr
        assert "torch is not installed" in done.stderr
        assert f"pip install 'ibsd[{extra}]'" in done.stderr
