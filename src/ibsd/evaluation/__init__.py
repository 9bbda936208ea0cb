"""Scores of methods on pairs, with bicubic beside them, and on photographs under degradations."""

from __future__ import annotations

from ibsd.evaluation.scores import ScoreRow, ScoreTable, evaluate

__all__ = ["ScoreRow", "ScoreTable", "evaluate"]
