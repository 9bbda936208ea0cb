"""The size of a result, where it is not simply the network's scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ibsd.types import InputError, Scale

MOST_PASSES = 3
"""Passes through the network, one after the other."""


class Passes(NamedTuple):
    """How a photograph comes to its size."""

    times: int
    """Passes through the network; 0 if the size is not above the photograph's."""
    height: int
    width: int


@dataclass(frozen=True)
class Size:
    """What the user asked for: one of these, or nothing for the network's scale."""

    scale: float | None = None
    """Times the photograph's sides."""
    width: int | None = None
    height: int | None = None
    max_side: int | None = None
    """Of the longer side, in pixels."""
    megapixels: float | None = None

    def __post_init__(self) -> None:
        asked = {name: value for name, value in vars(self).items() if value is not None}
        options = {name: f"--{name.replace('_', '-')}" for name in asked}
        if len(asked) > 1:
            raise InputError(
                f"{', '.join(options.values())} each say how large the result is: choose one"
            )
        for name, value in asked.items():
            if not 0 < value < 2**31:
                raise InputError(
                    f"{options[name]} is {value:g}: it must be more than 0 and below {2**31:,}"
                )

    def passes(self, height: int, width: int, scale: Scale) -> Passes:
        """For a photograph of this size and a network of this scale. The proportions stay.

        The network runs until its result is large enough; it is then made smaller. One of scale 1
        runs once.

        Errors: InputError for more than `MOST_PASSES`.
        """
        factor = self._factor(height, width)
        if factor is None:
            return Passes(1, height * scale, width * scale)
        target = [max(1, round(side * factor)) for side in (height, width)]
        if scale == 1 and (target[0] > height or target[1] > width):
            raise InputError(
                f"{target[1]}x{target[0]} pixels are more than the photograph has, and these "
                "weights keep its size: choose other weights, or a smaller size"
            )
        if scale == 1:
            return Passes(1, *target)
        count = 0
        while height * scale**count < target[0] or width * scale**count < target[1]:
            count += 1
        if count > MOST_PASSES:
            raise InputError(
                f"{target[1]}x{target[0]} pixels are {factor:.3g} times the photograph, and "
                f"x{scale} weights go up to {scale**MOST_PASSES} times: choose a smaller size"
            )
        return Passes(count, *target)

    def _factor(self, height: int, width: int) -> float | None:
        if self.width is not None:
            return self.width / width
        if self.height is not None:
            return self.height / height
        if self.max_side is not None:
            return self.max_side / max(height, width)
        if self.megapixels is not None:
            return (1e6 * self.megapixels / (height * width)) ** 0.5
        return self.scale


NETWORK_SIZE = Size()
"""The network's scale, once."""
