"""A weight file as a model for another runtime, certified before it appears."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ibsd.export.certificate import Comparison, compared, verdict, versions
from ibsd.export.graph import exported_facts, picture_of
from ibsd.export.weights import save_student
from ibsd.inference.exported import (
    NetworkFacts,
    certificate_path,
    exported_name,
    metadata_block,
    sha256_of,
)
from ibsd.inference.open import BackendNetwork, Opened
from ibsd.students import Student, load_student
from ibsd.system import write_whole
from ibsd.types import InputError
from ibsd.weights import named_or_file

FORMATS = ("onnx", "openvino", "ncnn", "safetensors")
NEEDS = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "ncnn": ("pnnx", "ncnn"),
    "safetensors": (),
}
"""Packages by format, for making it and for running it once."""

ENDINGS = {
    "onnx": (".onnx",),
    "openvino": (".xml", ".bin"),
    "ncnn": (".param", ".bin"),
    "safetensors": (".safetensors",),
}
"""The files of a format; the first is the one that is named, and appears last."""


class ParityError(Exception):
    """An exported model does not compute what the student computes: a defect of ibsd or of a
    converter, not of the user's input."""


def export_student(
    weights: str | Path,
    format: str,
    output: str | Path | None = None,
    *,
    int8: bool = False,
    force: bool = False,
) -> tuple[Path, dict[str, list[Comparison]]]:
    """Writes the network in a weight file as a model, with a parity certificate beside it.

    Args:
        weights: safetensors, a published .pth, or shipped weights by name.
        format: "onnx", "openvino", "ncnn" or "safetensors" (the weights alone, in fp32 under their
            published keys).
        output: the file to write, with the format's ending (.onnx, .xml, .param, .safetensors); by
            default beside the weights, where `open_network` finds it: NAME.onnx, NAME.xml,
            NAME-ncnn.param, NAME-plain.safetensors, with int8 NAME-int8.onnx. For shipped weights
            by name the same in the current folder, so that nothing is written into the package.
        int8: ONNX and OpenVINO only: weights and activations in 8 bits, calibrated on the
            photographs inside the package.
        force: replace files that exist.

    Returns:
        The named file, and what the certificate compared, by precision: for OpenVINO where the CPU
            has bf16, that too.

    Raises:
        InputError: a file that is no known network, an unknown format, a missing package, an output
            that exists or has another ending.
        ParityError: the model differs from torch by more than `certificate.LIMITS_DB`; nothing is
            written then.
    """
    if format not in FORMATS:
        raise InputError(f"format is {format!r}: choose {', '.join(FORMATS)}")
    if int8 and format not in ("onnx", "openvino"):
        raise InputError(
            f"{format} is not exported in int8: choose onnx or openvino, or leave int8 out"
        )
    target = Path(output) if output is not None else exported_name(Path(weights), format, int8)
    weights = named_or_file(weights)
    student = load_student(weights)
    _check_target(target, weights, format, force)
    _require(format, int8)
    facts, precision = exported_facts(student), "int8" if int8 else "fp32"
    block = metadata_block(facts, sha256_of(weights), precision)
    with suppress(OSError):  # the next line says what is wrong
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        workplace = tempfile.TemporaryDirectory(prefix=".ibsd-export-", dir=target.parent)
    except OSError as error:
        raise InputError(
            f"{target.parent} cannot be written to ({error.strerror}): choose another output"
        ) from error
    with workplace as folder:
        _check_space(student, Path(folder))
        made = Path(folder) / target.name
        _WRITERS[format](student, facts, json.dumps(block), made, int8)
        certified = _certified(student, facts, made, format, precision)
        files = {
            made.with_suffix(ending).name: sha256_of(made.with_suffix(ending))
            for ending in ENDINGS[format]
        }
        certificate = block | {
            "format": format,
            "files": files,
            "precisions": {name: verdict(found, name) for name, found in certified.items()},
            "versions": versions(),
        }
        if not certificate["precisions"][precision]["passed"]:
            raise ParityError(
                f"{target} was not written, because the model differs from torch: {json.dumps(certificate['precisions'])}"
            )
        for ending in reversed(ENDINGS[format]):
            os.replace(made.with_suffix(ending), target.with_suffix(ending))
        write_whole(certificate_path(target), json.dumps(certificate, indent=1) + "\n")
    return target, certified


def _certified(
    student: Student, facts: NetworkFacts, made: Path, format: str, precision: str
) -> dict[str, list[Comparison]]:
    """Comparisons by precision, through the same code that `ibsd upscale` runs."""

    def run(name: str, opened: Opened) -> list[Comparison]:
        return compared(student, BackendNetwork(name, opened), facts)

    if format == "openvino":
        from ibsd.inference.openvino_backend import has_bf16, open_openvino

        names = (precision, "bf16") if precision == "fp32" and has_bf16() else (precision,)
        return {name: run(format, open_openvino(made, name)) for name in names}
    if format == "onnx":
        from ibsd.inference.onnx_backend import open_onnx

        return {precision: run(format, open_onnx(made))}
    if format == "ncnn":
        from ibsd.export.ncnn import open_ncnn

        return {precision: run(format, open_ncnn(made, facts))}
    from ibsd.inference.torch_backend import open_torch

    return {precision: run("torch", open_torch(made, precision="fp32", device="cpu"))}


def _onnx(student: Student, facts: NetworkFacts, metadata: str, path: Path, int8: bool) -> None:
    from ibsd.export.onnx import write_onnx

    write_onnx(picture_of(student), facts, metadata, path)
    if int8:
        from ibsd.export.quantisation import quantise_onnx

        quantise_onnx(path, metadata, facts, path)


def _openvino(student: Student, facts: NetworkFacts, metadata: str, path: Path, int8: bool) -> None:
    from ibsd.export.openvino import write_openvino

    onnx_model = path.with_suffix(".onnx")
    _onnx(student, facts, metadata, onnx_model, False)
    write_openvino(onnx_model, metadata, facts, path, int8)


def _ncnn(student: Student, facts: NetworkFacts, metadata: str, path: Path, int8: bool) -> None:
    from ibsd.export.ncnn import write_ncnn

    write_ncnn(picture_of(student, plain_contrast=True), facts, path)


def _safetensors(
    student: Student, facts: NetworkFacts, metadata: str, path: Path, int8: bool
) -> None:
    save_student(student, path, {"ibsd": metadata})


_WRITERS: dict[str, Callable[[Student, NetworkFacts, str, Path, bool], None]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "ncnn": _ncnn,
    "safetensors": _safetensors,
}


def _check_space(student: Student, folder: Path) -> None:
    """OSError if there is no room for all that converters leave in the folder, because some of them
    crash where they cannot write."""
    weights = sum(tensor.nbytes for tensor in student.state_dict().values())
    if (
        shutil.disk_usage(folder).free < 8 * weights + 2**20
    ):  # pnnx leaves five times the weights and 300 kB
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.parent))


def _check_target(target: Path, weights: Path, format: str, force: bool) -> None:
    ending = ENDINGS[format][0]
    if target.suffix != ending:
        raise InputError(
            f"{target} does not end as {format} does: name it {target.with_suffix(ending).name}"
        )
    paths = [target.with_suffix(each) for each in ENDINGS[format]] + [certificate_path(target)]
    for path in paths:
        if path.exists() and path.samefile(weights):
            raise InputError(f"{path} is the weight file itself: choose another output")
        if os.path.lexists(path) and not force:
            raise InputError(
                f"{path} exists already: choose another output, or --force to replace it"
            )


def _require(format: str, int8: bool) -> None:
    needed = (*NEEDS[format], *(("nncf",) if int8 else ()))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        extra = "export,int8" if int8 else "export"
        raise InputError(
            f"{format} needs {', '.join(missing)}: install them with pip install 'ibsd[{extra}]'"
        )
