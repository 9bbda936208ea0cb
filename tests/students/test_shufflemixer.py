"""ShuffleMixer: channels are split and shuffled."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ibsd.students.shufflemixer import GROUPS, SplitMixing


def test_split_mixing_changes_half_the_channels_and_shuffles_all():
    mixing, x = SplitMixing(32).double(), torch.randn(1, 32, 3, 5).double()
    expected = torch.cat((mixing.fc(x[:, :16]), x[:, 16:]), dim=1)
    torch.testing.assert_close(mixing(x), F.channel_shuffle(expected.detach(), GROUPS))
