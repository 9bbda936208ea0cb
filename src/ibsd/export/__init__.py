"""Students as files for others to use."""

from ibsd.export.weights import save_student

__all__ = ["save_student"]
