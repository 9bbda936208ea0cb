"""Objectives by name."""

from __future__ import annotations

from ibsd.distillation.feature_norm import FeatureNorm
from ibsd.distillation.ibsd import IBSD
from ibsd.distillation.objective import Objective
from ibsd.distillation.plain import Plain

OBJECTIVES: dict[str, type[Objective]] = {"ibsd": IBSD, "plain": Plain, "feature-norm": FeatureNorm}
