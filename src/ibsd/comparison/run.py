"""The record of a run that was trained: scores of its averaged and its last weights, and all else
that tables need.

Training in a folder that holds checkpoints goes on from them, so the record of a run that was
killed at any moment is the one that it would have had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from ibsd.comparison.identity import Identity
from ibsd.comparison.machine import machine_facts, peak_memory_mib
from ibsd.comparison.pairing import layout_hash, weights_hash
from ibsd.comparison.scoring import Scoring, scores_on
from ibsd.comparison.store import RunRecord
from ibsd.system import write_whole
from ibsd.training.execution import LOG, Execution, save_weights
from ibsd.training.result import AVERAGED, FINISHED, WEIGHT_FILES
from ibsd.training.tracking import read_json_lines


def record_of(
    identity: Identity,
    execution: Execution,
    folder: Path,
    initial_weights: str,
    scoring: Scoring,
    machine: Mapping[str, Any],
) -> RunRecord | None:
    """Scores a run that was trained in `folder`. None if it was stopped before its end.

    Args:
        initial_weights: their `weights_hash`.
        machine: what to note besides `machine_facts`.
    """
    trainer = execution.trainer
    result = execution.result
    cost = add_cost(folder / "cost.json", execution)
    if not result.finished and not trainer.must_give_up:
        return None
    source = trainer.source
    if not result.finished:
        save_weights(execution, folder, {"run": identity.name})
    terms, diagnostics = split_log(folder / LOG)
    return RunRecord(
        identity=identity,
        outcome=FINISHED if result.finished else result.reason,
        pairing={
            "initial_weights": initial_weights,
            "batches": source.digest.hex(),
            "marks": {str(count): digest.hex() for count, digest in sorted(source.marked.items())},
            "num_steps": result.step,
            "keeps_data_order": trainer.objective.paired,
        },
        tests=scores_on(scoring, execution.students) if result.finished else {},
        final={
            "terms": {name: values[-1] for name, values in terms.items() if name != "step"},
            "skipped": result.skipped,
            "alarms": int(sum(diagnostics.get("alarms", []))),
        },
        diagnostics=diagnostics,
        inference=inference_facts(load_file(folder / WEIGHT_FILES[AVERAGED])),
        cost=cost | {"peak_memory_mib": peak_memory_mib(source.device)},
        machine=machine_facts(source.device) | dict(machine) | {"finished": now()},
    )


def split_log(path: Path) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """(terms with the learning rate, health figures) as columns."""
    lines = read_json_lines(path)
    terms = [
        {name.removeprefix("term/"): value for name, value in line.items()}
        for line in lines
        if "learning_rate" in line
    ]
    return columns(terms), columns([line for line in lines if "learning_rate" not in line])


def columns(lines: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Log lines as one list per figure, 6 significant digits; None where a line lacks it."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    return {name: [_rounded(line.get(name)) for line in lines] for name in names}


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def inference_facts(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What an upscaler would load."""
    return {
        "parameters": sum(tensor.numel() for tensor in state.values()),
        "layout": layout_hash(state),
        "weights": weights_hash(state),
    }


def add_cost(path: Path, execution: Execution) -> dict[str, Any]:
    """Time of training so far, summed over the processes that were not killed.

    Seconds on the clock depend on what else the machine does; seconds of the processor much less.
    """
    timed = bool(execution.num_steps)
    total = {
        "timed_steps": execution.num_steps,
        "seconds": execution.result.seconds if timed else 0.0,
        "cpu_seconds": execution.cpu_seconds if timed else 0.0,
    }
    if path.is_file():
        earlier = json.loads(path.read_text())
        total = {name: earlier[name] + value for name, value in total.items()}
    write_whole(path, json.dumps(total))
    count = total["timed_steps"]
    per_step = {
        f"{name}_per_step": round(total[name] / count, 6) if count else None
        for name in ("seconds", "cpu_seconds")
    }
    return {"timed_steps": count, **per_step}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
