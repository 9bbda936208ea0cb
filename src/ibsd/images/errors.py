"""Sentences for the user that both readers of image files share."""

from __future__ import annotations

import os

from ibsd.types import InputError


def unreadable(path: str | os.PathLike[str], error: OSError) -> InputError:
    """For a file that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path} does not exist: check the name.")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder where an image file is expected: name the file.")
    return InputError(
        f"{path} cannot be read ({reason_of(error)}): "
        "check the name and whether reading is allowed."
    )


def damaged(path: str | os.PathLike[str], reason: str) -> InputError:
    """For an image file that cannot be decoded."""
    return InputError(f"{path} is damaged or cut short ({reason}): replace it or take it out.")


def several_pictures(path: str | os.PathLike[str], count: int = 0) -> InputError:
    """The error for an animation, or for a file of several pages; 0 for an unknown number."""
    many = f"holds {count} pictures (an animation or several pages)" if count else "is an animation"
    return InputError(
        f"{path} {many}: save the one you want as a file of its own; "
        "ibsd upscale takes the first with --first-frame."
    )


def reason_of(error: BaseException) -> str:
    """The message of an exception without the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().rstrip(".") or type(error).__name__
