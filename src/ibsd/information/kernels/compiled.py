"""The pairwise mean and its gradients by `bound.c`, for fp32 on the CPU, compiled once per machine.

The library lies in the user's cache folder. It is built for this processor, and its name changes
with source, compiler and processor. This process executes it. So a folder or file that others own
or may write is not used, nor a file whose bytes have changed: the library is then built anew.

Without a compiler, or where compiling fails, `why_not` says why and the eager form is used.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ibsd.system import cache_folder, is_own, is_private

SOURCE = Path(__file__).with_name("bound.c")

FLAGS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC")
TIMEOUT_S = 60
TILE = 128
"""Positions a tile, as in the source."""
ROWS = 4
PAIRS_A_THREAD = 1 << 20
"""Fewer pairs than this are not worth another thread, whose start takes some 50 microseconds."""


def pairwise_gain(f: Tensor, mu: Tensor, b: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """See `form.pairwise_gain`; fp32 on the CPU, contiguous. The result does not depend on the
    number of threads.

    Extra memory: the gradients, 8 bytes a tile, and 2 kB a thread and sample.
    """
    bound_tiles = function()
    assert bound_tiles is not None, why_not()
    batch, positions = f.shape
    gradients = (torch.empty_like(f), torch.empty_like(f), torch.empty_like(f))
    tiles = -(-positions // TILE)
    values = torch.empty(tiles, dtype=torch.float64)
    scale = 1.0 / f.numel()

    def work(first: int, last: int) -> None:
        scratch = torch.empty(4 * TILE * (-(-batch // ROWS) * ROWS))
        pointers = [x.data_ptr() for x in (f, mu, b, *gradients, values, scratch)]
        bound_tiles(*pointers, batch, positions, first, last, scale)

    threads = max(
        1, min(torch.get_num_threads(), tiles, batch * batch * positions // PAIRS_A_THREAD)
    )
    cuts = [tiles * k // threads for k in range(threads + 1)]
    others = [threading.Thread(target=work, args=cuts[k : k + 2]) for k in range(1, threads)]
    # ctypes lets go of the interpreter's lock; OpenMP's pool would be a second one beside torch's
    for thread in others:
        thread.start()
    work(*cuts[:2])
    for thread in others:
        thread.join()
    return (values.sum() * scale).float(), gradients


def why_not() -> str:
    """Why there is no compiled form here; empty if there is one."""
    return _load()[1]


def function() -> Callable[..., None] | None:
    """`bound_tiles` of the library, compiled if need be; None if that is impossible."""
    return _load()[0]


@cache
def _load() -> tuple[Callable[..., None] | None, str]:
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    compiler = next((path for name in names if name and (path := shutil.which(name))), None)
    if compiler is None:
        return None, "there is no C compiler (cc, gcc or clang)"
    try:
        prefix = f"bound-{_key(compiler)}-"
        folder = cache_folder()
        if not is_private(folder):
            # Whoever else may write there could choose what this process executes.
            with tempfile.TemporaryDirectory() as own:
                return _declared(_built(compiler, Path(own), prefix)), ""
        for path in folder.glob(f"{prefix}*.so"):
            with suppress(OSError):  # damaged, or not ours
                return _declared(_loaded(path)), ""
        return _declared(_built(compiler, folder, prefix)), ""
    except subprocess.CalledProcessError as error:
        return None, f"{compiler} failed: {error.stderr.strip()[:200]}"
    except (OSError, subprocess.TimeoutExpired, AttributeError) as error:
        return None, f"the compiled form could not be built or loaded ({error})"


def _built(compiler: str, folder: Path, prefix: str) -> ctypes.CDLL:
    """Compiles into `folder` and loads the library. Its name ends in the digest of its bytes, so
    that name and content appear at once, however many processes build."""
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        built = Path(partial) / "bound.so"
        build_library(compiler, built)
        built.chmod(0o700)
        path = folder / f"{prefix}{_digest(built.read_bytes())}.so"
        os.replace(built, path)
    return _loaded(path)


def _loaded(path: Path) -> ctypes.CDLL:
    """The library, if the file is the user's own and its bytes are those that were built. OSError
    otherwise: a damaged library may load and crash the process when it is called."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not is_own(os.fstat(descriptor)) or not path.stem.endswith(_digest(file.read())):
            raise OSError(f"{path} is not the library that was built")
        # The open file, where the system has a name for it: a path may be another file by now.
        same = Path(f"/proc/self/fd/{descriptor}")
        return ctypes.CDLL(str(same if same.exists() else path))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def build_library(compiler: str, path: Path) -> None:
    """Compiles the source into `path`. Errors: CalledProcessError with the compiler's words,
    OSError, TimeoutExpired."""
    subprocess.run(
        [compiler, *FLAGS, "-o", str(path), str(SOURCE)],
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def _key(compiler: str) -> str:
    version = subprocess.run(
        [compiler, "--version"], check=True, capture_output=True, text=True, timeout=TIMEOUT_S
    ).stdout
    processor = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        kinds = ("flags", "Features", "model name")
        processor += sorted({line for line in lines if line.startswith(kinds)})
    parts = "\n".join([SOURCE.read_text(), *FLAGS, version, *processor])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _declared(library: ctypes.CDLL) -> Callable[..., None]:
    bound_tiles: Any = library.bound_tiles
    bound_tiles.argtypes = [ctypes.c_void_p] * 8 + [ctypes.c_ssize_t] * 4 + [ctypes.c_float]
    bound_tiles.restype = None
    return bound_tiles
