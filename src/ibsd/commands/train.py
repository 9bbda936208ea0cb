"""`ibsd train`: one run as its config says, from the first step or from its last checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ibsd.assembly import build_objective, build_source, build_student, checked_pairs
from ibsd.commands.run_record import (
    recorded,
    refuse_or_compare,
    sessions_before,
    versions,
    without_paths,
    write_json,
)
from ibsd.config.run import Config, as_table
from ibsd.data.pairs import (
    Pair,
    load_pair,
)
from ibsd.distributed import ALONE, Processes, local_device
from ibsd.export.weights import save_student
from ibsd.images.rgb import to_array, to_tensor, write_rgb
from ibsd.inference.device import choose_device
from ibsd.metrics import score
from ibsd.metrics.protocols import PROTOCOLS
from ibsd.reporting.pictures import contact_sheet
from ibsd.students import Student
from ibsd.system import make_folder
from ibsd.training.checkpoint import list_checkpoints
from ibsd.training.result import TrainingResult
from ibsd.training.tracking import JsonLines, TensorBoard, Tracker
from ibsd.training.trainer import Trainer
from ibsd.types import NUMERICS, InputError

PRIMARY = "psnr_y"
"""Of `basicsr-y`: the score on `val` whose best step is kept."""


NUM_PICTURES = 3


@dataclass(frozen=True)
class Callbacks:
    """How a face follows a run; everything may stay as it is."""

    log: Callable[[str], None] = lambda sentence: None
    on_step: Callable[[int, dict[str, float]], None] | None = None
    on_validation: Callable[[int, dict[str, float]], None] = lambda step, scores: None
    stop_requested: Callable[[], str | None] = lambda: None


def train(
    config: Config,
    resume: bool = False,
    callbacks: Callbacks = Callbacks(),
    processes: Processes = ALONE,
) -> TrainingResult:
    """Trains as the config says, into `config.run.folder`.

    The folder receives `run.json` (config, versions, fingerprints of data and code, result),
    `log.jsonl`, `messages.log`, tensorboard events, `validation/*.png`, checkpoints, and as weights
    the running average at the last step (`last.safetensors`) and at its best on `val`
    (`best.safetensors`), and the last step's own weights (`last-raw.safetensors`).

    Args:
        resume: go on from the newest intact checkpoint in the folder; without one, start.
        processes: those that train together; the first one writes and speaks.

    Errors: InputError for whatever is wrong with config, pairs or folder, before anything is
    written.
    """
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    if not processes.is_main:
        callbacks = Callbacks(stop_requested=callbacks.stop_requested)
    with repeatable(config.run.deterministic):
        return train_together(config, resume, callbacks, processes)


def train_together(
    config: Config, resume: bool, callbacks: Callbacks, processes: Processes
) -> TrainingResult:
    """`train`, once the machine is set up."""
    folder = Path(config.run.folder)
    checkpoints = folder / "checkpoints"
    device = local_device(choose_device(config.run.device, "run.device"), processes)
    going_on = refuse_or_compare(config, folder, resume, callbacks.log)
    student = build_student(config).to(device)
    objective = build_objective(config, student)
    sets, fingerprints = checked_pairs(config, callbacks.log)
    source = build_source(config, sets.train, device, part=(processes.rank, processes.world_size))
    facts = {
        "config": as_table(config),
        "data": fingerprints,
        "versions": versions(),
        "numerics": NUMERICS,
        "processes": processes.world_size,
    }
    if going_on is not None:
        facts["before"] = sessions_before(going_on, facts, callbacks.log)
    resumed_step = newest_step(checkpoints) if going_on is not None else 0
    processes.check_agreement(
        {
            "settings": json.dumps(facts["config"]),
            "pairs": json.dumps(fingerprints),
            "versions of the code": f"{json.dumps(NUMERICS)} {torch.__version__}",
            "initial weights": digest_of(student),
            "checkpoints": str(resumed_step),
        }
    )
    make_folder(folder)
    if processes.is_main:
        write_json(folder / "run.json", facts)
    trackers = open_trackers(folder, resumed_step, processes)
    metadata = {"run": json.dumps(facts | {"config": without_paths(facts["config"])})}

    def validate(averaged: Student, step: int) -> dict[str, float]:
        scores = validation(averaged, sets.val, step, folder / "validation", processes)
        seen = (
            validation(averaged, sets.train[:NUM_PICTURES], step, None, processes)
            if sets.train
            else {}
        )
        scores |= {f"seen_{name}": value for name, value in seen.items() if name == PRIMARY}
        callbacks.on_validation(step, scores)
        return scores

    def on_best(averaged: Student, step: int) -> None:
        if processes.is_main:
            save_student(
                averaged,
                folder / "best.safetensors",
                metadata | {"step": str(step), "weights": "ema"},
            )

    trainer = Trainer(
        objective,
        source,
        config.training,
        checkpoints=checkpoints,
        validate=validate if sets.val else None,
        primary=PRIMARY,
        on_best=on_best,
        trackers=trackers,
        log=recorded(callbacks.log, folder / "messages.log", anew=resumed_step == 0)
        if processes.is_main
        else callbacks.log,
        on_step=callbacks.on_step,
        stop_requested=callbacks.stop_requested,
        processes=processes,
    )
    if going_on is not None and trainer.resume():
        callbacks.log(f"resumed at step {trainer.step}")
        if (
            trainer.step != resumed_step
        ):  # the newest checkpoint was damaged: the log must not run ahead
            for tracker in trackers:
                tracker.close()
            trainer.trackers = open_trackers(folder, trainer.step, processes)
    result = trainer.run()
    if result.finished and processes.is_main:
        step = {"step": str(result.step)}
        save_student(
            trainer.average.student,
            folder / "last.safetensors",
            metadata | step | {"weights": "ema"},
        )
        save_student(
            trainer.student, folder / "last-raw.safetensors", metadata | step | {"weights": "raw"}
        )
    if processes.is_main:
        write_json(folder / "run.json", facts | {"result": vars(result)})
    processes.barrier()  # lest one that has nothing to write is missed by those that do
    return result


@contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Within, if wanted, torch uses algorithms only that give the same bits again, on CUDA too."""
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def digest_of(student: Student) -> str:
    """SHA-256 of the weights."""
    whole = hashlib.sha256()
    for tensor in student.state_dict().values():
        whole.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


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

    Several processes take some pairs each and share the scores, whose sum runs in the order of the
    pairs: it is that of one process to the bit.
    """
    device = next(student.parameters()).device
    scores = {name: torch.zeros(len(pairs), dtype=torch.float64) for name in PROTOCOLS["basicsr-y"]}
    rows = []
    for number in processes.share(len(pairs)):
        pair = pairs[number]
        lr, hr = (to_tensor(pixels).to(device) for pixels in load_pair(pair))
        sr = student(lr).float()
        if sr.shape != hr.shape:
            raise InputError(
                f"{pair.lr} or {pair.hr} has another size than when this run was started: restore them, and go on with --resume"
            )
        for name, value in score(sr, hr, student.spec.scale, lpips=False)["basicsr-y"].items():
            scores[name][number] = value
        if len(rows) < NUM_PICTURES:
            rows.append([to_array(lr), to_array(sr), to_array(hr)])
    if pictures and processes.is_main and rows:
        pictures.mkdir(parents=True, exist_ok=True)
        write_rgb(
            pictures / f"step-{step:08d}.png", contact_sheet(rows, ("LR", f"step {step}", "HR"))
        )
    return {
        name: sum(processes.all_reduce_sum(values).tolist()) / len(pairs)
        for name, values in scores.items()
    }


def newest_step(checkpoints: Path) -> int:
    found = list_checkpoints(checkpoints)
    return int(found[-1].name.removeprefix("step-")) if found else 0


def open_trackers(folder: Path, resumed_step: int, processes: Processes) -> list[Tracker]:
    if not processes.is_main:
        return []
    trackers: list[Tracker] = [JsonLines(folder / "log.jsonl", resumed_step)]
    with suppress(
        ImportError
    ):  # a training machine may hold nothing but torch, numpy, pillow and safetensors
        trackers.append(TensorBoard(folder / "tensorboard", resumed_step))
    return trackers
