"""Laws that every student in the registry keeps, at small widths. A new network joins by one entry
in `tiny.SMALL`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.export import Dim, export

import tiny
from ibsd.distillation import IBSD
from ibsd.export.weights import save_student
from ibsd.students import STUDENTS, Student, create_student, load_student
from ibsd.students.cdc import CDC
from ibsd.students.esrt import ESRT
from ibsd.students.imdn import DistillationNetwork
from ibsd.students.omnisr import OmniSR
from ibsd.students.shufflemixer import ShuffleMixer
from ibsd.types import InputError
from ibsd.upscaling.tiling import tiled
from tiny import SMALL, small

IDLE: dict[str, tuple[str, ...]] = {
    "rfdn": ("B5.", "B6."),
    "esrt": tuple(
        f".{module}.weight1." for module in ("encoder", "decoder_low", "decoder_high", "alise")
    ),
}
"""Parameters that are in the published files and never run."""

QUICK = ("imdn", "rfdn", "span")
"""What `make check` tries."""


def marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    return () if name in QUICK else (pytest.mark.slow,)


NAMES = [pytest.param(name, marks=marks(name)) for name in STUDENTS]
CHOICES = [
    pytest.param(name, choice, scale, marks=pytest.mark.slow)
    for name, choices in SMALL.items()
    for choice in range(len(choices))
    for scale in ((1, 2, 3, 4) if choice == 0 else (3,))
]
"""Every scale with the first options of a network, one with its others."""


def picture(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_every_network_of_the_registry_is_tried():
    assert set(SMALL) == set(STUDENTS)
    assert all(network.name == name for name, network in STUDENTS.items())


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", NAMES)
def test_trace_gives_what_forward_gives_and_a_chain_of_equal_shapes(name: str, scale: int):
    student, lr = small(name, scale).eval(), picture(2, 3, 11, 17)
    with torch.no_grad():
        sr, nodes = student.trace(lr)
        assert torch.equal(sr, student(lr))
    assert sr.shape == (2, 3, 11 * scale, 17 * scale)
    assert len(nodes) == student.spec.num_nodes == 4
    shape = nodes[0].shape
    assert shape[:2] == (2, student.spec.channels)
    assert shape[2] >= 11 and shape[3] >= 17
    assert all(node.shape == shape for node in nodes)


@pytest.mark.parametrize("name", NAMES)
def test_training_and_eval_mode_give_the_same(name: str):
    student, lr = small(name), picture(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(student.train()(lr), student.eval()(lr))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (8, 8), (5, 17)])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_down_to_one_pixel_has_finite_gradients(
    name: str, height: int, width: int, flat: bool
):
    student = small(name)
    lr = torch.full((1, 3, height, width), 0.5) if flat else picture(1, 3, height, width)
    lr.requires_grad_()
    sr = student(lr)
    assert sr.shape == (1, 3, 2 * height, 2 * width)
    sr.square().mean().backward()
    assert float(lr.grad.abs().sum()) > 0
    assert bool(lr.grad.isfinite().all())
    for key, parameter in student.named_parameters():
        idle = not parameter.requires_grad or any(part in key for part in IDLE.get(name, ()))
        assert (parameter.grad is None) == idle, key
        assert idle or bool(parameter.grad.isfinite().all()), key


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_in_a_batch_is_treated_as_if_alone(name: str):
    student, lr = small(name).double(), picture(3, 3, 9, 10).double()
    with torch.no_grad():
        torch.testing.assert_close(student(lr)[1:2], student(lr[1:2]), rtol=1e-10, atol=1e-12)


def reached(student: Student, side: int, at: int) -> torch.Tensor:
    """[side, side]: how strongly the SR pixels of LR pixel (at, at) depend on each LR pixel."""
    lr = picture(1, 3, side, side).double().requires_grad_()
    student(lr)[..., 2 * at : 2 * at + 2, 2 * at : 2 * at + 2].square().sum().backward()
    return lr.grad.abs().sum(dim=(0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_what_the_spec_says_of_its_reach(name: str):
    student = small(name).double()
    radius = student.spec.receptive_field_px
    if student.spec.pools_globally:
        assert float(reached(student, 48, 0)[-4:, -4:].max()) > 0
        return
    rows = reached(student, 2 * radius + 5, radius + 2).sum(dim=1).nonzero().flatten()
    assert int(rows.min()) == 2
    assert int(rows.max()) == 2 * radius + 2


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_tiles_give_the_whole_exactly_where_the_advice_says_so(name: str):
    student = small(name).double()
    exact = "exactly" in student.tiling_advice()
    overlap = student.spec.receptive_field_px if exact else 8
    lr = picture(1, 3, 2 * overlap + 24, 3 * overlap + 24).double()

    def run(tile: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return student(torch.from_numpy(tile.copy())).numpy()

    whole, tiles = run(lr.numpy()), tiled(run, lr.numpy(), 2, 2 * overlap + 8, overlap)
    assert (np.abs(whole - tiles).max() < 1e-12 * np.abs(whole).max()) == exact


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_autocast_is_finite_and_near_fp32(name: str):
    student, lr = small(name), picture(2, 3, 16, 24)
    exact = student(lr).detach()
    with torch.autocast("cpu", torch.bfloat16):
        sr, nodes = student.to(memory_format=torch.channels_last).trace(
            lr.to(memory_format=torch.channels_last)
        )
    (sr.float().mean() + sum(node.float().square().mean() for node in nodes)).backward()
    assert all(
        bool(parameter.grad.isfinite().all())
        for parameter in student.parameters()
        if parameter.grad is not None
    )
    assert float((sr.detach().float() - exact).abs().max()) < 0.1 * float(exact.abs().max())


class Through(nn.Module):
    """Stands for an hourglass, and gives what it is given."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


def without_repetition(student: Student) -> Student:
    """The student with one part of each kind: what sizes it takes does not depend on how often a
    part is repeated, and tracing takes as long as there are parts."""
    if isinstance(student, DistillationNetwork):
        for k in set(student.order) - {1}:
            student.add_module(f"{student.block_key}{k}", nn.Identity())
    elif isinstance(student, ShuffleMixer):
        for k in range(1, len(student.blocks)):
            student.blocks[k] = nn.Identity()
    elif isinstance(student, OmniSR):
        student.residual_layer = student.residual_layer[:1]
        parts = student.residual_layer[0].residual_layer[0].layer
        for place in ("5", "6", "8", "10", "12"):  # left: attention of pixels on windows, of
            parts[place] = nn.Identity()  # channels on grids, and a feed-forward
    elif isinstance(student, CDC):
        for k in range(1, student.spec.options["num_hourglasses"]):
            student.add_module(f"HG_{k}", Through())
        for part in ("mid_res", "skip_conv1", "skip_conv2", "skip_conv3", "skip_conv4"):
            student.HG_0.add_module(part, nn.Identity())
    elif isinstance(student, ESRT):
        student.body[0].encoder2 = student.body[0].encoder3 = nn.Identity()
    return student


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_export_with_dynamic_size_equals_eager(name: str):
    student = without_repetition(small(name)).eval()
    multiple, smallest = student.card.tile_multiple_px, student.card.exported_minimum_px

    def side(wanted: int) -> int:
        return max(smallest, wanted + -wanted % multiple)

    dims = [
        Dim(axis, min=-(-smallest // multiple)) * multiple
        if multiple > 1
        else Dim(axis, min=smallest)
        for axis in "hw"
    ]
    lr = picture(1, 3, side(24), side(25))
    program = export(student, (lr,), dynamic_shapes={"lr": {2: dims[0], 3: dims[1]}}).module()
    for height, width in ((24, 25), (1, 47), (33, 2)):
        lr = picture(1, 3, side(height), side(width))
        with torch.no_grad():
            torch.testing.assert_close(program(lr), student(lr), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "choice", "scale"), CHOICES)
def test_every_option_is_detected_from_bare_keys_and_by_this_network_alone(
    name: str, choice: int, scale: int
):
    with torch.device("meta"):
        student = create_student(name, scale, **SMALL[name][choice])
        shapes = {key: tuple(value.shape) for key, value in student.state_dict().items()}
        detected = {
            other: options
            for other, network in STUDENTS.items()
            if (options := network.detect(shapes)) is not None
        }
        assert list(detected) == [name]
        assert create_student(name, **detected[name]).spec == student.spec


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_bare_keys_loads_exactly(name: str, tmp_path: Path):
    student = small(name, 3, seed=1)
    state = student.state_dict()
    bare = {f"module.{key}": value.contiguous() for key, value in state.items()}
    save_file(bare, tmp_path / "bare.safetensors")
    loaded = load_student(tmp_path / "bare.safetensors")
    assert loaded.spec == student.spec
    assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_student_comes_back_the_same(name: str, tmp_path: Path):
    student, lr = small(name, 3).eval(), picture(1, 3, 9, 12)
    loaded = load_student(save_student(student, tmp_path / "x.safetensors"))
    assert loaded.spec == student.spec
    with torch.no_grad():
        assert torch.equal(loaded(lr), student(lr))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_options_are_the_users_mistake(name: str):
    for options in ({"scale": 5}, {"scale": "4"}, {"wdith": 8}, {"width": 0}, {"width": -4}):
        with pytest.raises(InputError):
            create_student(name, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_ibsd_trains_it(name: str):
    student = small(name)
    objective = IBSD(
        student, lambda_mi=1e-5, lambda_hf=0.02, period=2, warm_up=0, ramp=0, soft_target="snapshot"
    )
    batch = tiny.source(patch_px=8).next_batch()
    optimiser = torch.optim.Adam(
        (parameter for parameter in student.parameters() if parameter.requires_grad), 1e-4
    )
    losses = []
    for step in range(4):
        objective.begin_step(step, 4)
        report = objective.loss(batch)
        optimiser.zero_grad()
        report.total.backward()
        optimiser.step()
        objective.auxiliary_step(report.nodes)
        objective.end_step()
        losses.append(float(report.terms["l1"]))
    assert losses[-1] < losses[0]
