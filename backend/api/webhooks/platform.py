"""What payment callbacks share: raw bytes in, the provider's own answer out."""

from __future__ import annotations

from flask import Response, request

from backend.usecases.receive_notice import receive_notice


def answer_notice(channel: str, merchant: str) -> Response:
    """Hand the callback over as it came and return what the platform expects."""
    raw = request.get_data(cache=False)
    status, content_type, body = receive_notice(
        channel=channel, merchant_name=merchant, headers=request.headers, raw=raw
    )
    return Response(body, status=status, content_type=content_type)
