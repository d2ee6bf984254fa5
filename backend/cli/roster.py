"""The roster: an empty template, and importing a filled one."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask.cli import AppGroup

from backend.cli.speak import BY, COMMUNITY, COMPANY, as_json, done, refusing, table
from backend.errors import Refusal
from backend.estate.queries import community_by_code
from backend.estate.roster_report import RosterReport
from backend.usecases.import_roster import Options, import_roster

roster = AppGroup("roster", help="房屋与业主名册 / the roster of houses and owners.")
COMMANDS = (roster,)
_SHOWN_ISSUES = 50


@roster.command("template")
@click.argument("path")
@refusing
def roster_template(path: str) -> None:
    """写出空白导入模板 / write the empty template workbook."""
    from backend.estate.roster_template import write_template  # slow to import (openpyxl)

    write_template(path)
    done(f"模板已写入 {path}", "template written")


@roster.command("import")
@click.argument("path")
@COMMUNITY
@COMPANY
@click.option("--accept-partial", is_flag=True, help="有拒收的行也导入其余行")
@click.option("--basis", default="", help="收费标准的公示依据；没有则存为草稿")
@click.option("--developer", default="", help="未售房屋的开发商 / who is billed for unsold units")
@click.option("--json", "json_wanted", is_flag=True, help="逐行结果 / every row as JSON")
@refusing
def roster_import(path, code, company, accept_partial, basis, developer, json_wanted) -> None:
    """导入名册 / import a roster workbook."""
    place = community_by_code(code, company=company)
    report = import_roster(
        community_id=place.id, data=read(path), filename=Path(path).name, by=BY,
        options=Options(accept_partial, basis, developer), progress=_progress,
    )  # fmt: skip
    as_json(report.as_json()) if json_wanted else show(report)
    sys.exit(0 if report.imported else 1)


def read(path: str) -> bytes:
    """Return the bytes of a file. Raises Refusal `roster_no_file`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Refusal(
            "roster_no_file", message=str(error), message_zh=f"文件 {path} 不存在或无法打开。"
        ) from error


def _progress(finished: int, total: int, what: str) -> None:
    if sys.stderr.isatty():
        filled = 30 * finished // max(total, 1)
        bar = "█" * filled + "░" * (30 - filled)
        end = finished == total
        click.echo(f"\r{bar} {finished}/{total} {what}\033[K", nl=end, err=True)


def show(report: RosterReport) -> None:
    """Print the report as tables: counts of each sheet, then every refused row with its reason."""
    names = ("新增", "更新", "未变", "拒收", "未保存")
    rows = [(sheet, *counts.values()) for sheet, counts in report.sheets().items()]
    table(("工作表", *names), [*rows, ("合计", *report.counts.values())])
    if report.issues:
        click.echo("")
        issues = report.issues[:_SHOWN_ISSUES]
        table(
            ("结果", "工作表", "行", "列", "内容", "原因"),
            (
                ("拒收" if i.severity == "refused" else "提示", i.sheet, i.row, i.column,
                 i.value_masked, i.reason_zh)
                for i in issues
            ),
        )  # fmt: skip
        if len(report.issues) > len(issues):
            click.echo(f"… 另有 {len(report.issues) - len(issues)} 条，见 --json")
    if report.not_imported:
        click.echo("")
        table(
            ("未导入", "列", "行数", "原因"),
            ((n.sheet, n.column, n.rows, n.reason_zh) for n in report.not_imported),
        )
    click.echo("")
    if report.imported:
        done(f"{report.filename} 已导入 {report.community}", "imported")
    else:
        click.echo(
            f"✗ 有 {report.counts['refused']} 行被拒收，整份文件没有导入。"
            " → 请改正后重试，或加 --accept-partial 只导入其余行。\n"
            "  refused rows: nothing was imported",
            err=True,
        )
