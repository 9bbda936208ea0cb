"""The machine: memory is counted for this process alone, what runs out is recognised, and a file is
written whole or not at all."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ibsd.system import (
    cache_folder,
    claimed,
    exhausted,
    free_bytes,
    is_disk_full,
    is_out_of_memory,
    is_private,
    largest_resident_bytes,
    make_folder,
    require_utf8,
    resident_bytes,
    write_whole,
)
from ibsd.types import InputError

# -- memory


@pytest.mark.slow
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


@pytest.mark.slow
def test_free_memory_is_told_where_the_machine_tells_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 2**20 < free_bytes() < 2**50
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "")  # no /proc/meminfo
    macos = {"SC_PHYS_PAGES": 3, "SC_PAGE_SIZE": 5}

    def sysconf(name: str) -> int:
        if name not in macos:
            raise ValueError("unrecognized configuration name")
        return macos[name]

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert free_bytes() == 15
    monkeypatch.delattr(os, "sysconf")
    assert free_bytes() == 4 * 2**30


def test_a_child_does_not_count_what_its_parent_holds() -> None:
    block = torch.ones(2**26)  # 256 MiB, resident in this process when the child is started
    command = [
        sys.executable,
        "-c",
        "from ibsd.system import largest_resident_bytes; print(largest_resident_bytes())",
    ]
    child = subprocess.run(
        command,
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert int(child.stdout) < block.nbytes < largest_resident_bytes()


# -- what runs out


@pytest.mark.parametrize(
    ("error", "out_of_memory", "disk_full"),
    [
        (MemoryError(), True, False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True, False),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True, False),
        (RuntimeError("std::bad_alloc"), True, False),
        (OSError(errno.ENOSPC, "No space left on device"), False, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), False, True),
        (OSError(errno.EACCES, "Permission denied"), False, False),
        (ValueError("a defect"), False, False),
    ],
)
def test_what_ran_out_is_recognised_also_as_a_cause(
    error: Exception, out_of_memory: bool, disk_full: bool
):
    wrapped = RuntimeError("of ours")
    wrapped.__cause__ = error
    for raised in (error, wrapped):
        assert is_out_of_memory(raised) == out_of_memory
        assert is_disk_full(raised) == disk_full
        assert (exhausted(raised) is not None) == (out_of_memory or disk_full)


def test_a_full_disk_is_said_with_its_file():
    sentence = exhausted(OSError(errno.ENOSPC, "No space left on device", "big.png"))
    assert sentence is not None
    assert "big.png (No space left on device)" in sentence


# -- files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"caf\xc3\xa9", "café", lambda file: file.write("café".encode())],
    ids=["bytes", "text", "function"],
)
def test_content_arrives(tmp_path, content):
    write_whole(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "café"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    (tmp_path / "a.txt").write_text("before")

    def fill_disk(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="a.txt cannot be written .No space left on device."):
        write_whole(tmp_path / "a.txt", fill_disk)
    assert (tmp_path / "a.txt").read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_defect_of_ours_is_not_the_users_and_leaves_nothing(tmp_path):
    def stumble(file):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        write_whole(tmp_path / "a.txt", stumble)
    assert names(tmp_path) == []


def test_a_place_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "file" / "a.txt", "x")


def test_a_folder_is_made_and_tried(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(InputError, match="file.* cannot be written to"):
            make_folder(place)


def test_a_name_of_many_bytes_is_no_longer_while_it_is_written(tmp_path):
    for name in ("写" * 80 + ".png", os.fsdecode(b"\xff") * 250):
        write_whole(tmp_path / name, "x")
        assert os.listdir(tmp_path) == [name]
        os.unlink(tmp_path / name)


def test_names_that_no_file_can_have(tmp_path):
    with pytest.raises(InputError, match=r"File name too long\): shorten it"):
        write_whole(tmp_path / ("a" * 300), "x")
    require_utf8(tmp_path / "é")
    with pytest.raises(InputError, match="not UTF-8: rename it"):
        require_utf8(tmp_path / os.fsdecode(b"\xff"))


# -- the cache


def test_a_cache_is_private_if_nobody_else_can_put_another_in_its_place(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    folder = cache_folder()
    assert is_private(folder)
    folder.parent.chmod(0o777)
    assert not is_private(folder)
    folder.parent.chmod(0o1777)  # as /tmp is
    assert is_private(folder)
    os.mkfifo(folder / "pipe", 0o600)
    assert not is_private(folder / "pipe")  # it would be read without end


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(OSError, match="home"):
        cache_folder()


def test_a_claim_excludes_others_until_it_ends(tmp_path: Path) -> None:
    with claimed(tmp_path / "run") as ours:
        assert ours
        with claimed(tmp_path / "run") as theirs:
            assert not theirs
        with claimed(tmp_path / "other") as another:
            assert another
    with claimed(tmp_path / "run") as again:
        assert again
