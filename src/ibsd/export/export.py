"""A weight file as a model for another runtime. The model appears only after its certificate has
passed."""

from __future__ import annotations

import copy
import errno
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibsd.export.certificate import (
    ParityCheck,
    check_parity,
    package_versions,
    parity_sizes,
    parity_verdict,
)
from ibsd.export.graph import exported_descriptor, inference_graph
from ibsd.export.web import page_description, refuse_site, write_site
from ibsd.export.weights import save_student
from ibsd.inference.exported import certificate_path, exported_name, metadata_block, sha256_of
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.students import Student, load_student
from ibsd.system import make_folder, refuse_existing, require_utf8, write_json
from ibsd.types import InputError
from ibsd.weights import named_or_file


class ParityError(Exception):
    """An exported model does not compute what the student computes. That is a defect of ibsd or of
    a converter, not of the user's input."""


@dataclass(frozen=True)
class _Model:
    """A model to write."""

    student: Student
    descriptor: NetworkDescriptor
    precision: str
    metadata: str
    path: Path


def export_student(
    weights: str | Path | Student,
    format: str,
    output: str | Path | None = None,
    *,
    int8: bool = False,
    force: bool = False,
) -> tuple[Path, dict[str, list[ParityCheck]]]:
    """Writes a network as a model, with a parity certificate beside it.

    Args:
        weights: safetensors, a published .pth, shipped weights by name, or a student, such as
            `ibsd.tap` makes of any network. A student needs an `output`.
        format: "onnx", "openvino", "ncnn", "safetensors" (the weights alone, in fp32 under their
            published keys) or "web" (a static page that runs the network in the browser).
        output: the file to write, with the format's ending (.onnx, .xml, .param, .safetensors), or
            a folder for it: one that exists, or a name without an ending; for web a new or empty
            folder. Default: beside the weights, where `open_network` looks: NAME.onnx, NAME.xml,
            NAME-ncnn.param, NAME-plain.safetensors, NAME-web, with int8 NAME-int8.onnx; for shipped
            weights, in the current folder.
        int8: weights and activations in 8 bits, calibrated on the photographs inside the package;
            for onnx and openvino only.
        force: replace files that exist.

    Returns:
        The named file, and the checks of its certificate by precision. OpenVINO models are checked
            in bf16 too if the CPU has it.

    Raises:
        InputError: a file that is no known network, an unknown format, a missing package, an output
            that exists or has another ending.
        ParityError: the model differs from torch by more than `certificate.LIMITS_DB`. Nothing is
            written then.
    """
    if format not in _FORMATS:
        raise InputError(f"format is {format!r}: choose {', '.join(_FORMATS)}")
    if int8 and format not in ("onnx", "openvino"):
        raise InputError(f"{format} is not exported in int8: choose onnx or openvino")
    student, file, digest, target = _named(weights, format, output, int8)
    require_utf8(target)
    _check_target(target, file, format, force)
    _check_packages(format, int8)
    descriptor = exported_descriptor(student)
    precision = "int8" if int8 else "fp32"
    block = metadata_block(descriptor, digest, precision)
    make_folder(target.parent)
    with tempfile.TemporaryDirectory(prefix=".ibsd-export-", dir=target.parent) as folder:
        _check_space(student, Path(folder))
        path = Path(folder) / ("model.onnx" if format == "web" else target.name)
        model = _Model(student, descriptor, precision, json.dumps(block), path)
        _FORMATS[format].write(model)
        files = [path.with_suffix(ending) for ending in _FORMATS[format].endings]
        checks = {
            name: check_parity(student, network, parity_sizes(descriptor))
            for name, network in _FORMATS[format].networks(model).items()
        }
        certificate = block | _certificate(format, files, checks)
        if not certificate["precisions"][precision]["passed"]:
            differences = json.dumps(certificate["precisions"])
            raise ParityError(f"{target} not written: the model differs from torch: {differences}")
        if format == "web":
            name = target.name if file is None else file.stem
            size = sum(tensor.numel() for tensor in student.state_dict().values())
            page = page_description(name, certificate, size)
            write_site({"model.bin": path.read_bytes()}, page, certificate, target)
            return target, checks
        for path in reversed(files):
            os.replace(path, target.with_suffix(path.suffix))
        write_json(certificate_path(target), certificate)
    return target, checks


def _named(
    weights: str | Path | Student, format: str, output: str | Path | None, int8: bool
) -> tuple[Student, Path | None, str, Path]:
    """(the network, its file if it has one, the digest of its weights, the file to write)."""
    if isinstance(weights, Student):
        if output is None:
            raise InputError("a student has no file beside which its model could lie: give output")
        if format == "safetensors":
            raise InputError("weights of a student are written by ibsd.export.save_student")
        student = copy.deepcopy(weights).cpu().eval()
        return student, None, _digest(student), Path(output)
    file = named_or_file(weights)
    student = load_student(file)
    by_default = exported_name(Path(weights), format, int8)
    target = by_default if output is None else Path(output)
    if format != "web" and (not target.suffix or os.path.isdir(target)):
        target /= by_default.name
    return student, file, sha256_of(file), target


def _certificate(
    format: str, files: list[Path], checks: dict[str, list[ParityCheck]]
) -> dict[str, Any]:
    """What the certificate holds besides the model's metadata."""
    return {
        "format": format,
        "files": {path.name: sha256_of(path) for path in files},
        "precisions": {name: parity_verdict(made, name) for name, made in checks.items()},
        "versions": package_versions(),
    }


# -- the formats: how a model is written, and the networks that `ibsd upscale` would run


def _write_onnx(model: _Model) -> None:
    from ibsd.export.onnx import write_onnx

    write_onnx(inference_graph(model.student), model.descriptor, model.metadata, model.path)
    if model.precision == "int8":
        from ibsd.export.quantisation import quantise_onnx

        quantise_onnx(model.path, model.metadata, model.descriptor, model.path)


def _write_web(model: _Model) -> None:
    from ibsd.export.onnx import write_onnx

    # In browsers whole convolutions are faster (docs/decisions/0062-a-page-without-a-server.md).
    graph = inference_graph(model.student, separate=False)
    write_onnx(graph, model.descriptor, model.metadata, model.path)


def _onnx_networks(model: _Model) -> dict[str, Network]:
    from ibsd.inference.onnx_backend import open_onnx

    return {model.precision: open_onnx(model.path)}


def _write_openvino(model: _Model) -> None:
    from ibsd.export.onnx import write_onnx
    from ibsd.export.openvino import write_openvino

    onnx_model = model.path.with_suffix(".onnx")
    write_onnx(inference_graph(model.student), model.descriptor, model.metadata, onnx_model)
    int8 = model.precision == "int8"
    write_openvino(onnx_model, model.metadata, model.descriptor, model.path, int8)


def _openvino_networks(model: _Model) -> dict[str, Network]:
    from ibsd.inference.openvino_backend import has_bf16, open_openvino

    bf16 = ["bf16"] if model.precision == "fp32" and has_bf16() else []
    return {name: open_openvino(model.path, name) for name in (model.precision, *bf16)}


def _write_ncnn(model: _Model) -> None:
    from ibsd.export.ncnn import write_ncnn

    write_ncnn(inference_graph(model.student, plain_contrast=True), model.descriptor, model.path)


def _ncnn_networks(model: _Model) -> dict[str, Network]:
    from ibsd.export.ncnn import open_ncnn

    return {model.precision: open_ncnn(model.path, model.descriptor)}


def _write_safetensors(model: _Model) -> None:
    save_student(model.student, model.path, {"ibsd": model.metadata})


def _safetensors_networks(model: _Model) -> dict[str, Network]:
    from ibsd.inference.torch_backend import open_torch

    return {model.precision: open_torch(model.path, precision="fp32", device="cpu")}


@dataclass(frozen=True)
class _Format:
    write: Callable[[_Model], None]
    networks: Callable[[_Model], dict[str, Network]]
    """The written model by precision, to be certified."""
    endings: tuple[str, ...]
    """Endings of its files. The first one is the file that is named; it appears last."""
    packages: tuple[str, ...] = ()
    """Needed to write the model and to run it."""


_FORMATS = {
    "onnx": _Format(_write_onnx, _onnx_networks, (".onnx",), ("onnx", "onnxscript", "onnxruntime")),
    "openvino": _Format(
        _write_openvino, _openvino_networks, (".xml", ".bin"), ("onnx", "onnxscript", "openvino")
    ),
    "ncnn": _Format(_write_ncnn, _ncnn_networks, (".param", ".bin"), ("pnnx", "ncnn")),
    "safetensors": _Format(_write_safetensors, _safetensors_networks, (".safetensors",)),
    "web": _Format(_write_web, _onnx_networks, (".onnx",), ("onnx", "onnxscript", "onnxruntime")),
}


def _digest(student: Student) -> str:
    """A digest of the weights, for a student without a file."""
    digest = hashlib.sha256()
    for key, tensor in sorted(student.state_dict().items()):
        digest.update(key.encode() + tensor.double().numpy().tobytes())
    return digest.hexdigest()


# -- what is checked before anything is written


def _check_target(target: Path, weights: Path | None, format: str, force: bool) -> None:
    if format == "web":
        return refuse_site(target, force)
    endings = _FORMATS[format].endings
    if target.suffix != endings[0]:
        raise InputError(f"{target} must be {target.with_suffix(endings[0]).name} for {format}")
    outputs = [*(target.with_suffix(ending) for ending in endings), certificate_path(target)]
    for path in outputs:
        if weights and path.exists() and path.samefile(weights):
            raise InputError(f"{path} is the weight file itself: choose another output")
    return refuse_existing(outputs, force)


def _check_packages(format: str, int8: bool) -> None:
    packages = (*_FORMATS[format].packages, *(("nncf",) if int8 else ()))
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        extra = "export,int8" if int8 else "export"
        raise InputError(
            f"{format} needs {', '.join(missing)}: install them with pip install 'ibsd[{extra}]'"
        )


def _check_space(student: Student, folder: Path) -> None:
    """OSError if the folder has no room for the converters' files: some converters crash when they
    cannot write. pnnx needs most: five times the weights and 300 kB."""
    num_bytes = sum(tensor.nbytes for tensor in student.state_dict().values())
    if shutil.disk_usage(folder).free < 8 * num_bytes + 2**20:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.parent))
