"""How commands read times and files, and how they answer: lines for people, JSON for programs."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import east_asian_width

import click
import structlog
from flask import current_app

from backend.clock import SHANGHAI
from backend.errors import Refusal
from backend.money import AmountRefused
from backend.periods import PeriodRefused

BY = "cli"
F = TypeVar("F", bound=Callable[..., Any])


def refusing(command: F) -> F:
    """Print a refusal as one line and what to do, and exit with 1."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            with _quiet():
                return command(*args, **options)
        except Refusal as no:
            todo = f" → {no.what_to_do}" if no.what_to_do else ""
            click.echo(f"✗ {no.message_zh}{todo}\n  {no.code}: {no.message}", err=True)
        except (AmountRefused, PeriodRefused) as no:
            click.echo(f"✗ {no.message_zh}\n  {no.code}: {no}", err=True)
        sys.exit(1)

    return run  # type: ignore[return-value]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep log lines below WARNING out of a command's answer; LOG_LEVEL=DEBUG shows all."""
    before = structlog.get_config()["wrapper_class"]
    if current_app.config["SETTINGS"].log_level.upper() != "DEBUG":
        quiet = structlog.make_filtering_bound_logger(logging.WARNING)
        structlog.configure(wrapper_class=quiet)
    try:
        yield
    finally:
        structlog.configure(wrapper_class=before)


def done(chinese: str, english: str = "") -> None:
    """Print that something was done."""
    click.echo(f"✓ {chinese}" + (f" / {english}" if english else ""))


def as_json(value: Any) -> None:
    """Print one JSON document; dates as ISO texts."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print columns that line up; a Chinese character is two cells wide."""
    lines = [tuple(map(str, header)), *(tuple(map(str, row)) for row in rows)]
    widths = [max(_width(line[n]) for line in lines) for n in range(len(header))]
    for line in lines:
        cells = (
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


class Instant(click.ParamType):
    """An ISO time; without a zone it is Asia/Shanghai, a bare date is its midnight."""

    name = "ISO-TIME"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Return an aware datetime."""
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: 时间应写成 2026-12-01T09:00", param, ctx)
        return instant if instant.tzinfo else instant.replace(tzinfo=SHANGHAI)


class Day(click.ParamType):
    """A calendar date, written 2026-12-01."""

    name = "DATE"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        """Return the date."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: 日期应写成 2026-12-01", param, ctx)


def read_json(path: str) -> Any:
    """Return the JSON document in a file. Raises Refusal `bad_file`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(
            "bad_file",
            message=f"{path}: {error}",
            message_zh=f"文件 {path} 无法打开或不是 JSON。",
            http=422,
            what_to_do="请对照 docs/operations.md 的示例检查。",
        ) from error


FILE = click.option("--file", "path", required=True, help="JSON, see docs/operations.md")
COMMUNITY = click.option("--community", "code", required=True, help="小区代码 / community code")
COMPANY = click.option("--company", default=None, help="企业代码 / company code")
