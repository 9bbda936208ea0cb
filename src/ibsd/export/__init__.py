"""Students as files for others: weights, and models for other runtimes. The names below are loaded
when first used, because `ibsd.export.web` needs no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibsd.export.export import ParityError, export_student
    from ibsd.export.weights import save_student

__all__ = ["ParityError", "export_student", "save_student"]

_HOMES = {
    "ParityError": "ibsd.export.export",
    "export_student": "ibsd.export.export",
    "save_student": "ibsd.export.weights",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ibsd.export' has no attribute {name!r}")
