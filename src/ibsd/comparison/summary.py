"""From the records of runs to what they say: levels, paired differences to the baseline, costs, and
everything that was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ibsd.comparison.design import Design, Role, RunName
from ibsd.comparison.examined import Examinations, decomposition_lines, probe_lines
from ibsd.comparison.pairing import obstacles, other_scores
from ibsd.comparison.results import Cost, Difference, History, MeanScore, Results
from ibsd.comparison.run import AVERAGED
from ibsd.comparison.statistics import noise_floor, paired_difference
from ibsd.comparison.store import RunRecord
from ibsd.evaluation.scores import BICUBIC
from ibsd.types import LOWER_IS_BETTER


def summarise(
    design: Design,
    records: Mapping[RunName, RunRecord],
    examinations: Examinations | None = None,
    watch: Sequence[str] = (),
) -> Results:
    """Everything that can be said from the records and examinations there are; `watch` as in
    `config_compare.ExamineOptions`."""
    refused: list[str] = []
    differences: list[Difference] = []
    for setting in design.settings:
        pairs = {
            arm: _pairs(design, records, setting, arm, refused)
            for arm in design.arms
            if arm != design.baseline
        }
        for test in design.settings[setting].tests:
            differences += _differences(design, setting, test, pairs)
    machines = Counter(_machine(record) for record in records.values())
    versions: dict[str, set[int]] = {}
    for record in records.values():
        for concept, version in record.identity.numerics.items():
            versions.setdefault(concept, set()).add(version)
    return Results(
        design=design,
        mean_scores=tuple(_mean_scores(design, records)),
        differences=tuple(differences),
        costs=tuple(_costs(design, records)),
        histories=tuple(_histories(design, records)),
        refused=tuple(refused),
        missing=tuple("/".join(map(str, name)) for name in design.names if name not in records),
        machines=dict(machines.most_common()),
        mixed_numerics=tuple(
            sorted(concept for concept, numbers in versions.items() if len(numbers) > 1)
        ),
        runs={record.identity.name: record.identity.key for record in records.values()},
        probes=tuple(probe_lines(design, examinations or {})),
        decompositions=tuple(decomposition_lines(design, examinations or {}, watch)),
    )


def _pairs(
    design: Design,
    records: Mapping[RunName, RunRecord],
    setting: str,
    arm: str,
    refused: list[str],
) -> list[tuple[RunRecord, RunRecord]]:
    """(run, baseline) of each seed that may be compared; the others go to `refused` with the
    reason."""
    found = []
    for seed in design.seeds:
        run, baseline = (
            records.get(RunName(setting, arm, seed)),
            records.get(RunName(setting, design.baseline, seed)),
        )
        if run is None or baseline is None:
            continue
        if reasons := _refusal(run, baseline, design.arms[arm].role):
            refused.append(
                f"{run.identity.name} is not compared with {baseline.identity.name}: {', '.join(reasons)}"
            )
        else:
            found.append((run, baseline))
    return found


def _refusal(run: RunRecord, baseline: RunRecord, role: Role) -> list[str]:
    given_up = [
        f"{record.identity.arm} was given up ({record.outcome})"
        for record in (run, baseline)
        if not record.finished
    ]
    if given_up:
        return given_up
    reasons = obstacles(run, baseline)
    if role == "a/a":
        return (
            []
            if reasons == ["their batches differ"]
            else (reasons or ["its batches are the baseline's, so it is no A/A pair"])
        )
    unpaired = role == "unpaired" or not run.pairing["keeps_data_order"]
    return [reason for reason in reasons if not (unpaired and reason == "their batches differ")]


def _differences(
    design: Design,
    setting: str,
    test: str,
    pairs: Mapping[str, list[tuple[RunRecord, RunRecord]]],
) -> list[Difference]:
    """Of every arm, kind of weights and metric on one test set."""
    arrays: dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]] = {}
    for arm, both in pairs.items():
        usable = [
            (run, baseline) for run, baseline in both if other_scores(run, baseline, test) is None
        ]
        for weights, metrics in (usable[0][0].tests[test].scores if usable else {}).items():
            for metric in metrics:
                both_have = [
                    pair
                    for pair in usable
                    if all(metric in record.tests[test].scores[weights] for record in pair)
                ]
                if rows := [
                    _subtracted(run, baseline, test, weights, metric) for run, baseline in both_have
                ]:
                    arrays[weights, metric, arm] = (
                        np.stack(rows),
                        _image_weights(usable[0][0], test, metric),
                    )
    by_chance: dict[tuple[str, str], np.ndarray] = {}
    for (weights, metric, arm), (array, image_weights) in arrays.items():
        if design.arms[arm].role == "a/a" and len(array) > 1:
            by_chance[weights, metric] = array @ image_weights / image_weights.sum()
    found = []
    for (weights, metric, arm), (array, image_weights) in arrays.items():
        lower = metric.endswith(LOWER_IS_BETTER)
        statistics = paired_difference(array, image_weights, lower)
        role = design.settings[setting].tests[test]
        chance = by_chance.get((weights, metric))
        found.append(
            Difference(
                setting, test, role, weights, metric, arm, *array.shape,
                mean=statistics.mean,
                seed_means=statistics.seed_means,
                t_interval=statistics.t_interval,
                bootstrap_interval=statistics.bootstrap_interval,
                wins=statistics.wins,
                losses=statistics.losses,
                noise_floor=None if chance is None else noise_floor(chance, len(array)),
                verdict=_verdict(statistics.t_interval is not None, statistics.excludes_zero, (statistics.mean < 0) == lower),
                kind=_kind(design.arms[arm].role, pairs[arm]),
                primary=weights == AVERAGED and metric == design.primary and role == "unseen" and test not in design.settings[setting].parts,
            )
        )  # fmt: skip
    return found


def _subtracted(
    run: RunRecord, baseline: RunRecord, test: str, weights: str, metric: str
) -> np.ndarray:
    ours, theirs = (
        np.array(record.tests[test].scores[weights][metric]) for record in (run, baseline)
    )
    return np.where(ours == theirs, 0.0, ours - theirs)  # equal infinities too: both are perfect


def _mean_score(run: RunRecord, test: str, weights: str, metric: str) -> float:
    return float(
        np.average(
            run.tests[test].scores[weights][metric], weights=_image_weights(run, test, metric)
        )
    )


def _image_weights(run: RunRecord, test: str, metric: str) -> np.ndarray:
    patches = run.tests[test].patches
    return np.array(
        patches if metric.startswith("realsr-testm.") else [1] * len(patches), dtype=float
    )


def _kind(role: Role, pairs: list[tuple[RunRecord, RunRecord]]) -> Role:
    keeps = all(run.pairing["keeps_data_order"] for run, _ in pairs)
    return "unpaired" if role == "treatment" and not keeps else role


def _verdict(has_interval: bool, excludes_zero: bool, is_better: bool) -> str:
    if not has_interval:
        return "no interval"
    return ("better" if is_better else "worse") if excludes_zero else "no difference shown"


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
