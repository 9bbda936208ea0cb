"""How well photographs are registered: planted scenes, real pairs moved apart, a large scene.

python benchmarks/registration.py planted [FOLDER [JSON [DRAW]]]   # else the package's photographs
python benchmarks/registration.py moved PAIRS [JSON]        # real pairs in a layout ibsd reads
python benchmarks/registration.py large [NUMBER [JSON [JOBS]]]  # planted, of 24 megapixels
python benchmarks/registration.py strangers FOLDER [JSON]       # photographs of different scenes
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ibsd.commands.register import register_folders
from ibsd.comparison.machine import machine_facts
from ibsd.data.layouts import find_data
from ibsd.data.pairs import images_in, load_pair
from ibsd.data.samples import sample, sample_names
from ibsd.doctor.alignment import Misalignment, displaced, measure_misalignment
from ibsd.images.rgb import read_rgb, to_tensor, write_rgb
from ibsd.metrics.protocols import basicsr_y
from ibsd.registration import coarse
from ibsd.registration.crops import choose_crops, cut
from ibsd.registration.light import Image, sampled
from ibsd.registration.mapping import Mapping
from ibsd.registration.masks import Reason
from ibsd.registration.planted import plant
from ibsd.registration.scene import RefusedError, Registered, corners, register_pair
from ibsd.system import largest_resident_bytes

NUM_SCENES = 40
GOOD_PX = 0.1


def corner_error(truth: Mapping, registered: Registered) -> float:
    """Mean distance of the corners of the part that is used from where they belong, in LR
    pixels."""
    points = corners(registered.part)
    off = registered.fit.mapping(points) - truth(points)
    inverse = np.linalg.inv(truth.local_matrix(points))
    return float(np.linalg.norm(np.einsum("nij,nj->ni", inverse, off), axis=1).mean())


def photographs(folder: Path | None, draw: int) -> Iterator[Image]:
    """`NUM_SCENES` photographs, again from the first on where there are fewer. So many
    draws of a folder as it holds times `NUM_SCENES` photographs have none in common."""
    files = images_in(folder) if folder else []
    names = sample_names()
    for number in range(NUM_SCENES):
        if files:
            yield read_rgb(files[(number * len(files) // NUM_SCENES + draw) % len(files)])
        else:
            yield sample(names[number % len(names)])


def planted(folder: Path | None, output: Path | None, draw: int = 0) -> None:
    """Corner errors of still scenes, and masks of scenes with objects that moved. Another `draw`
    takes other photographs and plants otherwise. The error of what is refused is told as well."""
    scenes: list[dict[str, Any]] = []
    for number, photograph in enumerate(photographs(folder, draw)):
        scale = (2, 3, 4)[number % 3]
        record: dict[str, Any] = {"scale": scale}
        scenes.append(record)
        seed = 1000 * draw + number
        scene = plant(photograph, scale, seed)
        try:
            registered = register_pair(scene.lr, scene.hr, scale)
        except RefusedError as error:
            record["refused"] = str(error)
            with suppress(RefusedError):
                whole = register_pair(scene.lr, scene.hr, scale, sure_px=math.inf)
                record["corner_error_px"] = round(corner_error(scene.mapping, whole), 4)
        else:
            record["corner_error_px"] = round(corner_error(scene.mapping, registered), 4)
            record["known_px"] = round(registered.corner_px, 4)
            cut_off = (registered.reasons == Reason.UNSURE).mean()
            record["cut_off"] = round(float(cut_off), 4)
        moving = plant(photograph, scale, seed, other=sample("table"))
        with suppress(RefusedError):
            record |= masked(moving.moved, register_pair(moving.lr, moving.hr, scale))
        print(number, record, flush=True)
    facts = {"machine": machine_facts(torch.device("cpu")), "draw": draw}
    result = {**facts, **summary(scenes), "scenes": scenes}
    print({name: value for name, value in result.items() if name != "scenes"})
    if output:
        output.write_text(json.dumps(result, indent=1) + "\n")


def masked(moved: NDArray[np.bool_], registered: Registered) -> dict[str, float]:
    """Shares that are masked: of what moved, and of what did not and is called neither saturated
    nor known too badly; and the share that is. `moved` is [h, w] of LR."""
    left, top, right, bottom = registered.box
    step = registered.fit.step
    reasons = registered.reasons.repeat(step, 0).repeat(step, 1)
    moved = moved[top:bottom, left:right][: reasons.shape[0], : reasons.shape[1]]
    inside = reasons != Reason.OUTSIDE
    aside = (reasons == Reason.SATURATED) | (reasons == Reason.UNSURE)
    bad = reasons != Reason.GOOD
    shares = {
        "recall": bad[moved & inside].mean(),
        "lost": bad[~moved & inside & ~aside].mean(),
        "set_aside": aside[inside].mean(),
    }
    return {name: round(float(share), 4) for name, share in shares.items()}


def summary(scenes: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors in LR pixels and shares, over the scenes that were registered."""
    recalls, lost = (
        [scene[name] for scene in scenes if name in scene] for name in ("recall", "lost")
    )
    known = [scene for scene in scenes if "known_px" in scene]
    errors = [scene["corner_error_px"] for scene in known]
    left_out = [
        scene["corner_error_px"]
        for scene in scenes
        if "refused" in scene and "corner_error_px" in scene
    ]
    cut_off = [scene["cut_off"] for scene in known]
    return {
        "registered": len(errors),
        "refused": len(scenes) - len(errors),
        f"refused_but_right_by_{GOOD_PX}_px": sum(error < GOOD_PX for error in left_out),
        f"wrong_by_{GOOD_PX}_px_or_more": sum(error >= GOOD_PX for error in errors),
        "corner_error_px": {"median": median(errors), "largest": max(errors)},
        "registered_whole": sum(share == 0 for share in cut_off),
        "largest_share_cut_off": max(cut_off),
        "moved_objects_masked": {
            "scenes": len(recalls),
            "median": median(recalls),
            "below_0.9": sum(recall < 0.9 for recall in recalls),
            "lowest": min(recalls),
        },
        "good_area_lost": {
            "median": median(lost),
            "above_0.1": sum(share > 0.1 for share in lost),
            "largest": max(lost),
        },
    }


def moved_apart(folder: Path, output: Path | None) -> None:
    """The doctor's shift and the PSNR ceiling of real pairs as published, and after HR was turned,
    shifted and scaled by known amounts and registered again."""
    draw = np.random.default_rng(0)
    sets = find_data(folder, 4).sets
    records: list[dict[str, Any]] = []
    for pair in (*sets.train, *sets.val):
        lr, hr = load_pair(pair)
        record: dict[str, Any] = {"pair": pair.name}
        records.append(record)
        try:
            registered = register_pair(lr, apart(hr, draw), 4)
        except RefusedError as error:
            record["refused"] = str(error)
        else:
            record["known_px"] = round(registered.corner_px, 4)
            record |= compared(registered, lr, hr)
        print(record, flush=True)
    result = {"machine": machine_facts(torch.device("cpu")), **moved_summary(records)}
    print(json.dumps(result, indent=1))
    if output:
        output.write_text(json.dumps(result | {"pairs": records}, indent=1) + "\n")


def compared(
    registered: Registered, lr: NDArray[np.uint8], hr: NDArray[np.uint8]
) -> dict[str, list[float]]:
    """{"published": [shift, ceiling], "registered": likewise} of one crop, of 64 pixels where none
    of 96 is good enough; nothing where none of 64 is."""
    apart_hr = registered.fit.pyramid.hr
    for side in (96, 64):
        for place in choose_crops(registered, lr, side, 1).places:
            [(_, lr_crop, hr_crop)] = cut(registered, lr, apart_hr, [place], side)
            top, left = (4 * value for value in place)
            own = np.ascontiguousarray(hr[top : top + 4 * side, left : left + 4 * side])
            return {"published": judged(lr_crop, own), "registered": judged(lr_crop, hr_crop)}
    return {}


def moved_summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """How many pairs came back, and how well."""
    summary: dict[str, Any] = {
        "came_back": sum("known_px" in record for record in records),
        "refused": sum("refused" in record for record in records),
        "compared": sum("published" in record for record in records),
    }
    for name in ("published", "registered"):
        values = [record[name] for record in records if name in record]
        if values:
            shifts, ceilings = (sorted(column) for column in zip(*values, strict=True))
            summary[name] = {
                "shift_px": {
                    "median": median(shifts),
                    "95 %": shifts[int(0.95 * len(shifts))],
                    "largest": shifts[-1],
                },
                "ceiling_db": {"median": median(ceilings), "lowest": ceilings[0]},
            }
    return summary


def apart(hr: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """HR turned by up to a degree, shifted by up to 12 px and scaled by up to 5 %."""
    height, width = hr.shape[:2]
    turn = np.radians(draw.uniform(-1, 1))
    ratio = 1 + draw.uniform(-0.05, 0.05)
    matrix = ratio * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([width / 2, height / 2])
    y, x = np.mgrid[:height, :width]
    points = np.stack([x, y], -1) - middle
    places = points @ matrix.T + middle + draw.uniform(-12, 12, 2)
    return sampled(hr, places.astype(np.float32), "lanczos")


def judged(lr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> list[float]:
    """[shift in LR pixels, PSNR-Y that it allows in dB], as the doctor has them."""
    misalignment: Misalignment = measure_misalignment(lr, hr, 4)
    moved = to_tensor(displaced(hr, misalignment, 4))
    ceiling = float(basicsr_y(moved, to_tensor(hr), 4)["psnr_y"])
    return [round(misalignment.shift_px, 4), round(ceiling, 2)]


def large(num_scenes: int, output: Path | None, jobs: int) -> None:
    """Seconds and memory of scenes of 24 megapixels, from files to pairs and pages, `jobs` at a
    time (0: as many as cores and memory allow). Pairs of an earlier run are removed."""
    folder = Path("large-scenes")
    if not folder.exists():  # in a process of its own, so that its memory does not count
        process = get_context("spawn").Process(target=make_large_scenes, args=(folder, num_scenes))
        process.start()
        process.join()
    shutil.rmtree(folder / "pairs", ignore_errors=True)
    register = partial(register_folders, folder / "near", folder / "far", folder / "pairs")
    began, used = time.monotonic(), time.process_time()
    made = register(jobs=jobs)
    seconds, processor = time.monotonic() - began, time.process_time() - used
    began = time.monotonic()
    register()
    result = {
        "machine": machine_facts(torch.device("cpu")),
        "scenes": len(made.scenes),
        "pairs": made.num_crops,
        "jobs": jobs,
        "seconds_a_scene": round(seconds / len(made.scenes), 2),
        "processor_seconds_a_scene": round(processor / len(made.scenes), 2),
        "largest_memory_gib": round(largest_resident_bytes() / 2**30, 2),
        "seconds_where_all_is_done": round(time.monotonic() - began, 2),
        "corners_known_to_px": round(max(scene.corner_px or 9 for scene in made.scenes), 4),
    }
    print(json.dumps(result, indent=1))
    if output:
        output.write_text(json.dumps(result, indent=1) + "\n")


def make_large_scenes(folder: Path, num: int) -> None:
    """One planted scene of 24 megapixels a side in `num` copies."""
    mosaic = np.concatenate(
        [
            np.concatenate([np.rot90(sample(name), turn)[:384, :384] for turn in range(4)], 1)
            for name in ("brushes", "astronaut", "dogs")
        ],
        0,
    )
    photograph = np.asarray(cv2.resize(mosaic, (6000, 4000), interpolation=cv2.INTER_CUBIC))
    grain = np.random.default_rng(0).normal(0, 6, photograph.shape[:2])[..., None]
    scene = plant(np.clip(photograph + grain, 0, 255).astype(np.uint8), 2, 0)
    # LR of as many pixels as HR: the scene in the middle of a wider picture.
    tile = sample("brushes")
    wide = np.asarray(cv2.resize(tile, (6000, 4000), interpolation=cv2.INTER_CUBIC)).copy()
    height, width = scene.lr.shape[:2]
    top, left = (4000 - height) // 2, (6000 - width) // 2
    wide[top : top + height, left : left + width] = scene.lr
    for side, pixels in (("near", scene.hr), ("far", wide)):
        (folder / side).mkdir(parents=True)
        write_rgb(folder / side / "0.jpg", pixels)
        for number in range(1, num):
            shutil.copy(folder / side / "0.jpg", folder / side / f"{number}.jpg")


def strangers(folder: Path, output: Path | None) -> None:
    """How many faint features agree between photographs of different scenes, by the factor that LR
    is shrunk by."""
    photographs = [
        image for file in images_in(folder) if max((image := read_rgb(file)).shape) > 1199
    ]
    random = np.random.default_rng(5)
    result: dict[str, Any] = {"machine": machine_facts(torch.device("cpu"))}
    for factor in (1, 2, 4):
        counts: list[int] = []
        for _ in range(60):
            first, second = random.choice(len(photographs), 2, replace=False)
            size = [side // factor for side in photographs[first].shape[1::-1]]
            lr = cv2.resize(photographs[first], size, interpolation=cv2.INTER_AREA)
            match = coarse.match_at(
                lr, photographs[second], coarse.LONGEST_SIDES_PX[0], coarse.FAINT
            )
            counts.append(match.num_matches)
        result[f"agreeing, shrunk by {factor}"] = sorted(counts)
        print(factor, sorted(counts), flush=True)
    if output:
        output.write_text(json.dumps(result, indent=1) + "\n")


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    kind, *rest = arguments or [""]
    folder: Any = Path(rest[0]) if rest else None
    output = Path(rest[1]) if len(rest) > 1 else None
    if kind == "planted":
        planted(folder, output, int(rest[2]) if len(rest) > 2 else 0)
    elif kind == "moved" and folder:
        moved_apart(folder, output)
    elif kind == "strangers" and folder:
        strangers(folder, output)
    elif kind == "large":
        large(int(rest[0]) if rest else 2, output, int(rest[2]) if len(rest) > 2 else 0)
    else:
        print(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
