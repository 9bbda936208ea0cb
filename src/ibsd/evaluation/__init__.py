"""Does it really work: scores on pairs with bicubic beside them (scores.py), across cameras and
degradations, and what nodes still know."""

from __future__ import annotations

from ibsd.evaluation.scores import ScoreRow, ScoreTable, evaluate

__all__ = ["ScoreRow", "ScoreTable", "evaluate"]
