"""Where a run's figures go: JSON lines always, tensorboard events where tensorboardX is installed."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Takes figures as they come, in order of steps."""

    def write(self, step: int, figures: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One JSON object per line: {"step": ..., figures}. Opened at `resumed_step`, lines of later steps are dropped: they will come again."""

    def __init__(self, path: Path, resumed_step: int = 0) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_json_lines(path) if line["step"] <= resumed_step] if resumed_step and path.is_file() else []
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        os.replace(partial, path)
        self.file = open(path, "a")  # noqa: SIM115  (closed by close)

    def write(self, step: int, figures: dict[str, float]) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        self.file.write(json.dumps({"step": step, **finite}) + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """All complete lines; a last line cut short by a killed process is passed over."""
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


class TensorBoard:
    """Scalars as tensorboard events, through tensorboardX."""

    def __init__(self, folder: Path, resumed_step: int = 0) -> None:
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=resumed_step + 1 if resumed_step else None)

    def write(self, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()
