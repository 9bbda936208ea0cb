"""Crops of whole images for both probes, spread evenly over the images and split by image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ibsd.data.image_stack import ImageStack
from ibsd.types import InputError, Origin


class Crops(NamedTuple):
    """LR crops and the image that each was cut from."""

    lr: Tensor
    """[M, 3, size_px, size_px] in [0, 1], fp32."""
    image: Tensor
    """[M] int64, index into the stack."""


class CropSets(NamedTuple):
    """Crops of three disjoint sets of photographs."""

    fit: Crops
    """Estimators learn from these."""
    stop: Crops
    """Decide when the fit stops."""
    held_out: Crops
    """Give the readings."""


def cut_crops(
    stack: ImageStack, per_image: int, size_px: int, seed: int, images: Sequence[int] | None = None
) -> Crops:
    """`per_image` square crops of every image (or of `images`) at random places, in the stored
    orientation.

    The images take turns. So any run of consecutive crops no longer than the number of images shows
    each image at most once, and negatives of a bound are other photographs. InputError if an image
    is smaller than the crop.
    """
    indices = torch.arange(len(stack)) if images is None else torch.tensor(list(images))
    chosen: list[int] = indices.tolist()
    if small := [stack.sizes[k] for k in chosen if min(stack.sizes[k]) < size_px]:
        raise InputError(f"{len(small)} images are smaller than {size_px} px: cut smaller crops")
    generator = torch.Generator().manual_seed(seed)
    image = indices.repeat(per_image)
    sizes = torch.tensor([stack.sizes[k] for k in chosen]).repeat(per_image, 1)
    rows, columns = (sizes - size_px + 1).unbind(dim=1)
    position = torch.rand((2, len(image)), generator=generator, dtype=torch.float64)
    top = (position[0] * rows).long()
    left = (position[1] * columns).long()
    origin = Origin(image, top, left, torch.zeros_like(image))
    return Crops(stack.crop(origin, size_px), image)


def cut_crop_sets(stack: ImageStack, size_px: int, per_image: int = 8, seed: int = 0) -> CropSets:
    """Crops of half of the images to fit on, of a fifth to stop by, and of the rest, held out."""
    parts = split_images(len(stack), (0.5, 0.2, 0.3), seed)
    return CropSets(
        *(cut_crops(stack, per_image, size_px, seed + k, part) for k, part in enumerate(parts))
    )


def split_images(num_images: int, shares: Sequence[float], seed: int) -> list[list[int]]:
    """Image indices shuffled and dealt into disjoint parts of the given shares (which sum to 1); no
    part is empty."""
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed)).tolist()
    edges = [round(num_images * sum(shares[:k])) for k in range(len(shares) + 1)]
    parts = [sorted(order[start:stop]) for start, stop in pairwise(edges)]
    if not all(parts):
        raise InputError(f"{num_images} images cannot be split into {len(shares)} parts; give more")
    return parts
