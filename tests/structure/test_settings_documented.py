"""Every setting someone reads is explained in .env.example, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / ".env.example"
# The system's own variables, and the names the launcher keeps to itself in var/env.
NOT_OURS = re.compile(r"PATH|HOME|TZ|TERM|CI|FLASK_APP|PIP_\w+|UV_\w+|PYTHON\w*|PG\w+")
READERS = {"str", "int", "bool", "list", "get", "getenv", "json", "float", "url"}


def read_by_the_code() -> dict[str, str]:
    """Return {variable: where} for env.str("X"), os.environ["X"], .get("X") and envvar="X"."""
    found: dict[str, str] = {}
    for folder in ("backend", "admin", "sandbox", "launcher", "tests", "bench"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            if "node_modules" in path.parts or path == Path(__file__):
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for name in names_read(tree):
                found.setdefault(name, str(path.relative_to(PROJECT)))
    for name in re.findall(r"\$\{(\w+)", (PROJECT / "Procfile").read_text(encoding="utf-8")):
        found.setdefault(name, "Procfile")
    return {name: where for name, where in found.items() if not NOT_OURS.fullmatch(name)}


def names_read(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        owner, argument = None, None
        if isinstance(node, ast.Subscript):
            owner, argument = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in READERS:
                owner, argument = node.func.value, node.args[0]
        elif isinstance(node, ast.keyword) and node.arg == "envvar":  # an option of a command
            yield node.value.value
        name = getattr(argument, "value", None)
        if is_environment(owner) and isinstance(name, str):
            yield name


def is_environment(owner: ast.expr | None) -> bool:
    if isinstance(owner, ast.Attribute):
        return owner.attr == "environ" and getattr(owner.value, "id", "") == "os"
    return isinstance(owner, ast.Name) and owner.id in ("env", "os")


def explained() -> set[str]:
    text = EXAMPLE.read_text(encoding="utf-8")
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))


def test_every_setting_is_explained():
    missing = {name: at for name, at in read_by_the_code().items() if name not in explained()}
    assert missing == {}


def test_nothing_is_explained_that_nobody_reads():
    assert explained() - set(read_by_the_code()) == set()


def test_the_example_changes_nothing_by_itself():
    """Copying it to .env as it is gives the default development set-up."""
    from launcher.environment import read

    assert read(EXAMPLE) == {
        "APP_ENV": "development",
        "PORT": "8000",
        "BIND": "127.0.0.1",
        "SANDBOX_PORT": "8090",
    }
