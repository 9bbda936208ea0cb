"""Two folders become pairs: resumable, said, nothing overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cluster.fakes import without_ray
from ibsd.commands.register import RegisterOptions, SceneRecord, register_folders
from ibsd.data.layouts import find_data
from ibsd.data.samples import sample
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.registration.planted import plant
from ibsd.types import InputError

OPTIONS = RegisterOptions(crop_px=48, crops=2, val=0, test=0)


def photographs(folder: Path, names: dict[str, str]) -> tuple[Path, Path]:
    """Folders of HR and LR; {name of the scene: name of a photograph}."""
    for seed, (name, source) in enumerate(names.items()):
        scene = plant(np.ascontiguousarray(sample(source)[:300, :340]), 2, seed)
        for side, pixels in (("near", scene.hr), ("far", scene.lr)):
            (folder / side).mkdir(exist_ok=True)
            write_rgb(folder / side / f"{name}.png", pixels)
    return folder / "near", folder / "far"


@pytest.mark.slow
def test_pairs_are_written_and_a_stopped_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = photographs(tmp_path, {"a": "stream", "b": "brushes", "wall": "table"})
    write_rgb(far / "wall.png", np.full((120, 150, 3), 90, np.uint8))
    output = tmp_path / "pairs"
    seen: list[SceneRecord] = []
    said: list[str] = []
    result = register_folders(
        near, far, output, OPTIONS, lambda r, *_: seen.append(r), said.append, jobs=2
    )
    good, other, wall = result.scenes
    assert (good.refused, len(good.crops), good.split) == ("", 2, "train")
    assert good.rest is not None and good.rest[1] < good.rest[0]
    assert "flat wall" in wall.refused and not wall.crops
    assert said[0] == "3 scenes, matched by name"
    assert sorted(record.name for record in seen) == ["a", "b", "wall"]
    sets = find_data(output, 2).sets
    assert len(sets.train) == 4
    assert read_rgb(sets.train[0].hr).shape == (96, 96, 3)
    assert "Residual shift" in (output / "scenes" / "a.html").read_text()
    assert "flat wall" in (output / "register.html").read_text()

    before = {file: file.stat().st_mtime_ns for file in output.rglob("*.png")}
    again = register_folders(near, far, output, OPTIONS)
    assert again.as_json()["scenes"] == json.loads(json.dumps(result.as_json()))["scenes"]
    assert before == {file: file.stat().st_mtime_ns for file in output.rglob("*.png")}

    # A scene that ends its processes on a cluster, here without Ray, leaves no pairs and no record.
    # So it is done again, as after a kill between the two, and comes out the same.
    of_a = [output / f"train_{side}" / name for side in ("HR", "LR") for name in good.crops]
    content = [file.read_bytes() for file in of_a]
    (output / "scenes" / "a.json").unlink()
    without_ray(monkeypatch, lambda scene: True)
    failed = register_folders(near, far, output, OPTIONS, cluster="local")
    assert (failed.num_failed, failed.num_crops) == (1, len(other.crops))
    assert "ended 3 processes" in failed.scenes[0].refused
    assert not [*output.rglob("a*.png")] and not (output / "scenes" / "a.json").exists()
    without_ray(monkeypatch)
    again = register_folders(near, far, output, OPTIONS, cluster="local")
    assert [scene.crops for scene in again.scenes] == [good.crops, other.crops, []]
    # Made alone and made beside another scene, it is the same.
    assert [file.read_bytes() for file in of_a] == content

    with pytest.raises(InputError, match="other options .crop_px 48, not 32; crops 2, not 0; "):
        register_folders(near, far, output, RegisterOptions(crop_px=32))
    write_rgb(near / "a.png", np.full((120, 150, 3), 90, np.uint8))
    with pytest.raises(InputError, match="photographs of a changed"):
        register_folders(near, far, output, OPTIONS)


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    near, far = photographs(tmp_path, {"a": "table"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        register_folders(near, far, tmp_path / "mine", OPTIONS)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_a_wrong_order_is_said(tmp_path: Path) -> None:
    near, far = photographs(tmp_path, {"a": "stream", "b": "brushes"})
    (far / "a.png").rename(far / "y.png")
    (far / "b.png").rename(far / "x.png")
    said: list[str] = []
    options = RegisterOptions(scale=2, crop_px=48)
    result = register_folders(near, far, tmp_path / "pairs", options, log=said.append)
    assert all("different scenes" in scene.refused for scene in result.scenes)
    assert said[0].endswith("matched by order")
    assert len(said) == 3 and all("the order is wrong" in sentence for sentence in said[1:])
    # Where the scale is to be measured too, and by names that say otherwise.
    (near / "a.png").rename(near / "x.png")
    (near / "b.png").rename(near / "y.png")
    with pytest.raises(InputError, match=r"x.png fits .*y.png: the order is wrong"):
        register_folders(near, far, tmp_path / "new", RegisterOptions(crop_px=48))


def test_options_are_checked() -> None:
    for wrong in ({"scale": 5}, {"crop_px": 8}, {"crops": -1}, {"val": 0.7}, {"match": "luck"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            RegisterOptions(**wrong)  # type: ignore[arg-type]
