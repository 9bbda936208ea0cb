"""`ibsd students` without a terminal: what each network costs."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

MEASURE = (
    "from ibsd.commands.students import measure; import sys; "
    "print(*measure(sys.argv[1], *map(int, sys.argv[2:])))"
)


def describe_network(name: str, scale: int, timing: tuple[int, int, int] | None) -> dict[str, Any]:
    """Costs and properties of a network at a scale. `timing` is side, repeats and threads."""
    import torch

    from ibsd.efficiency.count import count_cost
    from ibsd.students import create_student

    with torch.device("meta"):
        student = create_student(name, scale)
    spec = student.spec
    card = student.card
    row: dict[str, Any] = {"name": name} | dataclasses.asdict(count_cost(name, scale))
    if timing:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, name, str(scale), *map(str, timing)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"timing {name}: {done.stderr}")
        seconds, memory = done.stdout.split()
        row |= {"milliseconds": 1000 * float(seconds), "memory_bytes": int(memory)}
    return row | {
        "nodes": f"{spec.num_nodes} of {spec.channels} channels",
        "receptive_field_px": spec.receptive_field_px,
        "minimum_size_px": spec.minimum_size_px,
        "pools_globally": spec.pools_globally,
        "tiling": student.tiling_advice(),
        "paper": card.paper,
        "weights": card.weights,
    }


def measure(name: str, scale: int, side: int, repeats: int, threads: int) -> tuple[float, int]:
    """(median seconds, most memory in bytes) of a fresh network on a square picture, in a process
    that has done nothing else."""
    import torch

    from ibsd.efficiency.measure import median_seconds, peak_memory_bytes
    from ibsd.students import create_student

    torch.set_num_threads(threads)
    student = create_student(name, scale).eval()
    lr = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        student(lr[..., :16, :16])  # what torch loads on first use is not the network's
    memory = peak_memory_bytes(student, lr)
    return median_seconds(student, lr, repeats), memory
