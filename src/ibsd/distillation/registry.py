"""Objectives by name: the name in a config, and where the class is. Nothing else knows them all."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from ibsd.distillation.ibsd import IBSD
from ibsd.distillation.objective import Objective

HOMES = {
    "plain": "plain:Plain",
    "ibsd": "ibsd:IBSD",
    "specialise": "specialise:Specialise",
    "feature-norm": "feature_norm:FeatureNorm",
    "byot": "byot:BYOT",
    "ps-kd": "ps_kd:PSKD",
    "dlb": "dlb:DLB",
    "ema-teacher": "ema_teacher:EMATeacher",
    "cdc": "cdc:ComponentLoss",
    "perceptual": "perceptual:Perceptual",
    "view-alignment": "view_alignment:ViewAlignment",
    "regularised": "regularised:Regularised",
}

OBJECTIVES: dict[str, type[Objective]] = {
    name: resolve_name(f"ibsd.distillation.{home}") for name, home in HOMES.items()
}


def declared_options(objective: type[Objective]) -> Callable[..., Any]:
    """What declares the options of an objective: its dataclass, or else its constructor."""
    return objective.declared if issubclass(objective, IBSD) else objective
