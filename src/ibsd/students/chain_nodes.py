"""Where a chain's nodes stand among a network's blocks, for networks whose authors did not say."""

from __future__ import annotations

from ibsd.types import InputError


def thirds(network: str, num_blocks: int) -> tuple[int, int, int]:
    """Blocks, counted from 1, at a third, two thirds and the end: 6 -> (2, 4, 6), 5 -> (2, 3, 5), 4 -> (1, 3, 4).

    Errors: InputError for fewer than three blocks, since F1, F2 and F3 need one each.
    """
    if num_blocks < 3:
        raise InputError(f"{network}: num_blocks is {num_blocks}; a chain of four nodes needs at least 3")
    return round(num_blocks / 3), round(num_blocks * 2 / 3), num_blocks


def check_width(network: str, width: int, multiple: int) -> None:
    """InputError unless `width` is a positive multiple of `multiple`."""
    if width < multiple or width % multiple:
        raise InputError(f"{network}: width is {width}; it must be a multiple of {multiple}")
