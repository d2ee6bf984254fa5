"""What the sandbox's own tests share: a receiver of callbacks, and the vendors' SDKs as clients."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from cryptography.hazmat.primitives import serialization
from wechatpayv3 import WeChatPay, WeChatPayType

VECTORS = Path(__file__).parent / "vectors"
Answer = Callable[[str, dict, bytes], tuple[int, bytes]]


def vectors(name: str) -> dict[str, dict]:
    """The published vectors of wechat.json or alipay.json by id."""
    rows = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["vectors"]
    return {row["id"]: row for row in rows}


class Receiver:
    """A merchant's server: keeps every request and answers with `answer(path, headers, body)`."""

    def __init__(self, answer: Answer) -> None:
        self.got: list[tuple[str, dict, bytes]] = []
        self.answer = answer
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(b"")

            def do_POST(self) -> None:
                self._reply(self.rfile.read(int(self.headers["Content-Length"])))

            def _reply(self, body: bytes) -> None:
                headers = dict(self.headers)
                outer.got.append((self.path, headers, body))
                status, text = outer.answer(self.path, headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


def polite(path: str, headers: dict, body: bytes) -> tuple[int, bytes]:
    """Answer as a correct merchant does; a signature probe is refused."""
    if headers.get("Wechatpay-Signature", "").startswith("WECHATPAY/SIGNTEST/"):
        return 401, b'{"code":"FAIL"}'
    if "alipay" in path or "push" in path:
        return 200, b"success"
    return 200, b'{"code":0}'


@contextmanager
def receiving(answer: Answer = polite) -> Iterator[Receiver]:
    """A receiver for the length of a test."""
    receiver = Receiver(answer)
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()


def wechatpay_client(merchant: dict, base: str, notify_url: str) -> WeChatPay:
    """wechatpayv3 in public-key mode, pointed at the sandbox."""
    own = merchant["wechatpay"]
    client = WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG,
        mchid=own["mchid"],
        private_key=own["private_key_pem"],
        cert_serial_no=own["cert_serial"],
        apiv3_key=own["apiv3_key"],
        appid=own["appid"],
        notify_url=notify_url,
        public_key=own["public_key_pem"],
        public_key_id=own["public_key_id"],
        timeout=10,
    )
    client._core._gate_way = base
    return client


def bare(pem: str) -> str:
    """The base64 of a PEM without its frame."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-"))


class Alipay:
    """alipay-sdk-python pointed at the sandbox (its own transport knows no ports)."""

    def __init__(self, merchant: dict, base: str, notify_url: str) -> None:
        from alipay.aop.api.AlipayClientConfig import AlipayClientConfig

        own = merchant["alipay"]
        self.public_key, self.notify_url = own["alipay_public_key_pem"], notify_url
        key = serialization.load_pem_private_key(own["private_key_pem"].encode(), None)
        pkcs1 = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        config = AlipayClientConfig()
        config.app_id, config.server_url = own["app_id"], base + "/gateway.do"
        config.app_private_key = bare(pkcs1.decode())
        config.alipay_public_key = bare(self.public_key)
        config.sign_type, config.charset = "RSA2", "utf-8"
        module = importlib.import_module("alipay.aop.api.DefaultAlipayClient")
        self.client = module.DefaultAlipayClient(config)
        self.module = module

    def _request(self, name: str, fields: dict):
        model = importlib.import_module(f"alipay.aop.api.domain.Alipay{name}Model")
        request = importlib.import_module(f"alipay.aop.api.request.Alipay{name}Request")
        content = getattr(model, f"Alipay{name}Model")()
        for field, value in fields.items():
            setattr(content, field, value)
        made = getattr(request, f"Alipay{name}Request")(biz_model=content)
        made.notify_url = self.notify_url
        return made

    def call(self, name: str, **fields: str) -> dict:
        """Call e.g. `TradeQuery`; the SDK verifies the answer's signature."""
        original = self.module.do_post
        self.module.do_post = _post
        try:
            return json.loads(self.client.execute(self._request(name, fields)))
        finally:
            self.module.do_post = original

    def wap_url(self, return_url: str, **fields: str) -> str:
        request = self._request("TradeWapPay", fields)
        request.return_url = return_url
        return self.client.page_execute(request, http_method="GET")


def _post(url, query_string=None, headers=None, params=None, charset="utf-8", timeout=15) -> bytes:
    return requests.post(f"{url}?{query_string}", data=params, timeout=timeout).content
