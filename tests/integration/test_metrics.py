"""One `/metrics` speaks for every process: counted by real ones, read from whichever answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from backend import clock, tasks
from backend.db import transaction
from tests.support.ports import own_port
from tests.support.processes import PROJECT, running_processes
from tests.support.wait import wait_for

TASKS = 'jiaoqing_tasks_total{kind="review_promises",result="done"}'
HEALTHZ = 'jiaoqing_http_requests_total{endpoint="healthz",status="200"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "metrics"
    made.mkdir()
    return made


@pytest.fixture
def environment(product_environment: dict[str, str], folder: Path) -> dict[str, str]:
    port = own_port()
    return {
        **product_environment,
        "PORT": str(port),
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
    }


@pytest.fixture
def web(clean_database: object, environment: dict[str, str]) -> Iterator[str]:
    """The Procfile's gunicorn with its two workers, and relay and bulk worker; the address."""
    url = environment["PUBLIC_BASE_URL"]
    with running_processes(environment, ("web", "relay", "worker-bulk")):
        wait_for(lambda: answers(url), 60, what="the web process")
        yield url


def answers(url: str) -> bool:
    try:
        return get(url + "/readyz").ok
    except requests.RequestException:
        return False


def get(url: str) -> requests.Response:
    """One call on a connection of its own, so that any worker may take it."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=20, headers={"Connection": "close"})


def scraped(url: str, name: str) -> float:
    found = re.search(f"^{re.escape(name)} (.+)$", get(url + "/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def counting(folder: Path) -> set[int]:
    """The processes that have counted something."""
    return {int(file.stem.removeprefix("counter_")) for file in folder.glob("counter_*.db")}


def test_processes_that_count_are_added_up(environment: dict[str, str], folder: Path):
    program = (
        "import sys; from backend.telemetry import MESSAGES, log;"
        "MESSAGES.labels('sms', 'accepted').inc(int(sys.argv[1]))"
    )
    for count in ("3", "4"):
        subprocess.run(
            [sys.executable, "-c", program, count],
            cwd=PROJECT, env={**os.environ, **environment}, check=True,
        )  # fmt: skip
    assert len(counting(folder)) == 2
    scrape = (
        "import wsgi; answer = wsgi.app.test_client().get('/metrics');"
        "print(answer.status_code, answer.text)"
    )
    said = subprocess.run(
        [sys.executable, "-c", scrape],
        cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.startswith("200 ")
    assert 'jiaoqing_messages_total{channel="sms",result="accepted"} 7.0' in said


def test_web_and_worker_are_seen_in_one_answer(web: str, folder: Path, ctx):
    calls = 0

    def both_have_answered() -> bool:
        nonlocal calls
        calls += get(web + "/healthz").ok
        return len(counting(folder)) >= 2

    wait_for(both_have_answered, 20, what="both gunicorn workers to answer")
    for community in (1, 2):
        with transaction():
            tasks.plan(
                queue="bulk", kind="review_promises", dedupe_key=f"test:{community}",
                due_at=clock.business_now(), payload={"community_id": community},
            )  # fmt: skip
    wait_for(lambda: scraped(web, TASKS) == 2, 20, what="the worker's count at the web's address")
    for _ in range(8):  # whoever answers says the same
        assert (scraped(web, HEALTHZ), scraped(web, TASKS)) == (calls, 2)
    killed = gunicorn_workers(folder)
    assert killed
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: answers(web), 20, what="new workers")
    assert (scraped(web, HEALTHZ), scraped(web, TASKS)) == (calls, 2), "what was counted stays"


def gunicorn_workers(folder: Path) -> list[int]:
    """The processes with files here whose parent is a gunicorn too."""
    pids = {int(file.stem.rpartition("_")[2]) for file in folder.glob("counter_*.db")}
    return [pid for pid in pids if b"gunicorn" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_folder_that_is_missing_is_said_at_the_start(environment: dict[str, str], folder: Path):
    folder.rmdir()
    ran = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 1
    assert f"PROMETHEUS_MULTIPROC_DIR: {folder} is no folder" in ran.stderr
