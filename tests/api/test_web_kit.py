"""What every address shares: one error shape, idempotency under races, limits, health, logs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from flask import Flask

from backend import idempotency
from backend.db import db, transaction
from backend.errors import Refusal
from backend.identity.models import OwnerAccount
from backend.web import Blueprint, Schema, Text, current_key, idempotent, make_api, policy
from tests.factories.estate import make_company
from tests.support.another_app import another_app
from tests.support.owner import counts, scalar

JSON = "application/json"


@pytest.fixture
def lab(app, product_environment) -> Iterator[Flask]:
    """An application of the same settings with views that do what a test asks."""
    with another_app(product_environment) as lab:
        yield furnished(lab)


def furnished(lab: Flask) -> Flask:
    api = make_api(lab, prefix="LAB", title="lab", url="/lab")
    blp = Blueprint("lab", __name__, url_prefix="/lab")
    company = {}
    with lab.app_context():
        company["id"] = make_company("LAB")

    class Body(Schema):
        name = Text(20, required=True)

    def add(unionid: str) -> None:
        with transaction():
            db.session.add(
                OwnerAccount(
                    company_id=company["id"], unionid=unionid, created_at="2026-01-01T00:00:00Z"
                )
            )

    def actor(view):
        """Stand in for a policy that logs somebody in."""
        from functools import wraps

        from flask import g

        @wraps(view)
        def inner(*args, **kwargs):
            g.actor = "lab:1"
            return view(*args, **kwargs)

        return policy("public")(inner)

    @blp.post("/add")
    @actor
    @idempotent
    @blp.arguments(Body)
    @blp.response(201)
    def add_one(body):
        add(body["name"])
        add(body["name"] + "-second")
        if body["name"] == "refuse":
            raise Refusal("no", message_zh="不行。")
        if body["name"] == "break":
            raise ZeroDivisionError("13900001234 王小明")
        if body["name"] == "swallow":
            try:
                add(body["name"])  # the same unionid again
            except Exception:
                db.session.rollback()
        return {"name": body["name"], "key": current_key().claim.key}

    @blp.post("/bound")
    @actor
    @idempotent(binds=True)
    @blp.arguments(Body)
    @blp.response(201)
    def bound(body):
        key = current_key()
        if key.reference is None:
            with transaction():
                db.session.add(
                    OwnerAccount(
                        company_id=company["id"], unionid=body["name"],
                        created_at="2026-01-01T00:00:00Z",
                    )
                )  # fmt: skip
                key.bind(f"ref-{body['name']}")
            if body["name"] == "die":
                raise ConnectionError
        return {"reference": key.reference or f"ref-{body['name']}"}

    @blp.post("/sleep")
    @policy("public")
    def sleep():
        db.session.execute(db.text("SET LOCAL statement_timeout = 50"))
        db.session.execute(db.text("SELECT pg_sleep(5)"))

    @blp.post("/nul")
    @policy("public")
    @blp.arguments(Body)
    def nul(body):
        db.session.execute(db.text("SELECT CAST(:n AS text)"), {"n": body["name"]})
        return {}

    api.register_blueprint(blp)
    lab.testing = True
    return lab


def post(lab: Flask, path: str, name: str, key: str | None = "key-00000001"):
    headers = {"Idempotency-Key": key} if key else {}
    answer = lab.test_client().post(f"/lab/{path}", json={"name": name}, headers=headers)
    return answer.status_code, answer.get_json(), answer


def test_work_and_answer_are_one_transaction(lab, ctx):
    status, body, _ = post(lab, "add", "first")
    assert (status, body) == (201, {"name": "first", "key": "key-00000001"})
    assert counts("owner_account", "idempotency_key") == {
        "owner_account": 2,
        "idempotency_key": 1,
    }
    status, again, answer = post(lab, "add", "first")
    assert (status, again) == (201, body)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert counts("owner_account") == {"owner_account": 2}
    status, refusal, _ = post(lab, "add", "second")
    assert (status, refusal["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("refuse", 409, "no"), ("break", 500, "internal_error"), ("swallow", 500, "internal_error")],
)
def test_a_refusal_or_fault_leaves_nothing_not_even_the_key(lab, ctx, capsys, name, status, code):
    for _ in range(2):  # and the same key may be tried again
        answered, body, _ = post(lab, "add", name)
        assert (answered, body["code"]) == (status, code)
    assert counts("owner_account", "idempotency_key") == {
        "owner_account": 0,
        "idempotency_key": 0,
    }
    written = capsys.readouterr().err
    assert "13900001234" not in written and "王小明" not in written
    assert "ZeroDivisionError" in written or name != "break"


def test_twenty_twins_at_once_act_once(lab, ctx):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(lab, "add", "twin")[:2]))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [body for status, body in answers if status == 201]
    assert good and all(body == good[0] for body in good)
    assert {status for status, _ in answers} <= {201, 409, 503}
    assert counts("owner_account") == {"owner_account": 2}


def test_bound_work_is_rebuilt_for_the_same_reference(lab, ctx):
    status, body, _ = post(lab, "bound", "die")
    assert status == 500
    assert scalar("SELECT reference FROM idempotency_key") == "ref-die"
    assert post(lab, "bound", "die")[:2] == (201, {"reference": "ref-die"})
    assert counts("owner_account") == {"owner_account": 1}


def test_a_claim_in_progress_is_refused_and_a_dead_one_taken_over(lab, ctx, db_owner):
    assert post(lab, "bound", "one")[0] == 201
    db_owner.execute("UPDATE idempotency_key SET reference = NULL, status = NULL")
    db_owner.execute("DELETE FROM owner_account")
    db_owner.execute("UPDATE idempotency_key SET created_at = now()")
    status, refusal, _ = post(lab, "bound", "one")
    assert (status, refusal["code"]) == (409, "request_in_progress")
    db_owner.execute("UPDATE idempotency_key SET created_at = now() - interval '16 seconds'")
    assert idempotency.ABANDONED_AFTER.total_seconds() == 15
    assert post(lab, "bound", "one")[0] == 201


@pytest.mark.parametrize("key", [None, "short", "x" * 65, "with space 123", "läuft-nicht"])
def test_keys_are_checked(lab, ctx, key):
    status, body, _ = post(lab, "add", "first", key and key.encode().decode("latin-1"))
    assert (status, body["code"]) == (422, "idempotency_key_required")


def test_a_slow_database_is_a_503_that_says_so(lab, ctx):
    answer = lab.test_client().post("/lab/sleep")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "busy")
    assert answer.headers["Retry-After"] == "3"


@pytest.mark.parametrize("name", ["a\x00b", "\ud800"])
def test_unstorable_text_is_refused(lab, ctx, name):
    answer = lab.test_client().post(
        "/lab/nul", data=json.dumps({"name": name}), content_type="application/json"
    )
    assert (answer.status_code, answer.get_json()["code"]) == (422, "bad_input")


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("DELETE", "/api/v1/login", {}, 405, "method_not_allowed"),
        ("POST", "/api/v1/login", {"data": "{", "content_type": JSON}, 400, "bad_json"),
        ("POST", "/api/v1/login", {"data": "[" * 90_000, "content_type": JSON}, 422, "bad_input"),
        ("POST", "/api/v1/login", {"json": {}}, 422, "validation_failed"),
        ("POST", "/api/v1/login", {"json": ["x"]}, 422, "validation_failed"),
        ("POST", "/api/v1/login", {"data": "appid=1&code=2"}, 422, "validation_failed"),
        ("POST", "/api/v1/login", {"json": {"appid": "a" * 200_000}}, 413, "too_large"),
        ("GET", "/api/v1/bills", {}, 401, "login_required"),
    ],
)  # fmt: skip
def test_every_refusal_has_one_shape(client, ctx, method, path, options, status, code):
    answer = client.open(path, method=method, **options)
    body = answer.get_json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert set(body) <= {"code", "message", "message_zh", "legal_basis", "what_to_do", "fields"}
    assert body["message"] and body["message_zh"]
    assert "Traceback" not in answer.text
    if status == 405:
        assert answer.headers["Allow"] == "OPTIONS, POST"


def test_validation_names_the_fields_in_chinese(client, ctx):
    body = client.post("/api/v1/login", json={"appid": 5, "paid": True}).get_json()
    assert body["fields"] == {"appid": "须为文本。", "code": "必填。", "paid": "不认识的字段。"}


def test_log_in_is_limited_per_address(client, ctx):
    answers = [client.post("/api/v1/login", json={}).status_code for _ in range(121)]
    assert answers[:120] == [422] * 120
    assert answers[120] == 429
    assert client.post("/api/v1/login", json={}).get_json()["code"] == "too_many_requests"


def test_limits_do_not_fail_requests_while_redis_is_away(app, product_environment, ctx):
    with another_app({**product_environment, "REDIS_URL": "redis://127.0.0.1:1/0"}) as alone:
        client = alone.test_client()
        assert client.post("/api/v1/login", json={}).status_code == 422
        ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")
    assert ready.get_json()["redis"] == "down"


def test_health_and_readiness(client, ctx):
    assert client.get("/healthz").get_json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()) == (
        200,
        {
            "status": "ok",
            "database": "ok",
            "migrations": "ok",
            "redis": "ok",
            "oldest_due_seconds": 0,
        },
    )


def test_readiness_fails_without_a_database_or_with_another_schema(
    app, product_environment, fresh_database
):
    def ready(url: str):
        with another_app({**product_environment, "DATABASE_URL": url}) as other:
            answer = other.test_client().get("/readyz")
        return answer.status_code, answer.get_json()["database"], answer.get_json()["migrations"]

    assert ready("postgresql://x@127.0.0.1:1/none") == (503, "down", "unknown")
    assert ready(fresh_database(migrated=False).app_url) == (503, "ok", "missing")


def test_metrics_count_requests_by_endpoint(client, ctx):
    client.get("/api/v1/bills")
    text = client.get("/metrics").text
    assert 'jiaoqing_http_requests_total{endpoint="owner_bills.list_bills",status="401"}' in text


def test_every_answer_carries_a_request_id_and_the_log_has_no_query(client, ctx, capsys):
    answer = client.get(
        "/pay/bills?c=SECRETCODE&phone=13900001234", headers={"X-Request-Id": "from-the-proxy-1"}
    )
    assert answer.headers["X-Request-Id"] == "from-the-proxy-1"
    own = client.get("/healthz", headers={"X-Request-Id": "<script>"}).headers["X-Request-Id"]
    assert len(own) == 16 and own != "<script>"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line[:1] == "{"]
    [line] = [line for line in lines if line.get("request_id") == "from-the-proxy-1"]
    assert line["rule"] == "/pay/bills" and line["status"] == 404
    assert "SECRETCODE" not in str(lines) and "13900001234" not in str(lines)


def test_phone_numbers_in_a_log_line_are_masked(client, ctx, capsys):
    from backend.telemetry import log

    log.warning("vendor_said", detail="number 13900001234 is off, order JQ13900001234X")
    written = capsys.readouterr().err
    assert "number 1********** is off, order JQ13900001234X" in written


def test_answers_carry_the_protective_headers(client, ctx):
    headers = client.get("/pay/").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert client.get("/api/v1/bills").headers["Cache-Control"] == "no-store"


def test_the_steward_page_is_served_or_says_how_to_build_it(client, ctx, tmp_path, monkeypatch):
    from backend.web import spa

    monkeypatch.setattr(spa, "DIST", tmp_path / "dist")
    answer = client.get("/admin/")
    assert answer.status_code == 503 and "npm run build" in answer.text
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<p>page</p>")
    (tmp_path / "dist" / "assets" / "a-1.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    assert client.get("/admin/").text == "<p>page</p>"
    assert client.get("/admin/worklist/5").text == "<p>page</p>"
    assert client.get("/admin/assets/a-1.js").headers["Cache-Control"] == "public, max-age=31536000"
    assert client.get("/admin/assets/none.js").status_code == 404
    assert "secret" not in client.get("/admin/..%2fsecret.txt").text
    assert client.get("/admin/api/v1/nothing").get_json()["code"] == "not_found"
    assert client.get("/admin").headers["Location"] == "/admin/"
