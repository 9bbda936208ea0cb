"""Mean losses between two lines of the log."""

from __future__ import annotations

import pytest
import torch

from ibsd.training.loss_window import LossWindow


def test_means_of_the_steps_since_the_last_ones():
    window = LossWindow()
    assert window.take_means() is None
    for value in (1.0, 3.0):
        window.add({"l1": torch.tensor(value)}, None)
    assert window.take_means() == {"l1": 2.0}
    assert window.take_means() is None


def test_masked_steps_do_not_count():
    window = LossWindow()
    window.add({"l1": torch.tensor(torch.nan)}, torch.tensor(False))
    assert window.take_means() is None
    window.add({"l1": torch.tensor(4.0)}, torch.tensor(True))
    assert window.take_means() == {"l1": 4.0}


def test_a_window_that_was_saved_goes_on():
    window, again = LossWindow(), LossWindow()
    window.add({"l1": torch.tensor(1.0)}, None)
    sums, num_steps = window.state()
    again.load_state(sums, num_steps, torch.device("cpu"))
    for other in (window, again):
        other.add({"l1": torch.tensor(2.0)}, None)
    assert window.take_means() == again.take_means() == {"l1": pytest.approx(1.5)}
