"""`ibsd train`: one run as its config says, from the first step or from its last checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibsd.assembly import build_objective, build_source, build_student, checked_pairs
from ibsd.commands.run_record import (
    RUN_FILE,
    refuse_or_compare,
    sessions_before,
    versions,
    without_paths,
)
from ibsd.comparison.pairing import weights_hash
from ibsd.config.run import Config, as_table
from ibsd.data.pairs import Pair, load_pair
from ibsd.distributed import ALONE, Processes, local_device
from ibsd.images.rgb import to_array, to_tensor, write_rgb
from ibsd.inference.device import choose_device, small_kernel_threads
from ibsd.metrics import score
from ibsd.metrics.protocols import PROTOCOLS
from ibsd.reporting.pictures import contact_sheet
from ibsd.students import Student
from ibsd.system import claimed, make_folder, require_utf8, write_json
from ibsd.training.execution import Callbacks, execute, newest_step
from ibsd.training.result import TrainingResult
from ibsd.types import NUMERICS, InputError

PRIMARY = "psnr_y"
"""The score on `val`, of `basicsr-y`, whose best step is kept."""
NUM_PICTURES = 3
"""Pairs of `val` on a sheet, and pairs of `train` in the score of seen pairs."""


def train(
    config: Config,
    resume: bool = False,
    callbacks: Callbacks = Callbacks(),  # noqa: B008  (frozen)
    processes: Processes = ALONE,
) -> TrainingResult:
    """Trains as the config says, into `config.run.folder`.

    The folder receives `run.json` (config, versions, fingerprints of data, NUMERICS, result),
    `log.jsonl`, `messages.log`, tensorboard events, `validation/*.png`, checkpoints, and as weights
    the running average at the last step (`last.safetensors`) and at its best on `val`
    (`best.safetensors`), the last step's own weights (`last-raw.safetensors`), and `lock`, by which
    another process sees that a training is at work there.

    Args:
        resume: go on from the newest intact checkpoint in the folder; without one, start.
        processes: those that train together; the first one writes and speaks.

    Errors: InputError for whatever is wrong with config, pairs or folder, before anything is
    written.
    """
    if not processes.is_main:
        callbacks = Callbacks(stop_requested=callbacks.stop_requested)
    threads = torch.get_num_threads()
    try:
        with ExitStack() as held, repeatable(config.run.deterministic):
            return train_together(config, resume, callbacks, processes, held)
    finally:
        torch.set_num_threads(threads)


def train_together(
    config: Config, resume: bool, callbacks: Callbacks, processes: Processes, held: ExitStack
) -> TrainingResult:
    """`train`, once the machine is set up. `held` ends the claim on the folder."""
    folder = Path(config.run.folder)
    require_utf8(folder)
    device = local_device(choose_device(config.run.device, "run.device"), processes)
    earlier = refuse_or_compare(config, folder, resume, callbacks.log)
    # A resumed run keeps its number, because another one rounds differently.
    threads = config.run.threads or (earlier or {}).get("threads") or small_kernel_threads()
    torch.set_num_threads(threads)
    student = build_student(config).to(device)
    objective = build_objective(config, student)
    sets, fingerprints = checked_pairs(config, callbacks.log)
    source = build_source(config, sets.train, device, part=(processes.rank, processes.world_size))
    record: dict[str, Any] = {
        "config": as_table(config),
        "data": fingerprints,
        "versions": versions(),
        "numerics": NUMERICS,
        "processes": processes.world_size,
        "threads": threads,
    }
    step = 0
    if earlier is not None:
        record["before"] = sessions_before(earlier, record, callbacks.log)
        step = newest_step(folder)
        if not step:
            callbacks.log(f"{folder} holds no checkpoint: the run begins at its first step")
    processes.check_agreement(
        {
            "settings": json.dumps(record["config"]),
            "pairs": json.dumps(fingerprints),
            "versions of the code": f"{json.dumps(NUMERICS)} {torch.__version__}",
            "initial weights": weights_hash(student.state_dict()),
            "checkpoints": str(step),
        }
    )
    make_folder(folder)
    if processes.is_main:
        held.enter_context(alone_in(folder))
    if sets.val and processes.is_main:
        make_folder(folder / "validation")
    if not sets.val:
        callbacks.log(
            "no pairs to choose by (val): nothing is validated, and there is no best.safetensors"
        )
    if processes.is_main:
        write_json(folder / RUN_FILE, record)

    def validate(averaged: Student, step: int) -> dict[str, float]:
        scores = validation(averaged, sets.val, step, folder / "validation", processes)
        if some := sets.train[:NUM_PICTURES]:
            seen = validation(averaged, some, step, None, processes)
            scores[f"seen_{PRIMARY}"] = seen[PRIMARY]
        callbacks.on_validation(step, scores)
        return scores

    result = execute(
        objective,
        source,
        config.training,
        folder,
        callbacks,
        processes=processes,
        resume=earlier is not None,
        validate=validate if sets.val else None,
        primary=PRIMARY,
        metadata={"run": json.dumps(record | {"config": without_paths(record["config"])})},
    ).result
    if processes.is_main:
        write_json(folder / RUN_FILE, record | {"result": vars(result)})
    processes.barrier()  # none leaves while another still writes
    return result


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """InputError where another process trains in the folder."""
    with claimed(folder) as ours:
        if not ours:
            raise InputError(
                f"{folder}: another process trains there: wait for it, or take another folder"
            )
        yield


@contextmanager
def repeatable(wanted: bool) -> Generator[None]:
    """Within, if wanted, torch gives the same bits twice, on CUDA too."""
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@torch.inference_mode()
def validation(
    student: Student,
    pairs: Sequence[Pair],
    step: int,
    pictures: Path | None,
    processes: Processes = ALONE,
) -> dict[str, float]:
    """Mean `basicsr-y` scores over the pairs, and in the folder `pictures` a sheet of the first
    ones: LR, SR, HR.

    Several processes take some pairs each. They add the scores in the order of the pairs, so that
    the sum is that of one process, bit for bit.
    """
    device = next(student.parameters()).device
    scores = {name: torch.zeros(len(pairs), dtype=torch.float64) for name in PROTOCOLS["basicsr-y"]}
    rows: list[list[np.ndarray]] = []
    for number in processes.share(len(pairs)):
        pair = pairs[number]
        lr, hr = (to_tensor(pixels).to(device) for pixels in load_pair(pair))
        sr = student(lr).float()
        if sr.shape != hr.shape:
            raise InputError(
                f"{pair.lr} or {pair.hr} changed size during the run: restore it, and use --resume"
            )
        for name, value in score(sr, hr, student.spec.scale, lpips=False)["basicsr-y"].items():
            scores[name][number] = value
        if len(rows) < NUM_PICTURES:
            rows.append([to_array(lr), to_array(sr), to_array(hr)])
    if pictures and processes.is_main and rows:
        pictures.mkdir(parents=True, exist_ok=True)
        sheet = contact_sheet(rows, ("LR", f"step {step}", "HR"))
        write_rgb(pictures / f"step-{step:08d}.png", sheet)
    return {
        name: sum(processes.all_reduce_sum(values).tolist()) / len(pairs)
        for name, values in scores.items()
    }
