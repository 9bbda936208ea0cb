"""Builds the page of `ibsd export --format web` into src/ibsd/export/site/.

    make web

Needs node 20 and a package index; `npm ci` takes the versions of package-lock.json. built.json
holds the hashes of all sources and of the page, which tests/export/test_web.py compares.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

WEB = Path(__file__).parent
ROOT = WEB.parent
SITE = ROOT / "src/ibsd/export/site"
RUNTIMES = {
    "runtime.bin": "ort-wasm-simd-threaded.wasm",
    "webgpu.bin": "ort-wasm-simd-threaded.jspi.wasm",
}
KEPT = "NOTICE.txt"


def sources() -> list[Path]:
    """What decides what the page is, without the styles that it shares with the other pages."""
    shared = [ROOT / "src/ibsd" / name for name in ("reporting/slider.js", "app/cards.js")]
    own = [path for folder in ("src", "public") for path in sorted((WEB / folder).iterdir())]
    files = ["index.html", "package.json", "package-lock.json", "vite.config.js", "build.py"]
    return [*own, *(WEB / name for name in files), *shared]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    subprocess.run(["npm", "ci"], cwd=WEB, check=True)
    subprocess.run(["npx", "vite", "build"], cwd=WEB, check=True)
    for path in SITE.iterdir():
        if path.name != KEPT:
            path.unlink()
    for path in (WEB / "dist").iterdir():
        shutil.copyfile(path, SITE / path.name)
    for name, file in RUNTIMES.items():
        wasm = (WEB / "node_modules/onnxruntime-web/dist" / file).read_bytes()
        (SITE / name).write_bytes(gzip.compress(wasm, 9, mtime=0))
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    built = {
        "onnxruntime-web": lock["packages"]["node_modules/onnxruntime-web"]["version"],
        "vite": lock["packages"]["node_modules/vite"]["version"],
        "sources": {path.relative_to(ROOT).as_posix(): sha256(path) for path in sources()},
        "files": {path.name: sha256(path) for path in sorted(SITE.iterdir())},
    }
    text = json.dumps(built, indent=1) + "\n"
    (SITE / "built.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
