"""`ibsd models` without a terminal: shipped weights and trainable networks."""

from __future__ import annotations

from typing import Any


def shipped_weights() -> list[dict[str, Any]]:
    """The weights in the package."""
    from ibsd.students import load_student
    from ibsd.weights import SHIPPED, weights_file

    rows: list[dict[str, Any]] = []
    for name, aim in SHIPPED.items():
        student = load_student(name)
        file = weights_file(name)
        parameters = sum(parameter.numel() for parameter in student.parameters())
        rows.append(
            {
                "name": name,
                "aim": aim,
                "network": student.spec.name,
                "scale": student.spec.scale,
                "parameters": parameters,
                "file": file,
                "bytes": file.stat().st_size,
            }
        )
    return rows


def network_sizes() -> dict[str, dict[int, int]]:
    """{network: {scale: parameters}}, with the options of the publication."""
    import torch

    from ibsd.students import STUDENTS, create_student
    from ibsd.types import SCALES

    with torch.device("meta"):  # counted, not filled

        def size(name: str, scale: int) -> int:
            return sum(weight.numel() for weight in create_student(name, scale).parameters())

        return {name: {scale: size(name, scale) for scale in SCALES} for name in STUDENTS}
