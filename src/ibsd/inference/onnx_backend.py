"""A model from `ibsd export --format onnx` on ONNX Runtime's CPU provider, in fp32 or int8. Imports
no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from ibsd.inference.exported import METADATA_KEY, facts_from
from ibsd.inference.open import Opened, thread_limit
from ibsd.types import InputError


def open_onnx(path: Path, precision: str = "auto") -> Opened:
    """The model, ready to run. Errors: InputError for a file that is no such model, or is of
    another precision."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_limit()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its errors have no common base
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{path} cannot be read as an ONNX model ({reason}): export it again"
        ) from None
    facts, stored = facts_from(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), path)
    if precision not in ("auto", stored):
        raise InputError(
            f"{path} was exported in {stored} and cannot run in {precision}: leave the precision out, or export it again"
        )
    name = session.get_inputs()[0].name

    def run(lr: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: np.ascontiguousarray(lr)})[0])

    return Opened(facts, run, stored)
