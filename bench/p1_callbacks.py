"""P1: taking in platform callbacks, through the real route against a bare one.

Both are served by the Procfile's own gunicorn line (only the application differs), on the same
PostgreSQL, and get the very same signed notices from the same client, in turns. The product
verifies, decrypts, compares with the order, writes the inbox row (with its trigger), commits and
acknowledges; the floor is `bench.p1_floor`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import psycopg

from bench import notices, p1_floor
from bench.harness import Figure, alternately, fdatasync_ms, figure
from bench.load import Outcome, drive
from bench.place import Place
from launcher.children import spawn
from launcher.ports import free_port

NOTICES = 4_000
WARM_UP = 400
ROUNDS = 3
MERCHANT = "bench-wechat"
ROOT = Path(__file__).resolve().parents[1]
_PATHS = {"product": f"/notify/wechatpay/{MERCHANT}", "floor": "/notify"}
_TABLES = {"product": "inbox", "floor": "bench_notice"}

ORDERS = """
WITH home AS (
    SELECT h.id AS house_id, l.party_id, h.community_id, m.id AS merchant_id
    FROM house h JOIN liability l ON l.house_id = h.id
    JOIN merchant m ON m.name = %(merchant)s WHERE h.code = 'BENCH-1')
INSERT INTO payment_order (out_trade_no, community_id, house_id, party_id, merchant_id, channel,
                           method, payer, amount_fen, time_expire, created_at)
SELECT 'JQBENCH' || lpad(n::text, 12, '0'), community_id, house_id, party_id, merchant_id,
       'wechatpay', 'jsapi', 'account:1', %(amount)s, now() + interval '1 hour', now()
FROM home, generate_series(0, %(last)s) n
"""


@dataclass(frozen=True)
class _Server:
    kind: str
    port: int
    owner_url: str


def measure(here: Place) -> list[Figure]:
    """Return callbacks per second and the 99th percentile, product against floor."""
    platform = notices.new_platform()
    _prepare(here, platform)
    runs: dict[str, list[Outcome]] = {"product": [], "floor": []}
    with _serving(here, platform) as servers:

        def run(kind: str, number: int) -> float:
            first, count = number * NOTICES + WARM_UP, NOTICES
            outcome = _hand_over(servers[kind], platform, first=first, count=count)
            runs[kind].append(outcome)
            return outcome.per_second

        for server in servers.values():
            _hand_over(server, platform, first=0, count=WARM_UP)
        values, floors = alternately(
            lambda n: run("product", n), lambda n: run("floor", n), rounds=ROUNDS
        )
    print(f"one fdatasync after P1: {fdatasync_ms():.2f} ms (median)")
    return [_throughput(values, floors), _tail(runs)]


def _throughput(values: list[float], floors: list[float]) -> Figure:
    return figure(
        id="P1", unit="1/s", values=values, floors=floors, goal="≥ 0.5 × floor",
        met=lambda ratio: ratio >= 0.5,
    )  # fmt: skip


def _tail(runs: dict[str, list[Outcome]]) -> Figure:
    return figure(
        id="P1-p99", unit="ms", values=[o.p99_ms for o in runs["product"]],
        floors=[o.p99_ms for o in runs["floor"]], goal="≤ 2.0 × floor",
        met=lambda ratio: ratio <= 2.0,
    )  # fmt: skip


def _hand_over(server: _Server, platform: notices.Platform, *, first: int, count: int) -> Outcome:
    """Send notices first … first + count and check that every one is acknowledged and stored."""
    requests = notices.requests(platform, path=_PATHS[server.kind], first=first, count=count)
    before = _stored(server)
    outcome = drive(port=server.port, requests=requests)
    if set(outcome.statuses) != {200} or _stored(server) - before != count:
        raise RuntimeError(f"{server.kind}: {outcome.statuses}, not all of {count} were stored")
    return outcome


def _stored(server: _Server) -> int:
    with psycopg.connect(server.owner_url) as owner:
        return owner.execute(f"SELECT count(*) FROM {_TABLES[server.kind]}").fetchone()[0]


def _prepare(here: Place, platform: notices.Platform) -> None:
    """Set up company, community and merchant by the product's commands, the orders by SQL."""
    from backend.usecases.set_up import add_community, add_company, add_merchant

    add_company(code="BENCH", name="回调基准物业", by="bench")
    add_community(company="BENCH", code="BENCH", name="回调基准小区", by="bench")
    add_merchant(file=_merchant_file(platform), by="bench")
    with psycopg.connect(here.database.owner_url) as owner:
        for statement in (
            "INSERT INTO building (community_id, code, name) "
            "SELECT id, '1', '1栋' FROM community WHERE code = 'BENCH'",
            "INSERT INTO house (community_id, building_id, code, area) "
            "SELECT b.community_id, b.id, 'BENCH-1', 88 FROM building b "
            "JOIN community c ON c.id = b.community_id WHERE c.code = 'BENCH'",
            "INSERT INTO party (company_id, source_key, name) "
            "SELECT id, 'BENCH-1', '业主' FROM company WHERE code = 'BENCH'",
            "INSERT INTO liability (house_id, party_id, valid) SELECT h.id, p.id, "
            "daterange('2020-01-01', NULL) FROM house h, party p "
            "WHERE h.code = 'BENCH-1' AND p.source_key = 'BENCH-1'",
            p1_floor.TABLE,
        ):
            owner.execute(statement)
        role = psycopg.conninfo.conninfo_to_dict(here.database.app_url)["user"]
        owner.execute(f"GRANT SELECT, INSERT ON bench_notice TO {role}")
        last = ROUNDS * NOTICES + WARM_UP
        owner.execute(ORDERS, {"merchant": MERCHANT, "amount": notices.AMOUNT_FEN, "last": last})
        owner.commit()
        owner.autocommit = True
        owner.execute("VACUUM ANALYZE payment_order")


def _merchant_file(platform: notices.Platform) -> dict[str, object]:
    return {
        "name": MERCHANT,
        "company": "BENCH",
        "channel": "wechatpay",
        "wechatpay": {
            "mchid": notices.MCHID,
            "appid": notices.APPID,
            "private_key_pem": notices.new_pair()[0],
            "cert_serial": "BE4C4",
            "apiv3_key": platform.apiv3_key,
            "public_key_id": notices.SERIAL,
            "public_key_pem": platform.public_key_pem,
        },
    }


@contextmanager
def _serving(here: Place, platform: notices.Platform) -> Iterator[dict[str, _Server]]:
    """Start both under gunicorn; the one that is not measured sleeps."""
    with tempfile.TemporaryDirectory(prefix="jiaoqing-bench-") as folder:
        config = Path(folder) / "floor.json"
        config.write_text(
            json.dumps(
                {
                    "database": here.database.app_url,
                    "public_key": platform.public_key_pem,
                    "apiv3_key": platform.apiv3_key,
                }
            ),
            encoding="utf-8",
        )
        metrics = Path(folder) / "metrics"
        metrics.mkdir()
        applications = {"product": "wsgi:app", "floor": f"bench.p1_floor:make('{config}')"}
        processes, servers = [], {}
        try:
            for kind, application in applications.items():
                port = free_port()
                with (Path(folder) / f"{kind}.log").open("wb") as log:
                    processes.append(_start(application, port, log, metrics))
                servers[kind] = _Server(kind, port, here.database.owner_url)
            for server in servers.values():
                _wait_for(server.port)
            yield servers
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(30)


def _start(application: str, port: int, log, metrics: Path) -> subprocess.Popen:
    """Run the Procfile's web line, counting for all processes as `make run` makes it count."""
    web = next(
        line.split(":", 1)[1]
        for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("web:")
    )
    command = web.replace("wsgi:app", f'"{application}"')
    environment = os.environ | {
        "BIND": "127.0.0.1",
        "PORT": str(port),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
    return spawn(["sh", "-c", f"exec {command}"], cwd=ROOT, env=environment, stdout=log, stderr=log)


def _wait_for(port: int) -> None:
    """Return when the server answers anything at all."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return
        except OSError as error:
            if hasattr(error, "code"):  # an HTTP answer, if a refusing one
                return
        time.sleep(0.1)
    raise TimeoutError("gunicorn did not come up")
