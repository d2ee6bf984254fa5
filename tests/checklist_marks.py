"""What the tests claim: `@pytest.mark.covers("S24")` read from syntax trees, and who may claim.

A claim counts only where the test calls the product: its file imports `backend`, `admin` or
`wsgi` (itself or through another module of tests/), or the test asks for a fixture that does.
A skipped or expected-to-fail test claims nothing. Nothing is imported, so a broken tree can be
read too. Used by `tests.checklist`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: What a file must import, or a test must ask for, to call the product.
PRODUCT_PACKAGES = frozenset({"backend", "admin", "wsgi"})
PRODUCT_FIXTURES = frozenset({"app", "client"})
NOT_RUN = frozenset({"skip", "xfail"})

#: A program text or argument that starts a process of the product.
_PROCESS = re.compile(r"^(wsgi:|backend\.)")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Coverage:
    """number -> test ids that count; claims that do not count; markers that are wrong."""

    tests: dict[str, list[str]] = field(default_factory=dict)
    uncounted: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def read_tests(root: Path, known: Collection[str]) -> Coverage:
    """Collect every covers-marker of the test files under `root/tests`; `known` = all numbers."""
    trees: dict[Path, ast.Module] = {}
    coverage = Coverage()
    for path in sorted((root / "tests").rglob("*.py")):
        try:
            trees[path] = ast.parse(path.read_text(encoding="utf-8"), str(path))
        except SyntaxError as error:
            coverage.errors.append(f"{path.relative_to(root)}: not readable: {error.msg}")
    modules = _modules_reaching_product(trees, root)
    reaching = set(modules.values())
    fixtures = _fixtures_reaching_product(trees, modules.keys())
    for path, tree in trees.items():
        if path.name.startswith("test_"):
            name = path.relative_to(root).as_posix()
            for test, markers, asked in _tests_of(tree, name):
                counts = path in reaching or bool(asked & fixtures)
                _note(coverage, test=test, markers=markers, calls_product=counts, known=known)
    return coverage


def _note(
    coverage: Coverage,
    *,
    test: str,
    markers: list[ast.Call],
    calls_product: bool,
    known: Collection[str],
) -> None:
    names = {_mark_name(marker) for marker in markers}
    claims = [argument for m in markers if _mark_name(m) == "covers" for argument in m.args]
    numbers: list[str] = []
    for claim in claims:
        value = claim.value if isinstance(claim, ast.Constant) else None
        if value in known:
            numbers.append(str(value))
        else:
            coverage.errors.append(f"{test}: covers({ast.unparse(claim)}) names no known number")
    for number in dict.fromkeys(numbers):
        if not calls_product:
            coverage.uncounted.append(f"{number}: {test} does not call the product")
        elif NOT_RUN & names:
            coverage.uncounted.append(f"{number}: {test} is skipped or expected to fail")
        else:
            coverage.tests.setdefault(number, []).append(test)


def _tests_of(tree: ast.Module, name: str) -> Iterator[tuple[str, list[ast.Call], set[str]]]:
    """Yield (test id, its markers with those of class and module, fixtures it asks for)."""
    for body, prefix, markers, asked in _scopes(tree, name):
        for node in body:
            if isinstance(node, Function) and node.name.startswith("test"):
                own = _markers(node.decorator_list)
                arguments = {a.arg for a in [*node.args.args, *node.args.kwonlyargs]}
                yield f"{prefix}::{node.name}", markers + own, asked | arguments | _used(own)


def _scopes(
    tree: ast.Module, name: str
) -> Iterator[tuple[list[ast.stmt], str, list[ast.Call], set[str]]]:
    """Yield the module and each Test class as (body, id prefix, inherited markers, fixtures)."""
    module = _markers(_pytestmark(tree.body))
    yield tree.body, name, module, _used(module)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            markers = module + _markers([*node.decorator_list, *_pytestmark(node.body)])
            yield node.body, f"{name}::{node.name}", markers, _used(markers)


def _pytestmark(body: Iterable[ast.stmt]) -> list[ast.expr]:
    return [
        node.value
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "pytestmark"
    ]


def _markers(expressions: Iterable[ast.expr]) -> list[ast.Call]:
    """Every `pytest.mark.x(...)`, also inside lists and `pytest.param(marks=…)`; `x` bare too."""
    found: list[ast.Call] = []
    for expression in expressions:
        called = {id(n.func) for n in ast.walk(expression) if isinstance(n, ast.Call)}
        for node in ast.walk(expression):
            if isinstance(node, ast.Call) and _is_mark(node.func):
                found.append(node)
            elif _is_mark(node) and id(node) not in called:
                found.append(ast.Call(func=node, args=[], keywords=[]))
    return found


def _is_mark(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and (ast.unparse(node.value) in ("pytest.mark", "mark"))


def _mark_name(marker: ast.Call) -> str:
    return marker.func.attr if isinstance(marker.func, ast.Attribute) else ""


def _used(markers: Iterable[ast.Call]) -> set[str]:
    return {
        str(argument.value)
        for marker in markers
        if _mark_name(marker) == "usefixtures"
        for argument in marker.args
        if isinstance(argument, ast.Constant)
    }


# --- who calls the product ------------------------------------------------------------------


def _imports(node: ast.AST) -> set[str]:
    names: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            names |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            names.add(child.module)
            names |= {f"{child.module}.{alias.name}" for alias in child.names}
    return names


def _is_product(module: str) -> bool:
    return module.split(".")[0] in PRODUCT_PACKAGES


def _modules_reaching_product(trees: Mapping[Path, ast.Module], root: Path) -> dict[str, Path]:
    """Modules of tests/ that import the product, themselves or through one another."""
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in trees
    }
    imports = {name: _imports(trees[path]) for name, path in modules.items()}
    reaching = {name for name, wanted in imports.items() if any(map(_is_product, wanted))}
    while more := {n for n, wanted in imports.items() if n not in reaching and wanted & reaching}:
        reaching |= more
    return {name: modules[name] for name in reaching}


def _fixtures_reaching_product(
    trees: Mapping[Path, ast.Module], reaching_modules: Collection[str]
) -> set[str]:
    """Fixtures that use a product import, start the product's process, or ask for one that does."""
    asks: dict[str, set[str]] = {}
    reaching = set(PRODUCT_FIXTURES)
    for tree in trees.values():
        bound = _bound_names(tree, reaching_modules)
        for node in ast.walk(tree):
            if isinstance(node, Function) and _is_fixture(node):
                asks.setdefault(node.name, set()).update(a.arg for a in node.args.args)
                if _uses(node, bound, reaching_modules):
                    reaching.add(node.name)
    while more := {n for n, needed in asks.items() if n not in reaching and needed & reaching}:
        reaching |= more
    return reaching


def _bound_names(tree: ast.Module, reaching_modules: Collection[str]) -> set[str]:
    """Names that the module's own imports bind to something that calls the product."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) and node.module else ""
            whole = base.removesuffix(".")
            names |= {
                alias.asname or alias.name.split(".")[0]
                for alias in node.names
                if any(
                    _is_product(module) or module in reaching_modules
                    for module in (whole, base + alias.name)
                    if module
                )
            }
    return names


def _is_fixture(node: Function) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def _uses(node: ast.AST, bound: set[str], reaching_modules: Collection[str]) -> bool:
    if any(_is_product(module) or module in reaching_modules for module in _imports(node)):
        return True
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and child.id in bound:
            return True
        if isinstance(child, ast.Constant) and _PROCESS.match(str(child.value)):
            return True
    return False
