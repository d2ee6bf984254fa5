"""The steward's page under /admin/: the files the front-end build leaves, and nothing else."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, redirect, send_from_directory
from werkzeug.exceptions import NotFound

from backend.web.auth import policy

DIST = Path(__file__).resolve().parents[2] / "admin" / "web" / "dist"
_NOT_BUILT = """<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<title>管理页面未构建</title>
<body style="font:18px sans-serif;max-width:36em;margin:3em auto">
<h1>管理页面还没有构建</h1>
<p>请在项目目录运行 <code>make run</code>(需要 Node.js 20 或更新版本),
或在 <code>admin/web</code> 中运行 <code>npm ci &amp;&amp; npm run build</code>,然后刷新本页。</p>
<p>接口本身可用：<a href="/admin/api/v1/openapi.json">/admin/api/v1/openapi.json</a></p>"""


def init_app(app: Flask) -> None:
    """Register the page; API addresses are more specific and win."""
    app.add_url_rule("/admin", "admin_door", _door)
    app.add_url_rule("/admin/", "admin_page", page, defaults={"name": "index.html"})
    app.add_url_rule("/admin/<path:name>", "admin_file", page)


@policy("public")
def _door() -> Response:
    return redirect("/admin/", 308)


@policy("public")
def page(name: str) -> Response:
    """A file of the build; an address of the page's own router gets index.html."""
    if name.startswith("api/"):
        raise NotFound
    if not (DIST / "index.html").is_file():
        return Response(_NOT_BUILT, status=503, content_type="text/html; charset=utf-8")
    hashed = name.startswith("assets/")
    if not hashed and not (DIST / name).is_file():
        name = "index.html"
    answer = send_from_directory(DIST, name, max_age=31536000 if hashed else 0)
    if not hashed:
        answer.headers["Cache-Control"] = "no-cache"
    return answer
