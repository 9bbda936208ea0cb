"""The folder of `ibsd export --format web`: what lies in it, what is refused, and that the built
page is built from web/."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from ibsd.cli.main import main
from ibsd.export.web import SITE, page_description, shipped_site, shipped_web_model
from ibsd.inference.exported import certified_precisions
from ibsd.types import InputError
from ibsd.weights import SHIPPED, weights_file

ROOT = Path(__file__).parents[2]
BUILT = json.loads((SITE / "built.json").read_text(encoding="utf-8"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "page"
    assert main(["export", "imdn-small-x4", "--format", "web", "-o", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_the_page_holds_the_certified_model_and_says_so(site: Path) -> None:
    weights = weights_file("imdn-small-x4")
    model = shipped_web_model(weights)
    assert gzip.decompress((site / "model.bin").read_bytes()) == model.read_bytes()
    assert gzip.decompress((site / "weights.bin").read_bytes()) == weights.read_bytes()
    page = json.loads((site / "page.json").read_text(encoding="utf-8"))
    certificate = json.loads((site / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["files"][model.name] == sha256(model.read_bytes())
    assert certified_precisions(model) == {"fp32"}
    assert page["network"] == certificate["network"]
    facts = dict(page["facts"])
    assert sha256(weights.read_bytes()).startswith(facts["SHA-256 of the weights begins with"])
    assert facts["Licence of the weights"] == "MIT"
    assert facts["Network"] == "imdn x4, 186,732 parameters"
    assert 'const VERSION = "none"' not in (site / "sw.js").read_text(encoding="utf-8")
    assert (site / "NOTICE.txt").is_file()
    size = {file.name: file.stat().st_size for file in site.iterdir()}
    assert sum(size.values()) - size["webgpu.bin"] < 8e6, "sent at the first visit"


@pytest.mark.slow
def test_nothing_is_overwritten_unasked(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file.name: sha256(file.read_bytes()) for file in site.iterdir()}
    words = ["export", "imdn-small-x4", "--format", "web", "-o", str(site)]
    assert main(words) == 2
    assert "is not empty: choose another folder, or add --force" in capsys.readouterr().err
    (site / "CNAME").write_text("mine")
    assert main([*words, "--force"]) == 0
    assert (site / "CNAME").read_text() == "mine"
    (site / "CNAME").unlink()
    assert {file.name: sha256(file.read_bytes()) for file in site.iterdir()} == before
    with pytest.raises(InputError, match="is a file: choose a folder"):
        shipped_site("imdn-small-x4", site / "page.json", force=True)


def test_a_network_of_yours_states_no_licence(tmp_path: Path) -> None:
    assert shipped_site(tmp_path / "mine.safetensors", None, force=False) is None
    model = weights_file("imdn-x4").with_suffix(".onnx")
    path = model.with_name(f"{model.name}.certificate.json")
    certificate = json.loads(path.read_text(encoding="utf-8"))
    for name in (*SHIPPED, "mine"):
        page = page_description(name, certificate, 1)
        assert (dict(page["facts"])["Licence of the weights"] == "MIT") == (name in SHIPPED)
        assert any("guessed" in limit for limit in page["limits"]) == name.startswith(
            ("imdn-crisp", "imdn-sharp")
        )


def test_the_page_in_the_package_is_built_from_its_sources() -> None:
    """`make web` builds it again. It needs node, so that the tests compare hashes."""
    for name, digest in BUILT["sources"].items():
        assert sha256((ROOT / name).read_bytes()) == digest, f"{name} has changed: make web"
    present = {path.name for path in SITE.iterdir()} - {"built.json"}
    assert present == set(BUILT["files"])
    for name, digest in BUILT["files"].items():
        assert sha256((SITE / name).read_bytes()) == digest, f"{name} is not what was built"
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "web/src").iterdir()}
    assert ours <= set(BUILT["sources"])


def test_the_page_fetches_from_nowhere_else() -> None:
    policy = re.search(r'Security-Policy" content="([^"]*)"', (SITE / "index.html").read_text())
    assert policy
    assert policy[1] in (SITE / "sw.js").read_text(), "pages and workers have one policy"
    assert "unsafe-inline" not in policy[1]
    assert "http" not in policy[1]
    assert "<script>" not in (SITE / "index.html").read_text()
    lock = (ROOT / "web/package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock, "a registry's address"
