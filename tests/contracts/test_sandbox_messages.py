"""WeChat messages, log-in and pushes; Aliyun SMS driven by the vendor's SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import pytest
import xmltodict
from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from alibabacloud_tea_util.models import RuntimeOptions
from wechatpy.crypto import WeChatCrypto

from tests.contracts.sandbox_kit import Receiver, receiving
from tests.support.sandbox import Sandbox
from tests.support.wait import wait_for

CHINA = timezone(timedelta(hours=8))
DATA = {
    "thing1": {"value": "3-2-1201"}, "character_string2": {"value": "3-2-1201"},
    "amount3": {"value": "¥12.30"}, "date4": {"value": "2026年11月30日"},
    "thing5": {"value": "点此缴费"},
}  # fmt: skip


class Wechat:
    """An app of each kind, one follower, and the server their pushes reach."""

    def __init__(self, sandbox: Sandbox, receiver: Receiver) -> None:
        self.sandbox, self.receiver = sandbox, receiver
        self.apps = {
            name: sandbox.post(
                "/_sandbox/apps", kind=kind, name=name, push_url=f"{receiver.url}/push/{name}"
            )
            for name, kind in (("mini", "miniprogram"), ("oa", "official_account"))
        }
        self.person = sandbox.post("/_sandbox/people", phone="13900000001", follows=["oa"])
        self.stranger = sandbox.post("/_sandbox/people", phone="13900000009")

    def token(self, name: str, **more: bool) -> str:
        app = self.apps[name]
        answer = self.sandbox.post(
            "/cgi-bin/stable_token", grant_type="client_credential", appid=app["appid"],
            secret=app["secret"], **more,
        )  # fmt: skip
        return answer["access_token"]

    def send(self, name: str, kind: str, person: dict, data: dict = DATA, **more: str) -> int:
        app = self.apps[name]
        message = {
            "touser": person["openids"][app["appid"]], "data": data,
            "template_id": app["templates"]["bill_issued"]["id"], **more,
        }  # fmt: skip
        url = f"{self.sandbox.url}/cgi-bin/message/{kind}/send"
        answer = self.sandbox.http.post(
            url, params={"access_token": self.token(name)}, json=message
        )
        self.last = answer.json()
        return self.last["errcode"]

    def pushes(self) -> list[dict]:
        """The pushed events, opened with wechatpy."""
        events = []
        for path, _, body in self.receiver.got:
            parts = urlsplit(path)
            query, app = dict(parse_qsl(parts.query)), self.apps[parts.path.rsplit("/", 1)[1]]
            crypto = WeChatCrypto(app["token"], app["aes_key"], app["appid"])
            text = crypto.decrypt_message(
                body.decode(), query["msg_signature"], query["timestamp"], query["nonce"]
            )
            events.append(xmltodict.parse(text)["xml"])
        return events


@pytest.fixture
def wechat(sandbox: Sandbox) -> Iterator[Wechat]:
    with receiving() as receiver:
        yield Wechat(sandbox, receiver)


def test_stable_token_is_stable(wechat: Wechat) -> None:
    first = wechat.token("mini")
    assert wechat.token("mini") == first
    assert wechat.token("mini", force_refresh=True) != first
    wechat.sandbox.post("/_sandbox/tokens/expire", appid="mini")
    url = wechat.sandbox.url + "/wxa/business/getuserphonenumber"
    stale = wechat.sandbox.http.post(url, params={"access_token": first}, json={"code": "x"})
    none = wechat.sandbox.http.post(url, params={"access_token": "x"}, json={"code": "x"})
    assert (stale.json()["errcode"], none.json()["errcode"]) == (42001, 40001)


def test_login_and_phone_codes_work_once(wechat: Wechat) -> None:
    mini, who = wechat.apps["mini"], wechat.person["id"]
    code = wechat.sandbox.post(f"/_sandbox/people/{who}/login-code", appid="mini")["js_code"]
    query = {"appid": mini["appid"], "secret": mini["secret"], "js_code": code}
    first = wechat.sandbox.get("/sns/jscode2session", **query)
    assert first["openid"] == wechat.person["openids"][mini["appid"]]
    assert first["unionid"] == wechat.person["unionid"]
    assert wechat.sandbox.get("/sns/jscode2session", **query)["errcode"] == 40163
    bad = wechat.sandbox.get("/sns/jscode2session", **query | {"secret": "x"})
    assert bad["errcode"] == 40125
    code = wechat.sandbox.post(f"/_sandbox/people/{who}/phone-code", appid="mini")["code"]
    path = f"/wxa/business/getuserphonenumber?access_token={wechat.token('mini')}"
    assert wechat.sandbox.post(path, code=code)["phone_info"]["purePhoneNumber"] == "13900000001"
    assert wechat.sandbox.post(path, code=code)["errcode"] == 40163


def test_template_message_rules(wechat: Wechat) -> None:
    assert wechat.send("oa", "template", wechat.stranger) == 43004
    long = DATA | {"thing1": {"value": "一" * 21}}
    assert wechat.send("oa", "template", wechat.person, long) == 47003
    assert "data.thing1" in wechat.last["errmsg"]
    assert wechat.send("oa", "template", wechat.person, template_id="x") == 40037
    assert wechat.send("mini", "template", wechat.person) == 48001
    assert wechat.send("oa", "template", wechat.person, client_msg_id="n-1") == 0
    msgid = wechat.last["msgid"]
    assert wechat.send("oa", "template", wechat.person, client_msg_id="n-1") == 0
    assert wechat.last["msgid"] == msgid
    [row] = wechat.sandbox.get("/_sandbox/book/messages", accepted="True")
    assert (row["out_id"], row["person"], row["event"]) == (
        "n-1",
        wechat.person["id"],
        "bill_issued",
    )
    assert row["arrived_at"] <= row["received_at"]
    assert wechat.sandbox.get("/_sandbox/book/duplicates")["by_out_id"] == []
    wait_for(lambda: wechat.receiver.got)
    [event] = wechat.pushes()
    assert (event["Event"], event["Status"]) == ("TEMPLATESENDJOBFINISH", "success")
    assert event["MsgID"] == str(msgid)


def test_subscribe_message_spends_a_grant(wechat: Wechat) -> None:
    who = wechat.person["id"]
    assert wechat.send("mini", "subscribe", wechat.person) == 43101
    path = f"/_sandbox/people/{who}/grant"
    assert wechat.sandbox.post(path, appid="mini", event="bill_issued")["left"] == 1
    assert wechat.send("mini", "subscribe", wechat.person, {"thing1": {"value": "x"}}) == 47003
    assert wechat.send("mini", "subscribe", wechat.person) == 0
    assert wechat.send("mini", "subscribe", wechat.person) == 43101
    wait_for(lambda: len(wechat.receiver.got) == 2)
    popup, sent = sorted(wechat.pushes(), key=lambda e: e["Event"])
    assert popup["SubscribeMsgPopupEvent"]["List"]["SubscribeStatusString"] == "accept"
    assert sent["SubscribeMsgSentEvent"]["List"]["ErrorCode"] == "0"


def test_following_is_pushed(wechat: Wechat) -> None:
    path = f"/_sandbox/people/{wechat.stranger['id']}/follow"
    wechat.sandbox.post(path, appid="oa")
    wait_for(lambda: wechat.receiver.got)
    assert wechat.send("oa", "template", wechat.stranger) == 0
    wechat.sandbox.post(path, appid="oa", follow=False)
    assert wechat.send("oa", "template", wechat.stranger) == 43004
    wait_for(lambda: len(wechat.receiver.got) == 3)
    assert [e["Event"] for e in wechat.pushes()].count("subscribe") == 1


# --- Aliyun ---------------------------------------------------------------------------------
class Sms:
    """An SMS account with the vendor's SDK, and the server its receipts reach."""

    def __init__(self, sandbox: Sandbox, receiver: Receiver) -> None:
        self.sandbox, self.receiver = sandbox, receiver
        self.file = sandbox.post(
            "/_sandbox/sms", name="短信一", report_url=receiver.url + "/receipt",
            templates={"receipt": "尊敬的${name}，已收到${amount}元，详情 https://a.cn/pay/ 。"},
        )  # fmt: skip
        self.client = self.connect(self.file["access_key_secret"])

    def connect(self, secret: str) -> Client:
        return Client(Config(
            access_key_id=self.file["access_key_id"], access_key_secret=secret, protocol="http",
            endpoint=self.sandbox.url.removeprefix("http://"),
        ))  # fmt: skip

    def send(self, phone: str, out_id: str = "", client: Client | None = None, **data: str) -> dict:
        values = json.dumps({"name": "张*士 +&%~", "amount": "12.30"} | data, ensure_ascii=False)
        request = models.SendSmsRequest(
            phone_numbers=phone, sign_name=self.file["sign_name"], out_id=out_id,
            template_code=self.file["templates"]["receipt"]["id"], template_param=values,
        )  # fmt: skip
        return (client or self.client).send_sms(request).body.to_map()


@pytest.fixture
def sms(sandbox: Sandbox) -> Iterator[Sms]:
    with receiving() as receiver:
        yield Sms(sandbox, receiver)


def test_sms_is_sent_receipted_and_found(sms: Sms) -> None:
    answer = sms.send("13900000001", "o-1")
    assert answer["Code"] == "OK"
    wait_for(lambda: sms.receiver.got)
    [receipt] = json.loads(sms.receiver.got[0][2])
    assert (receipt["out_id"], receipt["biz_id"]) == ("o-1", answer["BizId"])
    assert receipt["success"] is True and receipt["err_code"] == "DELIVERED"
    day = datetime.now(CHINA).strftime("%Y%m%d")
    request = models.QuerySendDetailsRequest(
        phone_number="13900000001", send_date=day, page_size=10, current_page=1
    )
    found = sms.client.query_send_details(request).body.to_map()
    [detail] = found["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert (detail["OutId"], detail["SendStatus"]) == ("o-1", 3)
    assert detail["Content"].startswith("【缴清物业】尊敬的张*士 +&%~，已收到12.30元")


def test_sms_is_not_idempotent(sms: Sms) -> None:
    sms.send("13900000001", "o-2")
    sms.send("13900000001", "o-2")
    [double] = sms.sandbox.get("/_sandbox/book/duplicates")["by_out_id"]
    assert double["key"] == ["sms", "13900000001", "o-2"] and len(double["ids"]) == 2


def test_sms_refusals(sms: Sms) -> None:
    assert sms.send("1390000000")["Code"] == "isv.MOBILE_NUMBER_ILLEGAL"
    assert sms.send("13900000001", name="")["Code"] == "isv.TEMPLATE_MISSING_PARAMETERS"
    link = sms.send("13900000001", name="https://a.cn")
    assert link["Code"] == "isv.BLACK_KEY_CONTROL_LIMIT"
    with pytest.raises(ClientException) as refused:
        sms.send("13900000001", client=sms.connect("wrong"))
    assert "SignatureDoesNotMatch" in str(refused.value)
    sms.sandbox.post("/_sandbox/settings", sms_daily_limit=1)
    assert sms.send("13900000001")["Code"] == "OK"
    assert sms.send("13900000001")["Code"] == "isv.BUSINESS_LIMIT_CONTROL"
    assert len(sms.sandbox.get("/_sandbox/book/messages")) == 1


def test_sms_batch_and_failed_delivery(sms: Sms) -> None:
    sms.sandbox.post(
        "/_sandbox/faults", where="sms.outcome", kind="code", code="MOBILE_NOT_ON_SERVICE",
        match="13900000002",
    )  # fmt: skip
    values = [{"name": "甲", "amount": "1"}, {"name": "乙", "amount": "2"}]
    request = models.SendBatchSmsRequest(
        phone_number_json='["13900000001","13900000002"]',
        sign_name_json=json.dumps([sms.file["sign_name"]] * 2),
        template_code=sms.file["templates"]["receipt"]["id"],
        template_param_json=json.dumps(values), out_id="b-1",
    )  # fmt: skip
    assert sms.client.send_batch_sms(request).body.code == "OK"
    wait_for(lambda: len(sms.receiver.got) == 2)
    receipts = [json.loads(body)[0] for _, _, body in sms.receiver.got]
    assert {r["phone_number"]: r["err_code"] for r in receipts} == {
        "13900000001": "DELIVERED", "13900000002": "MOBILE_NOT_ON_SERVICE",
    }  # fmt: skip


def test_voice_call_is_reported(sms: Sms) -> None:
    """The vendor's generic client: the voice package itself is not a dependency."""
    sms.sandbox.post("/_sandbox/sms", name="短信一", voice_report_url=sms.receiver.url + "/voice")
    action = Params(
        action="SingleCallByTts", version="2017-05-25", protocol="HTTP", pathname="/",
        method="POST", auth_type="AK", style="RPC", req_body_type="formData", body_type="json",
    )  # fmt: skip
    query = {
        "CalledNumber": "13900000001", "TtsCode": sms.file["templates"]["receipt"]["id"],
        "TtsParam": '{"name":"甲","amount":"1"}', "OutId": "v-1",
    }  # fmt: skip
    answer = sms.client.call_api(action, OpenApiRequest(query=query), RuntimeOptions())["body"]
    assert answer["Code"] == "OK"
    wait_for(lambda: sms.receiver.got)
    path, _, body = sms.receiver.got[0]
    [report] = json.loads(body)
    assert (path, report["call_id"], report["out_id"]) == ("/voice", answer["CallId"], "v-1")
    assert report["status_code"] == "200000"


@pytest.mark.parametrize("text", ["请尽快处理，催款", "详情拒收请回复R", "${a}${b}", "${a}和${a}"])
def test_template_review_refuses(sandbox: Sandbox, text: str) -> None:
    answer = sandbox.http.post(
        sandbox.url + "/_sandbox/sms", json={"name": "短信二", "templates": {"x": text}}
    )
    assert answer.status_code == 400 and "审核未通过" in answer.json()["error"]
