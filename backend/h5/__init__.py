"""Quick pay at /pay/: a fixed link and a query code, for people outside the mini-program.

Server-rendered, two taps to the cashier, and working without scripts; the result is always the
server's word, never what the browser comes back with.
"""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Register the pages."""
    from backend.h5.pages import blp

    app.register_blueprint(blp)
