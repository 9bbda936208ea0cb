"""OpenVINO and nncf, which tell nobody that they are used."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def import_silent(name: str) -> Any:
    """The module `name`, which is OpenVINO, nncf or a part of them.

    By themselves both report to Google Analytics, unasked, from a forked process. That process may
    hang, and it outlives `kill`. Both do without where `openvino_telemetry` cannot be imported,
    which None makes so in this process.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore
    return importlib.import_module(name)
