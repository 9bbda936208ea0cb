"""Degradations by name: presets, which imitate an origin of pictures, and single ones, which have
one cause each.

The degradation matrix has a row for each; training draws from a mixture of them.
"""

from __future__ import annotations

from dataclasses import replace

from ibsd.data.blur import BLURS
from ibsd.data.degradation import Preset, Stage
from ibsd.types import InputError

PRESETS: dict[str, Preset] = {
    "clean": Preset(
        Stage(jpeg=(98, 100)), source="any of four resampling filters, as programs use them"
    ),
    "camera": Preset(
        Stage(
            blur=(0.35, 0.8),
            shapes=("gaussian", "gaussian", "elliptic", "generalised"),
            resamplers=("area", "bicubic"),
            phase=0.1,
            shot_noise=1e-4,
            read_noise=1e-3,
            white_balance=(1.2, 2.2),
            halo=0.8,
            halo_radius=(1.5, 2.5),
            jpeg=(90, 99),
        ),
        source="blur, halo and phase span the transfer functions and shifts of 64 train pairs of "
        "RealSR; noise of a camera at low ISO",
    ),
    "web": Preset(
        Stage(
            blur=(0.1, 0.6),
            jpeg=(80, 98),
            jpeg_share=0.7,
            halo=0.5,
            read_noise=2e-3,
            shot_noise=2e-4,
        ),
        Stage(blur=(0.0, 0.3), jpeg=(50, 95), halo=0.5, resized=0.5),
        source="photographs uploaded, shrunk, sharpened and compressed twice",
    ),
    "old-photo": Preset(
        Stage(blur=(0.4, 1.0), shot_noise=4e-3, read_noise=8e-3, jpeg=(70, 95), jpeg_share=0.5),
        Stage(blur=(0.0, 0.5), read_noise=4e-3, halo=0.8, jpeg=(60, 95), resized=0.5),
        source="soft, grainy, scanned and compressed",
    ),
}

EVERYDAY: dict[str, Preset] = {
    "sharpened": Preset(
        Stage(
            blur=(0.2, 0.8),
            shapes=("gaussian", "gaussian", "elliptic", "generalised"),
            resamplers=("area", "bicubic"),
            phase=0.1,
            shot_noise=2e-4,
            read_noise=2e-3,
            white_balance=(1.2, 2.2),
            smear=0.03,
            early_halo=1.0,
            halo=2.5,
            halo_radius=(0.5, 2.0),
            jpeg=(90, 99),
        ),
        source="cameras that sharpen, a little or a lot, before the picture is shrunk and after",
    ),
    "phone": Preset(
        Stage(
            blur=(0.2, 0.7),
            resamplers=("area", "bicubic"),
            shot_noise=2e-3,
            read_noise=6e-3,
            white_balance=(1.2, 2.2),
            smear=0.06,
            halo=1.5,
            halo_radius=(0.5, 1.5),
            jpeg=(80, 95),
        ),
        source="noise of a small sensor, smeared, sharpened and compressed",
    ),
    "page": Preset(
        Stage(blur=(0.0, 0.6), jpeg=(30, 98), jpeg_share=0.5, early_halo=0.5, halo=0.7),
        Stage(blur=(0.0, 0.2), jpeg=(10, 90), halo=0.4, resized=0.6),
        source="pictures that went through several web pages",
    ),
    "blocks": Preset(
        Stage(blur=(0.0, 0.3), jpeg=(10, 95)), source="shrunk and compressed once, at any quality"
    ),
    "grain": Preset(
        Stage(blur=(0.0, 0.4), grain=0.13, jpeg=(50, 98), jpeg_share=0.3),
        source="noise up to a standard deviation of 33 levels of 255, most of it weak",
    ),
    "scan": Preset(
        Stage(blur=(0.3, 1.0), shot_noise=4e-3, grain=0.08, jpeg=(60, 95), jpeg_share=0.5),
        Stage(blur=(0.0, 0.4), read_noise=4e-3, halo=0.8, jpeg=(50, 95), resized=0.6),
        source="prints and film, soft and grainy, scanned and compressed",
    ),
}
"""Presets that reach further than `PRESETS`: the pictures that people keep."""

SINGLE_BLUR = 0.5
"""Standard deviation in LR pixels of every shape of blur."""

SINGLE: dict[str, Preset] = {
    **{
        f"blur {shape}": Preset(
            Stage(blur=(SINGLE_BLUR, SINGLE_BLUR), shapes=(shape,), resamplers=("area",))
        )
        for shape in BLURS
    },
    "noise weak": Preset(Stage(resamplers=("area",), shot_noise=1e-3, read_noise=4e-3)),
    "noise strong": Preset(Stage(resamplers=("area",), shot_noise=4e-3, read_noise=1.6e-2)),
    "halo": Preset(
        Stage(blur=(SINGLE_BLUR, SINGLE_BLUR), shapes=("gaussian",), resamplers=("area",), halo=1.0)
    ),
    **{
        f"jpeg {quality}": Preset(Stage(resamplers=("area",), jpeg=(quality, quality)))
        for quality in (90, 70, 50)
    },
}
"""Blurs are equal in standard deviation and differ in shape alone."""

RANGES: dict[str, Preset] = {
    f"{degree} {cause}": Preset(replace(stage, resamplers=("area",)))
    for degree, stages in {
        "mild": {
            "gaussian": Stage(blur=(0.2, 0.8), shapes=("gaussian",)),
            "elliptic": Stage(blur=(0.2, 0.8), shapes=("elliptic",)),
            "jpeg": Stage(jpeg=(85, 95)),
            "halo": replace(SINGLE["halo"].first, halo=0.5),
        },
        "strong": {
            "gaussian": Stage(blur=(0.8, 1.6), shapes=("gaussian",)),
            "elliptic": Stage(blur=(0.8, 1.6), shapes=("elliptic",)),
            "jpeg": Stage(jpeg=(30, 70)),
            "halo": replace(SINGLE["halo"].first, halo=3.0),
        },
    }.items()
    for cause, stage in stages.items()
}
"""Mild families to train on, and the same stronger to test by. The matrix has no row for them."""

FAMILIES: dict[str, Preset] = {**SINGLE, **PRESETS, **EVERYDAY}
"""The rows of the degradation matrix."""


def find_preset(name: str) -> Preset:
    """The degradation of a name in `FAMILIES` or `RANGES`. InputError for another name."""
    known = {**FAMILIES, **RANGES}
    if name not in known:
        raise InputError(f"unknown degradation {name!r}; there are: {', '.join(known)}")
    return known[name]
