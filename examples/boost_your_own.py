"""IBSD for a network of your own: three lines. The network is not changed, and its weights are
saved under its own keys.

    python examples/boost_your_own.py PAIRS OUT.safetensors

PAIRS holds train_LR and train_HR at x2. Without arguments pairs are made from the embedded
photographs in a temporary folder, for a look at it.
"""

import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import ibsd
from ibsd.data.image_stack import resident_stacks
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import find_layout
from ibsd.data.patches import PairPatches
from ibsd.data.samples import write_sample_pairs
from ibsd.evaluation import evaluate
from ibsd.export import save_student
from ibsd.training import Trainer, TrainingOptions


class MyNetwork(nn.Module):
    """Any module from [N, 3, H, W] to [N, 3, 2H, 2W]: it knows nothing of ibsd."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.PReLU()) for _ in range(6)
        )
        self.tail = nn.Sequential(nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        for block in self.body:
            x = x + block(x)
        return self.tail(x)


def main(pairs: Path, output: Path, num_steps: int) -> None:
    torch.manual_seed(0)
    lr, hr = resident_stacks(find_layout(pairs).train)
    source = PairPatches(lr, hr, scale=2, options=PatchOptions(batch_size=4, patch_px=24), seed=0)

    student = ibsd.tap(MyNetwork(), nodes=["head", "body.1", "body.3", "body.5"])
    objective = ibsd.distillation.IBSD(student, period=50, warm_up=20, ramp=50)
    trainer = Trainer(
        objective,
        source,
        TrainingOptions(num_steps=num_steps, learning_rate=1e-3, log_every=20),
        log=print,
    )

    print(trainer.run())
    boosted = trainer.average.student
    test = find_layout(pairs).test
    print(
        evaluate({"mine": boosted}, test, boosted.spec.scale, lpips=False).means
        if test
        else "no test pairs"
    )
    print("weights:", save_student(boosted, output))

    mine = MyNetwork()  # from here on without ibsd
    mine.load_state_dict(load_file(output))
    print("a picture:", ibsd.upscale(next(pairs.glob("train_LR/*")), mine, scale=2).size)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(Path(sys.argv[1]), Path(sys.argv[2]), num_steps=5000)
    else:
        with tempfile.TemporaryDirectory() as folder:
            write_sample_pairs(Path(folder) / "pairs", scale=2)
            main(Path(folder) / "pairs", Path(folder) / "mine.safetensors", num_steps=40)
