"""IBSD on your own pairs, as a library: no config, no command line.

    python examples/train_in_code.py PAIRS OUT.safetensors

PAIRS holds train_LR and train_HR. Without arguments pairs are made from the embedded photographs in
a temporary folder, for a look at it.
"""

import sys
import tempfile
from pathlib import Path

import torch

import ibsd
from ibsd.data.image_stack import resident_stacks
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import find_layout
from ibsd.data.patches import PairPatches
from ibsd.data.samples import write_sample_pairs
from ibsd.export import save_student
from ibsd.training import Schedule, Trainer, TrainingOptions


def main(pairs: Path, output: Path, num_steps: int) -> None:
    lr, hr = resident_stacks(find_layout(pairs).train)
    source = PairPatches(lr, hr, scale=4, options=PatchOptions(batch_size=4, patch_px=24), seed=0)
    torch.manual_seed(0)
    student = ibsd.create_student("imdn", scale=4, width=16, num_blocks=3)
    objective = ibsd.distillation.IBSD(student, period=50, warm_up=20, ramp=50)
    trainer = Trainer(
        objective,
        source,
        TrainingOptions(
            num_steps=num_steps,
            learning_rate=1e-3,
            schedule=Schedule("cosine", warm_up=20),
            log_every=20,
        ),
        log=print,
        on_step=lambda step, terms: print(step, terms) if step % 20 == 0 else None,
    )
    print(trainer.run())
    print("weights:", save_student(trainer.average.student, output))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(Path(sys.argv[1]), Path(sys.argv[2]), num_steps=5000)
    else:
        with tempfile.TemporaryDirectory() as folder:
            write_sample_pairs(Path(folder) / "pairs", scale=4)
            main(Path(folder) / "pairs", Path(folder) / "student.safetensors", num_steps=40)
