"""Networks that get boosted. `student.py` says what a student is, one file holds one network,
`registry.py` finds them by name or from a file."""

from ibsd.students.registry import STUDENTS, create_student, load_student
from ibsd.students.student import Student, StudentSpec
from ibsd.students.tap import tap

__all__ = ["STUDENTS", "Student", "StudentSpec", "create_student", "load_student", "tap"]
