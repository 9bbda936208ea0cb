"""Training patches from shards: as from photographs in memory, one shard after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ibsd.data.degradation import Range
from ibsd.data.degraded_patches import MARGIN_PX, PhotographPatches
from ibsd.data.options import PatchOptions
from ibsd.data.shards import Shards
from ibsd.types import InputError, Origin, Scale

DRAW_STREAM = 250_000_000
"""Stream of `new_generator` for origins."""


class _Turn(NamedTuple):
    """The batches from `first` on, before `end`, are cut from one shard."""

    place: int
    first: int
    end: int


class ShardPatches(PhotographPatches):
    """`PhotographPatches` of photographs in shards.

    Every shard serves as many batches as hold its pixels once. Then all shards come again, in
    another order. A batch depends on the seed, its number and the shards alone. While one shard is
    used, a thread reads the next one: no more than two are in memory.

    Args:
        shards: of `open_shards`.
        device: where batches are made.
        degradations, softness, scale, options, seed, marks, part: as for `PhotographPatches`.

    Errors: InputError for crops smaller than a patch, and as soon as a damaged shard has its turn.
    """

    def __init__(
        self,
        shards: Shards,
        degradations: Mapping[str, float],
        softness: Range,
        scale: Scale,
        options: PatchOptions,
        seed: int,
        marks: Sequence[int] = (),
        part: tuple[int, int] = (0, 1),
        device: torch.device | str = "cpu",
    ) -> None:
        patch_px = scale * (options.patch_px + 2 * MARGIN_PX)
        if patch_px > shards.crop_px:
            raise InputError(
                f"{shards.folder} holds crops of {shards.crop_px} px, and a patch takes {patch_px}:"
                " lower data.patch_px, or make shards with a larger --crop-px"
            )
        self.shards = shards
        pixels_a_batch = options.batch_size * patch_px**2
        self.lengths = np.array(
            [max(1, shard.crops * shards.crop_px**2 // pixels_a_batch) for shard in shards.shards]
        )
        """Batches that each shard serves."""
        self.firsts = np.cumsum([0, *(shard.crops for shard in shards.shards)])
        """Crops before each shard: `Origin.image` counts over all."""
        self.reader = ThreadPoolExecutor(1, "shards")
        self.seed = seed
        self.turn = self.turn_of(0)
        hr = shards.stack(self.turn.place, shards.read(self.turn.place).to(device))
        super().__init__(hr, degradations, softness, scale, options, seed, marks, part)
        self.ahead = self.read_ahead()

    def turn_of(self, batch: int) -> _Turn:
        """Whose turn it is at a batch, counted from 0."""
        epoch, rest = divmod(batch, int(self.lengths.sum()))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.lengths))
        ends = self.lengths[order].cumsum()
        k = int(ends.searchsorted(rest, side="right"))
        end = batch - rest + int(ends[k])
        place = int(order[k])
        return _Turn(place, end - int(self.lengths[place]), end)

    def read_ahead(self) -> tuple[_Turn, Future[Tensor]]:
        """Begins to read the next shard."""
        following = self.turn_of(self.turn.end)
        return following, self.reader.submit(self.shards.read, following.place)

    def draw(self) -> Origin:
        """Origins of the next batch, from the shard whose turn it is."""
        if not self.turn.first <= self.num_batches < self.turn.end:
            self.turn_over()
        self.generator = self.new_generator("cpu", DRAW_STREAM)
        origin = super().draw()
        return origin._replace(image=origin.image + int(self.firsts[self.turn.place]))

    def turn_over(self) -> None:
        self.turn = self.turn_of(self.num_batches)
        expected, flat = self.ahead
        if expected != self.turn:  # a resumed run
            wait([flat])
            del flat, self.ahead  # else there would be three in memory
            self.ahead = self.turn, self.reader.submit(self.shards.read, self.turn.place)
            flat = self.ahead[1]
        self.hr = self.shards.stack(self.turn.place, flat.result().to(self.device))
        del flat
        places = (self.rows, self.columns)  # the same in every crop
        self.rows, self.columns = (x[:1].expand(len(self.hr)) for x in places)
        self.ahead = self.read_ahead()

    def hr_at(self, origin: Origin) -> Tensor:
        """The HR patches at places of the shard whose turn it is."""
        first = int(self.firsts[self.turn.place])
        return super().hr_at(origin._replace(image=origin.image - first))
