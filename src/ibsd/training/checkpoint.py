"""Checkpoints: folders of safetensors parts and one JSON, written whole, checked when read, without
code.

A state may nest dicts, lists, tensors and plain values. Tensors go into parts of at most 16 MB, all
else into `checkpoint.json`, with the SHA-256 of each part. A file beside it holds its own SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ibsd.types import InputError

FORMAT = 2
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda state: {"processes": 1} | state
}
"""What turns the state of each earlier format into one of the next."""
PART_BYTES = 15 * 10**6
"""Bytes of tensors in a part, so that a part with its header stays under 16 MB. A larger tensor is
flattened and split."""


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Writes `folder`/step-NNNNNNNN and removes all but the newest `keep`.

    Errors: InputError if it cannot be written. All that was there stays then.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = _take_apart(state, tensors, "")
    final = folder / f"step-{step:08d}"
    partial = folder / f".{final.name}.{os.getpid()}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        parts: dict[str, str] = {}
        for number, part in enumerate(_parts(tensors)):
            content = save(part)
            name = f"part-{number:03d}.safetensors"
            _write(partial / name, content)
            parts[name] = hashlib.sha256(content).hexdigest()
        record = {"format": FORMAT, "step": step, "parts": parts, "state": skeleton}
        content = json.dumps(record, allow_nan=True).encode()
        digest = f"{hashlib.sha256(content).hexdigest()}  checkpoint.json\n"
        _write(partial / "checkpoint.json", content)
        _write(partial / "checkpoint.json.sha256", digest.encode())
        if final.exists():  # the same step saved twice
            os.replace(final, partial.with_suffix(".old.partial"))
        os.replace(partial, final)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"{final}: the checkpoint could not be saved ({error.strerror or error}), earlier ones "
            "are intact; free some space and resume"
        ) from error
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    for partial in folder.glob(".step-*.partial"):
        shutil.rmtree(partial, ignore_errors=True)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = (path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{8,}", path.name))
    return sorted(path for path in found if path.is_dir())


def load_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """(step, state) with tensors on the CPU.

    Errors: InputError if anything is missing, changed or of another format.
    """
    try:
        record = json.loads(_checked_record(path))
        version = record["format"]
        if version != FORMAT and version not in MIGRATIONS:
            raise InputError(
                f"{path}: format {version!r}, and this version reads {min(MIGRATIONS)} to "
                f"{FORMAT}; use the version that wrote it"
            )
        tensors: dict[str, Tensor] = {}
        for name, digest in record["parts"].items():
            tensors |= load(_checked_bytes(path / Path(name).name, digest))
        state = _put_together(record["state"], tensors)
        for earlier in range(version, FORMAT):
            state = MIGRATIONS[earlier](state)
        return record["step"], state
    except InputError:
        raise
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: cannot be read as a checkpoint ({reason})") from None
    except SafetensorError as error:
        raise InputError(f"{path}: cannot be read as a checkpoint ({error})") from None


def load_newest(folder: Path, log: Callable[[str], None]) -> tuple[int, dict[str, Any]] | None:
    """The newest intact checkpoint, or None without any. `log` hears which ones are damaged.

    Errors: InputError if all are damaged.
    """
    checkpoints = list_checkpoints(folder)
    for path in reversed(checkpoints):
        try:
            return load_checkpoint(path)
        except InputError as error:
            log(f"{error}; trying the one before")
    if checkpoints:
        raise InputError(
            f"{folder}: none of its {len(checkpoints)} checkpoints is intact; start a new run"
        )
    return None


def load_resumable(
    folder: Path, num_steps: int, num_processes: int, log: Callable[[str], None]
) -> tuple[int, dict[str, Any]] | None:
    """`load_newest` for a run of so many steps and processes.

    Errors: InputError also for a checkpoint beyond the end of the run, or of another number of
    processes.
    """
    newest = load_newest(folder, log)
    if newest is None:
        return None
    step, state = newest
    if step > num_steps:
        raise InputError(
            f"{folder}: is at step {step}, beyond training.num_steps = {num_steps}; raise num_steps"
        )
    if (wrote := state["processes"]) != num_processes:
        raise InputError(
            f"{folder}: written by {wrote} processes, and this is a run of {num_processes}; "
            f"resume with {wrote}"
        )
    return newest


def _checked_record(path: Path) -> bytes:
    """`checkpoint.json`, which earlier versions wrote without a digest beside it."""
    record = path / "checkpoint.json"
    digest_file = path / "checkpoint.json.sha256"
    if not digest_file.is_file():
        return record.read_bytes()
    return _checked_bytes(record, "".join(digest_file.read_text().split()[:1]))


def _checked_bytes(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{path}: damaged, its checksum does not match")
    return content


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_apart(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """JSON for everything but tensors, which go to `tensors` under a running name. Keys keep their
    type, as optimisers number their parameters."""
    if isinstance(value, Tensor):
        key = f"{len(tensors):05d}{name}"
        data = value.detach().cpu().contiguous()
        pieces = [data]
        if data.nbytes > PART_BYTES:
            pieces = list(torch.split(data.flatten(), PART_BYTES // data.element_size()))
        tensors.update({f"{key}#{k}": piece.clone() for k, piece in enumerate(pieces)})
        keys = [f"{key}#{k}" for k in range(len(pieces))]
        return {"tensor": keys} if len(keys) == 1 else {"pieces": [list(data.shape), keys]}
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return {"dict": [[key, _take_apart(item, tensors, f"{name}.{key}")] for key, item in pairs]}
    if isinstance(value, list | tuple):
        items = enumerate(cast("Sequence[Any]", value))
        return {"list": [_take_apart(item, tensors, f"{name}.{k}") for k, item in items]}
    assert value is None or isinstance(value, bool | int | float | str), (
        f"{name}: {type(value)} does not go into a checkpoint"
    )
    return {"value": value}


def _put_together(skeleton: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    [(kind, content)] = skeleton.items()
    if kind == "tensor":
        [key] = content
        return tensors[key]
    if kind == "pieces":
        shape, keys = content
        return torch.cat([tensors[key] for key in keys]).view(shape)
    if kind == "dict":
        return {key: _put_together(item, tensors) for key, item in content}
    if kind == "list":
        return [_put_together(item, tensors) for item in content]
    return content


def _parts(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for key, tensor in tensors.items():
        if size + tensor.nbytes > PART_BYTES and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][key] = tensor
        size += tensor.nbytes
    return parts
