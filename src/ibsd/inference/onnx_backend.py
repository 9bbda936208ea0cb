"""A model from `ibsd export --format onnx` on ONNX Runtime's CPU provider, in fp32 or int8. Imports
no torch."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.inference.device import thread_limit
from ibsd.inference.exported import METADATA_KEY, not_runnable, read_metadata
from ibsd.inference.network import Network
from ibsd.system import require_utf8
from ibsd.types import InputError

onnxruntime: Any = importlib.import_module("onnxruntime")


def open_onnx(path: Path, precision: str = "auto") -> Network:
    """The model in a file. Errors: InputError if the file is no such model, or has another
    precision."""
    require_utf8(path)
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
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    except UnicodeDecodeError:
        text = None
    descriptor, stored = read_metadata(text, path)
    if precision not in ("auto", stored):
        raise InputError(
            f"{path} was exported in {stored} and cannot run in {precision}: "
            "leave the precision out, or export it again"
        )
    name = session.get_inputs()[0].name if session.get_inputs() else ""

    def run(lr: np.ndarray) -> np.ndarray:
        try:
            sr = session.run(None, {name: np.ascontiguousarray(lr)})[0]
            return np.asarray(sr, np.float32)
        except Exception as error:  # as above
            raise not_runnable(path, error) from error

    return Network(descriptor, run, "onnx", stored)
