"""Reading the sandbox's own book: the independent truth of what was paid, sent and told."""

from __future__ import annotations

from collections import Counter, defaultdict

from flask import Blueprint, jsonify, request

from .state import plain_time
from .web import here

bp = Blueprint("book", __name__, url_prefix="/_sandbox/book")


def _asked(rows: list[dict], when: str) -> list[dict]:
    """Filter by ?since= (ms, on field ``when`` or later) and by any other ?field=value."""
    args = request.args.to_dict()
    since, limit = int(args.pop("since", 0)), int(args.pop("limit", 0))
    kept = [
        r
        for r in rows
        if (r.get(when) or 0) >= since and all(str(r.get(k, "")) == v for k, v in args.items())
    ]
    return kept[-limit:] if limit else kept


def payment_row(order: dict) -> dict:
    hidden = ("person", "seq")
    row = {k: v for k, v in order.items() if k not in hidden}
    return row | {
        "paid": int(order["paid_at"] is not None),
        "changed_at": order["paid_at"] or order["closed_at"] or order["created_at"],
        "success_time": plain_time(order["success_ms"]) if order["success_ms"] else None,
    }


@bp.get("/payments")
def payments():
    """All orders; ?paid=1 keeps the paid ones. ``since`` is compared with the last event."""
    rows = [payment_row(o) for o in here().book.rows("orders")]
    return jsonify(_asked(rows, "changed_at"))


@bp.get("/refunds")
def refunds():
    return jsonify(_asked(here().book.rows("refunds"), "asked_at"))


@bp.get("/messages")
def messages():
    return jsonify(_asked(here().book.rows("messages"), "received_at"))


@bp.get("/notifies")
def notifies():
    return jsonify(_asked(here().book.rows("notifies"), "at"))


@bp.get("/deliveries")
def deliveries():
    return jsonify(_asked(here().book.rows("deliveries"), "created_at"))


@bp.get("/requests")
def requests():
    return jsonify(_asked(list(here().requests), "at"))


@bp.get("/stats")
def stats():
    box = here()
    orders, sent = box.book.rows("orders"), box.book.rows("notifies")
    paid = [o for o in orders if o["paid_at"]]
    told = box.book.rows("deliveries")
    return jsonify(
        orders=len(orders),
        states=dict(Counter(o["state"] for o in orders)),
        paid=len(paid),
        paid_fen=sum(o["amount_fen"] for o in paid),
        refunds=len(box.book.rows("refunds")),
        refunded_fen=sum(o["refunded_fen"] for o in orders),
        messages=dict(Counter(m["channel"] for m in box.book.rows("messages") if m["accepted"])),
        messages_refused=sum(not m["accepted"] for m in box.book.rows("messages")),
        deliveries=dict(
            total=len(told),
            done=sum(d["done"] for d in told),
            acknowledged=sum(bool(d.get("ok")) for d in told),
        ),
        attempts=dict(Counter(n["kind"] for n in sent)),
        probes_accepted=sum(n["kind"] in ("probe", "spoiled") and n["ok"] for n in sent),
        requests=dict(box.counts),
    )


@bp.get("/duplicates")
def duplicates():
    """Messages that reached someone twice: by the sender's own id, and by equal text that day."""
    by_id, by_text = defaultdict(list), defaultdict(list)
    for m in here().book.rows("messages"):
        if not m["accepted"]:
            continue
        if m["out_id"]:
            by_id[m["channel"], m["to"], m["out_id"]].append(m["id"])
        day = plain_time(m["received_at"])[:10]
        by_text[m["person"] or m["to"], m["text"], day].append(m["id"])
    return jsonify(
        by_out_id=[{"key": list(k), "ids": v} for k, v in by_id.items() if len(v) > 1],
        by_text=[{"key": list(k), "ids": v} for k, v in by_text.items() if len(v) > 1],
    )


raw = Blueprint("raw", __name__, url_prefix="/_sandbox/notify")


@raw.get("/raw")
def raw_deliveries():
    """Every attempt of an order's callbacks with URL, headers and body exactly as sent."""
    return jsonify(_asked(here().book.rows("notifies"), "at"))
