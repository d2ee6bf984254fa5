"""Installing what the locks name, and only when a lock or the page's source has changed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from launcher import project
from launcher.say import Stop, say, warn

_UV = "uv==0.13.9"
_MINIMUM_NODE = 20
_MINIMUM_FREE = 1_000_000_000
_STAMP = ".jiaoqing-stamp"


def install(*, tests: bool = False, node: bool = True) -> None:
    """Bring the virtual environment and the built admin page up to the locks.

    tests: also the mini-program's test tools; node=False: neither it nor the page.
    Raises Stop saying what the machine lacks.
    """
    if not _is_stamped(project.VENV, _python_mark()):
        need_disk_space()
        _python_packages()
    if node:
        _node_modules(project.ADMIN_WEB)
        _built_page(project.ADMIN_WEB)
    if node and tests:
        _node_modules(project.MINIPROGRAM)


def need_disk_space(least: int = _MINIMUM_FREE) -> None:
    """Raise Stop when fewer than `least` bytes (1 GB) are free: half an install is worse."""
    free = shutil.disk_usage(project.ROOT).free
    if free < least:
        raise Stop(
            f"磁盘空间不足，请腾出 {least // 1_000_000} MB 后再运行 / not enough disk space:"
            f" {free // 1_000_000} MB free at {project.ROOT}, make room for at least"
            f" {least // 1_000_000} MB and run it again."
        )


def _python_mark() -> str:
    return _digest([project.LOCK], f"{sys.version_info[:2]}")


def _python_packages() -> None:
    say("安装 Python 依赖 / installing Python packages …")
    _virtual_environment()
    uv = shutil.which("uv") or _uv_by_pip()
    if uv is None or not _install_by_uv(uv):
        _pip("install", "--no-compile", "--require-hashes", "-r", project.LOCK)
    _stamp(project.VENV, _python_mark())


def _virtual_environment() -> None:
    if _has_pip():
        return
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", project.VENV], capture_output=True, text=True
    )
    if made.returncode:
        raise Stop(
            "无法创建虚拟环境 / python -m venv failed: on Debian or Ubuntu run"
            f" `apt-get install python3-venv` as root. ({made.stderr.strip().splitlines()[-1:]})"
        )


def _has_pip() -> bool:
    try:
        asked = subprocess.run([project.PYTHON, "-m", "pip", "--version"], capture_output=True)
    except OSError:
        return False
    return asked.returncode == 0


def _pip(*arguments: str | Path) -> None:
    command = [project.PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)


def _uv_by_pip() -> str | None:
    """Install uv into the virtual environment; None when this machine has no build of it."""
    uv = project.VENV / "bin" / "uv"
    try:
        if not uv.exists():
            _pip("install", "--only-binary", ":all:", _UV)
    except subprocess.CalledProcessError:
        return None
    return str(uv)


def _install_by_uv(uv: str) -> bool:
    """Install with uv from the index that pip is set up for; False: let pip try."""
    command = [uv, "pip", "install", "--quiet", "--python", project.PYTHON]
    # Hashes fix every file, so it may come from whichever index has it.
    command += ["--index-strategy", "unsafe-best-match", "--require-hashes", "-r", project.LOCK]
    ran = subprocess.run(command, env=_uv_environment())
    if ran.returncode:
        warn("uv 安装失败，改用 pip / uv could not install, trying pip …")
    return ran.returncode == 0


def _uv_environment() -> dict[str, str]:
    """Hand pip's index to uv, which does not read pip's settings (mirrors are common)."""
    environment = dict(os.environ)
    for setting, name in (("index-url", "UV_DEFAULT_INDEX"), ("extra-index-url", "UV_INDEX")):
        asked = subprocess.run(
            [project.PYTHON, "-m", "pip", "config", "get", f"global.{setting}"],
            capture_output=True,
            text=True,
        )
        value = os.environ.get(f"PIP_{setting.upper().replace('-', '_')}") or asked.stdout.strip()
        if value:
            environment.setdefault(name, value)
    return environment


def _node_modules(folder: Path) -> None:
    """Run `npm ci` when the folder's lock has changed since the last time."""
    mark = _digest([folder / "package-lock.json"])
    modules = folder / "node_modules"
    if not _is_stamped(modules, mark):
        need_node()
        need_disk_space()
        say(f"安装 Node 依赖 / npm ci in {folder.relative_to(project.ROOT)} …")
        _npm(folder, "ci", "--no-audit", "--no-fund", "--loglevel=error")
        _stamp(modules, mark)


def _built_page(folder: Path) -> None:
    """Run the page's build when a source of it has changed since the last time."""
    mark = _digest(_sources(folder))
    built = folder / "dist"
    if not _is_stamped(built, mark):
        need_node()
        say("构建管理页面 / building the admin page …")
        _npm(folder, "run", "build", "--silent")
        _stamp(built, mark)


def _sources(folder: Path) -> Iterable[Path]:
    skipped = {"node_modules", "dist", "coverage"}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not skipped & set(path.relative_to(folder).parts):
            yield path


def need_node() -> None:
    """Raise Stop unless Node 20 or newer and npm are there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    said = subprocess.run([node, "--version"], capture_output=True, text=True) if node else None
    version = re.match(r"v(\d+)", said.stdout) if said else None
    if npm is None or version is None or int(version[1]) < _MINIMUM_NODE:
        found = version[0] if version else "none"
        found += ", no npm" if version and npm is None else ""
        raise Stop(
            f"需要 Node {_MINIMUM_NODE} 以上和 npm，请安装后再运行"
            f" / Node {_MINIMUM_NODE}+ with npm is needed"
            f" (found: {found}): install it from your system or nodejs.org, then run it again."
        )


def _npm(folder: Path, *arguments: str) -> None:
    """Run npm; what it says is shown only when it fails."""
    quiet = {**os.environ, "NPM_CONFIG_UPDATE_NOTIFIER": "false"}
    command = ["npm", *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if ran.returncode:
        warn(ran.stdout.decode(errors="replace"))
        raise subprocess.CalledProcessError(ran.returncode, command)


def _digest(files: Iterable[Path], *more: str) -> str:
    whole = hashlib.sha256("\0".join(more).encode())
    for path in files:
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _is_stamped(folder: Path, mark: str) -> bool:
    stamp = folder / _STAMP
    return stamp.exists() and stamp.read_text() == mark


def _stamp(folder: Path, mark: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / _STAMP).write_text(mark)
