"""The files of pairs, each read once: can they be used, and what are the digests of their pixels?

`check_pairs` reads, checks and digests. `check_disjoint` and `fingerprint` take those digests and
read nothing. Digests are plain values that other processes can take.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from ibsd.data.pairs import Pair, PairSets, Size, fitted_size, listed, size_ratio
from ibsd.images import read_with_pillow
from ibsd.types import SCALES, InputError, Scale, counted

MIN_LR_PX = 8
"""Least shorter side of an LR image by default. Every metric is defined from there on: at x2, HR
has 16 px, and without borders of 2 px it holds SSIM's window of 11."""

_WORKERS = 2  # Pillow and hashlib release the interpreter's lock while they work


class FileDigest(NamedTuple):
    """What reading one image file to its end gave."""

    pixels: str
    """SHA-256 in hex of the decoded pixels and their size, equal for the same picture in another
    file format; empty where the file cannot be decoded."""
    height_px: int
    width_px: int
    problem: str = ""
    """Why the file cannot be used, in a sentence; empty where it can."""

    @property
    def size(self) -> Size:
        return self.height_px, self.width_px


Digests: TypeAlias = Mapping[Path, FileDigest]


def check_pairs(
    pairs: Iterable[Pair],
    scale: Scale,
    min_lr_px: int = MIN_LR_PX,
    digests: Digests | None = None,
    log: Callable[[str], None] = lambda sentence: None,
) -> dict[Path, FileDigest]:
    """Digests of the files of `pairs`, after checking that the pairs can be trained on and scored.

    A file is good when it decodes, has 8 bits a channel, and is RGB or becomes RGB without loss:
    grey, palette, or an alpha channel that is opaque throughout. A pair is good when HR is exactly
    `scale` times as large as LR, and LR has at least `min_lr_px` on its shorter side. HR may have
    fewer than `scale` rows and columns more: `load_pair` crops them.

    Args:
        digests: of files that were read before. They are not read again.
        log: told how many HR images are cropped.

    Errors: one InputError that lists up to 20 problems, each with its file and reason.
    """
    pairs = tuple(dict.fromkeys(pairs))
    digests = digest_pairs(pairs, digests)
    other = other_scale(pairs, digests)
    if len(pairs) > 1 and other in SCALES and other != scale:
        raise InputError(
            f"all {len(pairs)} pairs are x{other}, not x{scale}: "
            f"set student.scale={other}, or take weights for x{other}"
        )
    problems = {pair: pair_problems(pair, scale, digests, min_lr_px) for pair in pairs}
    if bad := [pair for pair in pairs if problems[pair]]:
        many = f"{len(bad)} of {counted(len(pairs), 'pair')} cannot be used at scale {scale}"
        lines = [sentence for pair in bad for sentence in problems[pair]]
        if reason := one_reason(problems):
            raise InputError(f"{many}, all for one reason: {reason}")
        advice = "repair or remove them, or let ibsd doctor list them for data.drop:"
        raise InputError(listed(f"{many}; {advice}", lines))
    sizes = [(digests[pair.lr].size, digests[pair.hr].size) for pair in pairs]
    if cropped := sum(fitted_size(lr, hr) != hr for lr, hr in sizes):
        log(
            f"{cropped} of {counted(len(pairs), 'HR image')} cropped below and to the right to "
            f"{scale} times LR (modcrop)"
        )
    return digests


def one_reason(problems: Mapping[Pair, Sequence[str]]) -> str:
    """The first of several sentences about pairs that all say the same, apart from names and
    numbers; "" where they differ."""
    lines = [(pair, sentence) for pair, sentences in problems.items() for sentence in sentences]
    kinds = {_kind(pair, sentence) for pair, sentence in lines}
    return lines[0][1] if len(kinds) == 1 < len(lines) else ""


def other_scale(pairs: Sequence[Pair], digests: Digests) -> int | None:
    """How many times as large as LR the HR of every pair is; None where pairs differ or a file
    cannot be used."""
    scales: set[int] = set()
    for pair in pairs:
        lr = digests[pair.lr]
        hr = digests[pair.hr]
        if lr.problem or hr.problem or not (times := size_ratio(lr.size, hr.size)):
            return None
        scales.add(times)
    return scales.pop() if len(scales) == 1 else None


def digest_pairs(pairs: Iterable[Pair], digests: Digests | None = None) -> dict[Path, FileDigest]:
    """Digests of the files of `pairs`, unchecked. Each file that `digests` lacks is read once, also
    where several pairs share it."""
    known: Digests = {} if digests is None else digests
    files = tuple(dict.fromkeys(file for pair in pairs for file in (pair.lr, pair.hr)))
    unread = [file for file in files if file not in known]
    with ThreadPoolExecutor(_WORKERS) as pool:
        read = dict(zip(unread, pool.map(_digest_file, unread), strict=True))
    return {file: read[file] if file in read else known[file] for file in files}


def check_disjoint(sets: PairSets, digests: Digests | None = None) -> None:
    """Refuse pictures that are in two of train, val and test: the same file (links followed) or the
    same pixels. InputError lists them.

    `digests` are those of `check_pairs`. Different crops of one photograph are not recognised:
    splitting by scene is the user's task.
    """
    digests = digest_pairs(sets.all(), digests)
    first_of: dict[str, tuple[str, Path]] = {}
    overlaps: list[str] = []
    for split, pairs in (("train", sets.train), ("val", sets.val), ("test", sets.test)):
        for file in (file for pair in pairs for file in (pair.lr, pair.hr)):
            marks = (str(file.resolve()), _pixels(file, digests))
            earlier = [
                first_of[mark] for mark in marks if mark in first_of and first_of[mark][0] != split
            ]
            if earlier:
                overlaps.append(
                    f"{file} ({split}) is the same picture as {earlier[0][1]} ({earlier[0][0]})"
                )
            for mark in marks:
                first_of.setdefault(mark, (split, file))
    if overlaps:
        many = f"train, val and test share {counted(len(overlaps), 'image')}"
        raise InputError(listed(f"{many}; keep each in one of them:", overlaps))


def fingerprint(pairs: Sequence[Pair], digests: Digests | None = None) -> str:
    """SHA-256 in hex of names and pixels, in order: equal exactly when the pairs are, wherever the
    files lie and however they are compressed. InputError for a file that cannot be decoded."""
    digests = digest_pairs(pairs, digests)
    whole = hashlib.sha256()
    for pair in pairs:
        lr = _pixels(pair.lr, digests)
        hr = _pixels(pair.hr, digests)
        whole.update(os.fsencode(f"{pair.name}\0{lr}\0{hr}\n"))
    return whole.hexdigest()


def pair_problems(
    pair: Pair, scale: Scale, digests: Digests, min_lr_px: int = MIN_LR_PX
) -> list[str]:
    """Why a pair cannot be used, in sentences; see `check_pairs`."""
    lr = digests[pair.lr]
    hr = digests[pair.hr]
    problems = [digest.problem for digest in (lr, hr) if digest.problem]
    if not (lr.pixels and hr.pixels):
        return problems
    if min(lr.height_px, lr.width_px) < min_lr_px:
        problems.append(f"{pair.lr} has {_size(lr)} pixels; its shorter side needs {min_lr_px}")
    if size_ratio(lr.size, hr.size) != scale:
        problems.append(
            f"{pair.hr} has {_size(hr)} pixels, not {scale} times the {_size(lr)} of {pair.lr}"
            f"{_hint(lr, hr)}"
        )
    return problems


def read_file(file: Path) -> tuple[np.ndarray | None, FileDigest]:
    """The pixels of a file, uint8 [H, W, 3] or None where it cannot be decoded, and its digest."""
    try:
        photograph = read_with_pillow(file)
    except InputError as error:
        return None, FileDigest("", 0, 0, str(error))
    problem = ""
    if photograph.opacity is not None and photograph.opacity.min() < 255:
        problem = f"{file} is transparent in places: save it without alpha"
    rgb = photograph.rgb
    height, width = rgb.shape[:2]
    pixels = hashlib.sha256(f"{width}x{height}".encode())
    pixels.update(rgb.data)
    return rgb, FileDigest(pixels.hexdigest(), height, width, problem)


def _digest_file(file: Path) -> FileDigest:
    return read_file(file)[1]


def _pixels(file: Path, digests: Digests) -> str:
    if not digests[file].pixels:
        raise InputError(digests[file].problem)
    return digests[file].pixels


def _kind(pair: Pair, sentence: str) -> str:
    """A problem's sentence without names and numbers, the same for the same mistake."""
    return re.sub(r"\d+", "", sentence.replace(str(pair.lr), "").replace(str(pair.hr), ""))


def _size(image: FileDigest) -> str:
    return f"{image.width_px}x{image.height_px}"


def _hint(lr: FileDigest, hr: FileDigest) -> str:
    """What the sizes of a pair suggest, if they suggest anything."""
    if times := size_ratio(lr.size, hr.size):
        return f", but {times} times"
    larger_lr = lr.height_px * lr.width_px > hr.height_px * hr.width_px
    return " (are LR and HR swapped?)" if larger_lr else ""
