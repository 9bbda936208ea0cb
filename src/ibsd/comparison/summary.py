"""From the records of runs to what they say: levels, paired differences to the baseline, costs, and
everything that was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ibsd.comparison.design import Design, RunName
from ibsd.comparison.differences import all_differences, image_weights_of
from ibsd.comparison.examined import Examinations, decomposition_lines, probe_lines
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
    `config_compare.ExamineOptions`."""
    differences = all_differences(design, records)
    machines = Counter(_machine(record) for record in records.values())
    versions: dict[str, set[int]] = {}
    for record in records.values():
        for concept, version in record.identity.numerics.items():
            versions.setdefault(concept, set()).add(version)
    return Results(
        design=design,
        mean_scores=tuple(_mean_scores(design, records)),
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
    )


def _mean_score(run: RunRecord, test: str, weights: str, metric: str) -> float:
    return float(
        np.average(
            run.tests[test].scores[weights][metric], weights=image_weights_of(run, test, metric)
        )
    )


def _mean_scores(design: Design, records: Mapping[RunName, RunRecord]) -> list[MeanScore]:
    found = []
    for setting in design.settings:
        for test in design.settings[setting].tests:
            for arm in design.arms:
                runs = [
                    records[name]
                    for seed in design.seeds
                    if (name := RunName(setting, arm, seed)) in records
                ]
                runs = [run for run in runs if test in run.tests]
                for weights, metrics in (runs[0].tests[test].scores if runs else {}).items():
                    for metric in metrics:
                        means = [_mean_score(run, test, weights, metric) for run in runs]
                        found.append(
                            MeanScore(
                                setting,
                                test,
                                weights,
                                metric,
                                arm,
                                float(np.mean(means)),
                                len(runs),
                            )
                        )
                if runs and arm == design.baseline:
                    bicubic = runs[0].tests[test].bicubic.items()
                    found += [
                        MeanScore(setting, test, BICUBIC, metric, BICUBIC, mean, 1)
                        for metric, mean in bicubic
                    ]
    return found


def _costs(design: Design, records: Mapping[RunName, RunRecord]) -> list[Cost]:
    found = []
    for setting in design.settings:
        compute: dict[str, float | None] = {}
        layout = ""
        for arm in sorted(design.arms, key=lambda arm: arm != design.baseline):
            runs = [
                record
                for name, record in records.items()
                if (name.setting, name.arm) == (setting, arm)
            ]
            if not runs:
                continue
            cpu, wall = (
                _mean_of(runs, key) for key in ("cpu_seconds_per_step", "seconds_per_step")
            )
            num_steps = max(run.pairing["num_steps"] for run in runs)
            compute[arm] = cpu * num_steps if cpu else None
            whole, base = compute[arm], compute.get(design.baseline)
            layout = layout or runs[0].inference["layout"]
            found.append(
                Cost(
                    setting, arm, len(runs), sum(not run.finished for run in runs), num_steps, cpu, wall,
                    compute=round(whole / base, 3) if whole and base else None,
                    peak_memory_mib=max(run.cost["peak_memory_mib"] for run in runs),
                    parameters=runs[0].inference["parameters"],
                    same_inference=all(run.inference["layout"] == layout for run in runs),
                    skipped=sum(run.final["skipped"] for run in runs),
                    alarms=sum(run.final["alarms"] for run in runs),
                )
            )  # fmt: skip
    order = list(design.arms)
    return sorted(
        found, key=lambda cost: (list(design.settings).index(cost.setting), order.index(cost.arm))
    )


def _histories(design: Design, records: Mapping[RunName, RunRecord]) -> list[History]:
    found = []
    for setting in design.settings:
        for arm in design.arms:
            logs = [
                record.diagnostics
                for name, record in records.items()
                if (name.setting, name.arm) == (setting, arm)
            ]
            steps = sorted({step for log in logs for step in log.get("step", [])})
            names = sorted({name for log in logs for name in log} - {"step", "alarms"})
            if names:
                figures = {
                    name: tuple(_mean_at(logs, name, step) for step in steps) for name in names
                }
                found.append(History(setting, arm, tuple(steps), figures))
    return found


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
    what = (
        machine.get("accelerator")
        or f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores"
    )
    return f"{what}, Python {machine.get('python', '?')}, torch {machine.get('torch', '?')}"
