"""WeChat channels, token provider and login against the sandbox platform over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import redis

from backend.errors import Refusal
from backend.identity.wechat_login import TokenRefused, code_to_session, phone_number
from backend.reminders.channels.attempt import NotSent
from backend.reminders.channels.base import Outcome
from backend.reminders.channels.registry import Bases, build_channels
from backend.reminders.channels.wechat_app import WechatApp
from backend.reminders.channels.wechat_token import TokenProvider
from backend.reminders.templates import render, sample_facts

NO_ANSWER = Outcome("in_doubt", None, "transport", "通道连接中断，结果未知。", "stop")


class Platform:
    """The sandbox with both kinds of app, one person and the product's channels."""

    def __init__(self, sandbox, cache) -> None:
        self.sandbox = sandbox
        self.cache = cache
        self.mini = sandbox.post("/_sandbox/apps", kind="miniprogram", name="ch-mini")
        self.official = sandbox.post("/_sandbox/apps", kind="official_account", name="ch-oa")
        self.person = sandbox.post("/_sandbox/people", phone="13900006601", follows=True)["id"]
        openids = sandbox.get(f"/_sandbox/people/{self.person}")["openids"]
        self.openid = {
            "wechat_template": openids[self.official["appid"]],
            "wechat_subscribe": openids[self.mini["appid"]],
        }
        self.channels = self.build()

    def build(self):
        return build_channels(
            apps=[self.mini, self.official],
            sms=None,
            bases=Bases(wechat=self.sandbox.url, sms=self.sandbox.url),
            redis=self.cache,
        )

    def send(self, channel, event="overdue_3", *, to=None, out_id="out-1", data=None):
        built = self.channels[channel]
        rendered = render(event, sample_facts(), channel)
        return built.send(
            recipient=to or self.openid[channel],
            template=built.template_for(event, page=rendered.page, url=rendered.url),
            data=rendered.data if data is None else data,
            out_id=out_id,
        )

    def grant(self, n=1, event="overdue_3"):
        path = f"/_sandbox/people/{self.person}/grant"
        self.sandbox.post(path, appid=self.mini["appid"], event=event, n=n)

    def fault(self, where, kind, **more):
        self.sandbox.post("/_sandbox/faults", where=where, kind=kind, **more)

    def book(self, **query):
        return self.sandbox.get("/_sandbox/book/messages", **query)

    def asked(self, point):
        return self.sandbox.get("/_sandbox/book/requests", point=point)


@pytest.fixture
def cache(servers):
    servers.flush_redis()
    with redis.Redis.from_url(servers.redis_url, socket_timeout=1) as client:
        yield client


@pytest.fixture
def platform(sandbox, cache):
    return Platform(sandbox, cache)


@pytest.mark.covers("S24", "C19")
def test_a_template_message_reaches_a_follower_with_our_id_and_a_landing_page(platform):
    outcome = platform.send("wechat_template")
    [row] = platform.book()
    assert outcome == Outcome("accepted", vendor_id=str(row["msgid"]))
    assert (row["out_id"], row["event"], row["result"]) == ("out-1", "overdue_3", "0")
    assert row["miniprogram"] == {"appid": platform.mini["appid"], "pagepath": "pages/bills/index"}
    assert row["url"] == "https://pay.example.com/pay/"
    values = [entry["value"] for entry in row["data"].values()]
    assert values == [
        "幸福里3-2-1201", "3-2-1201", "215.60元", "2026年11月15日", "2026年11月，点此缴费",
    ]  # fmt: skip


def test_the_same_id_twice_is_one_template_message(platform):
    first, second = platform.send("wechat_template"), platform.send("wechat_template")
    assert first == second
    assert len(platform.book(result="0")) == 1


@pytest.mark.covers("C19")
def test_one_grant_is_one_subscribe_message_then_the_next_channel(platform):
    platform.grant(1)
    assert platform.send("wechat_subscribe").state == "accepted"
    refused = platform.send("wechat_subscribe", out_id="out-2")
    assert (refused.state, refused.code, refused.next) == ("refused", "43101", "next_channel")
    [row] = platform.book(result="0")
    assert (row["channel"], row["page"]) == ("wechat_subscribe", "pages/bills/index")


def test_who_does_not_follow_is_for_the_next_channel(platform):
    stranger = platform.sandbox.post("/_sandbox/people", phone="13900006602")
    openid = stranger["openids"][platform.official["appid"]]
    outcome = platform.send("wechat_template", to=openid)
    assert (outcome.state, outcome.code, outcome.next) == ("refused", "43004", "next_channel")
    assert platform.book(result="0") == []


@pytest.mark.parametrize(
    ("code", "state", "next_step"),
    [
        ("-1", "refused", "retry"),
        ("45009", "refused", "retry"),
        ("40003", "refused", "next_channel"),
        ("43117", "refused", "next_channel"),
        ("40037", "refused", "stop"),
        ("47003", "refused", "stop"),
        ("48001", "refused", "stop"),
        ("99999", "refused", "stop"),
    ],
)
def test_every_code_of_the_platform_has_one_meaning(platform, code, state, next_step):
    platform.fault("wechat.template", "code", code=code)
    outcome = platform.send("wechat_template")
    assert (outcome.state, outcome.code, outcome.next) == (state, code, next_step)
    assert outcome.reason_zh


def test_a_field_the_platform_would_refuse_never_leaves_the_house(platform):
    outcome = platform.send("wechat_template", data={"house": "3-2-1201"})
    assert (outcome.state, outcome.code, outcome.next) == ("refused", "bad_field", "stop")
    assert platform.asked("wechat.template") == []


def test_a_gateway_error_says_nothing_about_the_message(platform):
    platform.grant(2)
    platform.fault("wechat.template", "http_500")
    platform.fault("wechat.subscribe", "http_500")
    template, subscribe = platform.send("wechat_template"), platform.send("wechat_subscribe")
    assert (template.state, template.code, template.next) == ("in_doubt", "http_502", "stop")
    assert (subscribe.state, subscribe.code, subscribe.next) == ("in_doubt", "http_502", "stop")


def test_a_lost_reply_is_a_doubt_and_the_message_is_with_the_owner(platform):
    platform.fault("wechat.template", "lose_reply", count=1)
    assert platform.send("wechat_template") == NO_ANSWER
    assert len(platform.book(result="0")) == 1
    assert platform.send("wechat_template").state == "accepted"  # same id: still one message
    assert len(platform.book(result="0")) == 1


def test_an_answer_after_the_deadline_is_a_doubt(platform):
    platform.send("wechat_template", out_id="warm-up")
    platform.fault("wechat.template", "slow", ms=1500)
    built = platform.channels["wechat_template"]
    rendered = render("overdue_3", sample_facts(), "wechat_template")
    outcome = built.send(
        recipient=platform.openid["wechat_template"],
        template=built.template_for("overdue_3"),
        data=rendered.data,
        out_id="late",
        timeout=0.4,
    )
    assert outcome.state == "in_doubt"


def test_wechat_cannot_be_asked(platform):
    assert platform.channels["wechat_template"].ask("out-1", "o", date(2026, 11, 22)) is None


# --- access token ----------------------------------------------------------------------------
def provider(platform, **changes):
    app = replace(WechatApp.of(platform.official), **changes)
    return TokenProvider(app=app, redis=platform.cache, api_base=platform.sandbox.url)


def test_processes_share_one_token_through_redis(platform):
    first, second = provider(platform), provider(platform)
    assert first.get() == second.get()
    assert len(platform.asked("wechat.token")) == 1
    key = f"wechat:token:{platform.official['appid']}"
    assert 6000 < platform.cache.ttl(key) <= 7000


def test_without_redis_every_process_fetches_the_same_stable_token(platform):
    platform.cache = redis.Redis(port=1)  # nobody listens; the client would retry for ten seconds
    first, second = provider(platform), provider(platform)
    assert first.get() == second.get() == first.get()
    assert len(platform.asked("wechat.token")) == 2


def test_an_expired_token_is_replaced_once_and_the_message_goes_out(platform):
    platform.send("wechat_template", out_id="before")
    platform.sandbox.post("/_sandbox/tokens/expire", appid=platform.official["appid"])
    assert platform.send("wechat_template", out_id="after").state == "accepted"
    assert len(platform.asked("wechat.token")) == 2


@pytest.mark.parametrize("code", ["40001", "42001"])
def test_a_platform_that_keeps_refusing_tokens_is_not_asked_without_end(platform, code):
    platform.fault("wechat.template", "code", code=code)
    outcome = platform.send("wechat_template")
    assert (outcome.state, outcome.code, outcome.next) == ("refused", code, "retry")
    assert len(platform.asked("wechat.template")) == 2
    assert len(platform.asked("wechat.token")) == 3  # first, normal again, forced once
    platform.send("wechat_template")
    assert len(platform.asked("wechat.token")) == 4  # no second forcing within a minute


def test_a_wrong_secret_stops_the_message_before_it_is_sent(platform):
    platform.official = platform.official | {"secret": "0" * 32}
    platform.channels = platform.build()
    outcome = platform.send("wechat_template")
    assert (outcome.state, outcome.code, outcome.next) == ("refused", "token_40125", "stop")
    with pytest.raises(NotSent):
        provider(platform).get()


def test_no_token_in_time_means_nothing_was_sent(platform):
    platform.fault("wechat.token", "drop")
    outcome = platform.send("wechat_template")
    assert (outcome.state, outcome.next) == ("refused", "retry")
    assert platform.asked("wechat.template") == []


# --- login -----------------------------------------------------------------------------------
def login_code(platform, kind="login-code"):
    path = f"/_sandbox/people/{platform.person}/{kind}"
    return platform.sandbox.post(path, appid=platform.mini["appid"])["code"]


def test_a_login_code_gives_the_ids_of_this_app_once(platform):
    code = login_code(platform)
    identity = code_to_session(platform.mini, code, api_base=platform.sandbox.url)
    assert identity.openid == platform.openid["wechat_subscribe"]
    person = platform.sandbox.get(f"/_sandbox/people/{platform.person}")
    assert identity.unionid == person["unionid"]
    with pytest.raises(Refusal) as refused:
        code_to_session(platform.mini, code, api_base=platform.sandbox.url)
    assert (refused.value.code, refused.value.http) == ("wechat_code_used", 401)
    assert platform.asked("wechat.token") == []


@pytest.mark.parametrize("code", ["", "x" * 129])
def test_a_code_that_cannot_be_one_is_refused_without_a_call(platform, code):
    with pytest.raises(Refusal) as refused:
        code_to_session(platform.mini, code, api_base=platform.sandbox.url)
    assert refused.value.code == "wechat_code_missing"
    assert platform.asked("wechat.login") == []


def test_an_unknown_code_and_a_broken_platform_are_told_apart(platform):
    with pytest.raises(Refusal) as unknown:
        code_to_session(platform.mini, "0unknown", api_base=platform.sandbox.url)
    platform.fault("wechat.login", "http_500")
    with pytest.raises(Refusal) as broken:
        code_to_session(platform.mini, login_code(platform), api_base=platform.sandbox.url)
    assert (unknown.value.code, unknown.value.http) == ("wechat_code_invalid", 401)
    assert (broken.value.code, broken.value.http) == ("wechat_unavailable", 503)


def test_a_phone_code_gives_the_number_and_a_bad_token_says_so(platform):
    token = TokenProvider(
        app=WechatApp.of(platform.mini), redis=platform.cache, api_base=platform.sandbox.url
    ).get()
    code = login_code(platform, "phone-code")
    with pytest.raises(TokenRefused):
        phone_number(platform.mini, code, "stale", api_base=platform.sandbox.url)
    assert phone_number(platform.mini, code, token, api_base=platform.sandbox.url) == "13900006601"
    with pytest.raises(Refusal) as used:
        phone_number(platform.mini, code, token, api_base=platform.sandbox.url)
    assert used.value.code == "wechat_code_used"
