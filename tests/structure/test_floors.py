"""The shape of the code: floors, the one clock, the launcher on the bare machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CLOCK_CALLS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "localtime"),
    ("time", "gmtime"),
}


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((PROJECT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path.relative_to(PROJECT), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_imports_keep_to_the_floors():
    ran = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
        + ["--no-cache"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_room_stands_on_a_floor():
    """A new module of the product must be put on a floor before it can be merged."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = set(re.findall(r"backend\.\w+", " ".join(floors)))
    rooms = {
        f"backend.{path.stem}"
        for path in (PROJECT / "backend").iterdir()
        if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").exists())
    }
    assert rooms - {"backend.__init__"} <= placed


def test_only_the_clock_reads_a_clock():
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources("backend", "admin")
        if path != Path("backend/clock.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and reads_clock(node.func)
    ]
    assert found == []


def reads_clock(call: ast.expr) -> bool:
    if not isinstance(call, ast.Attribute):
        return False
    owner = call.value
    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    return (name, call.attr) in CLOCK_CALLS


@pytest.mark.parametrize(
    "text, found",
    [
        ("datetime.now(UTC)", True),
        ("datetime.datetime.utcnow()", True),
        ("time.time()", True),
        ("clock.business_now()", False),
        ("time.sleep(1)", False),
    ],
)
def test_clock_check_sees_a_clock(text: str, found: bool):
    assert reads_clock(ast.parse(text, mode="eval").body.func) is found


def test_clock_is_not_imported_by_name():
    """`from time import time` would slip past the check above."""
    names = {name for _, name in CLOCK_CALLS}
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources("backend", "admin")
        if path != Path("backend/clock.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "time"
        and names & {alias.name for alias in node.names}
    ]
    assert found == []


def test_launcher_needs_only_the_standard_library():
    allowed = set(sys.stdlib_module_names) | {"launcher"}
    found = {
        f"{path}: {name}"
        for path, tree in sources("launcher")
        for name in imported(tree)
        if name.split(".")[0] not in allowed
    }
    assert found == set()
