"""`ibsd models` without a terminal: shipped weights and trainable networks."""

from __future__ import annotations

import importlib.util
import json
import math
from typing import Any


def shipped_weights() -> list[dict[str, Any]]:
    """The weights in the package, from the headers of their files: no torch is needed."""
    from safetensors import safe_open

    from ibsd.weights import SHIPPED, weights_file

    rows: list[dict[str, Any]] = []
    for name, aim in SHIPPED.items():
        file = weights_file(name)
        with safe_open(file, framework="numpy") as opened:
            student = json.loads(opened.metadata()["student"])
            shapes = [opened.get_slice(key).get_shape() for key in opened.keys()]  # noqa: SIM118
        rows.append(
            {
                "name": name,
                "aim": aim,
                "network": student["name"],
                "scale": student["scale"],
                "parameters": sum(map(math.prod, shapes)),
                "file": file,
                "bytes": file.stat().st_size,
            }
        )
    return rows


def network_sizes() -> dict[str, dict[int, int]]:
    """{network: {scale: parameters}}, with the options of the publication; empty without torch."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch

    from ibsd.students import STUDENTS, create_student
    from ibsd.types import SCALES

    with torch.device("meta"):  # counted, not filled

        def size(name: str, scale: int) -> int:
            return sum(weight.numel() for weight in create_student(name, scale).parameters())

        return {name: {scale: size(name, scale) for scale in SCALES} for name in STUDENTS}
