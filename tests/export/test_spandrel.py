"""Registration with the real spandrel, where it imports (it needs torchvision, which has no build
beside this project's torch)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny
from ibsd.export import save_student
from ibsd.export.spandrel import register
from ibsd.students import STUDENTS
from ibsd.types import InputError


def test_without_spandrel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    with pytest.raises(InputError, match="pip install spandrel"):
        register()


def test_spandrel_loads_our_networks_and_runs_them(tmp_path: Path) -> None:
    spandrel = pytest.importorskip(
        "spandrel",
        reason="spandrel is not installed, or torchvision does not fit this torch",
        exc_type=ImportError,
    )
    registry = spandrel.MAIN_REGISTRY.copy()
    assert register(registry) == [f"ibsd-{name}" for name in STUDENTS]
    assert register(registry) == []
    assert not any("ibsd" in str(support.architecture.id) for support in spandrel.MAIN_REGISTRY)
    student, lr = tiny.student(scale=3).eval(), torch.rand(1, 3, 12, 9)
    model = spandrel.ModelLoader(registry=registry).load_from_file(
        save_student(student, tmp_path / "a.safetensors")
    )
    assert (str(model.architecture.id), model.scale, model.purpose) == ("ibsd-imdn", 3, "SR")
    assert model.tiling is spandrel.ModelTiling.DISCOURAGED
    with torch.inference_mode():
        assert torch.equal(model(lr), student(lr).clamp(0, 1))
