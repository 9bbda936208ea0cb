"""A model from `ibsd export`, .xml or .onnx, in OpenVINO on the CPU, in fp32, bf16 or int8. Imports
no torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.inference.device import thread_limit
from ibsd.inference.exported import METADATA_KEY, not_runnable, read_metadata
from ibsd.inference.network import Network, NetworkDescriptor, Runner
from ibsd.inference.openvino_graph import arrange, mix
from ibsd.inference.parity import CERTIFICATE_PX, CERTIFIED_DB, certificate_picture, psnr_db
from ibsd.inference.silent import import_silent
from ibsd.types import InputError

openvino: Any = import_silent("openvino")


def open_openvino(
    path: Path,
    precision: str = "auto",
    certified: set[str] | None = None,
    towards: tuple[Path, float] | None = None,
) -> Network:
    """The model in a file.

    Args:
        path: the .xml file, its .bin beside it; or an .onnx file in fp32.
        precision: "fp32", "bf16" or "int8". "auto" is int8 for an int8 model, else bf16 if the CPU
            has it and `certified` allows it, else fp32. The certificate of an .onnx file says
            nothing of bf16, so it is tried on a small picture.
        certified: the precisions that "auto" may choose beside the file's own.

    Errors: InputError if the file is no such model, or if it does not have the precision.
    """
    core: Any = openvino.Core()
    model = _read(core, path)
    from_onnx = path.suffix == ".onnx"
    place = ["framework", METADATA_KEY] if from_onnx else METADATA_KEY
    text = str(model.get_rt_info(place).astype(str)) if model.has_rt_info(place) else None
    descriptor, stored = read_metadata(text, path)
    if from_onnx:
        _widen(model)
        if towards is not None:
            other = _read(core, towards[0])
            _widen(other)
            mix(model, other, towards[1])
        arrange(model)
    exact = lru_cache(lambda: _compiled(path, core, model, "f32"))
    if stored == "int8":
        if precision not in ("auto", "int8"):
            raise InputError(
                f"{path} was exported in int8 and cannot run in {precision}: "
                "name the model without int8"
            )
        # The file fixes which layers are in int8; the hint is for the others.
        fast = has_bf16()
        run = _exact_for_one_pixel(_compiled(path, core, model, "bf16"), exact) if fast else exact()
        return Network(descriptor, run, "openvino", "int8")
    if precision == "int8":
        raise InputError(
            f"{path} was not exported in int8: "
            "make a model that is with ibsd export --format openvino --int8"
        )
    allowed = has_bf16() and (from_onnx or "bf16" in (certified or ()))
    if precision == "fp32" or (precision == "auto" and not allowed):
        return Network(descriptor, exact(), "openvino", "fp32")
    run = _exact_for_one_pixel(_compiled(path, core, model, "bf16"), exact)
    if precision == "auto" and from_onnx and not _is_close(run, exact(), descriptor):
        return Network(descriptor, exact(), "openvino", "fp32")
    return Network(descriptor, run, "openvino", "bf16", exact)


def _read(core: Any, path: Path) -> Any:
    try:
        return core.read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{path} cannot be read as an OpenVINO model ({reason}): export it again"
        ) from None


def _widen(model: Any) -> None:
    """Shipped .onnx files hold their weights in half precision, which are widened once here. With
    `arrange` the model is as `ibsd export` writes an .xml."""
    passes = import_silent("openvino.passes")
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(model)


def _is_close(run: Runner, exact: Runner, descriptor: NetworkDescriptor) -> bool:
    """Whether a reduced precision passes on the small picture."""
    lr = descriptor.pad(certificate_picture(CERTIFICATE_PX, CERTIFICATE_PX + 8))
    return bool(psnr_db(run(lr), exact(lr)) >= CERTIFIED_DB)


def _exact_for_one_pixel(run: Runner, exact: Callable[[], Runner]) -> Runner:
    """`run`, with a single pixel in fp32: OpenVINO 2026.4 adds convolutions of one pixel wrongly
    in bf16 (16 dB, seen on AMD's AVX-512)."""
    return lambda lr: (exact() if lr.shape[-2:] == (1, 1) else run)(lr)


def has_bf16() -> bool:
    """Whether the CPU computes in bf16 itself, rather than by emulation."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _compiled(path: Path, core: Any, model: Any, hint: str) -> Runner:
    """The model compiled for the CPU. `hint`, "f32" or "bf16", is the precision of the layers whose
    precision the file does not fix."""
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "PERFORMANCE_HINT": "LATENCY",
        # By itself OpenVINO binds the threads of every process to the same first cores.
        "ENABLE_CPU_PINNING": "NO",
    }
    if thread_limit():
        settings["INFERENCE_NUM_THREADS"] = str(thread_limit())
    try:
        request = core.compile_model(model, "CPU", settings).create_infer_request()
    except RuntimeError as error:
        raise not_runnable(path, error) from error

    def run(lr: np.ndarray) -> np.ndarray:
        try:
            request.infer(np.ascontiguousarray(lr), share_inputs=True)
            # A copy, because the next call writes into the same memory.
            return request.get_output_tensor().data.astype(np.float32)
        except RuntimeError as error:
            raise not_runnable(path, error) from error

    return run
