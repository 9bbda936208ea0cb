"""Laws of the entry point: quick help, and the exit code and words of every kind of error."""

from __future__ import annotations

import errno
import io
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ibsd.cli.main import USAGE, main
from ibsd.cli.signals import Ended, StopRequests
from ibsd.cli.terminal import log

from .conftest import Call, assert_one_sentence

SOURCE = str(Path(__file__).parents[2] / "src")
ENVIRONMENT = {**os.environ, "PYTHONPATH": SOURCE}


def test_help_is_quick_and_does_not_load_torch() -> None:
    probe = (
        "import sys; sys.argv = ['ibsd', '--help']; from ibsd.cli.main import main; main(); "
        "print({'torch', 'numpy', 'PIL'} & sys.modules.keys(), file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", probe], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr.strip() == "set()"
    assert all(command.__name__ in done.stdout for command in USAGE)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1.5  # 0.25 on a quiet machine; a busy one takes several times as long


@pytest.mark.parametrize("command", [command.__name__ for command in USAGE])
def test_each_command_shows_an_example(command: str, ibsd: Call) -> None:
    said = ibsd(command, "--help")
    assert said.code == 0
    assert f"$ ibsd {command}" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["paint"], ["'paint'", "choose one of", "demo, train, specialise"]),
        (["trian"], ["'trian'", "did you mean train?"]),
        (["--completion", "tcsh"], ["tcsh", "fish"]),
        (["train"], ["CONFIG", "ibsd train --help"]),
        (["train", "x.toml", "--resum"], ["--resum", "ibsd train --help"]),
        (["demo", "--steps", "many"], ["steps", "many"]),
        (["demo", "--steps", "0"], ["--steps is 0"]),
        (["evaluate", "a", "b", "--split", "some"], ["some", "test"]),
        (["evaluate"], ["weight files", "ibsd evaluate --help"]),
        (["evaluate", "w", "--lr", "a", "--hr", "b", "--split", "val"], ["leave out --split"]),
        (["compare", "a.toml", "--cluster", "local", "--jobs", "2"], ["leave out --jobs"]),
        (["compare", "a.toml", "--table", "--only", "x"], ["leave out --only"]),
        (["upscale"], ["nothing to upscale"]),
        (["upscale", "-", "-o", "out"], ["standard input is not read", "ibsd upscale --help"]),
        (["upscale", "s3://bucket/a.png", "-o", "out"], ["add --cluster local"]),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    arguments: list[str], words: list[str], ibsd: Call
) -> None:
    assert_one_sentence(ibsd(*arguments), *words)


def test_no_command_is_help(ibsd: Call) -> None:
    said = ibsd()
    assert said.code == 0
    assert "ibsd demo" in said.out


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise error

    Path("a.png").touch()  # inputs are found before the network is opened
    monkeypatch.setattr("ibsd.inference.torch_backend.load_student", fail)


def test_a_defect_of_ours_is_a_traceback_and_a_request(
    ibsd: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(ZeroDivisionError("by zero"), monkeypatch)
    said = ibsd("upscale", "a.png", "-o", "out", "--weights", "w.safetensors")
    assert said.code == 1
    assert "ZeroDivisionError" in said.err
    assert "please report it" in said.err
    assert "ibsd upscale a.png -o out" in said.err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Ended(15), 143)])
def test_signals_give_their_codes(
    error: BaseException, code: int, ibsd: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(error, monkeypatch)
    said = ibsd("upscale", "a.png", "-o", "out", "--weights", "w.safetensors")
    assert (said.code, said.err) == (code, "opening w for 1 photograph\n")


def test_a_full_disk_is_no_defect(ibsd: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some.file"), monkeypatch)
    assert_one_sentence(
        ibsd("upscale", "a.png", "-o", "out", "--weights", "w.safetensors"),
        "No space left",
        "some.file",
        "--resume",
    )


def test_a_reader_that_leaves_is_no_defect() -> None:
    probe = (
        "import os, sys; os.close(1); os.dup2(os.pipe()[1], 1); "
        "from ibsd.cli.main import main; sys.exit(main(['--help']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stderr) in ((141, ""), (0, ""))


def test_the_first_signal_is_kept_and_the_second_ends() -> None:
    with StopRequests() as stop:
        assert stop.reason() is None
        os.kill(os.getpid(), 15)
        assert stop.reason() == "stopped by SIGTERM"
        with pytest.raises(Ended) as ended:
            os.kill(os.getpid(), 2)
        assert ended.value.signal == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [("ibsd tra", "train"), ("ibsd train --re", "--resume"), ("ibsd export --fo", "--format")],
)
def test_bash_completes(typed: str, offered: str, ibsd: Call) -> None:
    script = ibsd("--completion", "bash").out
    words = " ".join(typed.split())
    state = f"COMP_WORDS=({words}); COMP_CWORD={typed.count(' ')}; COMPREPLY=()"
    asked = f'{script}\n{state}; _ibsd; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-c", asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert offered in done.stdout.split()


def test_version(ibsd: Call) -> None:
    assert main.__module__ == "ibsd.cli.main"
    assert ibsd("--version").out.strip()


def test_a_sentence_that_cannot_be_written_keeps_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    assert main(["upscale", "gone.png", "-o", "out"]) == 2


def test_nobody_reads_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich then looks for stdout's descriptor, which a notebook's does not have."""

    def broken() -> None:
        raise BrokenPipeError

    stream = io.StringIO()
    monkeypatch.setattr(stream, "flush", broken)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("ibsd.cli.main.app", lambda *_, **__: log("a remark"))
    assert main(["models"]) == 141
