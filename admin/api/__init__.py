"""The steward's API under /admin/api/v1: views are a signature and one call.

`register(api)` puts every blueprint on the documented API; the texts of the contract are the
operationIds, which are the names of the views.
"""

from __future__ import annotations

from admin.api import bills, contacts, holds, households, money, session
from backend.web import Api


def register(api: Api) -> None:
    """Register all blueprints of the admin API."""
    for module in (session, households, contacts, holds, bills, money):
        api.register_blueprint(module.blp)
