"""`ibsd data` without a terminal: the sheet of presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ibsd.data.degradation import degrade
from ibsd.data.presets import PRESETS
from ibsd.evaluation.matrix import centre_crop
from ibsd.images.rgb import to_array, to_tensor, write_rgb
from ibsd.reporting.pictures import contact_sheet
from ibsd.types import Scale

STRENGTHS = (0.5, 1.0, 1.5)
CROP_LR_PX = 64


def preview(photograph: Path, target: Path, scale: Scale, seed: int) -> dict[str, Any]:
    """Writes the sheet: a row for each preset, LR at each strength enlarged by repetition, then HR.
    Returns what it shows. InputError for a photograph below 16 LR px."""
    hr = centre_crop(photograph, scale, CROP_LR_PX * scale)

    def enlarged_lr(preset: str, strength: float) -> Any:
        generator = torch.Generator().manual_seed(seed)
        lr = degrade(to_tensor(hr), scale, PRESETS[preset], generator, strength)
        return to_array(lr).repeat(scale, 0).repeat(scale, 1)

    rows = [[*(enlarged_lr(preset, strength) for strength in STRENGTHS), hr] for preset in PRESETS]
    titles = (*(f"strength {strength:g}" for strength in STRENGTHS), "HR")
    write_rgb(target, contact_sheet(rows, titles))
    shown = {"rows": list(PRESETS), "strengths": STRENGTHS, "scale": scale, "seed": seed}
    return {"sheet": target, **shown}
