"""Material for the provider tests: official vectors, key pairs, a programmable platform.

The signing here is done with `cryptography` directly, so that the product's own signer and
verifier are compared with something that is not them.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from backend.payments.providers.base import MerchantConfig

SERIAL = "PUB_KEY_ID_0100000000000000000000000000000001"
CALLBACK_NOW = datetime.fromtimestamp(1795226400, UTC)


@lru_cache
def vectors(name: str) -> dict[str, dict]:
    """Return the vectors of wechat.json or alipay.json by id."""
    path = Path(__file__).parent / "vectors" / f"{name}.json"
    return {vector["id"]: vector for vector in json.loads(path.read_text("utf-8"))["vectors"]}


def java_keys() -> dict[str, str]:
    return vectors("wechat")["java-keys"]


def wechat_config(**changes: object) -> dict:
    """The merchant dict of the published test account (mchid 1234567891)."""
    material = java_keys()
    return {
        "mchid": material["mchid"],
        "appid": "wxd678efh567hg6787",
        "private_key_pem": material["merchant_private_key_pem"],
        "cert_serial": material["merchant_certificate_serial"],
        "apiv3_key": material["api_v3_key"],
        "public_key_id": SERIAL,
        "public_key_pem": material["wechatpay_public_key_pem"],
    } | changes


def wechat_merchant(**changes: object) -> MerchantConfig:
    return MerchantConfig(1, "测试物业", "wechatpay", wechat_config(**changes))


@lru_cache
def key_pair(name: str) -> rsa.RSAPrivateKey:
    """A throw-away RSA-2048 key, one per name and run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pkcs8(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def pkcs1(key: rsa.RSAPrivateKey) -> str:
    raw = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return raw.decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    raw = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return raw.decode()


def bare(pem: str) -> str:
    """The one-line base64 of a PEM text, as the platforms' key tools hand it out."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


def rsa_sign(key: rsa.RSAPrivateKey, message: bytes, hash_: object = None) -> str:
    return b64encode(key.sign(message, PKCS1v15(), hash_ or SHA256())).decode()


def rsa_sign_sha1(key: rsa.RSAPrivateKey, message: bytes) -> str:
    return rsa_sign(key, message, SHA1())


@lru_cache
def wechat_platform_key() -> rsa.RSAPrivateKey:
    return load_pem_private_key(java_keys()["wechatpay_private_key_pem"].encode(), None)


def wechat_signature_headers(
    body: bytes, *, now: datetime, key: rsa.RSAPrivateKey | None = None, serial: str = SERIAL
) -> dict[str, str]:
    """The headers WeChat Pay would send with this body."""
    timestamp, nonce = str(int(now.timestamp())), "f00d" * 8
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    return {
        "Wechatpay-Serial": serial,
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        "Wechatpay-Signature": rsa_sign(key or wechat_platform_key(), message),
    }


def wechat_callback(
    content: object, *, event_type: str, event_id: str = "EV-1", key: str = "", aad: str = "x"
) -> bytes:
    """An encrypted callback body; content is JSON-encoded unless it is bytes already."""
    plain = content if isinstance(content, bytes) else json.dumps(content).encode()
    sealed = AESGCM((key or java_keys()["api_v3_key"]).encode()).encrypt(
        b"123456789012", plain, aad.encode()
    )
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": b64encode(sealed).decode(),
        "nonce": "123456789012",
        "associated_data": aad,
    }
    envelope = {
        "id": event_id,
        "event_type": event_type,
        "resource_type": "encrypt-resource",
        "resource": resource,
    }
    return json.dumps(envelope).encode()


@dataclass
class Call:
    """One request the platform received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client_port: int


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Platform:
    """A real HTTP server whose answers the test writes; `drop` answers by hanging up."""

    url: str
    answer: Callable[[Call], Reply | None]
    calls: list[Call] = field(default_factory=list)


@contextmanager
def platform(answer: Callable[[Call], Reply | None]) -> Iterator[Platform]:
    """Run a platform on a free port; answer returning None closes the connection unanswered."""
    running = Platform(url="", answer=answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            call = Call(
                method=self.command,
                path=self.path,
                headers=dict(self.headers.items()),
                body=self.rfile.read(length),
                client_port=self.client_address[1],
            )
            running.calls.append(call)
            reply = running.answer(call)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    running.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


ALIPAY_APP_ID = "2021000000000001"
ALIPAY_SELLER_ID = "2088000000000001"


def alipay_config(**changes: object) -> dict:
    """The merchant dict of a made-up Alipay app; Alipay's own key is `key_pair("alipay")`."""
    return {
        "app_id": ALIPAY_APP_ID,
        "seller_id": ALIPAY_SELLER_ID,
        "private_key_pem": pkcs8(key_pair("alipay app")),
        "alipay_public_key_pem": public_pem(key_pair("alipay")),
    } | changes


def alipay_merchant(**changes: object) -> MerchantConfig:
    return MerchantConfig(2, "测试物业", "alipay", alipay_config(**changes))


def alipay_answer(
    method: str, content: object, *, key: rsa.RSAPrivateKey | None = None, sha1: bool = False
) -> bytes:
    """A signed gateway answer; content is JSON-encoded unless it is text already."""
    node = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    sign = rsa_sign_sha1 if sha1 else rsa_sign
    signature = sign(key or key_pair("alipay"), node.encode())
    name = method.replace(".", "_") + "_response"
    return f'{{"{name}":{node},"sign":"{signature}"}}'.encode()


def alipay_form(fields: dict[str, str], *, key: rsa.RSAPrivateKey | None = None) -> bytes:
    """A signed notice body; sign_type is added, sign computed over the rest."""
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    signed = fields | {
        "sign": rsa_sign(key or key_pair("alipay"), text.encode()),
        "sign_type": "RSA2",
    }
    return urlencode(signed).encode()
