"""Controls that need no information."""

from __future__ import annotations

import pytest
import torch

from ibsd.data.image_stack import ImageStack
from ibsd.data.options import PatchOptions
from ibsd.data.patches import PairPatches
from ibsd.distillation import Plain
from ibsd.distillation.regularised import Regularised
from ibsd.students import create_student
from ibsd.types import InputError


def student():
    torch.manual_seed(0)
    return create_student("imdn", 2, width=8, num_blocks=3)


def source(groups: list[int] | None = None) -> PairPatches:
    generator = torch.Generator().manual_seed(0)
    pixels = [
        torch.randint(256, (k * 16, k * 16, 3), generator=generator, dtype=torch.uint8).numpy()
        for k in (1, 1, 2, 2)
    ]
    lr, hr = ImageStack.from_arrays(pixels[:2], "cpu"), ImageStack.from_arrays(pixels[2:], "cpu")
    patches = PairPatches(lr, hr, 2, PatchOptions(batch_size=6, patch_px=8), seed=0)
    patches.groups = None if groups is None else torch.tensor(groups)
    return patches


def test_without_weights_it_is_plain() -> None:
    batch = source().next_batch()
    totals = [objective(student()).loss(batch).total for objective in (Plain, Regularised)]
    assert torch.equal(*totals)


@pytest.mark.slow
def test_dropped_channels_do_not_reach_sr_and_the_mean_is_kept() -> None:
    batch = source().next_batch()
    objective = Regularised(student(), dropout=0.5)
    outputs = torch.stack([objective.super_resolved(batch.lr).detach() for _ in range(150)])
    whole = objective.student(batch.lr).detach()
    assert not torch.equal(outputs[0], outputs[1])
    assert (outputs.mean(0) - whole).abs().mean() < 0.1 * outputs.std(0).mean()


def test_the_pull_to_the_start_is_the_squared_distance() -> None:
    objective = Regularised(student(), lambda_start=1.0)
    batch = source().next_batch()
    assert float(objective.loss(batch).terms["start"]) == 0
    count = sum(p.numel() for p in objective.student.parameters())
    with torch.no_grad():
        for parameter in objective.student.parameters():
            parameter += 0.1
    assert float(objective.loss(batch).terms["start"]) == pytest.approx(0.01 * count, rel=1e-4)
    state = objective.state()
    again = Regularised(student(), lambda_start=1.0)
    again.load_state(state)
    assert all(torch.equal(a, b) for a, b in zip(again.start, objective.start, strict=True))


def test_variance_over_groups_is_that_of_their_means() -> None:
    patches = source([0, 1])
    objective = Regularised(student(), lambda_variance=1.0)
    objective.prepare(patches)
    batch = patches.next_batch()
    error = (objective.student(batch.lr) - batch.hr).abs().mean((1, 2, 3))
    means = torch.stack([error[batch.origin.image == k].mean() for k in (0, 1)])
    assert torch.allclose(objective.loss(batch).terms["variance"], means.var(correction=0))


def test_one_group_is_refused_in_a_sentence() -> None:
    objective = Regularised(student(), lambda_variance=1.0)
    with pytest.raises(InputError, match=r"data\.groups"):
        objective.prepare(source())
