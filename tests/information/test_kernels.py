"""Every form of the pairwise mean against the float64 definition; what chooses between them; the
compiled one's compiling and fallback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ibsd.information import bound_form
from ibsd.information.kernels import compiled, eager, form

Form = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, tuple[Tensor, Tensor, Tensor]]]

needs_compiler = pytest.mark.skipif(compiled.function() is None, reason=compiled.why_not())


def by_definition(f: Tensor, mu: Tensor, b: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """docs/method.md 3 as it is written, in float64, gradients by autograd (|0|' = 0)."""
    f, mu, b = (x.detach().double().requires_grad_() for x in (f, mu, b))
    gain = ((mu[:, None] - f[None]).abs().mean(dim=1) - (mu - f).abs()) / b
    value = gain.mean()
    return value.detach(), torch.autograd.grad(value, (f, mu, b))


def link(
    batch: int, positions: int, seed: int, ties: bool, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    f, mu = (torch.randn(batch, positions, generator=generator) for _ in range(2))
    if ties:  # few distinct values: many differences are exactly 0, the diagonal's among them
        f, mu = f.round(), mu.round()
    return [x.to(dtype) for x in (f, mu, torch.rand(batch, positions, generator=generator) + 0.1)]


def assert_equals_the_definition(pairwise_gain: Form, inputs: list[Tensor]) -> None:
    value, gradients = pairwise_gain(*inputs)
    expected, expected_gradients = by_definition(*inputs)
    double = inputs[0].dtype == torch.float64
    size = float(
        (1 / inputs[2].double()).mean()
    )  # of the differences' average, which cancel in the value
    torch.testing.assert_close(
        value.double(), expected, rtol=0, atol=(1e-14 if double else 3e-6) * size
    )
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        assert ours.dtype == (torch.float64 if double else torch.float32)
        largest = float(theirs.abs().max())
        torch.testing.assert_close(
            ours.double(), theirs, rtol=1e-5, atol=(1e-13 if double else 1e-5) * largest + 1e-30
        )


shapes = {
    "batch": st.integers(1, 21),
    "positions": st.integers(1, 400),
    "seed": st.integers(0, 10_000),
    "ties": st.booleans(),
}


@given(
    **shapes,
    chunk=st.sampled_from([1, 7, 40, 1 << 17]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=40)
def test_eager(batch: int, positions: int, seed: int, ties: bool, chunk: int, dtype: torch.dtype):
    usual = eager.CHUNK_ELEMENTS
    eager.CHUNK_ELEMENTS = chunk if positions < 50 else usual
    try:
        assert_equals_the_definition(eager.pairwise_gain, link(batch, positions, seed, ties, dtype))
    finally:
        eager.CHUNK_ELEMENTS = usual


@needs_compiler
@given(**shapes)
def test_compiled(batch: int, positions: int, seed: int, ties: bool):
    assert_equals_the_definition(compiled.pairwise_gain, link(batch, positions, seed, ties))


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
"""Where the Triton kernel runs; on the CPU by Triton's interpreter, which `tests/conftest.py` asks
for."""


def fused_pairwise_gain(*inputs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    from ibsd.information.kernels import fused

    value, (g_f, g_mu, g_b) = fused.pairwise_gain(*(x.to(DEVICE) for x in inputs))
    return value.cpu(), (g_f.cpu(), g_mu.cpu(), g_b.cpu())


needs_triton = pytest.mark.skipif(not form.has_triton(), reason="triton is not installed")


@pytest.mark.slow
@needs_triton
@given(**shapes, dtype=st.sampled_from([torch.float32, torch.bfloat16]))
@settings(max_examples=12, deadline=None)
def test_fused(batch: int, positions: int, seed: int, ties: bool, dtype: torch.dtype):
    assert_equals_the_definition(fused_pairwise_gain, link(batch, positions, seed, ties, dtype))


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize(
    ("batch", "most_rows", "positions"), [(33, 32, 20), (8, 4, 130), (9, 4, 130)]
)
def test_fused_takes_large_batches_in_turns(
    monkeypatch, batch: int, most_rows: int, positions: int
):
    monkeypatch.setattr("ibsd.information.kernels.fused.MOST_ROWS", most_rows)
    assert_equals_the_definition(fused_pairwise_gain, link(batch, positions, 0, ties=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "pairwise_gain",
    [eager.pairwise_gain, pytest.param(compiled.pairwise_gain, marks=needs_compiler)],
)
@pytest.mark.parametrize("batch", [64, 100])
def test_large_batches(pairwise_gain: Form, batch: int):
    assert_equals_the_definition(pairwise_gain, link(batch, 700, 1, ties=False))


@needs_compiler
def test_an_infinite_feature_shows_in_the_value():
    f, mu, b = link(5, 300, 0, ties=False)
    f[2, 299] = torch.inf
    assert not torch.isfinite(compiled.pairwise_gain(f, mu, b)[0])


@needs_compiler
def test_the_number_of_threads_changes_no_bit():
    inputs = link(16, 40_000, 0, ties=False)
    usual = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(compiled.pairwise_gain(*inputs))
    torch.set_num_threads(usual)
    for value, gradients in results[1:]:
        assert torch.equal(value, results[0][0])
        assert all(torch.equal(x, y) for x, y in zip(gradients, results[0][1], strict=True))


# -- which form


def test_rule_of_device_dtype_and_batch(monkeypatch):
    monkeypatch.delenv("IBSD_BOUND", raising=False)
    monkeypatch.setattr(compiled, "function", lambda: print)
    monkeypatch.setattr(form, "has_triton", lambda: True)
    assert bound_form("cpu") == "compiled"
    assert bound_form("cpu", torch.float64) == bound_form("cuda", torch.float64) == "eager"
    assert bound_form("cuda") == bound_form("cuda:1", batch=64) == "triton"
    assert bound_form("cuda", batch=1000) == "eager"
    monkeypatch.setattr(form, "has_triton", lambda: False)
    assert bound_form("cuda") == "eager"
    monkeypatch.setenv("IBSD_BOUND", "eager")
    assert bound_form("cpu") == "eager"


class Other(Tensor):
    """A tensor of another class, which may have no memory."""


@pytest.mark.parametrize("kind", ["class", "graph", "zero"])
def test_only_tensors_with_memory_reach_a_kernel(monkeypatch, kind):
    """A kernel that takes the address of a fake or traced tensor ends the process."""
    monkeypatch.setattr(compiled, "pairwise_gain", None)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: kind == "graph")
    mu, b = torch.rand(3, 5), torch.rand(3, 5) + 0.1
    zero = torch.zeros(3, 5)
    f = {"class": zero.as_subclass(Other), "zero": torch._efficientzerotensor((3, 5))}
    value, _ = form.pairwise_gain(f.get(kind, zero), mu, b)
    assert torch.equal(value, eager.pairwise_gain(zero, mu, b)[0])


@pytest.fixture
def afresh(monkeypatch, tmp_path) -> Iterator[Callable[..., str]]:
    """Looks for the compiled form again in another environment, whose cache is empty, and returns
    why there is none."""
    monkeypatch.delenv("IBSD_BOUND", raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def look(**environment: str) -> str:
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        compiled._load.cache_clear()
        return compiled.why_not()

    yield look
    compiled._load.cache_clear()


def test_without_a_compiler_or_with_a_broken_one_the_eager_form_stands_in(afresh, capfd, tmp_path):
    inputs = link(4, 50, 0, ties=False)
    expected = eager.pairwise_gain(*inputs)[0]
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "cc"
    broken.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho 'no such processor' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    unwritable = tmp_path / "file"
    unwritable.write_text("")
    path = os.environ["PATH"]
    for environment, words in (
        ({"PATH": str(tmp_path / "empty")}, "no C compiler"),
        ({"PATH": str(tmp_path)}, "no such processor"),
        ({"PATH": path, "XDG_CACHE_HOME": str(unwritable)}, "could not be built"),
    ):
        assert words in afresh(**environment)
        assert bound_form() == "eager"
        assert torch.equal(form.pairwise_gain(*inputs)[0], expected)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@needs_compiler
def test_compiles_once_and_a_damaged_library_is_no_crash(afresh, tmp_path):
    assert afresh() == ""
    [library] = (tmp_path / "cache" / "ibsd").iterdir()
    made = library.stat().st_mtime_ns
    assert afresh() == ""
    assert library.stat().st_mtime_ns == made
    # A library that is loaded already must not be overwritten, so the damaged one lies elsewhere.
    damaged = tmp_path / "damaged" / "ibsd" / library.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"")
    assert afresh(XDG_CACHE_HOME=str(tmp_path / "damaged")) == ""
    assert damaged.stat().st_size > 0  # built again
    assert_equals_the_definition(compiled.pairwise_gain, link(4, 50, 0, ties=False))


def foreign_library(folder: Path, library: Path) -> Path:
    """Another user's file under the library's name; a call of it would show."""
    source = folder.parent / "evil.c"
    source.write_text("__attribute__((constructor)) void run(void) { *(volatile int *)0 = 0; }")
    folder.mkdir(parents=True)
    path = folder / library.name
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("way", ["loose folder", "foreign folder", "loose file", "other bytes"])
def test_a_library_that_another_may_have_written_is_not_loaded(
    afresh, monkeypatch, tmp_path: Path, way: str
) -> None:
    """The planted library crashes the process when it is loaded."""
    assert afresh() == ""
    [library] = (tmp_path / "cache" / "ibsd").iterdir()
    folder = tmp_path / "shared" / "ibsd"
    folder.parent.mkdir()
    planted = foreign_library(folder, library)
    content = planted.read_bytes()
    if way == "loose folder":
        folder.chmod(0o777)
    elif way == "foreign folder":
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    elif way == "loose file":
        planted.chmod(0o666)
    assert afresh(XDG_CACHE_HOME=str(tmp_path / "shared")) == "" or way == "foreign folder"
    if "folder" in way:
        assert [path.read_bytes() for path in folder.iterdir()] == [content]  # left alone
    else:
        assert planted.read_bytes() != content  # built again, as the user's own
    if way != "foreign folder":  # which no file of this user can be loaded for
        assert_equals_the_definition(compiled.pairwise_gain, link(4, 50, 0, ties=False))
