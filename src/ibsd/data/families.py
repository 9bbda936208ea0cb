"""Families: degradations of one kind each, beside the presets that mix them; what the degradation
matrix has rows of, and training a choice of."""

from __future__ import annotations

from ibsd.data.blur import BLURS
from ibsd.data.presets import PRESETS, Preset, Stage
from ibsd.types import InputError

BLUR = 0.5
"""Standard deviation in LR pixels of every shape of blur."""

SINGLE: dict[str, Preset] = {
    **{
        f"blur {shape}": Preset(Stage(blur=(BLUR, BLUR), shapes=(shape,), resamplers=("area",)))
        for shape in BLURS
    },
    "noise weak": Preset(Stage(resamplers=("area",), shot_noise=1e-3, read_noise=4e-3)),
    "noise strong": Preset(Stage(resamplers=("area",), shot_noise=4e-3, read_noise=1.6e-2)),
    "halo": Preset(Stage(blur=(BLUR, BLUR), shapes=("gaussian",), resamplers=("area",), halo=1.0)),
    **{
        f"jpeg {quality}": Preset(Stage(resamplers=("area",), jpeg=(quality, quality)))
        for quality in (90, 70, 50)
    },
}
"""Blurs are equal in standard deviation and differ in shape alone."""

FAMILIES: dict[str, Preset] = {**SINGLE, **PRESETS}


def family(name: str) -> Preset:
    """The family or preset of a name. InputError for another."""
    if name not in FAMILIES:
        raise InputError(f"unknown degradation {name!r}; there are: {', '.join(FAMILIES)}")
    return FAMILIES[name]
