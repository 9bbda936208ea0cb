"""Exported models as files: their metadata, their names and their certificates. Imports no
runtime."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ibsd.inference.network import NetworkDescriptor
from ibsd.system import is_out_of_memory
from ibsd.types import InputError
from ibsd.weights import no_such_file

BACKEND_OF_SUFFIX = {".xml": "openvino", ".onnx": "onnx"}
METADATA_KEY = "ibsd"
"""The key under which a model file stores its metadata, one line of JSON."""


def metadata_block(
    descriptor: NetworkDescriptor, weights_sha256: str, precision: str
) -> dict[str, Any]:
    """The metadata of an exported file, which its certificate repeats."""
    return {"network": asdict(descriptor), "weights_sha256": weights_sha256, "precision": precision}


def read_metadata(text: str | None, path: Path) -> tuple[NetworkDescriptor, str]:
    """Descriptor and precision in the metadata `text` of the file `path`. InputError if there are
    none: `ibsd export` did not make the file."""
    try:
        block = json.loads(text or "")
        descriptor = NetworkDescriptor(**block["network"])
        precision = block["precision"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(
            f"{path} does not say what network it holds: "
            "name a model that ibsd export has made, or a weight file"
        ) from None
    _check_descriptor(descriptor, path)
    if precision not in ("fp32", "bf16", "fp16", "int8"):
        raise _wrong_metadata(path, "precision", precision)
    return descriptor, precision


LIMITS = {
    "scale": (1, 8),
    "receptive_field_px": (0, 2**20),
    "minimum_size_px": (0, 4096),
    "multiple_px": (1, 4096),
    "tile_px": (1, 2**20),
}
"""The least and the largest value of each number in the metadata."""


def _check_descriptor(descriptor: NetworkDescriptor, path: Path) -> None:
    """Every value decides how much is computed or allocated, so none is taken on trust."""
    for name, value in asdict(descriptor).items():
        if name in LIMITS:
            least, largest = LIMITS[name]
            is_unknown = name == "receptive_field_px" and value is None
            sound = is_unknown or (type(value) is int and least <= value <= largest)
        else:
            sound = isinstance(value, str if name == "name" else bool)
        if not sound:
            raise _wrong_metadata(path, name, value)


def _wrong_metadata(path: Path, name: str, value: object) -> InputError:
    return InputError(
        f"{path} says that its {name} is {str(value)[:40]!r}, as no network has it: "
        "its metadata are damaged, so export it again"
    )


def not_runnable(path: Path, error: Exception) -> InputError:
    """The error for a model that its runtime reads and cannot run. An allocation that failed stays
    what it is."""
    if is_out_of_memory(error):
        raise error
    reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return InputError(f"{path} cannot be run ({reason}): export it again")


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes. InputError if it cannot be read."""
    if path.exists() and not path.is_file():  # a named pipe would be read without end
        raise InputError(f"{path}: cannot be read, it is no file")
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise no_such_file(path) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def certificate_path(path: Path) -> Path:
    """The certificate's file beside an exported file."""
    return path.with_name(f"{path.name}.certificate.json")


def read_certificate(path: Path) -> dict[str, Any] | None:
    """The certificate beside an exported file; None if it is missing, or if any file of the model
    is another one."""
    if not certificate_path(path).is_file():  # a named pipe would be read without end
        return None
    try:
        certificate = json.loads(certificate_path(path).read_text(encoding="utf-8"))
        files: dict[str, str] = certificate["files"]
        own = [sha256_of(path.with_name(name)) == digest for name, digest in files.items()]
        return certificate if path.name in files and all(own) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def certified_precisions(path: Path) -> set[str]:
    """The precisions in which the exported file passed its certificate; empty without one."""
    certificate = read_certificate(path) or {}
    try:
        precisions = certificate.get("precisions", {}).items()
        return {name for name, result in precisions if result.get("passed")}
    except AttributeError:  # of another form
        return set()


def exported_name(weights: Path, format: str, int8: bool = False) -> Path:
    """Where `ibsd export` writes by default: NAME.onnx, NAME.xml, NAME-ncnn.param,
    NAME-plain.safetensors, the folder NAME-web; with int8 NAME-int8.onnx and NAME-int8.xml."""
    ending = {
        "onnx": ".onnx",
        "openvino": ".xml",
        "ncnn": "-ncnn.param",
        "safetensors": "-plain.safetensors",
        "web": "-web",
    }[format]
    return weights.with_name(weights.stem + ("-int8" if int8 else "") + ending)


def certified_model(weights: Path, backend: str, precision: str) -> Path | None:
    """The model beside a weight file, if it was exported from these very weights and is certified.
    OpenVINO takes an .onnx file too. The int8 model counts only if `precision` is int8."""
    int8 = precision == "int8"
    formats = ("openvino", "onnx") if backend == "openvino" and not int8 else (backend,)
    paths = (exported_name(weights, format, int8) for format in formats)
    return next((path for path in paths if _is_model_of(weights, path)), None)


def _is_model_of(weights: Path, path: Path) -> bool:
    if not path.is_file() or not weights.is_file():
        return False
    certificate = read_certificate(path)
    same = certificate is not None and certificate.get("weights_sha256") == sha256_of(weights)
    return same and bool(certified_precisions(path))
