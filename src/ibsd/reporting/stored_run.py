"""A training run as its folder tells it: settings, log, messages, validation pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

from ibsd.training.tracking import read_json_lines
from ibsd.types import InputError

LogRows = Sequence[Mapping[str, Any]]
"""Lines of a run's log: {"step": ..., name: value}."""

VAL_PSNR = "val/psnr_y"
SEEN_PSNR = "val/seen_psnr_y"


@dataclass(frozen=True)
class StoredRun:
    """One run, finished or not."""

    name: str
    record: Mapping[str, Any]
    """The content of `run.json`."""
    rows: LogRows
    sentences: Sequence[str]
    """What was said during training, each sentence once."""
    pictures: Sequence[Path] = ()
    """Sheets of validation pictures, oldest first."""
    inference_cost: Sequence[tuple[str, str]] = ()
    """What the network takes to upscale, for the page's section on cost."""

    @property
    def config(self) -> Mapping[str, Any]:
        return self.record["config"]

    @property
    def result(self) -> Mapping[str, Any]:
        return self.record.get("result", {})

    @property
    def step(self) -> int:
        return self.result.get("step", self.rows[-1]["step"] if self.rows else 0)

    @property
    def progress(self) -> str:
        """Example: "300 of 1,000 steps"."""
        return f"{self.step:,} of {self.config['training']['num_steps']:,} steps"


def read_run_folder(folder: Path) -> StoredRun:
    """InputError if the folder holds no run, or a damaged one."""
    path = folder / "run.json"
    log = folder / "log.jsonl"
    messages = folder / "messages.log"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        check_record(record)
    except FileNotFoundError:
        raise InputError(f"{folder} holds no run.json: name a folder of ibsd train") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is damaged: name another run, or make this one again") from None
    try:
        rows = [numbers_of(row) for row in read_json_lines(log)] if log.is_file() else []
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{log} is damaged: remove it, for a report without curves") from None
    sentences: list[str] = []
    if messages.is_file():
        sentences = messages.read_text(encoding="utf-8", errors="replace").splitlines()
    return StoredRun(
        folder.absolute().name,
        record,
        rows,
        list(dict.fromkeys(sentences)),
        sorted(
            file for file in (folder / "validation").glob("step-*.png") if file.stem[5:].isdecimal()
        ),
    )


def check_record(record: Any) -> None:
    """KeyError, TypeError, AttributeError or ValueError unless all that the page needs is there and
    of its kind."""
    config = record["config"]
    result = record.get("result", {})
    for section in ("student", "objective"):
        if not isinstance(config[section]["name"], str):
            raise TypeError(section)
    counts = [config["student"]["scale"], config["training"]["num_steps"]]
    counts.append(record.get("processes", 1))
    if result:
        counts += [result["step"], result.get("skipped", 0)]
        seconds = result.get("seconds", 0.0)
        if not isinstance(result["reason"], str) or not isinstance(seconds, int | float):
            raise TypeError("result")
    if not all(type(count) is int for count in counts):
        raise TypeError("counts")
    tables = [*config.values(), record.get("versions", {}), result]
    if not all(isinstance(table, dict) for table in tables):
        raise TypeError("sections")


def numbers_of(row: Mapping[str, Any]) -> dict[str, float | None]:
    """A line of the log without values that are no numbers."""
    return {name: value for name, value in row.items() if type(value) in (int, float, NoneType)}


def with_distinct_names(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The runs named by their objectives if these differ, else by their folders, else by numbers
    too."""
    for names in ([run.config["objective"]["name"] for run in runs], [run.name for run in runs]):
        if len(set(names)) == len(runs):
            return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]
    return [replace(run, name=f"{number} {run.name}") for number, run in enumerate(runs, start=1)]
