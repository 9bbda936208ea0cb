"""The JSON of one finished run: everything that tables need, so that runs can be committed and a
later machine goes on from them.

It holds no path. Figures are rounded to 6 decimals (scores) or 6 digits (logs); all but `cost` and
`machine` come out bit for bit the same when the run is made again on the same kind of CPU, however
often it was interrupted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ibsd.comparison.identity import Identity
from ibsd.system import write_whole
from ibsd.types import InputError

FORMAT = 1
FINISHED = "finished"


@dataclass(frozen=True)
class TestScores:
    """One test set under one run: a figure per image, metric and kind of weights."""

    role: str
    """`seen` or `unseen`: whether training saw pictures of this kind."""
    images: tuple[str, ...]
    patches: tuple[int, ...]
    """Weight of each image under `realsr-testm`."""
    bicubic: dict[str, float]
    """{protocol.metric: mean}."""
    scores: dict[str, dict[str, tuple[float, ...]]]
    """{"ema" or "raw": {protocol.metric: one figure per image}}."""


@dataclass(frozen=True)
class RunRecord:
    """A run that is over."""

    identity: Identity
    outcome: str
    """`finished`, or why the run was given up."""
    pairing: dict[str, Any]
    """What a fair comparison rests on: `initial_weights`, `batches` (and at `marks`), `num_steps`,
    and whether it `keeps_data_order`."""
    tests: dict[str, TestScores] = field(default_factory=dict)
    final: dict[str, Any] = field(default_factory=dict)
    """Last logged mean of each term, and the numbers of skipped steps and of alarms."""
    log: dict[str, Any] = field(default_factory=dict)
    """{"terms" or "figures": {name: [value per entry], "step": [...]}}: the course of every term
    and of every health figure."""
    inference: dict[str, Any] = field(default_factory=dict)
    """Of the saved weight file: `parameters`, `layout` (hash of names, shapes and types) and
    `weights` (hash of the values)."""
    cost: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.outcome == FINISHED


def record_path(folder: Path, identity: Identity) -> Path:
    """`folder`/setting/arm/seed-N-key8.json"""
    return (
        folder / identity.setting / identity.arm / f"seed-{identity.seed}-{identity.key[:8]}.json"
    )


def write_record(folder: Path, record: RunRecord) -> Path:
    """Writes it under its name, all or nothing."""
    path = record_path(folder, record.identity)
    table = {"format": FORMAT, "key": record.identity.key, **asdict(record.identity)}
    table |= {name: value for name, value in asdict(record).items() if name != "identity"}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_text(table))
    return path


def to_text(table: dict[str, Any], depth: int = 3, indent: str = "") -> str:
    """JSON with one line for each entry down to `depth`, so that lists of figures stay on one line;
    infinities become text."""
    if not isinstance(table, dict) or not table or depth == 0:
        return json.dumps(_finite(table), allow_nan=False)
    lines = [
        f"{indent} {json.dumps(str(key))}: {to_text(value, depth - 1, indent + ' ')}"
        for key, value in table.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}" + ("\n" if not indent else "")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def read_record(path: Path) -> RunRecord:
    """InputError naming the file if it is damaged or of another format."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["format"] != FORMAT:
            raise InputError(
                f"{path}: has format {table['format']!r}, and this version reads {FORMAT}; use the version that wrote it"
            )
        identity = Identity(**{each.name: table[each.name] for each in fields(Identity)})
        tests = {name: _test_scores(test) for name, test in table["tests"].items()}
        rest = {
            each.name: table[each.name]
            for each in fields(RunRecord)
            if each.name not in ("identity", "tests")
        }
        return RunRecord(identity=identity, tests=tests, **rest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: cannot be read as a run ({reason}); remove it, and it will be made again"
        ) from None


def read_records(folder: Path) -> list[RunRecord]:
    """All runs in a folder of a comparison, by name of file."""
    return [read_record(path) for path in sorted(folder.glob("*/*/seed-*.json"))]


def _test_scores(table: dict[str, Any]) -> TestScores:
    scores = {
        weights: {
            metric: tuple(float(value) for value in values) for metric, values in metrics.items()
        }
        for weights, metrics in table["scores"].items()
    }
    return TestScores(
        table["role"],
        tuple(table["images"]),
        tuple(table["patches"]),
        _floats(table["bicubic"]),
        scores,
    )


def _floats(figures: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items()}


def columns(lines: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Log lines as one list per figure, 6 significant digits; None where a line has no such
    figure."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    return {name: [_rounded(line.get(name)) for line in lines] for name in names}


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
