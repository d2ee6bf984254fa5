"""What a newcomer gets: `make run` on an empty machine folder, everything it prints, Ctrl-C, again.

Nothing is installed here: the launcher is started by the command that `make run` ends in.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from launcher import environment
from launcher.children import kill_session, spawn
from launcher.ports import answers
from launcher.runtime import state_folder
from tests.support.ports import own_port
from tests.support.wait import wait_for

PROJECT = Path(__file__).resolve().parents[2]
KEPT_ALONE = ("company", "house", "bill", "payment_order", "steward", "wechat_app")


@dataclass
class Run:
    """A running launcher: what it has printed, and calls to what it started."""

    process: subprocess.Popen
    log: Path
    var: Path
    port: int
    sandbox_port: int

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def said(self, pattern: str) -> re.Match[str]:
        """Return the one place of the output that matches."""
        [found] = re.finditer(pattern, self.printed, re.MULTILINE)
        return found

    def is_ready(self) -> bool:
        assert self.process.poll() is None or pytest.fail(self.printed)
        return "Ctrl-C 停止" in self.printed

    def call(self, method: str, url: str, **options: Any) -> requests.Response:
        """One HTTP call, never through a proxy of the machine."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, url, timeout=10, **options)

    def rows(self, statement: str, *values: object) -> list[tuple]:
        """Ask the database as the application does, by the address in `var/env`."""
        url = environment.read(self.var / "env")["DATABASE_URL"]
        with psycopg.connect(url) as connection:
            return connection.execute(statement, values).fetchall()


@pytest.fixture
def var() -> Iterator[Path]:
    """A folder that the servers' user may enter, as pytest's own folders are not for root."""
    folder = Path(tempfile.mkdtemp(prefix="jiaoqing-run-"))
    state = state_folder(folder)
    yield folder
    shutil.rmtree(state, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(var: Path, log: Path, ports: tuple[int, int]) -> Iterator[Run]:
    """Start the launcher with nothing of this machine's settings; kill it if the test fails."""
    mine = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    hidden = dict.fromkeys(environment.read(PROJECT / ".env"), "")
    wanted = {"JIAOQING_VAR": str(var), "PORT": str(ports[0]), "SANDBOX_PORT": str(ports[1])}
    wanted |= {"DEMO_HOUSEHOLDS": "40", "DEMO_MONTHS": "2"}
    with log.open("wb") as output:
        process = spawn(
            [sys.executable, "-m", "launcher", "start"],
            cwd=PROJECT, env={**mine, **hidden, **wanted},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    run = Run(process, log, var, *ports)
    try:
        wait_for(run.is_ready, 300, what="the addresses to be printed", every=0.1)
        yield run
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                kill_session(process)


def family(pid: int) -> dict[int, str]:
    """Return {process: when it began} of everything below `pid`, as Linux numbers them."""
    parents, begun = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        child = int(file.parent.name)
        parents[child], begun[child] = int(fields[1]), fields[19]
    found: dict[int, str] = {}
    below = {pid}
    while below := {child for child, parent in parents.items() if parent in below}:
        found |= {child: begun[child] for child in below}
    return found


def still_there(processes: dict[int, str]) -> list[str]:
    """Name those that still run (a dead one that nobody waited for has no command line)."""
    left = []
    for pid, begun in processes.items():
        try:
            same = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19] == begun
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if same and command:
            left.append(f"{pid} {command}")
    return left


def interrupt(run: Run) -> None:
    """Press Ctrl-C: status 0, nothing is left of it."""
    started = family(run.process.pid)
    names = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in started]
    for name in ("postgres", "valkey", "gunicorn", "relay", "money", "messages", "bulk", "sandbox"):
        assert any(name in each for each in names), f"{name} was not running: {names}"
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(60) == 0, run.printed
    assert run.printed.endswith("已停止 / stopped.\n")
    assert "强制结束" not in run.printed, "everything ended in time"
    assert still_there(started) == []
    assert not answers("127.0.0.1", run.port) and not answers("127.0.0.1", run.sandbox_port)


def log_in(run: Run) -> dict[str, str]:
    """Log in with everything printed; return {role: token}."""
    password = run.said(r"log-ins at .*密码 password: (\S+)\)$")[1]
    printed = dict(re.findall(r"^    (\w+) +(\w+) +\S+$", run.printed, re.MULTILINE))
    assert sorted(printed.values()) == ["admin", "finance", "lead", "steward", "steward"]
    admin = run.said(r"管理端 / stewards and desk +(\S+)$")[1]
    tokens = {}
    for login, role in printed.items():
        answer = run.call(
            "POST", f"{admin}api/v1/login", json={"login": login, "password": password}
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["steward"]["role"] == role
        tokens[role] = answer.json()["token"]
    return tokens


def who_is(run: Run, token: str) -> int:
    url = f"http://127.0.0.1:{run.port}/admin/api/v1/me"
    return run.call("GET", url, headers={"Authorization": f"Bearer {token}"}).status_code


def look_at_the_bills(run: Run) -> None:
    """Open the page with the printed code: every open bill of the printed house, to the fen."""
    page, code = run.said(r"快捷缴费 / quick pay: (\S+)  查询码 code: (\w+)$").groups()
    owner, house = run.said(r"示范业主 / demo owner: (\S+), ([\w-]+), ").groups()
    open_bills = run.rows(
        "SELECT id, open_fen FROM check_v1.bills WHERE house_code = %s AND open_fen > 0"
        " AND community_id = (SELECT id FROM community WHERE code = 'SUN') ORDER BY id",
        house,
    )
    assert open_bills
    answer = run.call("GET", f"{page}bills", params={"c": code})
    assert answer.status_code == 200 and f"<h1>{owner[0]}*" in answer.text
    shown = re.findall(r'name="bill" value="(\d+)"', answer.text)
    assert sorted(map(int, shown)) == [number for number, _ in open_bills]
    for _, fen in open_bills:
        assert f"{fen // 100}.{fen % 100:02}" in answer.text


def look_at_the_phone(run: Run) -> None:
    """The demo's owner follows the account, is known as a follower, and is written to there."""
    assert run.rows(
        "SELECT o.following FROM owner_openid o JOIN wechat_app a ON a.appid = o.appid"
        " WHERE a.kind = 'official_account'"
    ) == [(True,)]
    console = f"http://127.0.0.1:{run.sandbox_port}/_sandbox"
    [person] = run.call("GET", f"{console}/people").json()
    assert len(person["follows"]) == 1
    got = [
        message
        for message in run.call("GET", f"{console}/book/messages").json()
        if message["channel"] == "wechat_template"
    ]
    assert {message["person"] for message in got} == {person["id"]}
    assert "receipt" in {message["event"] for message in got}
    sent = run.rows("SELECT out_id FROM check_v1.messages WHERE channel = 'wechat_template'")
    assert {message["out_id"] for message in got} == {out_id for (out_id,) in sent}


def counted(run: Run) -> dict[str, int]:
    return {table: run.rows(f"SELECT count(*) FROM {table}")[0][0] for table in KEPT_ALONE}


@pytest.mark.slow
def test_make_run_from_nothing_and_again(var: Path, tmp_path: Path) -> None:
    ports = own_port(), own_port()
    with running(var, tmp_path / "first.log", ports) as first:
        here = f"http://127.0.0.1:{ports[0]}"
        assert first.said(r"^缴清已就绪 / Jiaoqing is ready:  (\S+)$")[1] == here
        ready = first.call("GET", f"{here}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        tokens = log_in(first)
        look_at_the_bills(first)
        look_at_the_phone(first)
        told = first.call("GET", f"{here}/metrics").text
        assert 'jiaoqing_messages_total{channel="wechat_template",result="accepted"}' in told
        code = first.said(r"查询码 code: (\w+)$")[1]
        before = counted(first)
        assert before["company"] == 1 and before["steward"] == 5
        interrupt(first)
    with running(var, tmp_path / "second.log", ports) as second:
        assert "示范数据" not in second.printed and "示范数据已就绪" in first.printed
        assert second.said(r"查询码 code: (\w+)$")[1] == code
        assert counted(second) == before
        assert {who_is(second, token) for token in tokens.values()} == {200}, "keys are kept"
        look_at_the_bills(second)
        interrupt(second)
