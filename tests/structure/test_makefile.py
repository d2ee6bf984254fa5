"""The Makefile and the Procfile promise only what is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.procfile import read_procfile

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z][a-z-]*):", TEXT, re.MULTILINE)
EXPLAINED = re.findall(r"^([a-z][a-z-]*):.*## ", TEXT, re.MULTILINE)


def make(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", *arguments], cwd=PROJECT, capture_output=True, text=True)


def test_help_lists_every_target_with_a_text():
    shown = make("help")
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[1] for line in shown.stdout.splitlines()] == EXPLAINED
    assert {"setup", "run", "test", "test-quick", "lint", "checklist"} <= set(EXPLAINED)


def test_every_target_is_phony():
    """A file of that name must not switch a target off."""
    declared = re.search(r"^\.PHONY: (.*)$", TEXT, re.MULTILINE)[1].split()
    assert sorted(declared) == sorted(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_target_can_be_planned(target: str):
    planned = make("--dry-run", target)
    assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("module", re.findall(r"python -m ([\w.]+)", TEXT.lower()))
def test_modules_behind_targets_exist(module: str):
    if module == "pytest":
        return
    path = PROJECT / module.replace(".", "/")
    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_processes_of_the_procfile():
    commands = read_procfile(PROJECT / "Procfile")
    assert list(commands) == [
        "web",
        "relay",
        "worker-money",
        "worker-messages",
        "worker-bulk",
        "sandbox",
    ]
    # Cron-like fields and letters follow the process's local time (RQ 3 reads TZ).
    assert all(command.startswith("env TZ=Asia/Shanghai ") for command in commands.values())


def test_no_suite_is_left_out_in_silence():
    for target in ("jest", "web-test"):
        assert re.search(rf"^{target}:\n\t@npm --prefix \S+ test --silent$", TEXT, re.MULTILINE)


def test_ci_script_is_executable_and_parses():
    script = PROJECT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")


def run_ci(folder: Path, *, user: int) -> tuple[int, str, list[str]]:
    """Run .ci/run where PATH has nothing but what it asks; return status, errors, calls."""
    calls = folder / "calls"
    for name, lines in {
        "id": f"echo {user}",
        "apt-get": f'echo apt-get "$@" >> {calls}',
        "make": f'echo make "$@" >> {calls}',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
        (folder / name).chmod(0o755)
    for name in ("bash", "dirname"):
        (folder / name).symlink_to(shutil.which(name))
    ran = subprocess.run(
        [PROJECT / ".ci" / "run"], env={"PATH": str(folder)}, capture_output=True, text=True
    )
    return ran.returncode, ran.stderr, calls.read_text().splitlines() if calls.exists() else []


def test_ci_without_its_tools_fails_and_names_them(tmp_path: Path):
    status, said, calls = run_ci(tmp_path, user=1000)
    assert (status, calls) == (1, [])
    first = said.splitlines()[0]
    assert first.startswith(".ci/run: 缺少工具，请先安装 / tools are missing, install them first: ")
    names = first.partition("first: ")[2].split()
    assert set(names) - {"postgresql"} == {
        "chromium", "fontconfig", "fonts-wqy-microhei", "redis-server",
    }  # fmt: skip


def test_ci_as_root_installs_them_and_looks_again(tmp_path: Path):
    status, said, calls = run_ci(tmp_path, user=0)
    assert calls[0] == "apt-get update -qq" and len(calls) == 2, "no make before all is there"
    assert calls[1].startswith("apt-get install ") and "chromium" in calls[1]
    assert calls[1].split()[-1] == "redis-server"
    assert status == 1 and "redis-server" in said, "this apt-get installs nothing"
