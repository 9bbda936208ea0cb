"""Weight files that stand alone: safetensors with the facts that rebuild the student and say where
the weights come from."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from safetensors.torch import save

from ibsd.students.student import Student
from ibsd.system import write_whole


def save_student(
    student: Student, path: str | Path, metadata: dict[str, str] | None = None, half: bool = False
) -> Path:
    """Writes the student's weights under their published keys, atomically; no auxiliary part of any
    training is among them.

    Args:
        half: store in half precision, which readers widen again.
        metadata: more facts, as text; `student` (name, scale and options as JSON) is always there.

    Errors: InputError if the file cannot be written; what was there before stays.
    """
    path = Path(path)
    spec = student.spec
    facts = {
        "student": json.dumps({"name": spec.name, "scale": spec.scale, "options": spec.options}),
        **(metadata or {}),
    }
    state = {
        key: (tensor.half() if half else tensor).detach().cpu().contiguous()
        for key, tensor in student.state_dict().items()
    }
    with suppress(OSError):  # write_whole says what is wrong
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(state, facts))
    return path
