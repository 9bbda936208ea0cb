"""The entry point: commands by name, and what becomes of every error.

Exit codes: 0 done, 2 the user's input is wrong (one sentence on stderr), 1 a defect of ours (with
its traceback), 128 + n ended by signal n.
"""

from __future__ import annotations

import difflib
import errno
import inspect
import io
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError

import ibsd
from ibsd.cli.compare import compare
from ibsd.cli.data import data
from ibsd.cli.demo import demo
from ibsd.cli.doctor import doctor
from ibsd.cli.efficiency import efficiency
from ibsd.cli.evaluate import evaluate
from ibsd.cli.export import export
from ibsd.cli.limited import in_child, memory_is_limited, memory_is_used_up
from ibsd.cli.models import models
from ibsd.cli.register import register
from ibsd.cli.report import report
from ibsd.cli.serve import serve
from ibsd.cli.signals import Ended, StopRequests
from ibsd.cli.specialise import specialise
from ibsd.cli.students import students
from ibsd.cli.terminal import printable
from ibsd.cli.train import train
from ibsd.cli.upscale import upscale
from ibsd.system import NO_MEMORY, exhausted
from ibsd.types import InputError

app = App(
    name="ibsd",
    help=(
        "Train a small super-resolution network for real photographs, "
        "compare it fairly, and upscale with it.\n\n"
        "Start with:\n\n$ ibsd demo\n\nHelp on a command:\n\n$ ibsd train --help"
    ),
    version=ibsd.__version__,
    help_format="plaintext",
    default_parameter=Parameter(json_list=False, json_dict=False),  # a name may begin with [ or {
    suppress_keyboard_interrupt=False,
)
TRAINING_PACKAGES = ("torch", "tensorboardX")
"""Packages of the extra `train`; `export` brings torch too. Upscaling needs none of them."""
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
"""Errors of a place that may not be used, or of a disk that fails."""
BROKEN_PIPE = 128 + 13
"""Exit code for SIGPIPE, a signal that Windows lacks."""
USAGE = {
    demo: "ibsd demo [OPTIONS]",
    train: "ibsd train CONFIG [SECTION.KEY=VALUE ...] [--resume] [--json]",
    specialise: "ibsd specialise [PAIRS] -o FOLDER [SECTION.KEY=VALUE ...] [OPTIONS]",
    evaluate: "ibsd evaluate WEIGHTS... PAIRS [OPTIONS]",
    compare: "ibsd compare CONFIG [SECTION.KEY=VALUE ...] [OPTIONS]",
    report: "ibsd report FOLDER... [OPTIONS]",
    data: "ibsd data preview PHOTO [OPTIONS], or ibsd data shard PHOTOS -o SHARDS [OPTIONS]",
    upscale: "ibsd upscale IN... -o OUT [OPTIONS]",
    export: "ibsd export WEIGHTS --format FORMAT [OPTIONS]",
    efficiency: "ibsd efficiency WEIGHTS... [OPTIONS]",
    doctor: "ibsd doctor PAIRS [OPTIONS]",
    register: "ibsd register HR_FOLDER LR_FOLDER -o PAIRS [OPTIONS]",
    serve: "ibsd serve [OPTIONS]",
    models: "ibsd models [OPTIONS]",
    students: "ibsd students [NETWORK...] [OPTIONS]",
}


def reflowed(doc: str) -> str:
    """A docstring with each paragraph on one line, so that a terminal of any width can wrap it."""
    lines = [""]
    for line in inspect.cleandoc(doc).splitlines():
        words = line.lstrip()
        indent = len(line) - len(words)
        above = lines[-1].lstrip()
        is_text = bool(words and above) and "-" not in (words[0], above[0])
        if is_text and indent == len(lines[-1]) - len(above):
            lines[-1] += f" {words}"
        else:
            lines.append(line)
    return "\n".join(lines[1:])


for order, (command, usage) in enumerate(USAGE.items()):
    command.__doc__ = reflowed(command.__doc__ or "")
    app.command(command, sort_key=order, usage=f"Usage: {usage}")


@app.command(name="--completion", usage="Usage: ibsd --completion SHELL")
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a completion script for a shell.

    For example:

    $ ibsd --completion bash >> ~/.bashrc

    $ ibsd --completion fish > ~/.config/fish/completions/ibsd.fish
    """
    print(app.generate_completion(shell=shell))


app["--help"].group = app["--version"].group = app["--completion"].group = "Other"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `ibsd arguments...` (default: those of the process) and returns the exit code."""
    if arguments is None and memory_is_limited():
        code = in_child(lambda: main(sys.argv[1:]))
        return complain(NO_MEMORY) if code is None else code
    given = list(sys.argv[1:] if arguments is None else arguments)
    settle_streams()
    try:
        os.getcwd()
    except OSError:
        return complain("the working folder is gone: change to another one")
    if any("\0" in argument for argument in given):
        return complain("an argument holds a null byte: check the command line")
    try:
        # A signal raises, so that partial files, private folders and processes are cleaned up.
        with StopRequests(at_once=True):
            code = app(given, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except InputError as error:
        return complain(str(error))
    except CycloptsError as error:
        return complain(usage_error(error, given))
    except Ended as ended:
        return 128 + ended.signal
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (SystemExit, io.UnsupportedOperation) as left:  # so rich leaves a broken pipe
        if isinstance(left.__context__, BrokenPipeError):
            return BROKEN_PIPE
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return complain(f"the name {str(error.filename)[:60]}... is too long: shorten it")
        if isinstance(error, OSError) and error.errno in FORBIDDEN and error.filename:
            return complain(
                f"{os.fsdecode(error.filename)} cannot be read or written ({error.strerror}): "
                "allow it, or choose another place"
            )
        if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
            return complain(f"the name {str(error.object)[:60]!a} is not UTF-8: rename it")
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and not missing.startswith("ibsd"):
            extra = "export" if given[:1] == ["export"] else "train"
            package = f"'ibsd[{extra}]'" if missing in TRAINING_PACKAGES else "ibsd"
            return complain(f"{missing} is not installed: pip install {package} brings it")
        sentence = exhausted(error) or (NO_MEMORY if memory_is_used_up() else None)
        return complain(sentence) if sentence else apologise(given)


def settle_streams() -> None:
    """Lets stdout and stderr print any file name. Opens them if they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed when this process started
            stream = open(os.devnull, "w")  # noqa: SIM115  (for as long as the process lives)
            setattr(sys, name, stream)
        if reconfigure := getattr(stream, "reconfigure", None):
            with suppress(OSError):  # another file has taken its descriptor, as a pipe
                reconfigure(errors="backslashreplace")


def usage_error(error: CycloptsError, given: Sequence[str]) -> str:
    """The sentence for a command line that cannot be understood."""
    if isinstance(error, UnknownCommandError):
        names = [name for name in app if not name.startswith("-")]
        near = difflib.get_close_matches(given[0], names, n=1, cutoff=0.75)
        advice = f"did you mean {near[0]}? There are" if near else "choose one of"
        return f"there is no command {given[0]!r}: {advice} {', '.join(names)}"
    command = f"ibsd {given[0]}" if given and given[0] in app else "ibsd"
    if "-" in given:
        return f"'-' is no file, and standard input is not read: name a file: see {command} --help"
    said = " ".join(str(error).split()).rstrip(".")
    return f"{said} See {command} --help" if said.endswith("?") else f"{said}: see {command} --help"


def complain(sentence: str) -> int:
    sentence = sentence.removeprefix("ibsd: ")  # the objective of that name begins so too
    with suppress(OSError):  # stderr may be a file on a full disk, or a pipe that nobody reads
        print(printable(f"ibsd: {sentence}"), file=sys.stderr)
    return 2


def apologise(given: Sequence[str]) -> int:
    command = shlex.join(["ibsd", *given])
    with suppress(OSError):  # as above
        traceback.print_exc()
        print(
            f"\nibsd {ibsd.__version__}: this is a defect of ibsd, not of your input; "
            f"please report it with the lines above and: {command}",
            file=sys.stderr,
        )
    return 1
