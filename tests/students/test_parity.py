"""Every network whose published form has reference values: the same keys and shapes, the same
picture, the same nodes."""

from __future__ import annotations

import hashlib

import pytest
import torch

import parity
from ibsd.students import create_student

PUBLISHED = ("imdn", "rfdn", "omnisr", pytest.param("cdc", marks=pytest.mark.slow))


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_output_and_nodes_equal_the_published_network(name: str):
    reference = parity.REFERENCE[name]
    student = parity.with_reference_parameters(create_student(name, scale=4))
    keys = "\n".join(f"{key} {shape}" for key, shape in sorted(parity.shapes(student).items()))
    assert hashlib.sha256(keys.encode()).hexdigest() == reference["keys_sha256"]
    assert sum(parameter.numel() for parameter in student.parameters()) == reference["parameters"]
    with torch.no_grad():
        sr, nodes = student.trace(parity.image(*reference["lr_shape"]))
    parity.check_sampled(sr, reference["sr"])
    assert list(sr.shape) == reference["sr_shape"]
    assert float(sr.std()) == pytest.approx(
        reference["sr_std"], rel=1e-3
    )  # corrected or not: the norm in check_sampled is exact
    assert float(sr.mean()) == pytest.approx(reference["sr_mean"], abs=1e-9 * reference["sr_std"])
    assert len(nodes) == len(reference["nodes"]) == 4
    for node, theirs in zip(nodes, reference["nodes"], strict=True):
        assert list(node.shape) == theirs["shape"]
        assert float(node.abs().max()) == pytest.approx(theirs["abs_max"], rel=1e-9)
        assert float(node.mean()) == pytest.approx(theirs["mean"], abs=1e-9 * theirs["abs_max"])
        assert float(node.std(correction=1)) == pytest.approx(theirs["std"], rel=1e-3)
