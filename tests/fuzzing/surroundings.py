"""What lies around an input: names, metadata, streams, caches, and the files of a run that goes on.

As the cases of cases.py, each in a forked process, so that a crash is seen too. Besides their laws:
a library or a model that another user may have written is not executed, and a refused run keeps its
checkpoints.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

import tiny
from fuzzing.cases import Fuzzer, Outcome, Watch, mutate
from ibsd.cli.main import main
from ibsd.commands import fast_weights as cached
from ibsd.inference.exported import METADATA_KEY, certificate_path, metadata_block
from ibsd.inference.network import NetworkDescriptor
from ibsd.information.kernels import compiled

PARTS = [
    *(b"\xff\xfe", b"\n", b"\r", b"\x1b[2J", b"[b]", b"[/]", b" ", b"#", b"'", b'"', b"%s", b"{a}"),
    *(b"$HOME", b"~", b"..", b"-o", b"--json", b"NUL", b"con", b"*", b"?", b"\\", b".png", b"x4"),
    *(b"_LR", b"a" * 120, b"a" * 230, b"\x7f", b"&lt;", b"=", b",", b"|"),
    *(text.encode() for text in ("é", "日本", "\u202e", "\u2028", "\x85")),
]
VALUES: tuple[Any, ...] = (
    *(0, -4, 4.5, float("nan"), float("inf"), 10**9, 10**30, True, None, "", "4", "x" * 5000),
    *([], {}, [[[]]], {"a": {"a": []}}, "\x00", "\udcff", 2),
)
DOUBLE = NetworkDescriptor("double", 2, 0, pools_globally=False, minimum_size_px=1)
LOADED = (
    *("commands.evaluate", "commands.doctor", "commands.report", "commands.train", "data.presets"),
    *("inference.onnx_backend", "inference.openvino_backend", "upscaling", "cli.progress"),
)
"""Before the fork, so that no case takes the time."""
PLANTED = """
#include <fcntl.h>
__attribute__((constructor)) void ran(void) { creat("ran", 0600); }
void bound_tiles(void) {}
"""


class SurroundingsFuzzer(Fuzzer):
    """Makes and runs cases in `folder`, which becomes its own.

    Args:
        models: the cache also holds a fast model, which takes seconds to make.
    """

    def __init__(self, folder: Path, watch: Watch, models: bool = True) -> None:
        super().__init__(folder, watch)
        self.kinds = {
            "name": self.name,
            "metadata": self.metadata,
            "stream": self.stream,
            "cache": self.cache,
            "run to resume": self.resumed,
        }
        [pair] = tiny.write_pairs(self.seeds / "val", [(12, 12)], 2, seed=9)
        for side, path in (("LR", pair.lr), ("HR", pair.hr)):
            (self.pairs / f"val_{side}").mkdir()
            shutil.move(path, self.pairs / f"val_{side}")
        for module in LOADED:
            importlib.import_module(f"ibsd.{module}")
        self.model = self.make_model()
        self.own_cache = self.make_cache(models)
        self.begun = self.make_run()

    def make_model(self) -> Any:
        """Doubles a picture."""
        import onnx

        helper = onnx.helper
        sides = [helper.make_tensor_value_info(name, 1, [1, 3, *"hw"]) for name in "ab"]
        scales = helper.make_tensor("s", 1, [4], [1.0, 1.0, 2.0, 2.0])
        node = helper.make_node("Resize", ["a", "", "s"], ["b"], mode="nearest")
        graph = helper.make_graph([node], "g", sides[:1], sides[1:], [scales])
        opset = [helper.make_opsetid("", 18)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)

    def make_cache(self, models: bool) -> Path:
        """A cache with the compiled bound and a fast model, and beside it a library of another."""
        own = self.seeds / "cache"
        os.environ["XDG_CACHE_HOME"] = str(own)
        compiled._load.cache_clear()
        assert compiled.why_not() == ""
        if models:
            self.make_fast_model()
        (self.seeds / "planted.c").write_text(PLANTED)
        command = ("cc", "-shared", "-fPIC", "-o", "planted.so", "planted.c")
        subprocess.run(command, cwd=self.seeds, check=True)
        [library] = (own / "ibsd").glob("*.so")

        def copy_library(_: str, path: Path) -> None:
            shutil.copy(library, path)

        def copy_model(_: Path, __: str, target: Path, log: object) -> None:
            shutil.rmtree(target.parent, ignore_errors=True)
            for model in own.glob("ibsd/model-*"):
                shutil.copytree(model, target.parent)

        # Neither the compiler nor the converter is what is tried here, and both are slow.
        compiled.build_library = copy_library
        cached._make = copy_model
        return own / "ibsd"

    def make_fast_model(self) -> None:
        """In a process of its own: OpenVINO's threads do not survive a fork."""
        (self.seeds / "a.png").write_bytes(self.images["png"])
        command = (sys.executable, "-m", "ibsd", "upscale", "a.png", "-o", "b.png")
        environment = {k: v for k, v in os.environ.items() if k != cached.VARIABLE}
        subprocess.run(
            (*command, "--weights", "a.safetensors"),
            cwd=self.seeds,
            env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        )

    def make_run(self) -> Path:
        """A run of two steps, with two checkpoints."""
        folder = self.seeds / "run"
        (self.seeds / "run.toml").write_text(self.config)
        options = (f"run.folder={folder}", "training.num_steps=2", "training.checkpoint_every=1")
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            assert main(["train", str(self.seeds / "run.toml"), *options]) == 0
        return folder

    # -- what is done; each returns a command line

    def some_name(self, chance: random.Random) -> str:
        parts = [chance.choice(PARTS) for _ in range(chance.choice((1, 1, 2, 3)))]
        name = os.fsdecode(b"".join(parts))
        return f"{name}{chance.randrange(9)}"

    def name(self, chance: random.Random) -> list[str]:
        shutil.copytree(self.pairs, "pairs")
        Path("run.toml").write_text(self.config)
        weights = self.seeds / "a.safetensors"
        name = self.some_name(chance)
        with contextlib.suppress(OSError, ValueError):
            for side in ("LR", "HR"):
                other = chance.choice((name, name, self.some_name(chance)))
                path = Path("pairs", f"{chance.choice(('train', 'test'))}_{side}")
                next(iter(sorted(path.iterdir()))).rename(path / f"{other}.png")
        if chance.random() < 0.3:
            with contextlib.suppress(OSError, ValueError):
                weights = Path(shutil.copy(weights, f"{name}.safetensors"))
        out = f"out/{name}" if chance.random() < 0.5 else "out"
        json_or_not = ["--json"] if chance.random() < 0.3 else []
        return [
            *chance.choice(
                (
                    ["upscale", "pairs/train_LR", "-o", out, "--weights", str(weights)],
                    ["upscale", "pairs/test_LR", "-o", f"{out}.png", "--weights", str(weights)],
                    ["doctor", "pairs", "-o", out],
                    ["evaluate", str(weights), "pairs", "--no-lpips", "-o", out],
                    ["train", "run.toml", "data.pairs=pairs", f"run.folder={out}"],
                    ["data", "preview", f"pairs/test_HR/{name}.png", "-o", f"{out}.png"],
                )
            ),
            *json_or_not,
        ]

    def metadata(self, chance: random.Random) -> list[str]:
        Path("a.png").write_bytes(self.images["png"])
        block = metadata_block(DOUBLE, "0", "fp32")
        for _ in range(chance.randrange(3)):
            key = chance.choice((*block["network"], "precision", "network", "else"))
            (block["network"] if key in block["network"] else block)[key] = chance.choice(VALUES)
            if not isinstance(block["network"], dict):
                break
        text = json.dumps(block)
        if chance.random() < 0.3:
            text = mutate(text.encode(), chance).decode(errors="replace")
        if chance.random() < 0.05:
            text = "[" * 100_000
        if chance.random() < 0.3:
            return self.weights_metadata(chance, text)
        del self.model.metadata_props[:]
        self.model.metadata_props.add(key=METADATA_KEY, value=text.encode(errors="replace"))
        content = self.model.SerializeToString()
        model = Path("m.onnx")
        model.write_bytes(mutate(content, chance) if chance.random() < 0.3 else content)
        certificate_path(model).write_text(text, errors="replace")
        return ["upscale", "a.png", "-o", "out", "--weights", str(model)]

    def weights_metadata(self, chance: random.Random, text: str) -> list[str]:
        content = self.weights["a.safetensors"]
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        options = json.loads(header["__metadata__"]["student"])
        options["options"][chance.choice((*options["options"], "else"))] = chance.choice(VALUES)
        header["__metadata__"]["student"] = chance.choice((json.dumps(options), text))
        made = json.dumps(header).encode(errors="replace")
        Path("w.safetensors").write_bytes(
            len(made).to_bytes(8, "little") + made + content[8 + length :]
        )
        return ["upscale", "a.png", "-o", "out", "--weights", "w.safetensors"]

    def stream(self, chance: random.Random) -> list[str]:
        Path("a.png").write_bytes(self.images["png"])
        Path("run.toml").write_text(self.config)
        ends = (io.StringIO, nobody_reads, full, lambda: None)
        self.streams = (chance.choice(ends), chance.choice(ends))
        weights = str(self.seeds / "a.safetensors")
        command = chance.choice(
            (
                ["upscale", "a.png", "-o", "out", "--weights", weights],
                ["upscale", "none.png", "-o", "out", "--weights", weights],
                ["evaluate", weights, str(self.pairs), "--no-lpips"],
                ["train", "run.toml"],
                ["doctor", str(self.pairs)],
                ["models"],
                ["--help"],
                ["nope"],
                ["report", str(self.begun), "-o", "out/page.html", "--no-pictures"],
            )
        )
        json_or_not = ["--json"] if len(command) > 1 and chance.random() < 0.4 else []
        return [*command, *json_or_not]

    def cache(self, chance: random.Random) -> list[str]:
        cache = Path("out/cache").absolute()
        tempfile.tempdir = str(cache)
        folder = cache / "ibsd"
        shutil.copytree(self.own_cache, folder)
        os.environ["XDG_CACHE_HOME"] = str(cache)
        os.environ.pop(cached.VARIABLE, None)
        compiled._load.cache_clear()
        [library] = folder.glob("*.so")
        of_model = sorted(folder.glob("model-*/*"))
        of_library = chance.random() < 0.5 or not of_model
        file = library if of_library else chance.choice(of_model)
        ways = (
            "loose folder",
            "loose parent",
            "foreign folder",
            "loose",
            "foreign",
            "link",
            "bytes",
        )
        way = chance.choice((*ways, "pipe", "folder", "gone", "no folder", "link to the folder"))
        planted = self.seeds / "planted.so"
        if of_library and way in ways[:-1]:
            # Named after its own bytes, as one is that was built here.
            name = library.name.rpartition("-")[0]
            library.unlink()
            file = folder / f"{name}-{compiled._digest(planted.read_bytes())}.so"
            shutil.copy(planted, file)
        if way == "loose folder":
            chance.choice((folder, file.parent, folder)).chmod(chance.choice((0o777, 0o770, 0o703)))
            folder.chmod(0o777 if of_library else folder.stat().st_mode)
        elif way == "loose parent":
            cache.chmod(0o777)
        elif way == "foreign folder":
            os.chown(folder, 12345, 12345)
        elif way == "loose":
            file.chmod(chance.choice((0o666, 0o620, 0o602)))
        elif way == "foreign":
            os.chown(file, 12345, 12345)
        elif way == "link":
            shutil.move(file, folder.parent / "elsewhere")
            file.symlink_to(folder.parent / "elsewhere")
        elif way == "bytes":
            file.write_bytes(
                mutate(planted.read_bytes() if of_library else file.read_bytes(), chance)
            )
        elif way == "no folder":
            shutil.rmtree(folder)
            folder.write_text("")
        elif way == "link to the folder":
            folder.rename(cache / "elsewhere")
            folder.symlink_to(cache / "elsewhere")
        else:
            file.unlink()
            if way == "pipe":
                os.mkfifo(file)
            elif way == "folder":
                file.mkdir()
        if of_library:
            Path("run.toml").write_text(self.config)
            return ["train", "run.toml"]
        Path("a.png").write_bytes(self.images["png"])
        weights = str(self.seeds / "a.safetensors")
        return ["upscale", "a.png", "-o", "out/large", "--weights", weights]

    def resumed(self, chance: random.Random) -> list[str]:
        run = Path("out/run")
        shutil.copytree(self.begun, run)
        for _ in range(chance.choice((1, 1, 2, 3))):
            files = [path for path in sorted(run.rglob("*")) if not path.is_symlink()]
            likely = [path for path in files if path.name in ("log.jsonl", "run.json")]
            path = chance.choice(chance.choice((likely or files, files or [run])))
            content = path.read_bytes() if path.is_file() else b""
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            if path == run:
                break
            how = chance.randrange(8)
            if how == 0:
                path.mkdir()
            elif how == 1:
                path.symlink_to(chance.choice(("nowhere", "..", "/dev/null", path.absolute())))
            elif how == 2:
                os.mkfifo(path)
            elif how == 3:
                lines = (
                    b"null",
                    b"[1]",
                    b'{"step": "x"}',
                    b'{"step": 1e400}',
                    b"[" * 100_000,
                    b"\xff",
                )
                path.write_bytes(content + chance.choice(lines) + b"\n")
            elif how == 4:
                path.write_bytes(content[: chance.randrange(len(content) + 1)])
            elif how < 7:
                path.write_bytes(mutate(content, chance))
        self.kept = checkpoints(run)
        if chance.random() < 0.2:
            return ["report", str(run), "-o", "out/page.html", "--no-pictures"]
        Path("run.toml").write_text(self.config)
        options = ["--resume"] if chance.random() < 0.8 else []
        return ["train", "run.toml", "training.num_steps=3", *options]

    # -- judging

    def run(self, seed: int) -> Outcome:
        """As `Fuzzer.run`, in a forked process."""
        kind = list(self.kinds)[seed % len(self.kinds)]
        outcome = self.folder / "outcome.json"
        outcome.unlink(missing_ok=True)
        if not (process := os.fork()):
            try:
                outcome.write_text(json.dumps(super().run(seed)))
            finally:
                os._exit(0)
        status = os.waitpid(process, 0)[1]
        if status or not outcome.exists():
            return Outcome(kind, seed, -1, 0.0, f"the process died, status {status}")
        return Outcome(*json.loads(outcome.read_text()))

    def judged(self, kind: str, seed: int, arguments: list[str]) -> Outcome:
        outcome = super().judged(kind, seed, arguments)
        if not outcome.broken and Path("ran").exists():
            return outcome._replace(broken=f"{arguments}: another's library was executed")
        if outcome.broken and kind == "stream":
            return outcome._replace(broken=f"{self.streams} {outcome.broken}")
        if not outcome.broken and kind == "run to resume" and outcome.code == 2:
            left = checkpoints(Path("out/run"))
            if lost := [name for name in self.kept if name not in left]:
                return outcome._replace(broken=f"{arguments}: lost {lost}")
        return outcome


def checkpoints(run: Path) -> dict[str, int]:
    """{file of a checkpoint: its size}"""
    files = (path for path in run.glob("checkpoints/*/*") if path.is_file())
    return {str(path): path.stat().st_size for path in files}


def nobody_reads() -> TextIO:
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "w", buffering=1)


def full() -> TextIO:
    return open("/dev/full", "w", buffering=1)
