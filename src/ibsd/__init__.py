"""IBSD: information-bottleneck self-distillation for real-world super-resolution.

Read the package in this order: `types`, `distillation/ibsd.py` (the method), `information/` (its
bound and estimators), `students/`, `training/`. The names below are loaded when first used, so that
`import ibsd` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibsd import distillation, information, metrics
    from ibsd.students import create_student, load_student, tap
    from ibsd.types import Batch, InputError, LossReport, Trace
    from ibsd.upscaling import upscale

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "InputError",
    "LossReport",
    "Trace",
    "__version__",
    "create_student",
    "distillation",
    "information",
    "load_student",
    "metrics",
    "tap",
    "upscale",
]

_HOMES = {
    "Batch": "ibsd.types",
    "InputError": "ibsd.types",
    "LossReport": "ibsd.types",
    "Trace": "ibsd.types",
    "create_student": "ibsd.students",
    "load_student": "ibsd.students",
    "tap": "ibsd.students",
    "upscale": "ibsd.upscaling",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in ("distillation", "information", "metrics"):
        return importlib.import_module(f"ibsd.{name}")
    raise AttributeError(f"module 'ibsd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
