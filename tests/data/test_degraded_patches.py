"""Patches from photographs: the same again from the same seed, also after a resume, and HR is what
the photograph shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ibsd.data.degraded_patches import (
    MixedPatches,
    PhotographPatches,
    find_photographs,
    photograph_stack,
)
from ibsd.data.image_stack import ImageStack
from ibsd.data.options import PatchOptions
from ibsd.data.patches import PairPatches
from ibsd.data.samples import sample
from ibsd.images.rgb import bicubic, write_rgb
from ibsd.types import InputError

MIXTURE = {"camera": 2.0, "clean": 1.0, "web": 1.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("chelsea", "coffee"):
        write_rgb(folder / f"{name}.png", sample(name)[:141, :203])  # sides that 4 does not divide
    (folder / "notes.txt").write_text("no photograph")
    return folder


def patches(
    folder: Path, seed: int = 0, softness: tuple[float, float] = (0.0, 0.0)
) -> PhotographPatches:
    stack = photograph_stack(find_photographs(folder), 4)
    return PhotographPatches(stack, MIXTURE, softness, 4, PatchOptions(5, 16), seed)


def test_batches_are_pairs_of_one_place(folder: Path) -> None:
    source = patches(folder)
    for _ in range(5):
        batch = source.next_batch()
        assert batch.lr.shape == (5, 3, 16, 16) and batch.hr.shape == (5, 3, 64, 64)
        errors = (bicubic(batch.lr, 4) - batch.hr).square().mean((1, 2, 3))
        others = (bicubic(batch.lr, 4) - batch.hr.roll(1, 0)).square().mean((1, 2, 3))
        assert bool((errors < others).all())


def test_hr_is_cut_from_the_photograph(folder: Path) -> None:
    source = patches(folder)
    source.augment = False
    batch = source.next_batch()
    for k in range(5):
        whole = source.hr.image(int(batch.origin.image[k]))
        top, left = (4 * (int(side[k]) + 4) for side in (batch.origin.top, batch.origin.left))
        assert torch.equal(batch.hr[k], whole[0, :, top : top + 64, left : left + 64])


def test_pairs_of_scale_1_have_one_size_and_blocks_anywhere(folder: Path) -> None:
    stack = photograph_stack(find_photographs(folder), 1)
    source = PhotographPatches(stack, {"jpeg 50": 1.0}, (0.0, 0.0), 1, PatchOptions(2, 32), 0)
    edges: set[int] = set()
    for _ in range(8):
        batch = source.next_batch()
        assert batch.lr.shape == batch.hr.shape == (2, 3, 32, 32)
        assert 0 < float((batch.lr - batch.hr).square().mean()) < 0.01
        steps = (batch.lr - batch.hr).diff(dim=3).abs().mean((0, 1, 2))
        edges.add(int(torch.stack([steps[k::8].mean() for k in range(8)]).argmax()))
    assert len(edges) > 2


@pytest.mark.slow
def test_equal_seeds_give_equal_batches_also_after_a_resume(folder: Path) -> None:
    first, second, other = patches(folder), patches(folder), patches(folder, seed=1)
    for _ in range(3):
        a, b = first.next_batch(), second.next_batch()
        assert torch.equal(a.lr, b.lr) and torch.equal(a.hr, b.hr)
        assert not torch.equal(a.lr, other.next_batch().lr)
    resumed = patches(folder)
    resumed.load_state(first.state())
    a, b = first.next_batch(), resumed.next_batch()
    assert torch.equal(a.lr, b.lr) and torch.equal(a.hr, b.hr) and first.digest == resumed.digest


def test_softness_reaches_hr_and_draws_the_same_places(folder: Path) -> None:
    sharp, soft = patches(folder).next_batch(), patches(folder, softness=(1.0, 1.0)).next_batch()
    assert torch.equal(sharp.origin.top, soft.origin.top)
    assert float(soft.hr.diff(dim=-1).abs().mean()) < 0.9 * float(
        sharp.hr.diff(dim=-1).abs().mean()
    )


def test_mixed_batches_hold_both_and_resume(folder: Path) -> None:
    def mixed() -> MixedPatches:
        hr = photograph_stack(find_photographs(folder), 4)
        black = [np.zeros((height // 4, width // 4, 3), np.uint8) for height, width in hr.sizes]
        pairs = PairPatches(ImageStack.from_arrays(black), hr, 4, PatchOptions(2, 16), seed=0)
        return MixedPatches(pairs, patches(folder))

    one, two = mixed(), mixed()
    one.next_batch()
    two.load_state(one.state())
    a, b = one.next_batch(), two.next_batch()
    assert a.lr.shape == (7, 3, 16, 16) and torch.equal(a.lr, b.lr) and torch.equal(a.hr, b.hr)
    assert float(a.lr[:2].max()) == 0 < float(a.lr[2:].min(0).values.max())


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        find_photographs(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_photographs(tmp_path / "absent")


def test_two_processes_cut_what_one_would(folder: Path) -> None:
    def source(part: tuple[int, int]) -> PhotographPatches:
        stack = photograph_stack(find_photographs(folder), 4)
        return PhotographPatches(
            stack, MIXTURE, (0.0, 0.0), 4, PatchOptions(4, 16), seed=0, part=part
        )

    whole, first, second = (source(part) for part in ((0, 1), (0, 2), (1, 2)))
    for _ in range(2):
        batch, halves = whole.next_batch(), [half.next_batch() for half in (first, second)]
        assert torch.equal(batch.lr, torch.cat([half.lr for half in halves]))
        assert torch.equal(batch.hr, torch.cat([half.hr for half in halves]))
    assert whole.digest == first.digest == second.digest


def test_two_views_show_one_hr_under_two_degradations(folder: Path) -> None:
    """The first view is that of a source with one view."""
    stack = photograph_stack(find_photographs(folder), 4)
    one, two = (
        PhotographPatches(stack, MIXTURE, (0.0, 0.0), 4, options, 3).next_batch()
        for options in (PatchOptions(4, 16), PatchOptions(4, 16, views=2))
    )
    assert (one.num_views, two.num_views) == (1, 2)
    assert torch.equal(two.lr[:4], one.lr)
    assert torch.equal(two.hr[:4], two.hr[4:])
    assert all((two.lr[k] != two.lr[4 + k]).any() for k in range(4))
