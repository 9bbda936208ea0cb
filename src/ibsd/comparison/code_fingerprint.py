"""Which code a run's figures depend on: one hash for each module that its student, objective and
training reach through their imports.

Comments, docstrings, layout, type annotations and the wording of raised errors do not count, and
the hash is the same under every version of Python: it is taken from the syntax tree.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

_IGNORED = {"annotation", "returns", "type_comment", "type_params", "kind", "ctx"}


def code_fingerprint(
    package: Path, roots: Iterable[str], left_out: Collection[str] = ()
) -> dict[str, str]:
    """{module: 12 hex digits}, sorted, of `roots` and all that they import from the same package.

    Args:
        package: the package's folder; its name is the first part of every module's name.
        roots: module names, such as `ibsd.students.imdn`.
        left_out: modules neither hashed nor followed.

    An `__init__` is followed but not hashed: all it does is to give names to what lies elsewhere.
    """
    found: dict[str, str] = {}
    waiting, seen = list(roots), set(left_out)
    while waiting:
        module = waiting.pop()
        path = _source(package, module)
        if module in seen or path is None:
            continue
        seen.add(module)
        digest, imports = _inspect(path)
        if path.name != "__init__.py":
            found[module] = digest
        waiting += [name for name in imports if name.split(".")[0] == package.name]
    return dict(sorted(found.items()))


def _source(package: Path, module: str) -> Path | None:
    """The file of a module; None where the name is not a module's but something in one."""
    base = package.parent.joinpath(*module.split("."))
    return next(
        (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None
    )


@cache
def _inspect(path: Path) -> tuple[str, tuple[str, ...]]:
    """(hash, what is imported by absolute name)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(_canonical(tree).encode()).hexdigest()[:12], tuple(imports)


def _canonical(node: object) -> str:
    """The syntax tree as text, less what cannot move a figure."""
    if isinstance(node, ast.Raise):
        return "raise"
    if isinstance(
        node, ast.JoinedStr
    ):  # Python 3.12.0 and 3.12.1 end some format specs with an empty string
        node = ast.JoinedStr(
            [
                part
                for part in node.values
                if not (isinstance(part, ast.Constant) and part.value == "")
            ]
        )
    if isinstance(node, ast.AST):
        fields = (
            (name, value)
            for name, value in ast.iter_fields(node)
            if name not in _IGNORED and value is not None and value != []
        )
        return f"{type(node).__name__}({','.join(f'{name}={_canonical(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node if not _is_text(item))}]"
    return repr(node)


def _is_text(node: object) -> bool:
    """Whether it is a statement that is only a string: a docstring, or one below a field."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
