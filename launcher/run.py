"""`make run`: servers, migrations, demo data, processes, addresses; and the way back."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from launcher import environment, project
from launcher.install import need_disk_space
from launcher.ports import LOOPBACK, answers, need_ports
from launcher.procfile import Process, read_procfile, stop_together
from launcher.say import Stop, say
from launcher.services import Services, need_given_servers

_READY_SECONDS = 90.0
_SANDBOX = "sandbox"
_FIRST = (_SANDBOX, "web")  # the demo's platforms call back while it is told


class _Asked(Exception):
    """Ctrl-C, SIGTERM or a closed terminal."""


def run() -> int:
    """Run everything until asked to stop; return the exit status."""
    need_disk_space()
    project.VAR.mkdir(parents=True, exist_ok=True)
    with _only_one(project.VAR):
        given = environment.given(project.ROOT)
        need_given_servers(given)
        kept = environment.kept(project.VAR / "env")
        settings = _settings(given, kept)
        used = {**given, **settings}
        need_ports({name: used[name] for name in _ports_used(production=_is_production(used))})
        services = Services(project.VAR, given=given, kept=kept)
        processes: list[Process] = []
        _listen_for_signals()
        try:
            kept.update(_without_given(services.start(), given))
            environment.write(project.VAR / "env", {**kept, **_without_given(settings, given)})
            _bring_up({**environment.for_product(kept), **settings, **given}, processes)
            _watch(services, processes)
        except _Asked:
            say("正在停止 / stopping …")
        finally:
            _ignore_signals()
            stop_together([each for each in processes if each.name != _SANDBOX])
            stop_together([each for each in processes if each.name == _SANDBOX])
            services.stop()
    say("已停止 / stopped.")
    return 0


def _settings(given: dict[str, str], kept: dict[str, str]) -> dict[str, str]:
    """Return the settings that follow from PORT, SANDBOX_PORT and APP_ENV."""
    port, sandbox_port = given.get("PORT", "8000"), given.get("SANDBOX_PORT", "8090")
    settings = {
        "PORT": port,
        "SANDBOX_PORT": sandbox_port,
        "PUBLIC_BASE_URL": f"http://{LOOPBACK}:{port}",
    }
    if given.get("APP_ENV") != "production":
        sandbox = f"http://{LOOPBACK}:{sandbox_port}"
        for name in ("WECHAT_API_BASE", "WECHATPAY_API_BASE", "SMS_ENDPOINT", "VOICE_ENDPOINT"):
            settings[name] = sandbox
        settings["ALIPAY_GATEWAY"] = f"{sandbox}/gateway.do"
        settings["LOG_LEVEL"] = "WARNING"  # a line per request would bury the addresses
    return {**settings, **{name: given[name] for name in settings if name in given}}


def _without_given(values: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in given}


@contextmanager
def _only_one(var: Path) -> Iterator[None]:
    """Hold the lock of the folder `var`. Raises Stop when another run holds it."""
    with (var / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise Stop(
                f"已在运行，请先用 Ctrl-C 停止 / already running here"
                f" (process {lock.read().strip()}): stop it with Ctrl-C first."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _ports_used(*, production: bool) -> tuple[str, ...]:
    return ("PORT",) if production else ("PORT", "SANDBOX_PORT")


def _is_production(variables: dict[str, str]) -> bool:
    return variables.get("APP_ENV") == "production"


def _listen_for_signals() -> None:
    def asked(_number: int, _frame: FrameType | None) -> None:
        raise _Asked

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, asked)


def _ignore_signals() -> None:
    """A second Ctrl-C must not cut the orderly stop short; each step has its own time limit."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _bring_up(variables: dict[str, str], processes: list[Process]) -> None:
    """Migrate, fill the empty demo, start the processes (kept in `processes`), say where."""
    variables["PATH"] = f"{project.VENV / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
    variables |= {"FLASK_APP": "wsgi", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(project.ROOT)}
    variables["JIAOQING_VAR"] = str(project.VAR)
    variables["PROMETHEUS_MULTIPROC_DIR"] = str(_empty_metrics_folder(variables))
    production = _is_production(variables)
    say("升级数据库 / migrating the database …")
    _flask(variables, "db", "upgrade")
    commands = read_procfile(project.PROCFILE)
    if production:
        commands.pop(_SANDBOX, None)
    for number, (name, command) in enumerate(commands.items()):
        processes.append(
            Process(name, command, environment=variables, root=project.ROOT, number=number)
        )
    first = [each for each in processes if each.name in _FIRST]
    _start(first)
    if not production:
        _wait_for_port(int(variables["SANDBOX_PORT"]), first)
        _wait_for_port(int(variables["PORT"]), first)
        _flask(variables, "demo", "--if-empty")
    _start([each for each in processes if each not in first])
    _wait_until_ready(f"http://{LOOPBACK}:{variables['PORT']}/readyz", processes)
    _addresses(variables, production=production)


def _empty_metrics_folder(variables: dict[str, str]) -> Path:
    """Return where the processes of this run add up their numbers, without an earlier run's."""
    given = variables.get("PROMETHEUS_MULTIPROC_DIR")
    folder = project.ROOT / given if given else project.VAR / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    return folder


def _flask(variables: dict[str, str], *arguments: str) -> None:
    """Run one command of the product. Raises Stop when it fails; its own words are above."""
    command = [str(project.PYTHON), "-m", "flask", *arguments]
    if subprocess.run(command, cwd=project.ROOT, env=variables).returncode:
        raise Stop(f"`flask {' '.join(arguments)}` 失败，原因见上 / failed, see above.")


def _start(processes: list[Process]) -> None:
    for process in processes:
        process.start()


def _wait_for_port(port: int, processes: list[Process]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(LOOPBACK, port):
        _look(processes)
        if time.monotonic() > deadline:
            raise Stop(f"未就绪 / nothing listens on port {port} yet, see the log above.")
        time.sleep(0.1)


def _wait_until_ready(url: str, processes: list[Process]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        status, answer = _ask(url)
        if status == 200:
            return
        _look(processes)
        if time.monotonic() > deadline:
            raise Stop(f"{url} 未就绪 / not ready after {_READY_SECONDS:.0f} s: {status} {answer}")
        time.sleep(0.2)


def _ask(url: str) -> tuple[int, str]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.dumps(error.read(500).decode(errors="replace"))
    except OSError as error:
        return 0, str(error)


def _addresses(variables: dict[str, str], *, production: bool) -> None:
    here = f"http://{LOOPBACK}:{variables['PORT']}"
    say("")
    say(f"缴清已就绪 / Jiaoqing is ready:  {here}")
    say(f"  管理端 / stewards and desk    {here}/admin/")
    say(f"  快捷缴费 / quick pay          {here}/pay/")
    say(
        f"  接口文档 / OpenAPI            {here}/api/v1/openapi.json"
        f"  {here}/admin/api/v1/openapi.json"
    )
    if not production:
        phone = f"http://{LOOPBACK}:{variables['SANDBOX_PORT']}/phone"
        say(f"  业主手机（沙箱）/ owner's phone {phone}")
        _flask(variables, "demo-info")
    say("  Ctrl-C 停止 / stops everything")
    say("")


def _look(processes: list[Process]) -> None:
    for process in processes:
        process.look()


def _watch(services: Services, processes: list[Process]) -> None:
    while True:
        services.look()
        _look(processes)
        time.sleep(0.5)
