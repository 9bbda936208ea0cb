"""Laws of the backends: the student's own result in fp32, within the certified bound otherwise, at
any size, and never black."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from ibsd.export import save_student
from ibsd.inference.exported import NetworkFacts
from ibsd.inference.network import Network
from ibsd.inference.open import BackendNetwork, Opened, open_network
from ibsd.inference.torch_backend import (
    CERTIFIED_DB,
    certificate_picture,
    certified_precision,
    opened_student,
    psnr,
)
from ibsd.types import InputError

FACTS = NetworkFacts(
    "nearest", scale=2, receptive_field_px=0, pools_globally=False, minimum_size_px=4
)


def nearest(lr: np.ndarray) -> np.ndarray:
    return lr.repeat(2, axis=2).repeat(2, axis=3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_student(tiny.student(), tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (32, 17)])
def test_torch_gives_what_the_student_gives(weights: Path, size: tuple[int, int]) -> None:
    lr = certificate_picture(*size)
    with torch.inference_mode():
        expected = tiny.student()(torch.tensor(lr)).numpy()
    exact = open_network(weights, precision="fp32", device="cpu")
    assert isinstance(exact, Network)
    assert np.abs(exact(lr) - expected).max() < 1e-5
    assert (
        psnr(open_network(weights, precision="bf16", device="cpu")(lr), expected) > 35
    )  # untrained: no statement on a trained network


def test_psnr_answers_for_the_output_of_broken_weights() -> None:
    good = certificate_picture(3, 3)
    for bad in (np.nan, np.inf, -np.inf):
        assert psnr(np.full_like(good, bad), good) == -np.inf
    assert (
        psnr(np.full(good.shape, np.inf), np.full(good.shape, np.inf)) == -np.inf
    )  # inf - inf is not a number
    assert psnr(np.full(good.shape, 1e300), good) == -np.inf
    assert psnr(good, good) == np.inf


def test_auto_is_certified(weights: Path) -> None:
    network = open_network(weights, device="cpu")
    assert network.precision == certified_precision(tiny.student(), torch.device("cpu"))
    lr = certificate_picture(48, 56)
    assert (
        psnr(network(lr), open_network(weights, precision="fp32", device="cpu")(lr)) >= CERTIFIED_DB
    )


def test_the_facts_are_the_students() -> None:
    student = tiny.student(scale=3)
    network = BackendNetwork("torch", opened_student(student))
    assert (network.scale, network.receptive_field_px, network.pools_globally) == (
        3,
        student.spec.receptive_field_px,
        True,
    )
    assert (network.minimum_size_px, network.tile_px) == (1, 256)


def test_small_inputs_are_padded_by_replication_and_cropped() -> None:
    seen = []

    def run(lr: np.ndarray) -> np.ndarray:
        seen.append(lr)
        return nearest(lr)

    lr = np.random.default_rng(0).random((1, 3, 2, 5), np.float32)
    assert np.array_equal(BackendNetwork("fake", Opened(FACTS, run, "fp32"))(lr), nearest(lr))
    assert seen[0].shape == (1, 3, 4, 5)
    assert np.array_equal(seen[0][..., 2:, :], lr[..., 1:, :].repeat(2, axis=2))


def test_multiples_are_filled_with_zeros() -> None:
    facts = NetworkFacts("nearest", 2, 0, False, minimum_size_px=8, multiple_px=4)
    lr = np.random.default_rng(0).random((1, 3, 2, 9), np.float32) + 0.5
    padded = facts.padded(lr)
    assert padded.shape == (1, 3, 8, 12)
    assert np.array_equal(padded[..., :2, :9], lr)
    assert not padded[..., 9:].any() and not padded[..., 2:, :].any()
    assert facts.padded(padded) is padded


def test_what_is_not_a_number_falls_back_to_fp32_once_and_says_so() -> None:
    said: list[str] = []

    def black(lr: np.ndarray) -> np.ndarray:
        return np.where(nearest(lr) > 0.9, np.inf, nearest(lr))

    network = BackendNetwork("fake", Opened(FACTS, black, "fp16", lambda: nearest), said.append)
    dark, bright = np.full((1, 3, 4, 4), 0.5, np.float32), np.full((1, 3, 4, 4), 1.0, np.float32)
    assert np.array_equal(network(dark), nearest(dark))
    assert not said
    for lr in (bright, dark, bright):
        assert np.array_equal(network(lr), nearest(lr))
    assert network.precision == "fp32"
    assert len(said) == 1 and "fp16" in said[0] and "fp32" in said[0]


def test_wrong_words_are_refused(weights: Path, tmp_path: Path) -> None:
    for words, options in [
        ("backend is 'tensorrt'", {"backend": "tensorrt"}),
        ("precision is 'int4'", {"precision": "int4"}),
        ("fp16 runs on CUDA only", {"precision": "fp16", "device": "cpu"}),
        ("openvino has no fp16", {"backend": "openvino", "precision": "fp16"}),
        ("has no model for that beside it: make it with: ibsd export", {"backend": "onnx"}),
        ("--device is 'gpu0'", {"device": "gpu0"}),
    ]:
        with pytest.raises(InputError, match=words):
            open_network(weights, **options)
    with pytest.raises(InputError, match="no such weight file"):
        open_network(tmp_path / "none.safetensors")
