"""From the records of runs to what they say: mean scores, paired differences, costs, and everything
that was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ibsd.comparison.design import Design, RunName
from ibsd.comparison.differences import all_differences, image_weights_of, metrics_of
from ibsd.comparison.examination import Examinations, decomposition_lines, probe_lines
from ibsd.comparison.harm import harms, with_bicubic
from ibsd.comparison.means import joined_records
from ibsd.comparison.results import Cost, History, MeanScore, Results
from ibsd.comparison.store import RunRecord
from ibsd.evaluation.scores import BICUBIC


def summarise(
    design: Design,
    records: Mapping[RunName, RunRecord],
    examinations: Examinations | None = None,
    watch: Sequence[str] = (),
) -> Results:
    """Everything that can be said from the records and examinations there are; `watch` as in
    `ibsd.config.comparison.ExamineOptions`."""
    records = with_bicubic(records)
    scored = {**records, **joined_records(design, records)}
    differences = all_differences(design, scored)
    machines = Counter(_machine(record) for record in records.values())
    versions: dict[str, set[int]] = {}
    for record in records.values():
        for concept, version in record.identity.numerics.items():
            versions.setdefault(concept, set()).add(version)
    return Results(
        design=design,
        mean_scores=tuple(_mean_scores(design, scored)),
        differences=tuple(differences.to_baseline),
        contrasts=tuple(differences.contrasts),
        costs=tuple(_costs(design, records)),
        histories=tuple(_histories(design, records)),
        refused=tuple(differences.refused),
        missing=tuple("/".join(map(str, name)) for name in design.names if name not in records),
        machines=dict(machines.most_common()),
        mixed_numerics=tuple(
            sorted(concept for concept, numbers in versions.items() if len(numbers) > 1)
        ),
        runs={record.identity.name: record.identity.key for record in records.values()},
        probes=tuple(probe_lines(design, examinations or {})),
        decompositions=tuple(decomposition_lines(design, examinations or {}, watch)),
        harms=tuple(harms(design, scored)),
    )


def _runs(
    design: Design, records: Mapping[RunName, RunRecord], setting: str, arm: str
) -> list[RunRecord]:
    """The runs of one arm in one setting, in order of seeds."""
    names = [RunName(setting, arm, seed) for seed in design.seeds]
    return [records[name] for name in names if name in records]


def _mean_scores(design: Design, records: Mapping[RunName, RunRecord]) -> list[MeanScore]:
    scores: list[MeanScore] = []
    for setting, content in design.settings.items():
        for test in content.tests:
            for arm in design.arms:
                runs = [run for run in _runs(design, records, setting, arm) if test in run.tests]
                if not runs:
                    continue
                for weights, metric in metrics_of([run.tests[test] for run in runs]):
                    means = [
                        _mean_score(run, test, weights, metric)
                        for run in runs
                        if metric in run.tests[test].scores.get(weights, {})
                    ]
                    mean = float(np.mean(means))
                    count = len(means)
                    scores.append(MeanScore(setting, test, weights, metric, arm, mean, count))
                if arm == design.baseline:
                    bicubic = {
                        metric: mean
                        for run in reversed(runs)
                        for metric, mean in run.tests[test].bicubic.items()
                    }
                    scores += [
                        MeanScore(setting, test, BICUBIC, metric, BICUBIC, mean, 1)
                        for metric, mean in bicubic.items()
                    ]
    return scores


def _mean_score(run: RunRecord, test: str, weights: str, metric: str) -> float:
    scores = run.tests[test].scores[weights][metric]
    return float(np.average(scores, weights=image_weights_of(run, test, metric)))


def _costs(design: Design, records: Mapping[RunName, RunRecord]) -> list[Cost]:
    """In order of settings and arms."""
    costs: list[Cost] = []
    for setting in design.settings:
        runs_of = {arm: _runs(design, records, setting, arm) for arm in design.arms}
        made = {arm: runs for arm, runs in runs_of.items() if runs}
        if not made:
            continue
        reference = made.get(design.baseline) or next(iter(made.values()))
        layout = reference[0].inference["layout"]
        whole_of = {arm: _cpu_seconds(runs) for arm, runs in made.items()}
        base = whole_of.get(design.baseline)
        for arm, runs in made.items():
            whole = whole_of[arm]
            costs.append(
                Cost(
                    setting=setting,
                    arm=arm,
                    num_runs=len(runs),
                    given_up=sum(not run.finished for run in runs),
                    num_steps=_longest(runs),
                    cpu_seconds_per_step=_mean_of(runs, "cpu_seconds_per_step"),
                    seconds_per_step=_mean_of(runs, "seconds_per_step"),
                    compute=round(whole / base, 3) if whole and base else None,
                    peak_memory_mib=max(run.cost["peak_memory_mib"] for run in runs),
                    parameters=runs[0].inference["parameters"],
                    same_inference=all(run.inference["layout"] == layout for run in runs),
                    skipped=sum(run.final["skipped"] for run in runs),
                    alarms=sum(run.final["alarms"] for run in runs),
                )
            )
    return costs


def _longest(runs: list[RunRecord]) -> int:
    return max(run.pairing["num_steps"] for run in runs)


def _cpu_seconds(runs: list[RunRecord]) -> float | None:
    """Of the whole training."""
    per_step = _mean_of(runs, "cpu_seconds_per_step")
    return per_step * _longest(runs) if per_step else None


def _histories(design: Design, records: Mapping[RunName, RunRecord]) -> list[History]:
    histories: list[History] = []
    for setting in design.settings:
        for arm in design.arms:
            logs = [run.diagnostics for run in _runs(design, records, setting, arm)]
            steps = sorted({step for log in logs for step in log.get("step", [])})
            names = sorted({name for log in logs for name in log} - {"step", "alarms"})
            if names:
                diagnostics = {
                    name: tuple(_mean_at(logs, name, step) for step in steps) for name in names
                }
                histories.append(History(setting, arm, tuple(steps), diagnostics))
    return histories


def _mean_at(logs: list[dict[str, list[Any]]], name: str, step: int) -> float | None:
    values = [
        log[name][log["step"].index(step)] for log in logs if name in log and step in log["step"]
    ]
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _mean_of(runs: list[RunRecord], key: str) -> float | None:
    values = [run.cost[key] for run in runs if run.cost.get(key)]
    return round(sum(values) / len(values), 6) if values else None


def _machine(record: RunRecord) -> str:
    machine = record.machine
    device = (
        machine.get("accelerator")
        or f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores"
    )
    return f"{device}, Python {machine.get('python', '?')}, torch {machine.get('torch', '?')}"
