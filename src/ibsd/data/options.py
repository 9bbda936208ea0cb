"""Options of a source of patches. No torch here, so that a config is read without it."""

from __future__ import annotations

from dataclasses import dataclass

from ibsd.types import require


@dataclass(frozen=True)
class PatchOptions:
    """How many patches a batch has and how they are cut. Part of the config section [data]."""

    batch_size: int = 16
    """Patches a batch, over all processes."""
    patch_px: int = 48
    """LR side of a patch."""
    augment: bool = True
    """Random mirrors and transposes: the eight symmetries of the square."""
    views: int = 1
    """Views of each patch, 1 or 2. With 2 a batch has `batch_size` places and twice as many rows:
    photographs are degraded twice, drawn apart; pairs come as they are and jittered
    (`data/jitter.py`)."""

    def __post_init__(self) -> None:
        require("data.batch_size", self.batch_size, self.batch_size >= 1, "at least 1")
        require("data.patch_px", self.patch_px, self.patch_px >= 4, "at least 4")
        require("data.views", self.views, self.views in (1, 2), "1 or 2")
