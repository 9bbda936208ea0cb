"""Progressive soft target: the student's own past output, mixed into HR more and more as training
goes on.

    T_t = (1 - a_t) HR + a_t SR_past,   a_t = a_T t / T_total,   a = 0 until the first period ends

SR_past is the output of the student as it was at the end of the previous period.

Source: docs/method.md 4 (loss published, schedule ours), after PS-KD (Kim et al., ICCV 2021,
arXiv:2006.12000).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ibsd.data.image_stack import ImageStack, free_memory_bytes
from ibsd.data.patches import PatchSource
from ibsd.students.ema import WeightAverage, frozen_copy
from ibsd.students.student import Student
from ibsd.types import Batch, InputError, require

PastSource = Literal["snapshot", "ema", "bank", "start"]
"""What gives SR_past. `snapshot`: a frozen copy of the student runs on every batch. `ema`: a
running average of the student runs on every batch. `bank`: at each period's end the snapshot runs
once over every whole training image, and a patch's past output is the same crop and augmentation of
that output. The bank sees the whole image's statistics and costs no forward pass a step.
Its images are as stored, so that with two views of pairs the past sees the clean one. Without a
`PatchSource`, or for a batch without `origin`, it is `snapshot`. `start`: a frozen copy of the
student as it was before training runs on every batch, a generalist where training began from one.
Its share grows from the first step."""


class SoftTarget:
    """Gives T_t for a batch.

    Args:
        student: whose past is used; never changed. Only `bank` needs more than an `nn.Module`.
        source: `snapshot`, `ema`, `bank` or `start`.
        final_share: a_T, share of the past at the end of training, in [0, 1].
        period: updates between snapshots.
        decay: of the running average, for source `ema`.

    Errors: InputError for an unknown source, and a share or period out of range.

    In a loop of one's own:

        soft_target = SoftTarget(student, "snapshot", final_share=0.8, period=500)
        for step, (lr, hr) in enumerate(loader):
            soft_target.begin_step(step, num_steps)
            target = soft_target(ibsd.Batch(lr, hr))  # HR until the first period ends
            ...  # the student's update
            soft_target.end_step()
    """

    def __init__(
        self,
        student: Student,
        source: PastSource,
        final_share: float,
        period: int,
        decay: float = 0.999,
    ) -> None:
        sources = get_args(PastSource)
        require("soft target: source", source, source in sources, f"one of {', '.join(sources)}")
        require("soft target: final_share", final_share, 0 <= final_share <= 1, "0 to 1")
        require("soft target: period", period, period >= 1, "at least 1")
        self.student = student
        self.source = source
        self.final_share = final_share
        self.period = period
        self.share = 0.0
        self.average = WeightAverage(student, decay) if source == "ema" else None
        self.past: Student | None = None
        self.bank: ImageStack | None = None
        self.images: ImageStack | None = None
        if source == "start" and final_share > 0:
            self.past = frozen_copy(student)

    def prepare(self, patches: PatchSource) -> None:
        """The bank takes whole LR images from `patches`. InputError if it has none."""
        if self.source == "bank" and patches.lr_images is None:
            raise InputError(
                "soft target: a bank needs whole LR images, and photographs have none; set "
                "objective.options.soft_target to 'snapshot'"
            )
        self.images = patches.lr_images

    def begin_step(self, step: int, num_steps: int) -> None:
        """Takes a snapshot where a period ends, and moves the schedule."""
        if self.final_share == 0:
            return
        if self.source != "start" and step > 0 and step % self.period == 0:
            if self.average is None:
                self.past = frozen_copy(self.student)
                self.bank = None
            else:
                self.past = self.average.student
        self.share = 0.0
        if self.past is not None:
            self.share = min(self.final_share * step / num_steps, self.final_share)

    def end_step(self) -> None:
        if self.average is not None:
            self.average.update(self.student)

    @torch.no_grad()
    def past_output(self, batch: Batch) -> Tensor | None:
        """SR_past of the batch, [N, 3, sh, sw] in fp32 without graph; None before the first period
        ends."""
        if self.past is None:
            return None
        if self.source != "bank" or self.images is None or batch.origin is None:
            return self.past(batch.lr).float()
        if self.bank is None:
            self.bank = fill_bank(self.past, self.images)
        return self.bank.crop(batch.origin, batch.hr.shape[-1], self.student.spec.scale)

    def __call__(self, batch: Batch) -> Tensor:
        """T_t, [N, 3, sh, sw] without graph: HR as it is, and in fp32 once there is a past."""
        past = self.past_output(batch)
        return batch.hr if past is None else torch.lerp(batch.hr.to(past), past, self.share)

    def state(self) -> dict[str, Any]:
        """The past student's weights; a bank is computed again from them."""
        past = self.past.state_dict() if self.past is not None and self.average is None else None
        return {
            "past": past,
            "average": self.average and self.average.state(),
            "started": self.past is not None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.past = None
        self.bank = None
        if self.average is not None:
            self.average.load_state(state["average"])
        if state["started"]:
            self.past = frozen_copy(self.student) if self.average is None else self.average.student
            if self.average is None:
                self.past.load_state_dict(state["past"])


@torch.no_grad()
def fill_bank(student: Student, images: ImageStack) -> ImageStack:
    """The student's output on every whole image in its stored orientation, fp32 on the images'
    device.

    Errors: InputError if that does not fit: four times the bytes of the HR images.
    """
    scale = student.spec.scale
    sizes = [(height * scale, width * scale) for height, width in images.sizes]
    count = sum(3 * height * width for height, width in sizes)
    free = free_memory_bytes(images.flat.device)
    if 4 * count > free:
        raise InputError(
            f"soft target: a bank of {len(sizes)} images needs {4 * count / 2**20:,.0f} MiB and "
            f"{free / 2**20:,.0f} MiB are free; set objective.options.soft_target to 'snapshot'"
        )
    flat = torch.empty(count, device=images.flat.device)
    bank = ImageStack(flat, sizes)
    for index, (height, width) in enumerate(sizes):
        start = int(bank.offsets[index])
        flat[start : start + 3 * height * width] = student(images.image(index)).float().flatten()
    return bank
