"""Patches from shards: what photographs in memory give, a function of seed and batch alone, and
never more than two shards in memory."""

from __future__ import annotations

import json
import threading
import weakref
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.data.degraded_patches import PhotographPatches, find_photographs
from ibsd.data.options import PatchOptions
from ibsd.data.shard_patches import ShardPatches
from ibsd.data.shards import INDEX, Shards, open_shards, shard_path, write_shard
from ibsd.types import InputError

MIXTURE = {"camera": 2.0, "clean": 1.0}
PX, COUNTS = 48, (9, 5, 7)
OPTIONS = PatchOptions(4, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    lines = [json.dumps({"crop_px": PX, "shards": len(COUNTS)})]
    for number, count in enumerate(COUNTS):
        crops = tiny.stack([(PX, PX)] * count, seed=number).flat.view(count, 3, PX, PX).numpy()
        lines.append(json.dumps(asdict(write_shard(folder, number, [crops]))))
    (folder / INDEX).write_text("".join(f"{line}\n" for line in lines))
    return folder


def patches(folder: Path, seed: int = 0, **more: object) -> ShardPatches:
    given = {"options": OPTIONS, "softness": (0.0, 0.5), **more}
    return ShardPatches(open_shards(folder), MIXTURE, scale=2, seed=seed, **given)


def skip(source: ShardPatches, batches: int) -> None:
    """Draws batches and cuts nothing."""
    source.cut_part = lambda origin: None
    for _ in range(batches):
        source.next_batch()
    del source.cut_part


def test_a_batch_is_what_photographs_in_memory_give(folder: Path) -> None:
    source = patches(folder)
    stack = tiny.stack([(PX, PX)] * COUNTS[source.turn.place], seed=source.turn.place)
    resident = PhotographPatches(stack, MIXTURE, (0.0, 0.5), 2, OPTIONS, 0)
    batch = source.next_batch()
    resident.num_batches = 1
    first = sum(COUNTS[: source.turn.place])
    same = resident.cut_part(batch.origin._replace(image=batch.origin.image - first))
    assert torch.equal(batch.lr, same.lr) and torch.equal(batch.hr, same.hr)


def test_all_shards_have_their_turn_in_an_order_of_the_seed(folder: Path) -> None:
    source = patches(folder)
    assert source.lengths.tolist() == [9, 5, 7]  # a batch has as many pixels as a crop
    epoch = int(source.lengths.sum())
    images: list[int] = []
    for batch in range(2 * epoch):
        source.num_batches = batch
        images += source.draw().image.tolist()
        place = source.turn.place
        low, high = source.firsts[place : place + 2]
        assert all(low <= image < high for image in images[-4:])
        assert source.turn == source.turn_of(batch)
    assert set(images[: 4 * epoch]) > set(range(0, sum(COUNTS), 7))
    assert len({tuple(turns(source, k)) for k in range(6)}) > 2
    assert [turns(source, k) for k in range(6)] != [turns(patches(folder, 1), k) for k in range(6)]
    assert all(sorted(turns(source, k)) == [0, 1, 2] for k in range(6))


def turns(source: ShardPatches, epoch: int) -> list[int]:
    """Places of the shards in an epoch."""
    batch, places = epoch * int(source.lengths.sum()), list[int]()
    for _ in COUNTS:
        turn = source.turn_of(batch)
        places.append(turn.place)
        batch = turn.end
    return places


@pytest.mark.parametrize("steps", [9, 30])
def test_a_resumed_run_cuts_what_an_uninterrupted_one_cuts(folder: Path, steps: int) -> None:
    first, resumed, other = patches(folder), patches(folder), patches(folder, seed=1)
    skip(first, steps)
    resumed.load_state(first.state())
    for _ in range(4):
        a, b, c = first.next_batch(), resumed.next_batch(), other.next_batch()
        assert torch.equal(a.lr, b.lr) and torch.equal(a.hr, b.hr)
        assert not torch.equal(a.lr, c.lr)
    assert first.digest == resumed.digest != other.digest


def test_two_processes_cut_what_one_would(folder: Path) -> None:
    whole, *halves = (patches(folder, part=part) for part in ((0, 1), (0, 2), (1, 2)))
    for source in (whole, *halves):
        skip(source, whole.turn_of(0).end - 1)
    for _ in range(2):
        batch, own = whole.next_batch(), [half.next_batch() for half in halves]
        assert torch.equal(batch.lr, torch.cat([half.lr for half in own]))
        assert torch.equal(batch.hr, torch.cat([half.hr for half in own]))


def test_never_more_than_two_shards_are_in_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    lock = threading.Lock()
    read = Shards.read
    held: list[weakref.ref[Tensor]] = []

    def watched(self: Shards, place: int) -> Tensor:
        nonlocal most
        flat = read(self, place)
        with lock:
            held.append(weakref.ref(flat))
            most = max(most, sum(each() is not None for each in held))
        return flat

    monkeypatch.setattr(Shards, "read", watched)
    source = patches(folder)
    skip(source, 30)
    before = source.state()
    source.load_state(before | {"num_batches": 3})
    source.next_batch()
    assert len(held) > 6 and most == 2


def test_a_shard_that_breaks_ends_the_run_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    source = patches(copy)
    last = turns(source, 0)[-1]
    path = shard_path(copy, last)
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    skip(source, source.turn.end)
    with pytest.raises(InputError, match=rf"{path.name} is damaged"):
        skip(source, 21)


def test_crops_that_are_too_small_and_shards_as_photographs_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="takes 64: lower data.patch_px"):
        patches(folder, options=PatchOptions(4, 24))
    with pytest.raises(InputError, match="holds shards"):
        find_photographs(folder)
