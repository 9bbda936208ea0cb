"""Weight files are checked before they are read: the sizes that a file states must fit the file.

Readers allocate what a file states. A safetensors header is JSON with shapes and byte ranges. A
`.pth` is a zip archive, or a pickle stream before torch 1.6. Nothing here executes or unpickles;
opcodes are only read.
"""

from __future__ import annotations

import json
import math
import pickletools
import zipfile
from pathlib import Path

from ibsd.types import InputError

LARGEST_HEADER_BYTES = 16 * 2**20
WIDTHS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64"), 8),
}
"""Bytes of an element."""
_INTEGERS = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG")
_MEMO = ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE")


def check_weight_file(path: Path) -> None:
    """Errors: InputError for a file that is cut short or claims more than it holds. Its reader
    names other faults."""
    if path.suffix == ".safetensors":
        check_safetensors(path)
    elif zipfile.is_zipfile(path):
        check_archive(path)
    else:
        check_stream(path)


def check_safetensors(path: Path) -> None:
    """The header is of a sane size, and every tensor's bytes lie in the file, as many as its shape
    needs."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LARGEST_HEADER_BYTES):
            raise refused(path, f"a header of {length:,} bytes in a file of {size:,}")
        header = file.read(length)
    try:
        for name, entry in json.loads(header).items():
            if name == "__metadata__":
                continue
            shape, (begin, end) = entry["shape"], entry["data_offsets"]
            whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
            if not whole or entry["dtype"] not in WIDTHS:
                raise refused(path, f"its entry {name[:60]!r} is no tensor")
            if end > size - 8 - length or math.prod(shape) * WIDTHS[entry["dtype"]] != end - begin:
                place = f"bytes {begin:,} to {end:,} of {size - 8 - length:,}"
                raise refused(path, f"its tensor {name[:60]!r} cannot be {shape} in {place}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise refused(path, f"its header describes no tensors: {type(error).__name__}") from None


def check_archive(path: Path) -> None:
    """Nothing in the archive is compressed, so that it cannot unpack to more."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise refused(path, f"the archive is damaged: {error}") from None
    compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if compressed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise refused(path, "it would unpack to more than it holds")


def check_stream(path: Path) -> None:
    """No storage of the old format is announced with more elements than the file has bytes."""
    size = path.stat().st_size
    recent = ["", ""]
    value: object = None
    try:
        with open(path, "rb") as file:
            # magic number, version, machine, content, keys; the storages follow
            for _ in range(5):
                for opcode, argument, _ in pickletools.genops(file):
                    if opcode.name == "BINPERSID" and (
                        recent[1] != "TUPLE" or type(value) is not int or value > size
                    ):
                        raise refused(path, f"a storage of {value} elements in {size:,} bytes")
                    if opcode.name in _INTEGERS:
                        value = argument
                    elif opcode.name not in ("TUPLE", "NONE", *_MEMO):
                        # the last value that is pushed is the number of elements
                        value = None
                    if opcode.name not in _MEMO:
                        recent = [recent[1], opcode.name]
    except InputError:
        raise
    except Exception as error:  # pickletools raises nearly anything on what is no pickle
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise refused(path, f"no weight file, or cut short: {reason}") from None


def refused(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: cannot be read as weights, it may be truncated or no weight file ({reason})"
    )
