"""From a config to objects: the student, the objective, the pairs and the source of patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch

from ibsd.config.parsing import checked_arguments, parameters_of
from ibsd.config.run import Config
from ibsd.data.degraded_patches import (
    MixedPatches,
    PhotographPatches,
    find_photographs,
    photograph_stack,
)
from ibsd.data.image_stack import resident_stacks
from ibsd.data.integrity import MIN_LR_PX, check_disjoint, check_pairs, fingerprint
from ibsd.data.layouts import PUBLISHED, find_data
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import Pair, PairSets, find_pairs
from ibsd.data.patches import PairPatches, PatchSource
from ibsd.data.shard_patches import ShardPatches
from ibsd.data.shards import is_shards, open_shards
from ibsd.distillation.objective import Objective
from ibsd.distillation.registry import OBJECTIVES, declared_options
from ibsd.doctor.drop_list import read_drop_list
from ibsd.students import STUDENTS, Student, create_student, load_student
from ibsd.types import InputError


def build_student(config: Config) -> Student:
    """The student of the config. Its initial weights depend on `run.seed` alone, unless they are
    read from `student.weights`."""
    name = config.student.name
    scale = config.student.scale
    if name not in STUDENTS:
        raise InputError(f"student.name is {name!r}; there are: {', '.join(STUDENTS)}")
    options = checked_arguments(STUDENTS[name], config.student.options, "student.options")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        student = create_student(name, scale, **options)
    if config.student.weights:
        loaded = load_student(config.student.weights)
        load = load_trunk if config.student.trunk else load_all_weights
        load(student, loaded, config.student.weights)
    return student


def load_all_weights(student: Student, loaded: Student, path: str) -> None:
    """Gives the student the weights of another, which must be of the same network and scale."""
    ours = student.spec
    theirs = loaded.spec
    if (theirs.name, theirs.scale) != (ours.name, ours.scale):
        raise InputError(
            f"student.weights: {path} holds {theirs.name} x{theirs.scale}, not {ours.name} "
            f"x{ours.scale}"
        )
    try:
        student.load_state_dict(loaded.state_dict())
    except RuntimeError:
        raise InputError(
            f"student.weights: {path} has student.options {dict(theirs.options)}, and the config "
            f"{dict(ours.options)}: make them equal"
        ) from None


def load_trunk(student: Student, loaded: Student, path: str) -> None:
    """Gives the student the tensors that have its names and shapes. Between two scales these are
    all but the upsampler's."""
    own = student.state_dict()
    shared = {
        key: tensor
        for key, tensor in loaded.state_dict().items()
        if key in own and own[key].shape == tensor.shape
    }
    if len(shared) < len(own) / 2:
        raise InputError(
            f"student.weights: {path} fits {len(shared)} of {len(own)} tensors: name other weights"
        )
    student.load_state_dict(own | shared)


def build_objective(config: Config, student: Student) -> Objective:
    """The objective of the config around `student`."""
    name = config.objective.name
    if name not in OBJECTIVES:
        raise InputError(f"objective.name is {name!r}; there are: {', '.join(OBJECTIVES)}")
    declared = declared_options(OBJECTIVES[name])
    options = checked_arguments(declared, config.objective.options, "objective.options")
    soft_target = parameters_of(declared).get("soft_target")
    uses_bank = soft_target and options.get("soft_target", soft_target.default) == "bank"
    if config.data.photographs and uses_bank:
        raise InputError(
            "objective.options.soft_target is 'bank', which needs whole LR images, and "
            "photographs have none; set it to 'snapshot'"
        )
    if OBJECTIVES[name].start_share and not config.student.weights:
        raise InputError(
            f"objective.name is {name!r}, which keeps what the weights before training can do: "
            "set student.weights, for example to imdn-x4"
        )
    return OBJECTIVES[name](student, **options)


def checked_pairs(
    config: Config, log: Callable[[str], None] = lambda sentence: None
) -> tuple[PairSets, dict[str, str]]:
    """The pairs of the config, all readable and disjoint, with the fingerprints of train and val.

    `test` is compared with the others, so that no test image is trained on, and not used otherwise.
    """
    sets = find_sets(config, log)
    scale = config.student.scale
    digests = check_pairs(sets.train, scale, config.data.patch_px, log=log)
    digests |= check_pairs((*sets.val, *sets.test), scale, MIN_LR_PX, digests, log)
    check_disjoint(sets, digests)
    fingerprints = {
        "train": fingerprint(sets.train, digests),
        "val": fingerprint(sets.val, digests),
    }
    if config.data.photographs:
        fingerprints["photographs"] = photographs_fingerprint(config.data.photographs)
    return sets, fingerprints


def photographs_fingerprint(folder: str) -> str:
    """The fingerprint of a folder of photographs, or of shards of them."""
    return open_shards(folder).fingerprint if is_shards(folder) else fingerprint(as_pairs(folder))


def as_pairs(folder: str) -> tuple[Pair, ...]:
    """The photographs of a folder, each as a pair with itself, for their names and
    fingerprints."""
    return tuple(Pair(path.name, path, path) for path in find_photographs(folder))


def find_sets(config: Config, log: Callable[[str], None] = lambda sentence: None) -> PairSets:
    """The pairs of the config by their names, with some to train on. No image is read. `log` is
    told of any layout but the published one."""
    data = config.data
    dropped = read_drop_list(data.drop, data.pairs) if data.drop else frozenset()
    val = find_pairs(data.val_lr, data.val_hr, dropped) if data.val_lr else ()
    if data.pairs:
        layout = find_data(data.pairs, config.student.scale, dropped)
        sets = layout.sets
        if layout.name != PUBLISHED:
            log(layout.sentence())
        if val and sets.val:
            raise InputError(f"{data.pairs} has its own val: leave out data.val_lr and data.val_hr")
        sets = replace(sets, val=sets.val or val)
    else:
        sets = PairSets(find_pairs(data.lr, data.hr, dropped) if data.lr else (), val)
    sets = sets.select(data.select)
    if not sets.train and not data.photographs:
        advice = "put them into train_LR and train_HR"
        if data.select:
            advice = f"change data.select, which is {data.select}"
        raise InputError(f"{data.pairs or data.lr} holds no training pairs: {advice}")
    return sets


def build_source(
    config: Config,
    pairs: Sequence[Pair],
    device: torch.device,
    marks: Sequence[int] = (),
    part: tuple[int, int] = (0, 1),
) -> PatchSource:
    """The patches of the config: of pairs, of photographs or shards of them, or of both.
    `marks` and `part` as for `PairPatches`."""
    data = config.data
    scale = config.student.scale
    seed = data_seed(config)
    num_photographs = 0
    if data.photographs:
        share = data.photograph_share if pairs else 1
        num_photographs = round(share * data.batch_size)
        if not 0 < num_photographs < data.batch_size + (not pairs):
            raise InputError(
                f"data.batch_size is {data.batch_size}, too few for pairs and photographs: raise it"
            )

    def options(batch_size: int) -> PatchOptions:
        return PatchOptions(batch_size, data.patch_px, data.augment, data.views)

    sources: list[PatchSource] = []
    if pairs or not data.photographs:
        limit = data.memory_limit_mib * 2**20 or None
        cache = Path(data.cache) if data.cache else None
        lr, hr = resident_stacks(pairs, device, limit, cache)
        of_pairs = options(data.batch_size - num_photographs)
        source = PairPatches(lr, hr, scale, of_pairs, seed, marks, part)
        source.groups = groups_of(pairs, data.groups)
        sources.append(source)
    if data.photographs:
        softness = (data.softness[0], data.softness[1])
        own_marks = () if pairs else marks
        how = data.degradations, softness, scale, options(num_photographs), seed, own_marks, part
        if is_shards(data.photographs):
            source = ShardPatches(open_shards(data.photographs), *how, device)
        else:
            stack = photograph_stack(find_photographs(data.photographs), scale, device)
            source = PhotographPatches(stack, *how)
        sources.append(source)
    return sources[0] if len(sources) == 1 else MixedPatches(*sources)


def groups_of(pairs: Sequence[Pair], patterns: Sequence[str]) -> torch.Tensor | None:
    """Group of each pair by its name, int64; None without patterns. InputError for a pair that
    matches none."""
    if not patterns:
        return None
    groups: list[int] = []
    for pair in pairs:
        matches = [k for k, pattern in enumerate(patterns) if fnmatchcase(pair.name, pattern)]
        if not matches:
            raise InputError(f"data.groups: {pair.name} matches none of {', '.join(patterns)}")
        groups.append(matches[0])
    return torch.tensor(groups)


def data_seed(config: Config) -> int:
    """Seed of the order of the data."""
    return config.run.seed if config.run.data_seed < 0 else config.run.data_seed
