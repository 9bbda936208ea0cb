"""Degradations by name."""

from __future__ import annotations

import pytest

from ibsd.data.blur import BLURS
from ibsd.data.presets import EVERYDAY, FAMILIES, PRESETS, RANGES, find_preset
from ibsd.types import InputError


def test_presets_and_single_degradations_are_found_by_name() -> None:
    assert {*PRESETS, *EVERYDAY, *(f"blur {shape}" for shape in BLURS)} <= FAMILIES.keys()
    assert all(find_preset(name) is preset for name, preset in {**FAMILIES, **RANGES}.items())
    with pytest.raises(InputError, match="unknown degradation 'kamera'"):
        find_preset("kamera")


def test_single_blurs_are_of_one_strength() -> None:
    stages = [find_preset(f"blur {shape}").first for shape in BLURS]
    assert [stage.shapes for stage in stages] == [(shape,) for shape in BLURS]
    assert len({stage.blur for stage in stages}) == 1
