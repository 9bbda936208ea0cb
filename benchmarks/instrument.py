"""The instrument before the claim: bound against lambda_mi, with the run's own estimators and with
fresh ones, at several points of training.

    python benchmarks/instrument.py PAIRS --camera Canon --page runs/instrument.md
    python benchmarks/instrument.py --table --page runs/instrument.md
    python benchmarks/instrument.py PAIRS --smoke --out /tmp/smoke

PAIRS is a folder in the published layout; `--camera Canon` trains on its train pairs whose names
start so. Every arm is the same narrow student on the same batches with L1 and the bound alone;
lambda 0 is plain training with estimators that watch. At each point the arm is read
(`analysis/information_probe.py`) and scored on val, camera by camera, and its file
OUT/lambda-*.json is rewritten. A run that was killed goes on where it was when started again,
finished arms are passed over, and arms may run in several processes (--lambdas). OUT/summary.json
sets every arm against lambda 0 (`analysis/decomposition.py`), from the files that are there, and so
do the page and the curve beside it; `--table` makes these alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ibsd.analysis.crops import CropSets, cut_crop_sets
from ibsd.analysis.decomposition import decompose
from ibsd.analysis.fresh_estimators import RESOLUTION, FitOptions
from ibsd.analysis.information_probe import Reading, ReadingOptions, read_run
from ibsd.commands.run_record import versions
from ibsd.data.image_stack import resident_stacks
from ibsd.data.integrity import fingerprint
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import Pair, find_layout, load_pair
from ibsd.data.patches import PairPatches
from ibsd.distillation import IBSD
from ibsd.images.rgb import to_tensor
from ibsd.metrics import score
from ibsd.reporting.document import Table, table_markdown
from ibsd.reporting.plots import Panel, Series, panels_drawing
from ibsd.students import Student, create_student
from ibsd.system import write_json, write_whole
from ibsd.training.options import TrainingOptions
from ibsd.training.schedule import Schedule
from ibsd.training.trainer import Trainer

SMOKE = {
    "points": [4, 8],
    "width": 8,
    "batch": 4,
    "patch": 16,
    "per_image": 2,
    "fit_steps": 40,
    "lambdas": [0.0, 1e-3],
    "val_images": 1,
}
NO_SETTING = ("pairs", "out", "lambdas", "threads", "smoke", "table", "page")
KINDS = {
    "trained": "own estimators",
    "recalibrated": "own, units free",
    "fresh": "fresh",
    "standardised": "fresh, standardised",
}


def main() -> None:
    options = parsed()
    if not options.table:
        make_arms(options)
    results = summary(options.out)
    write_json(options.out / "summary.json", results)
    print(table(results["rows"]))
    if options.page:
        write_whole(options.page, page(results, options.page.with_suffix(".svg").name))
        write_whole(options.page.with_suffix(".svg"), curves(results["rows"]))


def make_arms(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    sets = find_layout(options.pairs)
    train = [pair for pair in sets.train if pair.name.startswith(options.camera)]
    seen = [*train, *(pair for pair in sets.val if pair.name.startswith(options.camera))]
    settings = {name: value for name, value in vars(options).items() if name not in NO_SETTING}
    settings |= {"train": fingerprint(train), "val": fingerprint(sets.val)}
    stacks = resident_stacks(train)
    crops = cut_crop_sets(resident_stacks(seen)[0], options.patch, options.per_image, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    for lambda_mi in options.lambdas:
        source = PairPatches(
            *stacks, options.scale, PatchOptions(options.batch, options.patch), options.seed
        )
        run_arm(lambda_mi, options, settings, source, crops, sets.val)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/instrument"))
    parser.add_argument("--camera", default="", help="start of the names of the pairs to train on")
    parser.add_argument("--lambdas", type=float, nargs="+", default=[0.0, 1e-6, 1e-5, 1e-4, 1e-3])
    parser.add_argument(
        "--points",
        type=int,
        nargs="+",
        default=[500, 2000],
        help="steps at which to read; the last ends the run",
    )
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--patch", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument(
        "--warm-up", type=int, default=100, help="updates in which only the estimators learn"
    )
    parser.add_argument("--ramp", type=int, default=100)
    parser.add_argument("--inner-steps", type=int, default=1)
    parser.add_argument(
        "--normalise", action="store_true", help="the chain sees standardised nodes"
    )
    parser.add_argument("--pool", type=int, default=0)
    parser.add_argument(
        "--per-image", type=int, default=16, help="patches of each image to read from"
    )
    parser.add_argument("--fit-steps", type=int, default=3000, help="most steps of a fresh fit")
    parser.add_argument(
        "--val-images", type=int, default=0, help="of each camera to score; 0 for all"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--smoke", action="store_true", help="seconds instead of an hour; the figures mean nothing"
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="train nothing: summary and page of the arms that there are",
    )
    parser.add_argument(
        "--page", type=Path, help="Markdown page to write, with its curve as SVG beside it"
    )
    options = parser.parse_args()
    if not (options.pairs or options.table):
        parser.error("name the folder of pairs, or --table for the arms that there are")
    if options.smoke:
        vars(options).update(SMOKE)
    return options


def run_arm(
    lambda_mi: float,
    options: argparse.Namespace,
    settings: dict[str, Any],
    source: PairPatches,
    crops: CropSets,
    val: tuple[Pair, ...],
) -> None:
    """One value of lambda_mi, from where its file stands to the last point."""
    path = options.out / f"lambda-{lambda_mi:g}.json"
    arm: dict[str, Any] = (
        json.loads(path.read_text())
        if path.exists()
        else {"settings": settings, "lambda_mi": lambda_mi, "readings": []}
    )
    if arm["settings"] != json.loads(json.dumps(settings)):
        raise SystemExit(f"{path}: was made with other settings or pairs; give another --out")
    done = {reading["step"] for reading in arm["readings"]}
    if max(options.points) in done:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        student = create_student(
            "imdn", options.scale, width=options.width, num_blocks=options.blocks
        )
    objective = IBSD(
        student,
        lambda_mi=lambda_mi,
        lambda_hf=0.0,
        warm_up=options.warm_up,
        ramp=options.ramp,
        inner_steps=options.inner_steps,
        normalise=options.normalise,
        pool=options.pool,
        seed=options.seed,
    )
    trainer = Trainer(
        objective,
        source,
        TrainingOptions(
            num_steps=max(options.points),
            learning_rate=options.learning_rate,
            schedule=Schedule("cosine", warm_up=options.warm_up),
            checkpoint_every=0,
            diagnostics_every=0,
        ),
        checkpoints=options.out / "checkpoints" / path.stem,
        stop_requested=lambda: "a point to read at" if trainer.step in options.points else None,
        log=lambda sentence: print(f"lambda {lambda_mi:g}: {sentence}", flush=True),
    )
    trainer.resume()
    while True:
        if trainer.step in options.points and trainer.step not in done:
            started = time.perf_counter()
            arm["readings"].append(take(trainer, objective, options, crops, val))
            arm |= {
                "versions": versions(),
                "hardware": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            }
            write_json(path, arm)
            print(
                f"lambda {lambda_mi:g}: read at step {trainer.step} "
                f"in {time.perf_counter() - started:.0f} s",
                flush=True,
            )
        if trainer.step >= trainer.options.num_steps:
            return
        print(
            f"lambda {lambda_mi:g}: trained {trainer.run().seconds:.0f} s to step {trainer.step}",
            flush=True,
        )


def take(
    trainer: Trainer,
    objective: IBSD,
    options: argparse.Namespace,
    crops: CropSets,
    val: tuple[Pair, ...],
) -> dict[str, Any]:
    reading = read_run(
        objective,
        crops,
        ReadingOptions(seed=options.seed, fit=FitOptions(max_steps=options.fit_steps)),
    )
    source = trainer.source
    assert isinstance(source, PairPatches)
    figures = objective.diagnostics(source.cut(first_origin(source)))
    psnr_y = scored(trainer.average.student, val, options.val_images)
    return {
        "step": trainer.step,
        "reading": reading.as_json(),
        "figures": figures,
        "psnr_y": psnr_y,
        "terms": trainer.latest,
    }


def first_origin(source: PairPatches) -> Any:
    """The first batch of the run, so that the figures of all points are of the same patches; the
    source's generator stays where it is."""
    return PairPatches(
        source.lr,
        source.hr,
        source.scale,
        PatchOptions(source.batch_size, source.patch_px),
        seed=0,
    ).draw()


@torch.inference_mode()
def scored(student: Student, pairs: tuple[Pair, ...], num_images: int) -> dict[str, float]:
    """Mean PSNR-Y (basicsr-y) per camera, which is the start of a pair's name up to the first
    underscore."""
    cameras: dict[str, list[Pair]] = {}
    for pair in pairs:
        cameras.setdefault(pair.name.partition("_")[0], []).append(pair)
    means = {}
    for camera, theirs in cameras.items():
        figures = []
        for pair in theirs[: num_images or None]:
            lr, hr = map(to_tensor, load_pair(pair))
            figures.append(
                score(student(lr), hr, student.spec.scale, lpips=False)["basicsr-y"]["psnr_y"]
            )
        means[camera] = sum(figures) / len(figures)
    return means


def summary(folder: Path) -> dict[str, Any]:
    """Every reading against lambda 0 at the same step."""
    arms = sorted(
        (json.loads(path.read_text()) for path in folder.glob("lambda-*.json")),
        key=lambda arm: arm["lambda_mi"],
    )
    if not arms:
        raise SystemExit(f"{folder}: holds no arm yet; name the folder of pairs to make them")
    plain = {
        point["step"]: Reading.from_json(point["reading"])
        for arm in arms
        if arm["lambda_mi"] == 0
        for point in arm["readings"]
    }
    rows = []
    for arm in arms:
        for point in arm["readings"]:
            reading = Reading.from_json(point["reading"])
            decomposition = None
            if arm["lambda_mi"] and point["step"] in plain:
                decomposition = asdict(decompose(plain[point["step"]], reading))
            rows.append(
                {
                    "lambda_mi": arm["lambda_mi"],
                    "step": point["step"],
                    "bounds": {kind: sum(getattr(reading, kind).bound) for kind in KINDS},
                    "gain": sum(reading.standardised.gain),
                    "converged": reading.converged,
                    "account": decomposition,
                    "psnr_y": point["psnr_y"],
                }
            )
    return {
        "settings": arms[0]["settings"],
        "hardware": arms[0]["hardware"],
        "versions": arms[0]["versions"],
        "rows": rows,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a line per point of training and lambda_mi."""
    cameras = list(rows[0]["psnr_y"])
    header = [
        "step",
        "lambda_mi",
        *KINDS.values(),
        "fresh gain",
        "scale / hiding / forgetting",
        "counts",
    ]
    lines = []
    for row in sorted(rows, key=lambda row: (row["step"], row["lambda_mi"])):
        decomposition = row["account"]
        shares = decomposition["total"]["bound"]["shares"] if decomposition else None
        parts = " / ".join(f"{value:.0%}" for value in shares.values()) if shares else ""
        counts = ""
        if decomposition is not None:
            counts = "yes" if decomposition["counts"] else "no"
        figures = [f"{value:.3f}" for value in (*row["bounds"].values(), row["gain"])]
        psnr = [f"{row['psnr_y'][camera]:.3f}" for camera in cameras]
        lines.append([f"{row['step']:,}", f"{row['lambda_mi']:g}", *figures, parts, counts, *psnr])
    header += [f"PSNR-Y {camera}" for camera in cameras]
    return table_markdown(Table(header, lines)) + "\n"


def curves(rows: list[dict[str, Any]]) -> str:
    """SVG: bounds against lambda_mi, one panel per point of training, and the fresh gain at every
    point."""
    lambdas, steps = (
        sorted({row["lambda_mi"] for row in rows}),
        sorted({row["step"] for row in rows}),
    )

    def curve(name: str, step: int, figure: Callable[[dict[str, Any]], float]) -> Series:
        there = sorted(
            (lambdas.index(row["lambda_mi"]), figure(row)) for row in rows if row["step"] == step
        )
        return Series(name, there)

    across: dict[str, Any] = {"across": "lambda_mi", "names": [f"{value:g}" for value in lambdas]}
    panels = [
        Panel(
            f"Bound at step {step:,}",
            [
                curve(said, step, lambda row, kind=kind: row["bounds"][kind])
                for kind, said in KINDS.items()
            ],
            up="nats per element, all links",
            **across,
        )
        for step in steps
    ]
    gains = [curve(f"step {step:,}", step, lambda row: row["gain"]) for step in steps]
    title, unit = "What fresh estimators still predict", "gain, nats per element"
    drawing = panels_drawing([*panels, Panel(title, gains, up=unit, **across)])
    return "" if drawing is None else drawing.standalone()


def page(results: dict[str, Any], picture: str) -> str:
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in results["settings"].items()
        if name not in ("train", "val", "points")
    )
    reasons = [
        f"- lambda_mi {row['lambda_mi']:g}, step {row['step']:,}: "
        f"{'counts' if row['account']['counts'] else 'does not count'}; {row['account']['why']}."
        for row in results["rows"]
        if row["account"]
    ]
    return "\n".join(
        (
            "# The instrument: bound against lambda_mi\n",
            "<!-- Generated by benchmarks/instrument.py --table --page; do not edit. -->\n",
            ABOUT,
            f"![Bound and gain against lambda_mi]({picture})\n",
            table(results["rows"]),
            "Why an arm counts as IBSD, or does not:\n",
            *reasons,
            f"\nOne seed. Settings: {settings}. {results['hardware']}; "
            f"torch {results['versions']['torch']}.\n",
        )
    )


ABOUT = f"""Narrow IMDN, L1 and the bound alone, everything else alike; lambda_mi 0 is plain
training whose estimators only watch. Each bound is read on held-out photographs at the step named,
summed over the links, in nats per element: by the run's *own estimators*; by the same after the
best change of *units* of both nodes; by *fresh* estimators fitted to convergence on the frozen
student; by fresh ones on *standardised* nodes. Fresh estimators see no finer than {RESOLUTION:.0%}
of a node's deviation ([decision 10](decisions/0010-fresh-estimators.md)); the run's own are not
bound to that. So levels of the first two columns and of the last two are not comparable, falls are.
*Gain* is the likelihood that fresh estimators win over the best constant. *Scale*, *hiding* and
*forgetting* are the parts of the fall from lambda_mi 0 under the run's own estimators. An arm
*counts* where at least half is forgetting and the gain fell too (`ibsd.analysis.decomposition`).
PSNR-Y of the averaged weights on `val`.
"""


if __name__ == "__main__":
    main()
