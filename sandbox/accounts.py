"""Opening accounts at the platforms: merchants, WeChat apps, SMS; and the people who use them.

All are found again by name (people by phone), so opening one twice gives the same answer.
"""

from __future__ import annotations

import re

from . import keys
from .defaults import FORBIDDEN_IN_SMS, SMS_TEXTS, WECHAT_FIELDS
from .state import Book, now_ms


class Refused(Exception):
    """The platform will not open this account; the text says why."""


def open_merchant(book: Book, wanted: dict) -> dict:
    """A merchant of ``channel`` wechatpay or alipay; the row holds both sides' keys."""
    name, channel = wanted.get("name"), wanted.get("channel")
    if not name or channel not in ("wechatpay", "alipay"):
        raise Refused("name and channel (wechatpay or alipay) are needed")
    with book.lock:
        row = book.get("merchants", name)
        if row is None:
            row = {"name": name, "channel": channel, "appids": [], "opened_at": now_ms()}
            row |= _wechatpay(book) if channel == "wechatpay" else _alipay(book)
        elif row["channel"] != channel:
            raise Refused(f"{name} is a {row['channel']} merchant")
        row["title"] = wanted.get("title") or row.get("title") or name
        if channel == "wechatpay":
            _bind_appids(book, row, wanted)
        return book.put("merchants", name, row)


def _bind_appids(book: Book, row: dict, wanted: dict) -> None:
    asked = [wanted["appid"]] if wanted.get("appid") else []
    asked += wanted.get("appids", [])
    if wanted.get("app"):
        asked.append(find_app(book, wanted["app"])["appid"])
    if not asked and not row["appids"]:
        apps = [a for a in book.rows("apps") if a["kind"] == "miniprogram"]
        asked = [apps[0]["appid"] if apps else "wx" + keys.token(16).lower()]
    row["appids"] += [a for a in asked if a not in row["appids"]]
    row["appid"] = asked[0] if asked else row["appid"]


def _wechatpay(book: Book) -> dict:
    private, public = keys.new_pair()
    platform_private, platform_public = keys.new_pair()
    mchid = "16" + book.number(8)
    old_private, _ = keys.new_pair()
    certificate, serial = keys.certificate(old_private, name="Tenpay.com sandbox")
    return {
        "account": mchid, "mchid": mchid, "cert_serial": f"{int(book.number(38)):040X}",
        "apiv3_key": keys.token(32), "private_key_pem": private, "merchant_public_pem": public,
        "public_key_id": "PUB_KEY_ID_01" + mchid + book.number(22),
        "public_key_pem": platform_public, "platform_private_pem": platform_private,
        "certificate_pem": certificate, "certificate_serial": serial,
        "certificate_private_pem": old_private,
    }  # fmt: skip


def _alipay(book: Book) -> dict:
    private, public = keys.new_pair()
    platform_private, platform_public = keys.new_pair()
    app_id = "2021" + book.number(12)
    return {
        "account": app_id, "app_id": app_id, "seller_id": "2088" + book.number(12),
        "private_key_pem": private, "merchant_public_pem": public,
        "alipay_public_key_pem": platform_public, "platform_private_pem": platform_private,
    }  # fmt: skip


def merchant_file(row: dict) -> dict:
    """The file an operator gives to ``flask merchant add`` (without the company)."""
    names = {
        "wechatpay": "mchid appid private_key_pem cert_serial apiv3_key public_key_id "
        "public_key_pem",
        "alipay": "app_id seller_id private_key_pem alipay_public_key_pem",
    }[row["channel"]].split()
    return {
        "name": row["name"],
        "channel": row["channel"],
        row["channel"]: {name: row[name] for name in names},
    }


def merchant_by(book: Book, **wanted: str) -> dict | None:
    """The merchant whose row has this one value, e.g. ``mchid=...``."""
    [(field, value)] = wanted.items()
    return next((m for m in book.rows("merchants") if m.get(field) == value), None)


def open_app(book: Book, wanted: dict) -> dict:
    """A mini-program or official account; ``templates`` {event: keys or {field: key}} add up."""
    name, kind = wanted.get("name"), wanted.get("kind")
    if not name or kind not in ("miniprogram", "official_account"):
        raise Refused("name and kind (miniprogram or official_account) are needed")
    with book.lock:
        row = book.get("apps", name)
        if row is None:
            appid = wanted.get("appid") or "wx" + keys.token(16).lower()
            row = {
                "name": name, "kind": kind, "appid": appid, "appids": [appid],
                "original_id": "gh_" + keys.token(12).lower(), "secret": keys.token(32).lower(),
                "token": keys.token(24), "aes_key": keys.token(43), "templates": {},
                "push_url": "", "opened_at": now_ms(),
            }  # fmt: skip
        row = row | {"templates": dict(row["templates"])}
        if wanted.get("push_url") is not None:
            row["push_url"] = wanted["push_url"]
        templates = wanted.get("templates")
        if templates is None and not row["templates"]:
            templates = WECHAT_FIELDS[kind]
        for event, fields in (templates or {}).items():
            row["templates"][event] = _template(row["templates"].get(event), fields)
        return book.put("apps", name, row)


def _template(known: dict | None, fields) -> dict:
    wanted_id = None
    if isinstance(fields, dict) and ("fields" in fields or "id" in fields):
        wanted_id, fields = fields.get("id"), fields.get("fields")
    number = wanted_id or (known["id"] if known else keys.token(43))
    return {"id": number, "fields": fields}


def app_file(row: dict) -> dict:
    """The file an operator gives to ``flask app add``."""
    names = "name kind appid secret token aes_key templates".split()
    return {name: row[name] for name in names}


def find_app(book: Book, appid_or_name: str) -> dict:
    """The app by appid or name. Raises Refused when there is none."""
    for row in book.rows("apps"):
        if appid_or_name in (row["appid"], row["name"]):
            return row
    raise Refused(f"no app {appid_or_name}")


def open_sms(book: Book, wanted: dict) -> dict:
    """An Aliyun account with a signature and reviewed templates {event: text with ${names}}."""
    name = wanted.get("name")
    if not name:
        raise Refused("name is needed")
    with book.lock:
        row = book.get("sms", name)
        if row is None:
            row = {
                "name": name, "vendor": "aliyun", "access_key_id": "LTAI5t" + keys.token(18),
                "access_key_secret": keys.token(30), "receipt_secret": keys.token(32),
                "sign_name": "缴清物业", "templates": {}, "report_url": "",
                "voice_report_url": "", "opened_at": now_ms(),
            }  # fmt: skip
        row = row | {"templates": dict(row["templates"])}
        for field in ("report_url", "voice_report_url", "sign_name"):
            if wanted.get(field) is not None:
                row[field] = wanted[field]
        texts = wanted.get("templates")
        if texts is None and not row["templates"]:
            texts = SMS_TEXTS
        for event, text in (texts or {}).items():
            row["templates"][event] = _sms_template(row["templates"].get(event), text, book)
        return book.put("sms", name, row)


def _sms_template(known: dict | None, text, book: Book) -> dict:
    text = text["text"] if isinstance(text, dict) else text
    bad = [word for word in FORBIDDEN_IN_SMS if word in text]
    if bad:
        raise Refused(f"模板审核未通过：含有{'、'.join(bad)}")
    names = re.findall(r"\$\{(\w+)\}", text)
    if len(text) > 500:
        raise Refused("模板审核未通过：超过500字")
    if len(names) != len(set(names)) or "}${" in text:
        raise Refused("模板审核未通过：变量重复或相邻")
    number = known["id"] if known else "SMS_" + book.number(9)
    return {"id": number, "fields": names, "text": text}


def sms_file(row: dict) -> dict:
    """The file an operator gives to ``flask sms add``."""
    names = "name vendor access_key_id access_key_secret sign_name receipt_secret templates"
    return {name: row[name] for name in names.split()}


# --- people ---------------------------------------------------------------------------------
def add_person(book: Book, wanted: dict) -> dict:
    """Someone with a phone and WeChat. ``follows``: true, or a list of app names or appids."""
    phone = str(wanted.get("phone", ""))
    if not re.fullmatch(r"1\d{10}", phone):
        raise Refused("phone must be 11 digits")
    with book.lock:
        person = book.get("people", book.by_phone.get(phone, ""))
        if person is None:
            number = f"p{len(book.tables['people']) + 1}"
            person = {
                "id": number, "phone": phone, "nickname": "", "follows": [],
                "unionid": "o6_" + keys.token(25), "buyer_id": "2088" + book.number(12),
                "added_at": now_ms(),
            }  # fmt: skip
        if wanted.get("nickname"):
            person["nickname"] = wanted["nickname"]
        follows = wanted.get("follows")
        if follows is True:
            follows = [a["appid"] for a in book.rows("apps") if a["kind"] == "official_account"]
        new = [find_app(book, f)["appid"] for f in follows or []]
        person["follows"] += [appid for appid in new if appid not in person["follows"]]
        return book.put("people", person["id"], person)


def person_shown(book: Book, person: dict) -> dict:
    """The person as the console shows him, with his openid in every app."""
    openids = {appid: book.openid(appid, person["id"]) for appid in book.appids}
    return person | {"openids": openids}


def find_person(book: Book, wanted: str) -> dict:
    """By id, phone or openid. Raises Refused."""
    person = book.get("people", wanted) or book.get("people", book.by_phone.get(wanted, ""))
    if person is None:
        number = next((p for (_, o), p in list(book.by_openid.items()) if o == wanted), "")
        person = book.get("people", number)
    if person is None:
        raise Refused(f"no person {wanted}")
    return person
