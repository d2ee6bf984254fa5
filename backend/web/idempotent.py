"""`@idempotent`: a repeated POST acts once and gets the first answer again (design 4.6, S63).

    @blp.post("/waivers")
    @policy("finance", "manager")
    @idempotent                      # one transaction: the work and its answer
    @blp.arguments(WaiveIn)
    @blp.response(200, BillOut)
    def waive(body): ...

Work that asks a platform in between commits by itself, so the key is bound instead:

    @idempotent(binds=True)
    def start_payment(body):
        key = current_key()
        return usecase(..., out_trade_no=key.reference, bind=key.bind)

`reference` is the number of an earlier try (None the first time); the use case calls
`bind(number)` inside the transaction that creates the number. A refusal is not remembered: it
changed nothing, and the same key may be tried again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from flask import Response, g, jsonify, make_response, request

from backend import clock, idempotency
from backend.db import db, one_transaction, retrying, transaction
from backend.errors import Refusal
from backend.idempotency import Claim

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass
class BoundKey:
    """The key of a running request; `reference` is what an earlier try was bound to."""

    claim: Claim
    reference: str | None = None

    def bind(self, reference: str) -> None:
        """Tie the key to a number; call it inside the transaction that creates the number."""
        idempotency.bind_key(self.claim, reference)


def current_key() -> BoundKey:
    """Return the key of this request (views with @idempotent)."""
    return g.bound_key


def idempotent(view: Callable[..., Any] | None = None, *, binds: bool = False) -> Any:
    """Make an unsafe view repeatable; stands directly below @policy. See the module's examples.

    Raises Refusal idempotency_key_required (422), idempotency_key_reused, request_in_progress
    (409).
    """
    if view is None:
        return partial(idempotent, binds=binds)

    @wraps(view)
    def once(*args: Any, **kwargs: Any) -> Response:
        claim = _claim()
        work = partial(view, *args, **kwargs)
        if binds:
            return _bound(claim, work)
        return retrying(lambda: _answered(claim, work))

    once._idempotent = True  # type: ignore[attr-defined]
    once._apidoc = {**getattr(once, "_apidoc", {}), "idempotent": True}  # type: ignore[attr-defined]
    return once


def _claim() -> Claim:
    key = request.headers.get(HEADER, "")
    if not _KEY.fullmatch(key):
        raise Refusal(
            "idempotency_key_required",
            message=f"header {HEADER}: 8-64 characters of A-Z a-z 0-9 _ -",
            message_zh="请求缺少操作编号。",
            http=422,
            what_to_do="请更新到最新版本后重试。",
            fields={HEADER: "8–64 位字母、数字、下划线或连字符。"},
        )
    return Claim(g.actor, request.endpoint or "", key, _body_hash())


def _body_hash() -> str:
    """Hash what is asked for: path, query and the JSON value, however it is spelled."""
    body = request.get_json(silent=True)
    text = json.dumps([request.full_path, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _answered(claim: Claim, work: Callable[[], Any]) -> Response:
    g.bound_key = BoundKey(claim)
    with one_transaction():
        earlier = idempotency.open_key(claim, clock.wire_now())
        if earlier is not None:
            return _replay(earlier)
        answer = make_response(work())
        _store(claim, answer)
        return answer


def _bound(claim: Claim, work: Callable[[], Any]) -> Response:
    with transaction():
        earlier = idempotency.claim_key(claim, clock.wire_now())
        if earlier is not None and earlier.status is not None:
            return _replay(earlier)
        g.bound_key = BoundKey(claim, earlier.reference if earlier is not None else None)
    try:
        answer = make_response(work())
    except BaseException:
        db.session.rollback()
        with transaction():
            idempotency.release_key(claim)
        raise
    with transaction():
        if idempotency.reference_of(claim) is None:
            _store(claim, answer)
    return answer


def _store(claim: Claim, answer: Response) -> None:
    idempotency.store_answer(
        claim, status=answer.status_code, response=answer.get_json(), now=clock.wire_now()
    )


def _replay(earlier: idempotency.IdempotencyKey) -> Response:
    if earlier.status is None:
        raise idempotency.in_progress()
    answer = jsonify(earlier.response)
    answer.status_code = earlier.status
    answer.headers["Idempotent-Replayed"] = "true"
    return answer
