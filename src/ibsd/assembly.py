"""The composition root: turns a config into objects and runs them. Nobody else but the faces sees a config."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ibsd.config import Config, as_table, checked_arguments
from ibsd.data.drop_list import read_drop_list
from ibsd.data.layouts import PUBLISHED, find_data
from ibsd.data.pairs import Pair, PairSets, check_disjoint, check_pairs, find_pairs, fingerprint, load_pair
from ibsd.data.patches import PatchSource, resident_stacks
from ibsd.data.photograph_patches import MixedPatches, PhotographPatches, find_photographs, photograph_stack
from ibsd.distillation.objective import Objective
from ibsd.distillation.registry import OBJECTIVES
from ibsd.export.weights import save_student
from ibsd.files import make_folder
from ibsd.images import to_array, to_tensor, write_rgb
from ibsd.metrics import score
from ibsd.metrics.protocols import PROTOCOLS
from ibsd.processes import ALONE, Processes, own_device
from ibsd.reporting.pictures import contact_sheet
from ibsd.run_record import code_of, recorded, refuse_or_compare, sessions_before, versions, without_paths, write_json
from ibsd.students import STUDENTS, Student, create_student, load_student
from ibsd.training.checkpoint import list_checkpoints
from ibsd.training.schedule import Schedule
from ibsd.training.tracking import JsonLines, TensorBoard, Tracker
from ibsd.training.trainer import Trainer, TrainingResult
from ibsd.types import InputError
from ibsd.upscaling.torch_backend import chosen_device

PRIMARY = "psnr_y"
"""Of `basicsr-y`: the score on `val` whose best step is kept."""

NUM_PICTURES = 3


@dataclass(frozen=True)
class Callbacks:
    """How a face follows a run; everything may stay as it is."""

    say: Callable[[str], None] = lambda sentence: None
    on_step: Callable[[int, dict[str, float]], None] | None = None
    on_validation: Callable[[int, dict[str, float]], None] = lambda step, scores: None
    stop_requested: Callable[[], str | None] = lambda: None


def train(config: Config, resume: bool = False, callbacks: Callbacks = Callbacks(), processes: Processes = ALONE) -> TrainingResult:
    """Trains as the config says, into `config.run.folder`.

    The folder receives `run.json` (config, versions, fingerprints of data and code, result), `log.jsonl`, `messages.log`, tensorboard events,
    `validation/*.png`, checkpoints, and as weights the running average at the last step (`last.safetensors`) and at its best on `val`
    (`best.safetensors`), and the last step's own weights (`last-raw.safetensors`).

    Args:
        resume: go on from the newest intact checkpoint in the folder; without one, start.
        processes: those that train together; the first one writes and speaks.

    Errors: InputError for whatever is wrong with config, pairs or folder, before anything is written.
    """
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    if not processes.first:
        callbacks = Callbacks(stop_requested=callbacks.stop_requested)
    with repeatable(config.run.deterministic):
        return train_together(config, resume, callbacks, processes)


def train_together(config: Config, resume: bool, callbacks: Callbacks, processes: Processes) -> TrainingResult:
    """`train`, once the machine is set up."""
    folder = Path(config.run.folder)
    checkpoints = folder / "checkpoints"
    device = own_device(chosen_device(config.run.device, "run.device"), processes)
    going_on = refuse_or_compare(config, folder, resume, callbacks.say)
    student = build_student(config).to(device)
    objective = build_objective(config, student)
    sets, fingerprints = checked_pairs(config, callbacks.say)
    source = build_source(config, sets.train, device, part=(processes.rank, processes.size))
    facts = {"config": as_table(config), "data": fingerprints, "versions": versions(), "code": code_of(config), "processes": processes.size}
    if going_on is not None:
        facts["before"] = sessions_before(going_on, facts, callbacks.say)
    resumed_step = newest_step(checkpoints) if going_on is not None else 0
    processes.agree(
        {
            "settings": json.dumps(facts["config"]),
            "pairs": json.dumps(fingerprints),
            "versions of the code": f"{facts['code']} {torch.__version__}",
            "initial weights": digest_of(student),
            "checkpoints": str(resumed_step),
        }
    )
    make_folder(folder)
    if processes.first:
        write_json(folder / "run.json", facts)
    trackers = open_trackers(folder, resumed_step, processes)
    metadata = {"run": json.dumps(facts | {"config": without_paths(facts["config"])})}

    def validate(averaged: Student, step: int) -> dict[str, float]:
        scores = validation(averaged, sets.val, step, folder / "validation", processes)
        seen = validation(averaged, sets.train[:NUM_PICTURES], step, None, processes) if sets.train else {}
        scores |= {f"seen_{name}": value for name, value in seen.items() if name == PRIMARY}
        callbacks.on_validation(step, scores)
        return scores

    def on_best(averaged: Student, step: int) -> None:
        if processes.first:
            save_student(averaged, folder / "best.safetensors", metadata | {"step": str(step), "weights": "ema"})

    training = config.training
    trainer = Trainer(
        objective,
        source,
        schedule=Schedule(**vars(training.schedule)),
        checkpoints=checkpoints,
        validate=validate if sets.val else None,
        primary=PRIMARY,
        on_best=on_best,
        trackers=trackers,
        say=recorded(callbacks.say, folder / "messages.log", anew=resumed_step == 0) if processes.first else callbacks.say,
        on_step=callbacks.on_step,
        stop_requested=callbacks.stop_requested,
        processes=processes,
        **{name: value for name, value in vars(training).items() if name != "schedule"},
    )
    if going_on is not None and trainer.resume():
        callbacks.say(f"resumed at step {trainer.step}")
        if trainer.step != resumed_step:  # the newest checkpoint was damaged: the log must not run ahead
            for tracker in trackers:
                tracker.close()
            trainer.trackers = open_trackers(folder, trainer.step, processes)
    result = trainer.run()
    if result.finished and processes.first:
        step = {"step": str(result.step)}
        save_student(trainer.average.student, folder / "last.safetensors", metadata | step | {"weights": "ema"})
        save_student(trainer.student, folder / "last-raw.safetensors", metadata | step | {"weights": "raw"})
    if processes.first:
        write_json(folder / "run.json", facts | {"result": vars(result)})
    processes.wait()  # lest one that has nothing to write is missed by those that do
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


def build_student(config: Config) -> Student:
    """The network of the config: its initial weights depend on `run.seed` alone."""
    if config.student.name not in STUDENTS:
        raise InputError(f"student.name is {config.student.name!r}; there are: {', '.join(STUDENTS)}")
    options = checked_arguments(STUDENTS[config.student.name], config.student.options, "student.options")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        student = create_student(config.student.name, config.student.scale, **options)
    if config.student.weights:
        loaded = load_student(config.student.weights)
        if config.student.trunk:
            return with_trunk(student, loaded, config.student.weights)
        if (loaded.spec.name, loaded.spec.scale) != (student.spec.name, student.spec.scale):
            raise InputError(
                f"student.weights: {config.student.weights} holds {loaded.spec.name} x{loaded.spec.scale}, "
                f"and the config asks for {student.spec.name} x{student.spec.scale}"
            )
        try:
            student.load_state_dict(loaded.state_dict())
        except RuntimeError:
            raise InputError(
                f"student.weights: {config.student.weights} has other student.options than the config; make them equal"
            ) from None
    return student


def with_trunk(student: Student, other: Student, path: str) -> Student:
    """The student with all that it shares with another by name and shape, which for two scales is everything but the upsampler."""
    own, found = student.state_dict(), other.state_dict()
    shared = {key: tensor for key, tensor in found.items() if key in own and own[key].shape == tensor.shape}
    if len(shared) < len(own) / 2:
        raise InputError(
            f"student.weights: {path} shares {len(shared)} of {len(own)} tensors with this network: name weights of a like one"
        )
    student.load_state_dict(own | shared)
    return student


def build_objective(config: Config, student: Student) -> Objective:
    """The objective of the config around `student`."""
    name = config.objective.name
    if name not in OBJECTIVES:
        raise InputError(f"objective.name is {name!r}; there are: {', '.join(OBJECTIVES)}")
    options = checked_arguments(OBJECTIVES[name], config.objective.options, "objective.options")
    soft_target = inspect.signature(OBJECTIVES[name]).parameters.get("soft_target")
    if config.data.photographs and soft_target and options.get("soft_target", soft_target.default) == "bank":
        raise InputError(
            "objective.options.soft_target is 'bank', outputs for whole LR images, and there are none where photographs are degraded anew for "
            "every patch; set it to 'snapshot'"
        )
    return OBJECTIVES[name](student, **options)


def checked_pairs(config: Config, say: Callable[[str], None] = lambda sentence: None) -> tuple[PairSets, dict[str, str]]:
    """The pairs of the config, all readable and disjoint, with the fingerprints of train and val.

    `test` is compared with the others so that no test picture is trained on; it is not used otherwise.
    """
    sets = find_sets(config, say)
    digests = check_pairs(sets.train, config.student.scale, config.data.patch_px)
    digests |= check_pairs((*sets.val, *sets.test), config.student.scale)
    check_disjoint(sets, digests)
    found = {"train": fingerprint(sets.train, digests), "val": fingerprint(sets.val, digests)}
    if config.data.photographs:
        found["photographs"] = fingerprint(as_pairs(config.data.photographs))
    return sets, found


def as_pairs(folder: str) -> tuple[Pair, ...]:
    """The photographs of a folder, each as a pair with itself: what names and fingerprints are taken of."""
    return tuple(Pair(path.name, path, path) for path in find_photographs(folder))


def find_sets(config: Config, say: Callable[[str], None] = lambda sentence: None) -> PairSets:
    """The pairs of the config by their names, with some to train on; nothing is read yet. `say` hears of any but the published layout."""
    data = config.data
    dropped = read_drop_list(data.drop, data.pairs) if data.drop else frozenset()
    if data.pairs:
        layout = find_data(data.pairs, config.student.scale, dropped)
        sets = layout.sets
        if layout.name != PUBLISHED:
            say(layout.sentence())
    else:
        train = find_pairs(data.lr, data.hr, dropped) if data.lr else ()
        sets = PairSets(train, find_pairs(data.val_lr, data.val_hr, dropped) if data.val_lr else ())
    sets = sets.select(data.select)
    if not sets.train and not data.photographs:
        what = f"named {data.select}; change data.select" if data.select else "at all; put them into train_LR and train_HR"
        raise InputError(f"{data.pairs or data.lr}: holds no training pairs {what}")
    return sets


def build_source(
    config: Config, pairs: Sequence[Pair], device: torch.device, marks: Sequence[int] = (), part: tuple[int, int] = (0, 1)
) -> PatchSource:
    """The patches of the config, resident on the device: of pairs, of photographs, or of both; `marks` and `part` as for
    `PatchSource`.
    """
    data, scale, seed = config.data, config.student.scale, data_seed(config)
    sources: list[PatchSource] = []
    num_photographs = data.batch_size if not pairs else round(data.photograph_share * data.batch_size) if data.photographs else 0
    if data.photographs and not 0 < num_photographs < data.batch_size + (not pairs):
        raise InputError(f"data.batch_size = {data.batch_size} leaves no patch to one of pairs and photographs: make it larger")
    if pairs:
        lr, hr = resident_stacks(
            pairs,
            device,
            data.memory_limit_mib * 2**20 if data.memory_limit_mib else None,
            Path(data.cache) if data.cache else None,
        )
        sources.append(PatchSource(lr, hr, scale, data.patch_px, data.batch_size - num_photographs, seed, data.augment, marks, part))
    if data.photographs:
        hr = photograph_stack(find_photographs(data.photographs), scale, device)
        softness = (data.softness[0], data.softness[1])
        patches = PhotographPatches(
            hr, data.degradations, scale, data.patch_px, num_photographs, seed, data.augment, softness, () if pairs else marks, part
        )
        sources.append(patches)
    return sources[0] if len(sources) == 1 else MixedPatches(*sources)


def data_seed(config: Config) -> int:
    """Seed of the order of the data."""
    return config.run.seed if config.run.data_seed < 0 else config.run.data_seed


@torch.inference_mode()
def validation(student: Student, pairs: Sequence[Pair], step: int, pictures: Path | None, processes: Processes = ALONE) -> dict[str, float]:
    """Mean `basicsr-y` scores over the pairs, and in the folder `pictures` a sheet of the first ones: LR, SR, HR.

    Several processes take some pairs each and share the scores, whose sum runs in the order of the pairs: it is that of one process to the bit.
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
    if pictures and processes.first and rows:
        pictures.mkdir(parents=True, exist_ok=True)
        write_rgb(pictures / f"step-{step:08d}.png", contact_sheet(rows, ("LR", f"step {step}", "HR")))
    return {name: sum(processes.sum(values).tolist()) / len(pairs) for name, values in scores.items()}


def newest_step(checkpoints: Path) -> int:
    found = list_checkpoints(checkpoints)
    return int(found[-1].name.removeprefix("step-")) if found else 0


def open_trackers(folder: Path, resumed_step: int, processes: Processes) -> list[Tracker]:
    if not processes.first:
        return []
    trackers: list[Tracker] = [JsonLines(folder / "log.jsonl", resumed_step)]
    with suppress(ImportError):  # a training machine may hold nothing but torch, numpy, pillow and safetensors
        trackers.append(TensorBoard(folder / "tensorboard", resumed_step))
    return trackers
