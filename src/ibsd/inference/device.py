"""The device that torch runs on, and the number of threads of the other runtimes."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ibsd.system import num_cores
from ibsd.types import InputError, require

if TYPE_CHECKING:
    import torch


def choose_device(name: str, key: str = "--device") -> torch.device:
    """The device called `name`. "auto" is CUDA if torch finds it, else the CPU.

    Args:
        name: "auto", "cpu", "cuda" or "cuda:0".
        key: the name of the setting in errors.

    Errors: InputError for another name, or a device that is not there.
    """
    require_device(name, key)
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(f"{key} is {name!r}, and torch finds no CUDA device here; use cpu or auto")
    if (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"{key} is {name!r}, and torch finds {torch.cuda.device_count()} CUDA devices here, "
            "counted from 0; choose one of them"
        )
    return device


def require_device(name: str, key: str = "--device") -> None:
    """InputError for a name that `choose_device` does not know. Imports no torch."""
    known = re.fullmatch(r"auto|(cpu|cuda)(:(0|[1-9]\d?))?", name) is not None
    require(key, name, known, "auto, cpu, cuda or cuda:0")


def has_cuda() -> bool:
    """Whether torch is installed and finds a CUDA device. Imports torch only where there is a
    driver."""
    has_driver = Path("/proc/driver/nvidia/version").exists() or bool(shutil.which("nvidia-smi"))
    if not has_driver or importlib.util.find_spec("torch") is None:
        return False
    return choose_device("auto").type == "cuda"


def small_kernel_threads() -> int:
    """Threads of torch for training: OMP_NUM_THREADS where it is set, else half the cores that this
    process may use, 1 to 4.

    Patches keep no more busy, and torch's threads wait for each other in a loop: with as many as
    there are cores, one other program that works costs most of the speed.
    """
    return thread_limit() or max(1, min(4, num_cores() // 2))


def thread_limit() -> int:
    """The number of threads in OMP_NUM_THREADS, which torch reads too; 0 if it is not set."""
    try:
        return max(0, int(os.environ.get("OMP_NUM_THREADS", "")))
    except ValueError:
        return 0
