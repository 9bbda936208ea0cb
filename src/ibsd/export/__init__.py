"""Students as files for others: weights, and models for other runtimes."""

from ibsd.export.export import ParityError, export_student
from ibsd.export.weights import save_student

__all__ = ["ParityError", "export_student", "save_student"]
