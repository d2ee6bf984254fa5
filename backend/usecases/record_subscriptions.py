"""The owner tapped "allow" for one-time messages: one accept, one message (C19).

The same tap is reported twice, by the mini-program and by WeChat's push, and either may be lost.
So accepts are kept per source, and within a few minutes the larger of the two counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from backend import clock
from backend.db import db, transaction
from backend.errors import Refusal
from backend.identity import queries
from backend.reminders import outlets
from backend.reminders.models import DeliveryReceipt, SubscribeGrant

SAME_TAP = timedelta(minutes=3)
CLIENT, PUSH = "wechat_accept_client", "wechat_accept_push"


def record_subscriptions(
    *, account_id: int, company_id: int, appid: str, results: Mapping[str, str], key: str
) -> int:
    """Record {template id: accept|reject|ban|filter} of one question; return how many were ours.

    key: the idempotency key, so that one question counts once. Raises Refusal `app_unknown`.
    """
    app = queries.app_by_appid(appid)
    openid = queries.openid_of(account_id=account_id, appid=appid)
    if app is None or app.company_id != company_id or openid is None:
        raise Refusal("app_unknown", message_zh="该小程序尚未在系统登记。", http=404)
    ours = {str(t.get("id")) for t in (app.config.get("templates") or {}).values()}
    now = clock.wire_now()
    with transaction():
        for template in sorted(ours & results.keys()):
            note_choice(
                source=CLIENT,
                appid=appid,
                openid=openid,
                template_id=template,
                choice=results[template],
                key=key,
                at=now,
            )
    return len(ours & results.keys())


def note_choice(
    *,
    source: str,
    appid: str,
    openid: str,
    template_id: str,
    choice: str,
    key: str,
    at: datetime,
) -> None:
    """Add a grant for `accept`, void the grants for `ban`; in the running transaction.

    `reject` answers one question only: what was accepted before still stands.
    """
    if choice == "ban":
        outlets.void_grants(appid=appid, openid=openid, template_id=template_id)
    if choice != "accept":
        return
    new = db.session.execute(
        pg_insert(DeliveryReceipt)
        .values(
            vendor=source,
            key=f"{openid}:{template_id}:{key}",
            vendor_id=openid,
            out_id=template_id,
            delivered=True,
            code="accept",
            at=at,
        )
        .on_conflict_do_nothing()
        .returning(DeliveryReceipt.key)
    ).first()
    if new is None:
        return
    other = PUSH if source == CLIENT else CLIENT
    if _count(source, openid, template_id, at) <= _count(other, openid, template_id, at):
        return
    db.session.execute(
        pg_insert(SubscribeGrant)
        .values(appid=appid, openid=openid, template_id=template_id, granted=1)
        .on_conflict_do_update(
            index_elements=["appid", "openid", "template_id"],
            set_={"granted": text("subscribe_grant.granted + 1")},
        )
    )


def _count(source: str, openid: str, template_id: str, at: datetime) -> int:
    prefix = f"{openid}:{template_id}:"
    return db.session.scalar(
        text(
            "SELECT count(*) FROM delivery_receipt WHERE vendor = :v AND key > :first "
            "AND key < :last AND at BETWEEN :from AND :to"
        ),
        {
            "v": source,
            "first": prefix,
            "last": prefix + "\x7f",
            "from": at - SAME_TAP,
            "to": at + SAME_TAP,
        },
    )
