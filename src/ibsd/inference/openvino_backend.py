"""A model from `ibsd export --format openvino` on the CPU, in fp32, bf16 or int8. Imports no
torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from ibsd.inference.exported import METADATA_KEY, facts_from
from ibsd.inference.open import Opened, Runner, thread_limit
from ibsd.types import InputError


def open_openvino(path: Path, precision: str = "auto", certified: set[str] | None = None) -> Opened:
    """The model, ready to run. `certified` holds the precisions that "auto" may take beside the
    file's own.

    Errors: InputError for a file that is no such model, or a precision that it or the CPU does not
    have.
    """
    core = openvino.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{path} cannot be read as an OpenVINO model ({reason}): export it again"
        ) from None
    text = (
        str(model.get_rt_info(METADATA_KEY).astype(str))
        if model.has_rt_info(METADATA_KEY)
        else None
    )
    facts, stored = facts_from(text, path)
    if stored == "int8":
        if precision not in ("auto", "int8"):
            raise InputError(
                f"{path} was exported in int8 and cannot run in {precision}: name the model without int8"
            )
        exact = lru_cache(lambda: runner(core, model, "f32"))  # but for what the file fixes
        return Opened(
            facts,
            _exact_for_one_pixel(runner(core, model, "bf16"), exact) if has_bf16() else exact(),
            "int8",
        )
    if precision == "int8":
        raise InputError(
            f"{path} was not exported in int8: make one that is with ibsd export --format openvino --int8"
        )
    if precision == "auto":
        precision = "bf16" if has_bf16() and "bf16" in (certified or ()) else "fp32"
    if precision == "fp32":
        return Opened(facts, runner(core, model, "f32"), "fp32")
    exact = lru_cache(lambda: runner(core, model, "f32"))
    return Opened(
        facts, _exact_for_one_pixel(runner(core, model, precision), exact), precision, exact
    )


def _exact_for_one_pixel(run: Runner, exact: Callable[[], Runner]) -> Runner:
    """OpenVINO 2026.4 takes sums of convolutions in place wrongly in bf16 where each has a single
    pixel: 16 dB, seen on AMD's AVX-512."""
    return lambda lr: (exact() if lr.shape[-2:] == (1, 1) else run)(lr)


def has_bf16() -> bool:
    """Whether the CPU computes in bf16 rather than imitates it."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def runner(core: Any, model: Any, hint: str) -> Runner:
    """The model compiled for the CPU. `hint` is the precision of all that the file does not fix:
    "f32" or "bf16"."""
    settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    if thread_limit():
        settings["INFERENCE_NUM_THREADS"] = str(thread_limit())
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run(lr: np.ndarray) -> np.ndarray:
        request.infer(np.ascontiguousarray(lr), share_inputs=True)
        return request.get_output_tensor().data.astype(
            np.float32
        )  # a copy: the next call writes into the same memory

    return run
