"""CDC: what its pictures and maps are."""

from __future__ import annotations

import pytest
import torch

from ibsd.students.cdc import CDC


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_cdc_gives_the_mean_of_three_pictures_weighted_by_its_maps(scale: int):
    student, lr = CDC(scale, width=4, num_hourglasses=4), torch.rand(2, 3, 9, 20)
    sr, pictures, maps = student.components(lr)
    assert sr.shape == (2, 3, 9 * scale, 20 * scale)
    assert pictures.shape == maps.shape == (2, 3, 3, 9 * scale, 20 * scale)
    torch.testing.assert_close(maps.sum(dim=1), torch.ones_like(sr))
    assert float(maps.detach().min()) > 0
    torch.testing.assert_close(sr, (maps * pictures).sum(dim=1))
    assert torch.equal(sr, student(lr))
