"""What WeChat's push says, kept once: follows, subscription choices, what became of a message."""

from __future__ import annotations

from backend import clock
from backend.db import transaction
from backend.identity import operations
from backend.identity.queries import App
from backend.reminders import rules
from backend.reminders.channels.wechat_push import Push, PushEvent
from backend.usecases.record_receipts import Receipt, record_receipts
from backend.usecases.record_subscriptions import PUSH, note_choice
from backend.usecases.wechat_access import unionid_of_follower

_RESULTS = {"template_result": rules.TEMPLATE, "subscribe_result": rules.SUBSCRIBE}


def record_push(*, app: App, push: Push) -> None:
    """Apply the events of a verified push; a repeated push changes nothing."""
    for event in push.events:
        if event.kind == "follow" and event.openid:
            _follow(app, event)
        elif event.kind in _RESULTS and event.msg_id:
            _result(app, event)
        else:
            with transaction():
                _choice(app, event)


def _follow(app: App, event: PushEvent) -> None:
    """Join the follower to his account by unionid; WeChat is asked outside the transaction."""
    unionid = unionid_of_follower(app, event.openid)
    with transaction():
        operations.account_for(
            company_id=app.company_id,
            appid=app.appid,
            openid=event.openid,
            unionid=unionid,
            now=clock.wire_now(),
        )
        operations.set_following(appid=app.appid, openid=event.openid, following=True)


def _choice(app: App, event: PushEvent) -> None:
    if event.kind == "unfollow":
        operations.set_following(appid=app.appid, openid=event.openid, following=False)
    elif event.kind == "subscribe_choice" and event.template_id:
        note_choice(
            source=PUSH,
            appid=app.appid,
            openid=event.openid,
            template_id=event.template_id,
            choice="accept" if event.accepted else event.code,
            key=event.key,
            at=clock.wire_now(),
        )


def _result(app: App, event: PushEvent) -> None:
    receipt = Receipt(
        key=event.key,
        channel=_RESULTS[event.kind],
        vendor_id=event.msg_id or "",
        delivered=bool(event.delivered),
        code=event.code,
    )
    record_receipts(receipts=[receipt], company_id=app.company_id)
