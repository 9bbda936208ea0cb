"""Any network as a student: the module stays as it is, its keys are its own, and whatever does not
fit is said by name."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import ibsd
import tiny
from ibsd.distillation import IBSD
from ibsd.distillation.plain import Plain
from ibsd.distillation.registry import OBJECTIVES
from ibsd.evaluation import evaluate
from ibsd.export.weights import save_student
from ibsd.students.ema import WeightAverage
from ibsd.training.options import TrainingOptions
from ibsd.training.trainer import Trainer
from ibsd.types import InputError

NODES = ["head", "body.1", "body.3"]


class Net(nn.Module):
    """A network of somebody else's: batch norm with its whole-number counter, a table of whole
    numbers, a branch of another size."""

    positions: Tensor

    def __init__(self, scale: int = 2, width: int = 6) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(nn.Conv2d(width, width, 3, padding=1) for _ in range(4)))
        self.norm = nn.BatchNorm2d(width)
        self.wide = nn.Conv2d(width, 2 * width, 1)
        self.small = nn.AvgPool2d(2)
        self.tail = nn.Sequential(
            nn.Conv2d(2 * width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )
        self.twice = nn.ReLU()
        self.idle = nn.Identity()
        self.both = nn.Identity()
        self.flat = nn.Flatten(2)
        self.register_buffer("positions", torch.arange(width))

    def forward(self, lr: Tensor) -> Tensor:
        x = self.norm(self.twice(self.body(self.twice(self.head(lr)))))
        self.small(x)
        self.both((x, 2 * x))
        self.flat(x)
        return self.tail(self.wide(x.index_select(1, self.positions)))


def net(seed: int = 0, scale: int = 2) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Net(scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_picture_nodes_and_facts_are_the_modules_own(scale: int) -> None:
    module, lr = net(scale=scale).eval(), torch.rand(2, 3, 9, 7)
    student = ibsd.tap(module, NODES)
    trace = student.trace(lr)
    assert torch.equal(student(lr), module(lr)) and torch.equal(trace.sr, module(lr))
    first = module.head(lr)
    assert torch.equal(trace.nodes[0], first)
    assert torch.equal(trace.nodes[1], module.body[:2](first.relu()))
    assert torch.equal(trace.nodes[2], module.body(first.relu()))
    spec = student.spec
    assert (spec.scale, spec.channels, spec.num_nodes) == (scale, 6, 3)
    trace.nodes[-1].sum().backward()
    assert module.head.weight.grad is not None and module.wide.weight.grad is None


def test_tapping_and_tracing_leave_no_mark() -> None:
    module, before = net(), net()
    student = ibsd.tap(module, NODES, scale=2)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    ibsd.tap(module, NODES)
    assert torch.equal(torch.get_rng_state(), state)
    student.trace(torch.rand(1, 3, 8, 8))
    assert all(not part._forward_hooks for part in module.modules())
    assert all(part.training for part in module.modules()) and student.training
    module.norm.eval()
    ibsd.tap(module, NODES)
    assert [name for name, part in module.named_modules() if not part.training] == ["norm"]
    assert module.state_dict().keys() == before.state_dict().keys() == student.state_dict().keys()
    assert student.train(False).module is module and not module.training


def test_modules_keys_are_kept_in_every_file_and_whole_numbers_come_back_exactly(
    tmp_path: Path,
) -> None:
    student = ibsd.tap(net(1), NODES)
    state = load_file(save_student(student, tmp_path / "net.safetensors"))
    fresh = net(2)
    fresh.norm.num_batches_tracked += 7
    fresh.load_state_dict(state)
    for name, value in net(1).state_dict().items():
        assert (
            torch.equal(fresh.state_dict()[name], value)
            and fresh.state_dict()[name].dtype == value.dtype
        ), name
    with pytest.raises(RuntimeError, match="Missing key"):
        student.load_state_dict({"head.weight": state["head.weight"]})


def test_a_running_average_is_the_average_and_copies_stand_alone() -> None:
    student = ibsd.tap(net(), NODES)
    average = WeightAverage(student, decay=0.05)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1.0)
    average.update(student)
    for name, value in average.student.module.named_parameters():  # type: ignore[union-attr]
        torch.testing.assert_close(value, net().state_dict()[name] + 0.95)
    twin = copy.deepcopy(student)
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(twin.eval().trace(lr).nodes[2], student.eval().trace(lr).nodes[2])
    assert twin.module is not student.module
    assert torch.equal(average.student.module.positions, torch.arange(6))  # type: ignore[union-attr]


def trained(folder: Path | None, stop: int = 9) -> Trainer:
    objective = IBSD(ibsd.tap(net(), NODES), lambda_mi=1e-3, warm_up=1, ramp=1, period=3)
    trainer = Trainer(
        objective,
        tiny.source(),
        TrainingOptions(
            num_steps=9,
            learning_rate=1e-3,
            diagnostics_every=4,
            validate_every=0,
            checkpoint_every=0,
        ),
        checkpoints=folder,
    )
    trainer.stop_requested = lambda: "stopped" if trainer.step >= stop else None
    if folder is not None:
        trainer.resume()
    trainer.run()
    return trainer


@pytest.mark.slow
def test_ibsd_trains_it_and_a_resumed_run_is_exact(tmp_path: Path) -> None:
    whole = trained(None)
    trained(tmp_path, stop=5)
    resumed = trained(tmp_path)
    assert resumed.step == 9
    for expected, student in (
        (whole.student, resumed.student),
        (whole.average.student, resumed.average.student),
    ):
        assert all(
            torch.equal(value, student.state_dict()[name])
            for name, value in expected.state_dict().items()
        )
    assert not torch.equal(whole.student.module.head.weight, net().head.weight)  # type: ignore[union-attr]
    assert (
        int(resumed.student.module.norm.num_batches_tracked)
        == int(whole.student.module.norm.num_batches_tracked)
        > 0
    )  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name", ["plain", "ibsd", "feature-norm", "byot", "ps-kd", "dlb", "ema-teacher"]
)
def test_objectives_take_it(name: str) -> None:
    objective = OBJECTIVES[name](ibsd.tap(net(), NODES))
    result = Trainer(
        objective,
        tiny.source(batch_size=4),
        TrainingOptions(num_steps=2, diagnostics_every=1, validate_every=0, checkpoint_every=0),
    ).run()
    assert result.finished and not result.skipped


def test_it_upscales_and_is_evaluated_by_library_calls() -> None:
    student = ibsd.tap(net(), NODES).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, 3), np.uint8)
    large = ibsd.upscale(pixels, student)
    assert large.shape == (40, 32, 3)
    table = evaluate({"mine": student}, [("a", pixels, large)], student.spec.scale, lpips=False)
    # against its own picture: only rounding is left
    assert table.means["mine"]["basicsr-y"]["psnr_y"] > 60


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (["head", "bodi.1"], ["no submodule 'bodi.1'", "did you mean", "'body.1'"]),
        (["head", "zzzz"], ["there are: head"]),
        (["head"], ["at least two"]),
        (["head", "head"], ["two different"]),
        (["body.1", "head"], ["order ['head', 'body.1']"]),
        (["head", "twice", "wide"], ["'twice' runs 2 times"]),
        (["head", "idle"], ["'idle' runs 0 times"]),
        (["head", "flat"], ["'flat' gives [1, 6, 1024]"]),
        (
            ["head", "body.1", "wide"],
            [
                "one shape",
                "'head' [1, 6, 32, 32]",
                "'body.1' [1, 6, 32, 32]",
                "'wide' [1, 12, 32, 32]",
            ],
        ),
        (["head", "small"], ["'small' [1, 6, 16, 16]"]),
    ],
)
def test_nodes_that_do_not_fit_are_named(nodes: list[str], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        ibsd.tap(net(), nodes)
    assert isinstance(caught.value, ValueError)
    for word in words:
        assert word in str(caught.value)


def test_of_a_tuple_the_first_counts() -> None:
    module, lr = net().eval(), torch.rand(1, 3, 8, 8)
    assert torch.equal(
        ibsd.tap(module, ["head", "both"]).trace(lr).nodes[1],
        ibsd.tap(module, ["head", "norm"]).trace(lr).nodes[1],
    )


def test_networks_that_give_no_larger_picture_are_refused() -> None:
    with pytest.raises(InputError, match="not RGB of 3 times"):
        ibsd.tap(net(), NODES, scale=3)
    steep = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Upsample(scale_factor=5))
    with pytest.raises(InputError, match="scale is 5"):
        ibsd.tap(steep, ["0", "1"])
    mean = net()
    mean.register_forward_hook(lambda module, inputs, sr: sr.mean())
    with pytest.raises(InputError, match="not RGB of 1 to 4 times"):
        ibsd.tap(mean, NODES)
    with pytest.raises(InputError, match="does not run"):
        ibsd.tap(nn.Sequential(nn.Conv2d(1, 3, 1), nn.Conv2d(3, 3, 1)), ["0", "1"])
    strange = net()
    strange.register_forward_hook(lambda module, inputs, sr: sr.no_such_name)
    with pytest.raises(InputError, match="does not run .*no_such_name"):
        ibsd.tap(strange, NODES)


def test_inputs_below_the_minimum_are_padded_and_cropped() -> None:
    student = ibsd.tap(net(), NODES, minimum_size_px=12).eval()
    assert student(torch.rand(1, 3, 5, 20)).shape == (1, 3, 10, 40)
    assert student.trace(torch.rand(1, 3, 5, 20)).nodes[0].shape == (1, 6, 12, 20)


def test_without_weights_it_trains_as_plain() -> None:
    states = []
    for objective in (
        Plain(ibsd.tap(net(), NODES)),
        IBSD(ibsd.tap(net(), NODES), lambda_mi=0.0, lambda_hf=0.0),
    ):
        Trainer(
            objective,
            tiny.source(),
            TrainingOptions(num_steps=4, diagnostics_every=0, validate_every=0, checkpoint_every=0),
        ).run()
        states.append(objective.student.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


SPANDREL = {
    "SPAN": (
        {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8, "upscale": 2, "norm": False},
        ["conv_1", "block_2", "block_4", "block_6"],
    ),
    "SwinIR": (
        {
            "img_size": 16,
            "window_size": 4,
            "embed_dim": 12,
            "depths": [1, 1],
            "num_heads": [2, 2],
            "mlp_ratio": 2,
            "upscale": 2,
            "upsampler": "pixelshuffledirect",
            "img_range": 1.0,
        },
        ["conv_first", "conv_after_body"],
    ),
}
"""Networks of spandrel (it needs torchvision): options and nodes."""


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("name", SPANDREL)
def test_a_network_of_spandrel_trains_is_evaluated_and_loads_again(
    name: str, tmp_path: Path
) -> None:
    spandrel = pytest.importorskip(
        "spandrel", reason="spandrel does not import here", exc_type=ImportError
    )
    options, nodes = SPANDREL[name]
    torch.manual_seed(0)
    save_file(
        getattr(spandrel.architectures, name).__dict__[name](**options).state_dict(),
        tmp_path / "start.safetensors",
    )
    loaded = spandrel.ModelLoader().load_from_file(tmp_path / "start.safetensors")
    student = ibsd.tap(loaded.model, nodes, scale=loaded.scale)
    objective = IBSD(student, period=2, warm_up=0, ramp=0)
    trainer = Trainer(
        objective,
        tiny.source(),
        TrainingOptions(num_steps=4, diagnostics_every=2, validate_every=0, checkpoint_every=0),
    )
    assert trainer.run().finished and trainer.guard.skipped == 0

    boosted = trainer.average.student
    file = save_student(boosted, tmp_path / "boosted.safetensors")
    again = spandrel.ModelLoader().load_from_file(file)
    lr = torch.rand(1, 3, 16, 16)
    assert torch.equal(again.model.eval()(lr), boosted(lr))
    assert load_file(file).keys() == load_file(tmp_path / "start.safetensors").keys()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    hr = ibsd.upscale(pixels, boosted)
    assert (
        evaluate({"mine": boosted}, [("a", pixels, hr)], 2, lpips=False).means["mine"]["basicsr-y"][
            "psnr_y"
        ]
        > 60
    )
