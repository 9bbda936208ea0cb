"""Photographs become shards: the same bytes on any number of threads, and nothing is made twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import ibsd.commands.shard as command
from ibsd.commands.shard import Sharding, make_shards
from ibsd.data.samples import sample
from ibsd.data.shards import INDEX, open_shards, shard_path
from ibsd.images.rgb import write_rgb
from ibsd.types import InputError


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "sub").mkdir()
    pixels = sample("coffee")
    for k in range(6):
        write_rgb(
            folder / ("sub" if k % 2 else ".") / f"{k}.png", pixels[k : k + 50, k : k + 75].copy()
        )
    (folder / "broken.png").write_bytes(b"no picture")
    write_rgb(folder / "small.png", pixels[:20, :20].copy())
    return folder


def sharding(photographs: Path, output: Path) -> Sharding:
    """Two photographs a shard."""
    how = Sharding(str(photographs), output, 24, 302, 1, 0, 1, None, False)
    assert how.photographs_a_shard == 2
    return how


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.rgb")}


def test_shards_are_the_same_on_two_threads_and_seen_when_they_are_done(
    photographs: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    how = sharding(photographs, tmp_path / "one")
    shards, settings = make_shards(how, lambda *counts: seen.append(counts))
    assert seen == [(k, 4) for k in range(5)] and settings["photographs"] == 8
    assert sum(shard.crops for shard in shards) == 6 * 6
    left_out = dict(each for shard in shards for each in shard.left_out)
    assert {Path(name).name for name in left_out} == {"broken.png", "small.png"}
    assert left_out[str(photographs / "small.png")] == "20x20 pixels, and a crop has 24: too small"
    make_shards(replace(how, output=tmp_path / "two", jobs=2), lambda *counts: None)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert open_shards(tmp_path / "one").fingerprint == open_shards(tmp_path / "two").fingerprint
    other = replace(how, output=tmp_path / "three", seed=1)
    make_shards(other, lambda *counts: None)
    assert content(tmp_path / "one") != content(tmp_path / "three")


def test_a_stopped_run_goes_on_and_a_removed_shard_is_made_again(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = sharding(photographs, tmp_path / "shards")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_shards(how, stop)
    with pytest.raises(InputError, match="of 4 shards"):
        open_shards(how.output)
    made: list[int] = []
    make = command.make_shard
    monkeypatch.setattr(
        command, "make_shard", lambda *given: made.append(given[2].number) or make(*given)
    )
    make_shards(how, lambda *counts: None)
    whole = content(how.output)
    assert 1 <= len(made) <= 2  # the one in the making may have been finished
    shard_path(how.output, 1).unlink()
    made.clear()
    make_shards(how, lambda *counts: None)
    assert made == [1] and content(how.output) == whole


def test_other_settings_are_refused_unless_forced(photographs: Path, tmp_path: Path) -> None:
    how = sharding(photographs, tmp_path / "shards")
    make_shards(how, lambda *counts: None)
    before = (how.output / INDEX).read_bytes()
    with pytest.raises(InputError, match="other photographs or settings"):
        make_shards(replace(how, crop_px=36), lambda *counts: None)
    assert (how.output / INDEX).read_bytes() == before
    make_shards(replace(how, crop_px=36, shard_mib=4, force=True), lambda *counts: None)
    assert len(content(how.output)) < 4 and open_shards(how.output).crop_px == 36


def test_nothing_to_cut_is_one_sentence(photographs: Path, tmp_path: Path) -> None:
    how = sharding(photographs, tmp_path / "shards")
    with pytest.raises(InputError, match=r"no photograph gives a crop, such as .*too small"):
        make_shards(replace(how, crop_px=120), lambda *counts: None)
    with pytest.raises(InputError, match="is no folder"):
        make_shards(replace(how, source=str(tmp_path / "absent")), lambda *counts: None)


def test_a_cluster_makes_the_same_shards(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")
    from cluster.fakes import without_ray

    many = replace(sharding(photographs, tmp_path / "many"), cluster="local")
    without_ray(monkeypatch, lambda task: task.number == 0)
    with pytest.raises(InputError, match="^1 of 4 shards cannot be made, the first: ended 3 proc"):
        make_shards(many, lambda *counts: None)
    without_ray(monkeypatch)
    how = sharding(photographs, tmp_path / "one")
    make_shards(how, lambda *counts: None)
    make_shards(many, lambda *counts: None)
    assert content(tmp_path / "one") == content(tmp_path / "many")
