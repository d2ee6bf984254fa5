"""Which settings the processes get: the environment, then `.env`, then what is made here.

`var/env` keeps what the launcher made (random keys, passwords, ports), so that a second run
finds its data again and a shell can load it: `set -a; . var/env`.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from launcher.say import Stop

# As a shell reads it: a value is quoted parts and bare characters side by side.
_LINE = re.compile(
    r"""(?:(?:export\s+)?(?P<name>[A-Za-z_]\w*)=
        (?P<value>(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])*)(?:\s+|$))?(?:\#.*)?""",
    re.VERBOSE,
)
_GENERATED = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "DATA_KEY": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "JIAOQING_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(24),
    "JIAOQING_OWNER_PASSWORD": lambda: secrets.token_urlsafe(24),
    "JIAOQING_APP_PASSWORD": lambda: secrets.token_urlsafe(24),
    "JIAOQING_VALKEY_PASSWORD": lambda: secrets.token_urlsafe(24),
}


def read(path: Path) -> dict[str, str]:
    """Read NAME=value lines (comments, `export`, shell quotes); {} when there is no file.

    Raises Stop naming the line that is neither.
    """
    values: dict[str, str] = {}
    if not path.exists():
        return values
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise Stop(f"{path}:{number} 不是 NAME=值 / is not NAME=value; quote blanks.")
        if match["name"]:
            values[match["name"]] = "".join(shlex.split(match["value"]))
    return values


def write(path: Path, values: Mapping[str, str]) -> None:
    """Write `values` for ourselves only (they hold passwords), all or nothing."""
    making = path.with_name(f"{path.name}.new")
    making.unlink(missing_ok=True)
    handle = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("# 由 launcher 生成，重启后沿用 / made by the launcher, kept between runs\n")
        file.writelines(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    making.replace(path)


def given(root: Path) -> dict[str, str]:
    """Return what the person set: `.env` in the project root, overruled by the environment.

    An empty value counts as not set.
    """
    merged = {**read(root / ".env"), **os.environ}
    return {name: value for name, value in merged.items() if value}


def for_product(values: Mapping[str, str]) -> dict[str, str]:
    """Return `values` without the launcher's own (a process needs no superuser's password)."""
    return {name: value for name, value in values.items() if not name.startswith("JIAOQING_")}


def kept(path: Path) -> dict[str, str]:
    """Return what an earlier run made and must stay, completed with new keys and passwords.

    Addresses are left out: they follow from today's settings, never from an old file.
    """
    stays = {*_GENERATED, "JIAOQING_POSTGRES_PORT", "JIAOQING_VALKEY_PORT"}
    values = {name: value for name, value in read(path).items() if name in stays}
    for name, make in _GENERATED.items():
        values.setdefault(name, make())
    return values
