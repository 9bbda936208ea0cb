"""The fast form of a user's weights: an exported model, made once and kept in the user's cache.

A model is code that a runtime executes. So the cache is used only if it belongs to the user and
nobody else may write there, and a model only if all its files are those of its certificate.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ibsd
from ibsd.inference.device import has_cuda
from ibsd.inference.exported import exported_name, read_certificate, sha256_of
from ibsd.inference.open import RUNTIMES, chosen_file, installed
from ibsd.system import cache_folder, is_private
from ibsd.types import InputError
from ibsd.weights import named_or_file

VARIABLE = "IBSD_MODELS"
"""This environment variable at "never" leaves everything to torch, unless a model is named."""
MOST_MODELS = 20
"""The oldest beyond these are removed."""


def fast_weights(
    weights: str | Path,
    *,
    backend: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    log: Callable[[str], None] = print,
) -> Path:
    """The file to give to `open_network`: a cached model of the weights if that is faster, else the
    weights. The arguments are those of `open_network`. `log` gets a sentence before a model is
    made.

    There is no cached model for CUDA, int8, fp16, the torch backends, weights with a model beside
    them, and without a runtime or the packages that write models. A damaged model is made again. If
    no model can be made, the weights are returned: nothing here is an error.
    """
    weights = named_or_file(weights)
    runtime = next((name for name in RUNTIMES if backend in ("auto", name) and installed(name)), "")
    if (
        os.environ.get(VARIABLE) == "never"
        or weights.suffix not in (".safetensors", ".pth", ".pt")
        or not weights.is_file()
        or not runtime
        or precision not in ("auto", "fp32", "bf16")
        or device.startswith("cuda")
        or _has_model(weights, backend, precision, device)
        or not all(map(importlib.util.find_spec, ("torch", "onnx", "onnxscript")))
        or has_cuda()
    ):
        return weights
    try:
        folder = cache_folder()
        if not is_private(folder):
            return weights
        place = folder / f"model-{_key(weights, runtime)}"
        model = exported_name(place / weights.name, runtime)
        if not _is_whole(model):
            from ibsd.students import load_student

            load_student(weights)  # whose errors are for `open_network` to raise
            log(f"making a fast model of {weights}, once; it is kept in {folder}")
            _make(weights, runtime, model, log)
        return model if _is_whole(model) else weights
    except (OSError, InputError):
        return weights


def _has_model(weights: Path, backend: str, precision: str, device: str) -> bool:
    try:
        return chosen_file(weights, backend, precision, device)[1] != weights
    except InputError:  # none is there
        return False


def _key(weights: Path, runtime: str) -> str:
    version = importlib.metadata.version(RUNTIMES[runtime])
    parts = (sha256_of(weights), weights.name, ibsd.__version__, runtime, version)
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]


def _is_whole(model: Path) -> bool:
    """Whether the model's files are the user's own, and those that were certified."""
    certificate = read_certificate(model)
    if certificate is None or not is_private(model.parent):
        return False
    files: dict[str, str] = certificate["files"]
    return all(is_private(model.with_name(name)) for name in files)


def _make(weights: Path, runtime: str, model: Path, log: Callable[[str], None]) -> None:
    """Makes the model's folder, which appears whole. Another process may be faster."""
    from ibsd.export import export_student

    place = model.parent
    with tempfile.TemporaryDirectory(prefix=".model-", dir=place.parent) as partial:
        made = Path(partial) / "made"
        made.mkdir(mode=0o700)
        try:
            export_student(weights, runtime, made / model.name)
        except Exception as error:  # of a converter, or a model that differs from torch
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            log(f"no fast model could be made ({reason}): the weights themselves are used")
            return
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            os.rename(made, place)
    models = sorted(place.parent.glob("model-*"), key=lambda path: path.stat().st_mtime)
    for old in models[:-MOST_MODELS]:
        shutil.rmtree(old, ignore_errors=True)
