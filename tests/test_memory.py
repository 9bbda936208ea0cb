"""What this process holds is its own figure, whoever started it."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys

import torch

from ibsd.system import largest_resident_bytes, resident_bytes


def test_a_block_is_seen_while_it_is_held_and_remembered_after() -> None:
    held, size = resident_bytes(), 2**28
    with mmap.mmap(
        -1, size
    ) as block:  # of the system, where torch might find room that it already holds
        for page in range(0, size, mmap.PAGESIZE):
            block[page] = 1
        assert resident_bytes() - held > 0.9 * size
    assert resident_bytes() - held < 0.1 * size
    assert largest_resident_bytes() - held > 0.9 * size  # the system's own count is a few pages off


def test_a_child_does_not_count_what_its_parent_holds() -> None:
    block = torch.ones(2**26)  # 256 MiB, resident in this process when the child is started
    command = [
        sys.executable,
        "-c",
        "from ibsd.system import largest_resident_bytes; print(largest_resident_bytes())",
    ]
    found = subprocess.run(
        command,
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert int(found.stdout) < block.nbytes < largest_resident_bytes()
