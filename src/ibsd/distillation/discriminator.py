"""A small discriminator that learns to tell HR from SR while the student learns to be taken for HR.

    L_D = mean softplus(D(SR) - D(HR)),    L_student = mean softplus(D(HR) - D(SR))

D judges patches. SR and HR of one place show the same content, which cancels in the difference:
what is left is texture. This is the relativistic standard GAN (Jolicoeur-Martineau, ICLR 2019,
arXiv:1807.00734). Both losses are log 2 where D cannot tell.

Which gradients flow where: the student's loss reaches SR, with D held fixed. L_D reaches D alone;
its images are detached.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ibsd.distillation.objective import held_fixed
from ibsd.distillation.optimizers import skip_where_refused, use_fused, with_fused

PERIOD_PX = 8
"""The discriminator steps this many pixels."""


class PatchDiscriminator(nn.Module):
    """Images [N, 3, H, W], RGB in [0, 1], not clamped -> logits [N, 1, about H/8, about W/8], one
    for each patch of 40 px. More is more like HR.

    Computed in float32, also under autocast. The middle convolutions have spectral norm 1, the
    first and the last are free (Wang et al., ICCVW 2021, arXiv:2107.10833, but no U-Net). Power
    iteration goes on in training mode only; its vectors are in the state dict.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)  # dots of a pixel are seen as they are
        self.middle = nn.ModuleList(
            spectral_norm(nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1))
            for channels in (width, 2 * width, 4 * width)
        )
        self.last = nn.Conv2d(8 * width, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            x = F.leaky_relu(self.first(2 * images.float() - 1), 0.2)
            for layer in self.middle:
                x = F.leaky_relu(layer(x), 0.2)
            return self.last(x)


def preference_loss(preferred: Tensor, other: Tensor) -> Tensor:
    """mean softplus(other - preferred) of logits of equal shape: a scalar with gradients to both.
    log 2 where they are equal, and near 0 where `preferred` is far above."""
    return F.softplus(other - preferred).mean()


class Adversary:
    """A discriminator, its optimiser, and what the two sides learn from it.

    Args:
        device: where it computes.
        width: channels of the first layer; the last has eight times as many.
        learning_rate: of the discriminator's Adam.
        seed: of its initial weights, which leave the global generator untouched.
    """

    def __init__(self, device: torch.device, width: int, learning_rate: float, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = PatchDiscriminator(width)
        self.network = network.to(device).eval()
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=learning_rate, betas=(0.9, 0.99)
        )

    def term(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The student's loss, a scalar with a graph to SR only. Changes nothing."""
        with torch.no_grad():
            real = self.network(hr)
        with held_fixed(self.network):
            return preference_loss(self.network(sr), real)

    def learn(self, sr: Tensor, hr: Tensor, accepted: Tensor | None = None) -> Tensor:
        """One step of the discriminator from detached images. Returns its loss before it, detached.
        Nothing changes where `accepted`, a bool on the device, is false."""
        parameters = list(self.network.parameters())
        buffers = list(self.network.buffers())
        before = [buffer.clone() for buffer in buffers]
        self.optimizer.zero_grad(set_to_none=True)
        self.network.train()
        false, real = self.network(torch.cat((sr, hr))).chunk(2)
        self.network.eval()
        loss = preference_loss(real, false)
        loss.backward()
        finite = torch.isfinite(torch.nn.utils.clip_grad_norm_(parameters, math.inf))
        if accepted is not None:
            skip_where_refused(self.optimizer, finite & accepted)
            self.optimizer.step()
            for buffer, old in zip(buffers, before, strict=True):
                buffer.copy_(torch.where(accepted, buffer, old))
        elif finite:
            self.optimizer.step()
        return loss.detach()

    def defer(self) -> None:
        """See `Objective.defer`."""
        use_fused(self.optimizer, True)

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        fused = self.optimizer.param_groups[0]["fused"]
        self.optimizer.load_state_dict(with_fused(state["optimizer"], fused))


def at_changing_phases(images: Tensor, first: int) -> Tensor:
    """[N, C, H, W] -> [N, C, H - 7, W - 7]: image number `first` + n begins at one of the 8 x 8
    pixels of the discriminator's step. Of 64 images in a row each begins at another.

    So neither the discriminator nor its gradient prefers a pixel of the step.
    """
    height, width = (size - PERIOD_PX + 1 for size in images.shape[-2:])
    parts: list[Tensor] = []
    for number, image in enumerate(images, start=first):
        top, left = divmod(27 * number % PERIOD_PX**2, PERIOD_PX)
        parts.append(image[:, top : top + height, left : left + width])
    return torch.stack(parts)
