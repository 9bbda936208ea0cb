"""Weight files that stand alone: safetensors whose metadata say how to rebuild the student and
where the weights come from."""

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
    """Writes the student's weights under their published keys. The file holds the student alone,
    and appears whole or not at all.

    Args:
        student: the network; it is not changed.
        path: the file to write; its folder is made if missing.
        metadata: further metadata, as text. `student` (name, scale and options as JSON) is always
            there.
        half: store in half precision; `load_student` reads it back into fp32.

    Errors: InputError if the file cannot be written; an older file then stays as it was.
    """
    path = Path(path)
    spec = student.spec
    metadata = {
        "student": json.dumps({"name": spec.name, "scale": spec.scale, "options": spec.options}),
        **(metadata or {}),
    }
    state = {
        key: (tensor.half() if half else tensor).detach().cpu().contiguous()
        for key, tensor in student.state_dict().items()
    }
    with suppress(OSError):  # write_whole gives the reason
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(state, metadata))
    return path
