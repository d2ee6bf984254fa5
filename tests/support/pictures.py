"""The pictures of the documents are taken by the tests that walk through the pages.

Only with JIAOQING_PICTURES=1: otherwise every run would change committed files.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
LIMIT = 300_000
_taken: dict[str, bytes] = {}
_SHEET = """
<html><body style="margin:0;background:#eef1f5;font-family:sans-serif">
<div id="sheet" style="display:inline-flex;gap:28px;padding:28px 32px">{figures}</div></body></html>
"""
_FIGURE = """
<figure style="margin:0;text-align:center;color:#3d4654;font-size:19px">
<img src="data:image/png;base64,{data}" style="width:310px;height:671px;border-radius:22px;
border:7px solid #1c1f24;display:block;object-fit:cover;object-position:top">
<figcaption style="margin-top:14px">{title}</figcaption></figure>
"""


def wanted() -> bool:
    """Tell whether this run renews the pictures."""
    return os.environ.get("JIAOQING_PICTURES") == "1"


def take(page: Any, name: str, *, keep: bool = False) -> None:
    """Remember what the page shows now; keep: as docs/pictures/<name>.png too."""
    if wanted():
        _taken[name] = page.screenshot(animations="disabled")
        if keep:
            _keep(name, _taken[name])


def side_by_side(browser: Any, name: str, parts: dict[str, str]) -> None:
    """Keep pictures of a phone next to each other as one. parts: {taken: caption}."""
    if not wanted():
        return
    figures = "".join(
        _FIGURE.format(data=base64.b64encode(_taken[part]).decode(), title=title)
        for part, title in parts.items()
    )
    page = browser.new_page(viewport={"width": 1500, "height": 800})
    page.set_content(_SHEET.format(figures=figures), wait_until="load")
    _keep(name, page.locator("#sheet").screenshot())
    page.close()


def _keep(name: str, data: bytes) -> None:
    assert len(data) <= LIMIT, f"{name}: {len(data)} bytes, a picture has at most {LIMIT}"
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.png").write_bytes(data)
