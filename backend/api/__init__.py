"""The owner API at /api/v1: what the mini-program calls (contract: its openapi.json)."""

from __future__ import annotations

from backend.web import Api


def register(api: Api) -> None:
    """Register every part of the owner API."""
    from backend.api import account, bills, contacts, payments, points

    for part in (account, bills, payments, points, contacts):
        api.register_blueprint(part.blp)
