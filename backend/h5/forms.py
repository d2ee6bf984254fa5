"""Forms that another site cannot submit for somebody: a cookie and a token that belongs to it."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from flask import Response, current_app, g, request

from backend.errors import Refusal

COOKIE = "pay_form"
_LENGTH = 32


def token_for(code: str) -> str:
    """Return the hidden field of a form about a query code; the cookie is set on the answer."""
    if "form_secret" not in g:
        known = request.cookies.get(COOKIE, "")
        g.form_secret = known if len(known) == _LENGTH else secrets.token_hex(_LENGTH // 2)
    return _sign(g.form_secret, code)


def keep_cookie(response: Response) -> Response:
    """Set the cookie a rendered form belongs to."""
    if "form_secret" in g and request.cookies.get(COOKIE) != g.form_secret:
        secure = current_app.config["SETTINGS"].public_base_url.startswith("https://")
        response.set_cookie(
            COOKIE, g.form_secret, httponly=True, samesite="Lax", secure=secure, path="/pay"
        )
    return response


def require_token(code: str) -> None:
    """Raise Refusal `form_expired` (403) unless the form came from our own page."""
    cookie = request.cookies.get(COOKIE, "")
    given = request.form.get("token", "")
    if not cookie or not hmac.compare_digest(_sign(cookie, code).encode(), given.encode()):
        raise Refusal(
            "form_expired",
            message="the form is not from this page",
            message_zh="页面已过期，没有发起支付。",
            http=403,
            what_to_do="请返回重新打开账单页。",
        )


def _sign(secret: str, code: str) -> str:
    key = current_app.config["SETTINGS"].secret_key.encode()
    return hmac.new(key, f"pay-form:{secret}:{code}".encode(), hashlib.sha256).hexdigest()
