"""CDC's own training: a gradient-weighted loss on the result, and one on each component's image
where HR is flat, an edge or a corner.

    L = GW(SR, HR) + 1 GW(m_flat SR_flat, m_flat HR)
                   + 2 GW(m_edge SR_edge, m_edge HR)
                   + 5 GW(m_corner SR_corner, m_corner HR)
    GW(a, b) = mean (1 + 4 |Sx(a) - Sx(b)|) (1 + 4 |Sy(a) - Sy(b)|) |a - b|

Source: Wei et al., ECCV 2020, arXiv:2008.01928; weights, thresholds and factor as their published
trainer has them.
That the components' losses are gradient-weighted too is our reading
(docs/decisions/0030-other-objectives.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.distillation.objective import Objective
from ibsd.students.cdc import CDC, COMPONENTS
from ibsd.students.student import Student
from ibsd.types import Batch, InputError, require_not_negative

LUMA = (0.257, 0.564, 0.098)
"""Weights of R, G and B, as in the published trainer."""
HARRIS_K = 0.04
CORNER = 0.01
EDGE = -0.001
"""Shares of the response's maximum above which a pixel is a corner, and below which an edge."""


def sobel(x: Tensor, padding: str) -> tuple[Tensor, Tensor]:
    """Responses to the horizontal and the vertical 3x3 Sobel kernel (weights 1, 2, 1), per channel,
    [N, C, H, W]; `padding` as in `F.pad`."""
    across = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack((across, across.T))[:, None].repeat(x.shape[1], 1, 1, 1)
    responses = F.conv2d(F.pad(x, (1, 1, 1, 1), mode=padding), kernels, groups=x.shape[1])
    return responses[:, ::2], responses[:, 1::2]


def gradient_weighted_loss(sr: Tensor, target: Tensor, factor: float = 4.0) -> Tensor:
    """Mean over all elements of (1 + factor dx) (1 + factor dy) |sr - target|, dx and dy the
    absolute differences of zero-padded Sobel responses.

    Both are [N, C, H, W] of any range. Gradients reach both, through the weights too. An offset d
    that is constant over the image costs d inside, and more within a pixel of the border.
    """
    (across, down), (target_across, target_down) = sobel(sr, "constant"), sobel(target, "constant")
    weights = 1 + factor * (across - target_across).abs()
    weights = weights * (1 + factor * (down - target_down).abs())
    return (weights * (sr - target).abs()).mean()


@torch.no_grad()
def region_masks(hr: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 3 regions, 1, H, W] of 0 and 1 in the order flat, edge, corner. Every
    pixel is of one region.

    The Harris response det(M) - 0.04 trace(M)^2, M summed over 3x3 pixels (borders mirrored), is
    compared with its maximum over the image. H and W are at least 2.
    """
    luma = hr.new_tensor(LUMA, dtype=torch.float32).view(1, 3, 1, 1)
    grey = (hr.float() * luma).sum(dim=1, keepdim=True)
    across, down = sobel(grey, "reflect")
    products = torch.cat((across * across, down * down, across * down), dim=1)
    sums = 9 * F.avg_pool2d(F.pad(products, (1, 1, 1, 1), mode="reflect"), 3, 1)
    xx, yy, xy = sums.unbind(dim=1)
    response = xx * yy - xy * xy - HARRIS_K * (xx + yy).square()
    largest = response.amax(dim=(1, 2), keepdim=True)
    corner = response > CORNER * largest
    edge = response < EDGE * largest
    return torch.stack((~(corner | edge), edge & ~corner, corner), dim=1)[:, :, None].to(hr.dtype)


class ComponentLoss(Objective):
    """Trains `cdc` as its authors do. Every parameter of the student learns; there are no auxiliary
    parts.

    Args:
        student: a `CDC`.
        flat, edge, corner: weights of the components' losses.

    Errors: InputError for any other network, which has no components.
    """

    joint = True

    def __init__(
        self, student: Student, flat: float = 1.0, edge: float = 2.0, corner: float = 5.0
    ) -> None:
        if not isinstance(student, CDC):
            raise InputError(f"objective cdc needs student.name cdc, not {student.spec.name}")
        weights = {"gradient_weighted": 1.0, "flat": flat, "edge": edge, "corner": corner}
        super().__init__(student, weights)
        require_not_negative("cdc", flat=flat, edge=edge, corner=corner)
        self.network = student

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr, images, _ = self.network.components(batch.lr)
        masks = region_masks(batch.hr)
        terms = {"gradient_weighted": gradient_weighted_loss(sr.float(), batch.hr)}
        for k, name in enumerate(COMPONENTS):
            mask = masks[:, k]
            terms[name] = gradient_weighted_loss(mask * images[:, k].float(), mask * batch.hr)
        return terms, ()

    @torch.no_grad()
    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Share of the batch's HR pixels that is flat, edge and corner, and the mean of each
        component's map there."""
        maps = self.network.components(batch.lr).maps.float().mean(dim=2, keepdim=True)
        masks = region_masks(batch.hr)
        diagnostics: dict[str, float] = {}
        for k, name in enumerate(COMPONENTS):
            share = masks[:, k].mean()
            diagnostics[f"region/{name}"] = float(share)
            mean = (maps[:, k] * masks[:, k]).mean() / share if share > 0 else 0.0
            diagnostics[f"map/{name}"] = float(mean)
        return diagnostics
