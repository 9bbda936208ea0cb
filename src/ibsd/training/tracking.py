"""Where a run's losses, diagnostics and scores go: JSON lines always, tensorboard events where
tensorboardX is installed."""

from __future__ import annotations

import importlib
import json
import math
import time
from pathlib import Path
from typing import Any, Protocol, cast

from ibsd.system import make_folder, write_whole
from ibsd.types import InputError


class Tracker(Protocol):
    """Receives values by name, in order of steps."""

    def write(self, step: int, values: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One JSON object a line: {"step": ..., values}. When the file is opened, lines of steps after
    `resumed_step` are dropped, as they will come again, and so are lines that are not of a log.

    Errors: InputError if a folder lies in the file's place.
    """

    def __init__(self, path: Path, resumed_step: int = 0) -> None:
        self.path = path
        make_folder(path.parent)
        if path.is_dir():
            raise InputError(f"{path} is a folder where the log belongs: move it away")
        lines = read_json_lines(path) if resumed_step and path.is_file() else []
        kept = [line for line in lines if line["step"] <= resumed_step]
        self.last_step: int = max((line["step"] for line in kept), default=0)
        """The last step in the lines that were kept; 0 if there are none."""
        write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))
        self.file = open(path, "a")  # noqa: SIM115  (closed by close)

    def write(self, step: int, values: dict[str, float]) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.file.write(json.dumps({"step": step, **finite}) + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """All complete lines. A last line that a killed process cut short is left out, and so is
    whatever else is not an object with a step."""
    lines: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry: Any = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and type(cast("dict[str, Any]", entry).get("step")) is int:
            lines.append(cast("dict[str, Any]", entry))
    return lines


class TensorBoard:
    """Scalars as tensorboard events, through tensorboardX.

    Not through its SummaryWriter: that one writes in a thread, which dies when the disk is full.
    The training would then wait for it for ever.
    """

    SECONDS_BETWEEN_FLUSHES = 30.0

    def __init__(self, folder: Path, resumed_step: int = 0) -> None:
        # Protobuf makes these when imported, so that no type checker knows what is in them.
        self.events: Any = importlib.import_module("tensorboardX.proto.event_pb2")
        self.summaries: Any = importlib.import_module("tensorboardX.proto.summary_pb2")
        writer: Any = importlib.import_module("tensorboardX.event_file_writer")
        make_folder(folder)
        self.writer: Any = writer.EventsWriter(str(folder / "events"))
        self.flushed = time.monotonic()
        self.closed = False
        if resumed_step:  # hides what the last session wrote beyond it
            start = self.events.SessionLog(status=self.events.SessionLog.START)
            self.event(resumed_step + 1, session_log=start)

    def write(self, step: int, values: dict[str, float]) -> None:
        summary: Any = self.summaries.Summary
        scalars = [summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self.event(step, summary=summary(value=scalars))
        if time.monotonic() - self.flushed > self.SECONDS_BETWEEN_FLUSHES:
            self.writer.flush()
            self.flushed = time.monotonic()

    def event(self, step: int, **content: Any) -> None:
        self.writer.write_event(self.events.Event(wall_time=time.time(), step=step, **content))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.writer.close()
