"""Weight files that stand alone: safetensors with the facts that rebuild the student and say where the weights come from."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors.torch import save

from ibsd.students.student import Student
from ibsd.types import InputError


def save_student(student: Student, path: str | Path, metadata: dict[str, str] | None = None) -> Path:
    """Writes the student's weights under their published keys, atomically; no auxiliary part of any training is among them.

    Args:
        metadata: more facts, as text; `student` (name, scale and options as JSON) is always there.

    Errors: InputError if the file cannot be written; what was there before stays.
    """
    path = Path(path)
    spec = student.spec
    facts = {"student": json.dumps({"name": spec.name, "scale": spec.scale, "options": spec.options}), **(metadata or {})}
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in student.state_dict().items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save(state, facts))
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: the weights could not be written ({error.strerror or error}); free some space or choose another folder") from error
    return path
