"""What `make run` says when it cannot run: one line, Chinese and English, why and what to do."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.install import need_disk_space, need_node
from launcher.ports import need_ports
from launcher.run import _only_one
from launcher.say import Stop
from launcher.services import need_given_servers
from tests.support.ports import own_port

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where somebody listens."""
    with socket.create_server(("127.0.0.1", own_port())) as server:
        yield server.getsockname()[1]


def refused(ask, *arguments: object) -> str:
    """Return the one line of a refusal that has both languages."""
    with pytest.raises(Stop) as stopped:
        ask(*arguments)
    line = str(stopped.value)
    assert "\n" not in line
    chinese, _, english = line.partition(" / ")
    assert re.search("[一-鿿]", chinese) and not re.search("[一-鿿]", english)
    return line


def test_a_taken_port_is_named_with_another(taken: int):
    free = own_port()
    need_ports({"PORT": str(free)})
    assert refused(need_ports, {"PORT": str(free), "SANDBOX_PORT": str(taken)}) == (
        f"端口 {taken} 不可用，请停止占用它的程序或换一个 / port {taken} is taken: stop what"
        f" listens there, or choose another, e.g. `SANDBOX_PORT={taken + 10} make run`."
    )


@pytest.mark.parametrize("port", ["http", "0", "65536", "99999999", "-1", "²"])
def test_what_is_no_port(port: str):
    assert refused(need_ports, {"PORT": port}) == (
        f"PORT={port} 不是端口号，请改为 1 至 65535 / is no port:"
        " choose 1 to 65535, e.g. `PORT=8000 make run`."
    )


def test_one_port_cannot_serve_both():
    port = own_port()
    assert refused(need_ports, {"PORT": f"{port}", "SANDBOX_PORT": f"0{port}"}) == (
        "PORT、SANDBOX_PORT 不能相同，请改其中一个 / PORT and SANDBOX_PORT are both"
        f" 0{port}: choose another, e.g. `SANDBOX_PORT={port + 10} make run`."
    )


def test_a_server_that_was_named_and_is_away(taken: int):
    away = own_port()
    need_given_servers({"REDIS_URL": f"redis://127.0.0.1:{taken}/0"})
    given = {"DATABASE_URL": f"postgresql://u:secret@127.0.0.1:{away}/d"}
    said = refused(need_given_servers, given)
    assert said == (
        f"DATABASE_URL 无法连接，请启动该服务器 / nothing answers at 127.0.0.1:{away}:"
        " start that server, or unset the variable to use the embedded one."
    )


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, says: str = "") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


NODE = (
    "需要 Node 20 以上和 npm，请安装后再运行 / Node 20+ with npm is needed"
    " (found: {}): install it from your system or nodejs.org, then run it again."
)


def test_no_node(programs: Path):
    assert refused(need_node) == NODE.format("none")


@pytest.mark.parametrize(("says", "found"), [("v18.20.4", "v18"), ("v9.0.0", "v9"), ("", "none")])
def test_a_node_that_is_too_old_or_says_nothing(programs: Path, says: str, found: str):
    put(programs, "node", says)
    put(programs, "npm")
    assert refused(need_node) == NODE.format(found)


def test_node_without_npm(programs: Path):
    put(programs, "node", "v20.11.0")
    assert refused(need_node) == NODE.format("v20, no npm")
    put(programs, "npm")
    need_node()


def test_a_full_disk():
    need_disk_space(least=1)
    total = shutil.disk_usage(PROJECT).total
    said = refused(need_disk_space, total + 10**9)
    room = (total + 10**9) // 10**6
    assert re.fullmatch(
        rf"磁盘空间不足，请腾出 {room} MB 后再运行 / not enough disk space: \d+ MB free at"
        rf" {re.escape(str(PROJECT))}, make room for at least {room} MB and run it again\.",
        said,
    )


def test_a_second_run_is_refused_and_a_later_one_is_not(tmp_path: Path):
    def enter() -> None:
        with _only_one(tmp_path):
            pass

    with _only_one(tmp_path):
        assert refused(enter) == (
            "已在运行，请先用 Ctrl-C 停止 / already running here"
            f" (process {os.getpid()}): stop it with Ctrl-C first."
        )
    enter()


def start(var: Path, **variables: object) -> subprocess.CompletedProcess:
    """Run the launcher as `make run` does once everything is installed."""
    nothing = {"DATABASE_URL": "", "DATABASE_OWNER_URL": "", "REDIS_URL": "", "APP_ENV": ""}
    given = {name: str(value) for name, value in variables.items()}
    return subprocess.run(
        [sys.executable, "-m", "launcher", "start"], cwd=PROJECT, capture_output=True, text=True,
        env={**os.environ, **nothing, "JIAOQING_VAR": str(var), **given}, timeout=60,
    )  # fmt: skip


def test_the_command_prints_that_line_and_starts_nothing(tmp_path: Path, taken: int):
    ran = start(tmp_path / "deep" / "var", PORT=taken, SANDBOX_PORT=own_port())
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"端口 {taken} 不可用，") and ran.stderr.count("\n") == 1
    assert [file.name for file in (tmp_path / "deep" / "var").iterdir()] == ["lock"]


def test_the_command_beside_a_running_one(tmp_path: Path):
    with (tmp_path / "lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = start(tmp_path, PORT=own_port(), SANDBOX_PORT=own_port())
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "已在运行，请先用 Ctrl-C 停止 / already running here (process 4711):"
        " stop it with Ctrl-C first.\n"
    )
