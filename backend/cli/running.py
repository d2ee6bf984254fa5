"""The business clock, due work, the long-running processes and the audit chain."""

from __future__ import annotations

import sys
from datetime import datetime

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from backend import audit, clock
from backend.cli.speak import Instant, done, refusing
from backend.jobs import relay as relay_process
from backend.jobs import worker as worker_process
from backend.jobs.run_due import run_due
from backend.tasks import QUEUES
from backend.usecases.set_clock import set_business_time

clock_group = AppGroup("clock", help="业务时钟（仅开发环境）/ the business clock (development).")
audit_group = AppGroup("audit", help="审计链 / the audit chain.")


def _shown(instant: datetime) -> str:
    return instant.astimezone(clock.SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


@clock_group.command("show")
def clock_show() -> None:
    """显示业务时间与真实时间 / show business and real time."""
    click.echo(f"业务 business {_shown(clock.business_now())}")
    click.echo(f"真实 real     {_shown(clock.wire_now())}")


@clock_group.command("set")
@click.argument("instant", type=Instant())
@refusing
def clock_set(instant: datetime) -> None:
    """把业务时间设为 / set the business clock, e.g. 2026-12-01T09:00."""
    done(f"业务时间 {_shown(set_business_time(instant))}", "business time")


@clock_group.command("reset")
@refusing
def clock_reset() -> None:
    """业务时间恢复为真实时间 / back to real time."""
    done(f"业务时间 {_shown(set_business_time(None))}", "business time")


@click.command("run-due")
@click.option("--until", type=Instant(), default=None, help="业务时间走到此刻（开发环境）")
@with_appcontext
@refusing
def run_due_command(until: datetime | None) -> None:
    """立即处理所有到期工作 / do everything that is due, in this process."""

    def report(instant: datetime, pieces: dict[str, int]) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{_shown(instant)} {sum(pieces.values())}", nl=False, err=True)

    pieces = run_due(until=until, report=report)
    done("、".join(f"{name} {count}" for name, count in pieces.items()), "worked")


@click.command("relay")
@with_appcontext
def relay_command() -> None:
    """日程与唤醒进程 / the process that runs the calendar and wakes workers."""
    relay_process.run_forever(current_app.config["SETTINGS"].redis_url)


@click.command("worker")
@click.argument("name", type=click.Choice(QUEUES))
@with_appcontext
def worker_command(name: str) -> None:
    """处理一个队列的工作进程 / the worker process of one queue."""
    worker_process.run_worker(name, current_app.config["SETTINGS"].redis_url)


@audit_group.command("verify")
def audit_verify() -> None:
    """重算审计链 / recompute the audit chain; exit 1 names the first bad row."""
    answer = audit.verify_chain()
    tail = f"已封存 {answer['sealed']} 条，未封存 {answer['unsealed']} 条"
    if answer["bad_seq"] is None:
        done(tail, "intact")
        return
    click.echo(
        f"✗ 第 {answer['bad_seq']} 条不符：{answer['bad_reason']}；此前{tail}\n"
        f"  bad row {answer['bad_seq']}: {answer['bad_reason']}",
        err=True,
    )
    sys.exit(1)


COMMANDS = (clock_group, run_due_command, relay_command, worker_command, audit_group)
