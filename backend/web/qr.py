"""A QR code as an inline picture, so that a page or the mini-program shows it without a library."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import qrcode
from qrcode.image.svg import SvgPathImage


def with_svg(params: Mapping[str, str]) -> dict[str, str]:
    """Return payment parameters; a `qr_code` text gets its picture `qr_svg` beside it."""
    if "qr_code" not in params:
        return dict(params)
    picture = BytesIO()
    qrcode.make(params["qr_code"], image_factory=SvgPathImage, box_size=12).save(picture)
    svg = picture.getvalue().decode()
    return {**params, "qr_svg": svg[svg.index("<svg") :]}
