"""Channels, people and planned messages for tests of the send path.

open_channels(estate, sandbox)                    # service account, mini-program, SMS
befriend(estate, sandbox, home, follows=True)     # a WeChat user bound to the home
message_id = plan_reminder(estate, home, [bill])  # due now
send_due()                                        # what the worker does
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from backend import clock
from backend.db import db
from backend.estate.models import Company
from backend.identity.models import Binding, OwnerAccount, OwnerOpenid
from backend.jobs.work import work
from backend.reminders import operations as reminders
from backend.reminders import templates
from backend.reminders.models import SubscribeGrant
from backend.usecases.set_up import add_app, add_sms
from tests.factories.estate import TODAY, Estate, Home

PHONE = "400-000-0001"  # the hotline of the community of make_estate
SIGN = "缴清物业"
_KINDS = {"official": "official_account", "mini": "miniprogram"}


def open_channels(
    estate: Estate, sandbox: Any, *, channels: tuple[str, ...] = ("official", "mini", "sms")
) -> dict[str, dict[str, Any]]:
    """Open accounts at the sandbox and store them with the product; return the files by name."""
    company = db.session.get_one(Company, estate.company_id).code
    files = {}
    for name in channels:
        if name == "sms":
            file = sandbox.post("/_sandbox/sms", name="send-sms", templates=sms_texts())
            add_sms(file=file | {"company": company}, by="test")
        else:
            file = sandbox.post("/_sandbox/apps", kind=_KINDS[name], name=f"send-{name}")
            add_app(file=file | {"company": company}, by="test")
        files[name] = file
    return files


def sms_texts() -> dict[str, str]:
    """The texts to have approved, with this product's own constants."""
    from flask import current_app

    url = current_app.config["SETTINGS"].public_base_url + "/pay/"
    return {event: templates.vendor_text(event, url, PHONE) for event in templates.events()}


def befriend(
    estate: Estate,
    sandbox: Any,
    home: Home,
    files: dict[str, dict[str, Any]],
    *,
    follows: bool = False,
    really_follows: bool | None = None,
    grants: int = 0,
    real_grants: int | None = None,
    event: str = "overdue_3",
) -> dict[str, Any]:
    """Give the home's owner a WeChat account, known to the product; return the sandbox's person.

    really_follows, real_grants: what the platform thinks, where it differs from our records.
    """
    really = follows if really_follows is None else really_follows
    followed = [files["official"]["appid"]] if really else []
    person = sandbox.post("/_sandbox/people", phone=home.phone, follows=followed)
    account = OwnerAccount(
        company_id=estate.company_id, unionid=person["unionid"], created_at=clock.wire_now()
    )
    db.session.add(account)
    db.session.flush()
    for name in ("official", "mini"):
        if name in files:
            appid = files[name]["appid"]
            db.session.add(
                OwnerOpenid(
                    appid=appid, openid=person["openids"][appid], account_id=account.id,
                    following=follows and name == "official",
                )
            )  # fmt: skip
    db.session.add(
        Binding(
            account_id=account.id, house_id=home.house_id, party_id=home.party_id,
            bound_by="phone", bound_at=clock.wire_now(),
        )
    )  # fmt: skip
    if grants:
        mini = files["mini"]
        template = mini["templates"][event]["id"]
        db.session.add(
            SubscribeGrant(
                appid=mini["appid"], openid=person["openids"][mini["appid"]],
                template_id=template, granted=grants,
            )
        )  # fmt: skip
        real = grants if real_grants is None else real_grants
        if real:
            sandbox.post(
                f"/_sandbox/people/{home.phone}/grant",
                appid=mini["appid"], event=event, n=real,
            )  # fmt: skip
    db.session.commit()
    return person


def plan_reminder(
    estate: Estate,
    home: Home,
    bill_ids: list[int],
    *,
    event: str = "overdue_3",
    stage: str = "S24",
    kind: str = "reminder",
    window_key: str | None = None,
    due_at: datetime | None = None,
    valid_until: datetime | None = None,
    data: dict[str, Any] | None = None,
) -> int:
    """Plan one message due now (or at `due_at`); return its id."""
    message_id = reminders.plan_message(
        community_id=estate.community_id,
        house_id=home.house_id,
        party_id=home.party_id,
        kind=kind,
        event=event,
        stage=stage,
        window_key=window_key or f"{stage}:{TODAY.isoformat()}",
        bill_ids=bill_ids,
        due_at=due_at or clock.business_now(),
        valid_until=valid_until,
        data=data,
    )
    db.session.commit()
    return message_id


def send_due() -> int:
    """Work the message queue until nothing is due; return how many pieces."""
    return work("messages", threads=1)


def pass_time(seconds: float) -> None:
    """Let business time pass: back-offs, due times, quiet hours."""
    db.session.execute(
        text("UPDATE business_clock SET offset_seconds = offset_seconds + :s"),
        {"s": timedelta(seconds=seconds).total_seconds()},
    )
    db.session.commit()
    clock.forget_offset()


def message_row(message_id: int) -> dict[str, Any]:
    """Return the message as it stands in the database."""
    db.session.rollback()
    return dict(
        db.session.execute(text("SELECT * FROM message WHERE id = :i"), {"i": message_id})
        .mappings()
        .one()
    )


def task_row(message_id: int, kind: str = "send_message") -> dict[str, Any]:
    """Return the message's task."""
    db.session.rollback()
    return dict(
        db.session.execute(
            text("SELECT * FROM task WHERE kind = :k AND dedupe_key = :i"),
            {"k": kind, "i": str(message_id)},
        )
        .mappings()
        .one()
    )


def book(sandbox: Any, **wanted: Any) -> list[dict[str, Any]]:
    """Return the messages the platforms took, as they booked them."""
    return sandbox.get("/_sandbox/book/messages", accepted="True", **wanted)
