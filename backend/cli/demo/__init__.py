"""`flask demo`: a company with history, made through the product's own use cases only.

Nothing is written behind the product's back: accounts are opened at the sandbox console and stored
by the set-up use cases, the roster is a workbook that is imported, bills are issued and reminded
month by month on a moved business clock, and people pay at the sandbox cashier.

The story is imported when it is told: every process of the product loads the commands, and what a
demo needs (a workbook writer above all) is an eighth of the time that takes.
"""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from backend.cli.speak import done, refusing


@click.command("demo")
@click.option("--households", default=120, envvar="DEMO_HOUSEHOLDS", show_default=True)
@click.option(
    "--months", default=3, envvar="DEMO_MONTHS", show_default=True, type=click.IntRange(1, 12)
)
@click.option("--seed", default=20260101, show_default=True)
@click.option("--if-empty", is_flag=True, help="已有企业时什么也不做 / nothing if a company exists")
@with_appcontext
@refusing
def demo_command(households: int, months: int, seed: int, if_empty: bool) -> None:
    """载入示范数据（仅开发环境）/ load a demo company (development only)."""
    from backend.cli.demo.story import Plan, has_company, tell

    if if_empty and has_company():
        return
    tell(Plan(households, months, seed), say=lambda line: click.echo(f"  {line}"))
    done("示范数据已就绪", "demo loaded; `flask demo-info` shows log-ins")


@click.command("demo-info")
@with_appcontext
@refusing
def demo_info_command() -> None:
    """显示示范地址与登录名 / addresses and log-ins of the demo."""
    from backend.cli.demo import info

    for line in info.lines():
        click.echo(line)


COMMANDS = (demo_command, demo_info_command)
