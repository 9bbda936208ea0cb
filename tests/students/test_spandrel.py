"""Networks that spandrel loads train and are evaluated, where spandrel imports (it needs
torchvision)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import ibsd
import tiny
from ibsd.distillation import IBSD
from ibsd.evaluation import evaluate
from ibsd.export.weights import save_student
from ibsd.training.options import TrainingOptions
from ibsd.training.trainer import Trainer

spandrel = pytest.importorskip(
    "spandrel", reason="spandrel does not import here", exc_type=ImportError
)

NETWORKS = {
    "SPAN": ({"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8, "upscale": 2, "norm": False}, ["conv_1", "block_2", "block_4", "block_6"]),
    "SwinIR": (
        {"img_size": 16, "window_size": 4, "embed_dim": 12, "depths": [1, 1], "num_heads": [2, 2], "mlp_ratio": 2, "upscale": 2,
         "upsampler": "pixelshuffledirect", "img_range": 1.0},
        ["conv_first", "conv_after_body"],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_from_a_file_trains_is_evaluated_and_loads_again(
    name: str, tmp_path: Path
) -> None:
    options, nodes = NETWORKS[name]
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
