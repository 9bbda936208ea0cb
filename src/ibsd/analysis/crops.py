"""Crops of whole images for measurements: spread evenly over the images, and each knows its
image."""

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


def cut_crops(
    stack: ImageStack, per_image: int, size_px: int, seed: int, images: Sequence[int] | None = None
) -> Crops:
    """`per_image` square crops of every image (or of `images`) at random places, in the stored
    orientation.

    The images take turns, so that any run of consecutive crops no longer than the number of images
    shows each image at most once: negatives of a bound are then other photographs. InputError if an
    image is smaller than the crop.
    """
    indices = torch.arange(len(stack)) if images is None else torch.tensor(list(images))
    if small := [
        stack.sizes[index] for index in indices.tolist() if min(stack.sizes[index]) < size_px
    ]:
        raise InputError(
            f"{len(small)} images are smaller than a crop of {size_px} px (the first is {small[0]}); take smaller crops"
        )
    generator = torch.Generator().manual_seed(seed)
    image = indices.repeat(per_image)
    rows, columns = (
        torch.tensor([stack.sizes[index][side] - size_px + 1 for index in image.tolist()])
        for side in (0, 1)
    )
    where = torch.rand((2, len(image)), generator=generator, dtype=torch.float64)
    origin = Origin(
        image, (where[0] * rows).long(), (where[1] * columns).long(), torch.zeros_like(image)
    )
    return Crops(stack.crop(origin, size_px), image)


def split_images(num_images: int, shares: Sequence[float], seed: int) -> list[list[int]]:
    """Image indices shuffled and dealt into disjoint parts of the given shares (which sum to 1); no
    part is empty."""
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed)).tolist()
    edges = [round(num_images * sum(shares[:k])) for k in range(len(shares) + 1)]
    parts = [sorted(order[start:stop]) for start, stop in pairwise(edges)]
    if not all(parts):
        raise InputError(
            f"{num_images} images cannot be split into {len(shares)} parts of shares {list(shares)}; give more images"
        )
    return parts
