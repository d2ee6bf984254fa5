"""What the READMEs and guides name is there: commands, files, pictures, tests, floors."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from backend.cli import demo, money, roster, running, setting_up

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")
GUIDES = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
PICTURES = ROOT / "docs" / "pictures"
LARGEST = 300_000
CODE = re.compile(r"`([^`\n]+)`")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name: str, program: str) -> set[str]:
    """The words behind `program` wherever a document shows it in code."""
    shown = CODE.findall(text(name)) + re.findall(r"(?m)^ {4}(\S.*)$", text(name))
    return {
        found.strip()
        for line in shown
        for found in re.findall(rf"(?:^|/|\s){program} ((?:[a-z][a-z-]+ ?){{1,2}})", line)
    }


@pytest.mark.parametrize("name", READMES)
def test_a_readme_opens_with_what_it_is_two_commands_and_a_picture(name):
    head = text(name).split("\n## ", 1)[0]
    assert head.index("缴清") < head.index("    make run ") < head.index("    make test ")
    assert head.index("    make test ") < head.index("](docs/pictures/walkthrough.png)")


def test_both_readmes_tell_the_same():
    for pattern in (r"\]\((docs/[^)]+)\)", r"[\"(]([\w./-]+\.png)[\")]", r"`(flask [a-z ]+)`"):
        english, chinese = (re.findall(pattern, text(name)) for name in READMES)
        assert english == chinese
    english, chinese = (len(re.findall(r"(?m)^## ", text(name))) for name in READMES)
    assert english == chinese >= 6


@pytest.mark.parametrize("name", GUIDES)
def test_make_targets_exist(name):
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", text("Makefile")))
    assert {words.split()[0] for words in commands(name, "make")} <= targets


def known_commands() -> set[str]:
    found = {"db upgrade"}
    for module in (setting_up, roster, money, running, demo):
        for command in module.COMMANDS:
            found.add(command.name)
            if isinstance(command, click.Group):
                found |= {f"{command.name} {name}" for name in command.commands}
    return found


@pytest.mark.parametrize("name", GUIDES)
def test_flask_commands_exist(name):
    known = known_commands()
    for words in commands(name, "flask"):
        first, _, _ = words.partition(" ")
        assert words in known or first in known, f"{name}: flask {words}"


@pytest.mark.parametrize("name", GUIDES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", text(name)):
        if not target.startswith(("http:", "https:", "#")):
            path = (ROOT / name).parent / unquote(target.partition("#")[0])
            assert path.exists(), f"{name}: {target}"


def test_every_picture_is_shown_and_small():
    shown = {
        Path(picture).name
        for name in GUIDES
        for picture in re.findall(r"[\"(]([^\"()\s]+\.png)[\")]", text(name))
    }
    assert {path.name for path in PICTURES.iterdir()} == shown
    assert [path.name for path in PICTURES.iterdir() if path.stat().st_size > LARGEST] == []


@pytest.mark.parametrize(
    "name", [n for n in GUIDES if n.startswith("docs/a") or n == "CONTRIBUTING.md"]
)
def test_named_files_exist(name):
    folders = "backend|admin|sandbox|tests|migrations|docs|bench|launcher"
    for part in CODE.findall(text(name)):
        if re.fullmatch(rf"(?:{folders})/[\w./*-]+", part):
            assert list(ROOT.glob(part.rstrip("/"))), f"{name}: {part}"


def test_every_promise_names_a_test():
    table = text("docs/architecture.md").split("\n| promise |", 1)[1].split("\n\n", 1)[0]
    rows = table.splitlines()[2:]
    assert len(rows) >= 15
    assert [row for row in rows if "`tests/" not in row.rsplit("|", 2)[1]] == []


def test_the_picture_shows_the_floors_in_their_order():
    settings = tomllib.loads(text("pyproject.toml"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    picture = " ".join(re.findall(r'class="f">([^<]+)<', text("docs/architecture.svg")))
    at = 0
    for layer in layers:
        rooms = [room for room in re.findall(r"(?:backend\.)?([\w.]+)", layer) if room != "backend"]
        places = [picture.find(room.removeprefix("backend."), at) for room in rooms]
        found = [place for place in places if place >= 0]
        assert found, f"the picture does not show {layer}"
        at = min(found)
