"""Laws of a network that is ready to run: one descriptor, padding that is cropped again, and fp32
where a reduced precision fails."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

import tiny
from ibsd.inference.network import (
    LIGHTWEIGHT,
    TILES_ON_A_GPU,
    Network,
    NetworkDescriptor,
    as_network,
    tiles_a_call,
    torch_network,
)
from ibsd.inference.torch_backend import student_network
from ibsd.students.layers import pad_to
from ibsd.types import InputError

DOUBLE = NetworkDescriptor(
    "double", scale=2, receptive_field_px=0, pools_globally=False, minimum_size_px=4
)


def double(lr: np.ndarray) -> np.ndarray:
    return lr.repeat(2, axis=2).repeat(2, axis=3)


def random_lr(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((1, 3, height, width), np.float32)


def test_the_descriptor_is_the_students() -> None:
    student = tiny.student(scale=3)
    for network in (student_network(student), torch_network(student)):
        assert network.descriptor == NetworkDescriptor(
            "imdn", 3, student.spec.receptive_field_px, pools_globally=True, minimum_size_px=1
        )
        assert network.descriptor.tile_px == 256


def test_a_function_without_a_spec_says_only_its_scale() -> None:
    descriptor = NetworkDescriptor.of(lambda lr: lr, scale=2)
    assert descriptor == NetworkDescriptor("function", 2, None, False, minimum_size_px=1)


def test_a_scale_is_known_once() -> None:
    made_for_two = SimpleNamespace(spec=SimpleNamespace(scale=2))
    assert NetworkDescriptor.of(made_for_two, 2).scale == 2  # pyright: ignore
    with pytest.raises(InputError, match="does not say its scale"):
        NetworkDescriptor.of(lambda lr: lr)
    with pytest.raises(InputError, match="made for scale 2, not 3"):
        NetworkDescriptor.of(made_for_two, 3)  # pyright: ignore
    with (
        pytest.raises(InputError, match="made for scale 2, not 3"),
        as_network(Network(DOUBLE, double), 3),
    ):
        pass


def test_small_inputs_are_padded_by_replication_and_cropped() -> None:
    inputs: list[np.ndarray] = []

    def run(lr: np.ndarray) -> np.ndarray:
        inputs.append(lr)
        return double(lr)

    lr = random_lr(2, 5)
    assert np.array_equal(Network(DOUBLE, run)(lr), double(lr))
    assert inputs[0].shape == (1, 3, 4, 5)
    assert np.array_equal(inputs[0][..., 2:, :], lr[..., 1:, :].repeat(2, axis=2))


def test_multiples_are_filled_with_zeros() -> None:
    descriptor = NetworkDescriptor("double", 2, 0, False, minimum_size_px=8, multiple_px=4)
    lr = random_lr(2, 9) + 0.5
    padded = descriptor.pad(lr)
    assert padded.shape[-2:] == descriptor.padded_size(2, 9) == (8, 12)
    assert np.array_equal(padded[..., :2, :9], lr)
    assert not padded[..., 9:].any() and not padded[..., 2:, :].any()
    assert descriptor.pad(padded) is padded


@pytest.mark.parametrize("pads_zeros", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (8, 12), (9, 30)])
def test_padding_is_the_students_own(size: tuple[int, int], pads_zeros: bool) -> None:
    """The rule stands once for NumPy and once for torch; both give the same."""
    descriptor = NetworkDescriptor("a", 2, 0, False, 12, multiple_px=4, pads_zeros=pads_zeros)
    lr = random_lr(*size)
    mode = "constant" if pads_zeros else "replicate"
    expected = pad_to(torch.from_numpy(lr), multiple=4, minimum_px=12, mode=mode)
    assert np.array_equal(descriptor.pad(lr), expected.numpy())


def test_what_is_not_a_number_falls_back_to_fp32_once_and_says_so() -> None:
    log: list[str] = []

    def black(lr: np.ndarray) -> np.ndarray:
        return np.where(double(lr) > 0.9, np.inf, double(lr))

    network = Network(DOUBLE, black, "fake", "fp16", lambda: double, log.append)
    dark, bright = np.full((1, 3, 4, 4), 0.5, np.float32), np.full((1, 3, 4, 4), 1.0, np.float32)
    assert np.array_equal(network(dark), double(dark))
    assert not log
    for lr in (bright, dark, bright):
        assert np.array_equal(network(lr), double(lr))
    assert network.precision == "fp32"
    assert len(log) == 1 and "fp16" in log[0] and "fp32" in log[0]


def test_every_module_gets_its_own_mode_back() -> None:
    modes: list[bool] = []

    class Student(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = torch.nn.Dropout()

        def forward(self, lr: Tensor) -> Tensor:
            modes.append(self.training or self.part.training)
            return lr

    student = Student()
    student.part.eval()
    with as_network(student, 1) as network:
        assert np.array_equal(network(random_lr(2, 3)), random_lr(2, 3))
    assert modes == [False]
    assert student.training and not student.part.training


def test_a_network_of_another_scale_than_it_says_is_refused() -> None:
    descriptor = NetworkDescriptor("liar", 4, 0, pools_globally=False, minimum_size_px=1)
    network = Network(descriptor, lambda lr: lr.repeat(2, axis=2).repeat(2, axis=3))
    with pytest.raises(InputError, match="liar gives"):
        network(np.zeros((1, 3, 4, 5), np.float32))


@pytest.mark.parametrize(
    ("device", "number", "tiles"),
    [("cuda:1", LIGHTWEIGHT, TILES_ON_A_GPU), ("cuda", LIGHTWEIGHT + 1, 1), ("cpu", 1, 1)],
)
def test_only_a_small_network_on_a_gpu_takes_several_tiles(
    device: str, number: int, tiles: int
) -> None:
    parameters = [torch.empty(number - 1, device="meta"), torch.empty(1, device="meta")]
    assert tiles_a_call(torch.device(device), parameters) == tiles
