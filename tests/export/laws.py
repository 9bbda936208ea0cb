"""Laws of every export, called by the tests of each format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

import tiny
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.inference.exported import certificate_path, certified_precisions, sha256_of
from ibsd.inference.open import open_network
from ibsd.inference.parity import certificate_picture

SIZES = [(1, 1), (3, 50), (37, 23)]
"""None of them is in the certificate."""


def reference(lr: np.ndarray) -> np.ndarray:
    """The student's own result."""
    with torch.inference_mode():
        return tiny.student(scale=3)(torch.from_numpy(lr)).numpy()


def gives_what_torch_gives_at_any_size(model: Path, backend: str) -> None:
    network = open_network(model, precision="fp32")
    assert (network.backend, network.scale) == (backend, 3)
    assert network.descriptor.pools_globally
    reach_px = tiny.student(scale=3).spec.receptive_field_px
    assert network.descriptor.receptive_field_px == reach_px
    for size in SIZES:
        lr = certificate_picture(*size)
        original = lr.copy()
        first = network(lr)
        assert np.abs(first - reference(lr)).max() < 1e-5
        second = first.copy()
        network(1 - lr)
        assert np.array_equal(first, second), "a later call must not change an earlier result"
        assert np.array_equal(lr, original)


def certificate_says_what_was_run(model: Path, weights: Path) -> None:
    certificate = json.loads(certificate_path(model).read_text())
    assert certificate["weights_sha256"] == sha256_of(weights)
    assert certificate["files"][model.name] == sha256_of(model)
    assert certificate["network"]["name"] == "imdn" and certificate["network"]["scale"] == 3
    version = certificate["versions"]["torch"]
    assert version in (torch.__version__, torch.__version__.split("+")[0])
    assert certificate["precisions"]["fp32"]["passed"]
    sizes = certificate["precisions"]["fp32"]["sizes"]
    assert len(sizes) >= 5
    assert any(size["lr"][0] % 2 and size["lr"][1] % 2 for size in sizes)
    assert all(size["psnr_db"] is None or size["psnr_db"] > 90 for size in sizes)
    assert "fp32" in certified_precisions(model)


WITHOUT_TORCH = """
import sys
from importlib.abc import MetaPathFinder
class NoTorch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTorch())
from ibsd.cli.main import main
code = main(["upscale", sys.argv[1], "-o", sys.argv[2], "--weights", sys.argv[3]])
assert code == 0
assert not [name for name in sys.modules if name.split(".")[0] == "torch"]
"""


def upscales_without_torch(model: Path, folder: Path) -> None:
    rgb = (certificate_picture(12, 17)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    source, target = folder / "a.png", folder / "b.png"
    write_rgb(source, rgb)
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WITHOUT_TORCH, str(source), str(target), str(model)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    sr = reference(rgb.transpose(2, 0, 1)[None] / np.float32(255))[0]
    expected = sr.transpose(1, 2, 0).clip(0, 1) * 255
    assert np.abs(read_rgb(target) - expected).max() < 2.5  # bf16 where the CPU has it
