"""The weights that the page offers: files, folders, and names of shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.app.offered_weights import find_offered_weights
from ibsd.types import InputError
from ibsd.weights import weights_file


def test_shipped_weights_by_name() -> None:
    [weights] = find_offered_weights([Path("imdn-sharp-x4")]).values()
    assert (weights.file, weights.scale) == (weights_file("imdn-sharp-x4"), 4)


def test_a_wrong_name_is_told_the_right_ones() -> None:
    with pytest.raises(InputError, match="imdn-sharp-x4"):
        find_offered_weights([Path("imdn-sharp-x5")])


def test_weights_have_a_look_where_something_can_mix_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_crisp(*packages: str) -> bool:
        monkeypatch.setattr("ibsd.app.offered_weights.find_spec", packages.__contains__)
        [weights] = find_offered_weights([Path("imdn-safe-x4")]).values()
        return weights.has_crisp

    assert has_crisp("openvino", "onnxruntime")
    assert has_crisp("torch", "onnxruntime")
    assert not has_crisp("onnxruntime")
