"""P3: issuing bills against hand-written SQL that writes the same rows under the same guards.

Floor: one statement per batch of 5,000 houses that inserts bills, lines, one journal and its
postings by the application role: every column the product fills, every constraint, index and
trigger. It knows beforehand that everybody is liable for the whole month at one price and that
nothing was billed before, and rounds a plain product. Product: the bill run with everything it
decides (who is liable, which version, what was billed before, hand-overs, credit), its start and
its end. After the rounds both must have written the same rows.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import date

import psycopg

from bench.harness import Figure, alternately, figure
from bench.place import Place

HOUSES = 100_000
BATCH = 5_000

SEED = """
INSERT INTO company (id, code, name, data_key_wrapped) VALUES (1, 'B', '基准物业', '\\x00');
INSERT INTO payee (id, company_id, name) VALUES (1, 1, '基准物业');
INSERT INTO community (id, company_id, payee_id, code, name)
    SELECT n, 1, 1, 'K' || n, '小区' || n FROM generate_series(1, 2) n;
INSERT INTO building (community_id, code, name)
    SELECT c.id, b::text, b || '栋' FROM community c, generate_series(1, 100) b;
INSERT INTO house (community_id, building_id, code, area)
    SELECT b.community_id, b.id, b.code || '-' || lpad(n::text, 5, '0'),
           60 + mod(n * 7, 9000) / 100.0
    FROM building b, generate_series(1, %(per)s) n;
INSERT INTO party (company_id, source_key, name)
    SELECT 1, 'P' || id, '业主' FROM house;
INSERT INTO liability (house_id, party_id, valid)
    SELECT h.id, p.id, daterange('2020-01-01', NULL) FROM house h
    JOIN party p ON p.source_key = 'P' || h.id;
INSERT INTO fee_item (community_id, code, name) SELECT id, 'WY', '物业服务费' FROM community;
INSERT INTO fee_standard (community_id, fee_item_id, code, version, name, method, rate, surcharge,
                          effective, basis, published_at, published_by)
    SELECT community_id, id, 'WY', 1, '物业服务费', 'area', 2.15, 0,
           daterange('2020-01-01', NULL), '合同', now(), 'bench' FROM fee_item;
INSERT INTO house_fee (community_id, house_id, standard_code, valid)
    SELECT community_id, id, 'WY', daterange('2020-01-01', NULL) FROM house;
INSERT INTO house_account (house_id, community_id) SELECT id, community_id FROM house;
ANALYZE;
"""

FLOOR = """
WITH new_bill AS (
    INSERT INTO bill (community_id, house_id, party_id, payee_id, fee_item_id, bill_run_id,
                      period_from, period_to, due_date, issued_on, due_fen)
    SELECT h.community_id, h.id, l.party_id, 1, s.fee_item_id, %(run)s, %(pf)s, %(pt)s, %(pf)s,
           %(pf)s, round(h.area * s.rate * 100)::bigint
    FROM house h JOIN liability l ON l.house_id = h.id
         AND l.house_id > %(after)s AND l.house_id <= %(upto)s
    JOIN fee_standard s ON s.community_id = h.community_id
    WHERE h.community_id = %(community)s AND h.id > %(after)s AND h.id <= %(upto)s
    RETURNING id, house_id, fee_item_id, due_fen),
new_line AS (
    INSERT INTO bill_line (bill_id, line, standard_id, period_from, period_to, area, rate,
                           surcharge, quantity, months, months_text, fen)
    SELECT b.id, 1, s.id, %(pf)s, %(pt)s, h.area, s.rate, 0, 1, 1, '1', b.due_fen
    FROM new_bill b JOIN house h ON h.id = b.house_id
    JOIN fee_standard s ON s.fee_item_id = b.fee_item_id),
new_journal AS (
    INSERT INTO journal (company_id, source_type, source_key, posted_at)
    VALUES (1, 'floor', %(key)s, now()) RETURNING id)
INSERT INTO posting (journal_id, line, account_id, bill_id, currency, amount)
SELECT j.id, row_number() OVER (), e.account_id, e.bill_id, 'CNY', e.amount
FROM new_journal j, (
    SELECT %(receivable)s::bigint AS account_id, id AS bill_id, due_fen AS amount FROM new_bill
    UNION ALL SELECT %(income)s::bigint, NULL, -sum(due_fen) FROM new_bill) e
"""


def measure(here: Place) -> list[Figure]:
    """Return the bill-run figures: seconds per 100,000 bills and client memory."""
    with psycopg.connect(here.database.owner_url, autocommit=True) as owner:
        for statement in SEED.strip().split(";\n"):
            owner.execute(statement, {"per": HOUSES // 100} if "%(per)s" in statement else None)

    def product(number: int) -> float:
        return issue(here, community=1, start=date(2021, number + 1, 1))

    def floor(number: int) -> float:
        return by_hand(here, community=2, start=date(2021, number + 1, 1))

    values, floors = alternately(product, floor)
    _require_same_rows(here)
    speed = figure(
        id="P3", unit="s/100k", values=values, floors=floors, goal="≤ 2.0 × floor",
        met=lambda ratio: ratio <= 2.0,
    )  # fmt: skip
    return [speed, _memory(here)]


_WRITTEN = """
SELECT count(*), sum(b.due_fen), count(DISTINCT b.party_id), count(DISTINCT b.bill_run_id),
       (SELECT count(*) FROM bill_line l JOIN bill x ON x.id = l.bill_id
        WHERE x.community_id = b.community_id),
       (SELECT sum(l.fen) FROM bill_line l JOIN bill x ON x.id = l.bill_id
        WHERE x.community_id = b.community_id),
       (SELECT count(*) FROM posting p JOIN bill x ON x.id = p.bill_id
        WHERE x.community_id = b.community_id),
       (SELECT sum(p.amount) FROM posting p JOIN bill x ON x.id = p.bill_id
        WHERE x.community_id = b.community_id),
       (SELECT count(*) FROM journal WHERE source_type = %s)
FROM bill b WHERE b.community_id = %s GROUP BY b.community_id
"""


def _require_same_rows(here: Place) -> None:
    """Raise unless product and floor wrote as many bills, lines, postings, journals, and fen."""
    with psycopg.connect(here.database.owner_url) as owner:
        product = owner.execute(_WRITTEN, ("bill_run", 1)).fetchone()
        floor = owner.execute(_WRITTEN, ("floor", 2)).fetchone()
    if product != floor:
        raise RuntimeError(f"not the same rows: {product} against {floor}")


def issue(here: Place, *, community: int, start: date) -> float:
    """Issue one month through the product; return seconds."""
    from backend.usecases.issue_bills import continue_bill_run, start_bill_run

    began = time.perf_counter()
    run = start_bill_run(
        community_id=community, period_from=start, period_to=_next(start), by="bench", company_id=1
    )
    result = continue_bill_run(run)
    assert result.bills == HOUSES, result
    return time.perf_counter() - began


def by_hand(here: Place, *, community: int, start: date) -> float:
    """Write the same rows by hand-written SQL in batches; return seconds."""
    with psycopg.connect(here.database.app_url) as app:
        ids = [
            app.execute(
                "INSERT INTO account (company_id, code) VALUES (1, %s) "
                "ON CONFLICT (company_id, code, currency) DO NOTHING RETURNING id", (code,)
            ).fetchone()
            or app.execute("SELECT id FROM account WHERE code = %s", (code,)).fetchone()
            for code in ("floor:receivable", "floor:income")
        ]  # fmt: skip
        run = app.execute(
            "INSERT INTO bill_run (community_id, period_from, period_to, issue_date, by, "
            "started_at) VALUES (%s, %s, %s, %s, 'floor', now()) RETURNING id",
            (community, start, _next(start), start),
        ).fetchone()[0]
        app.commit()
        edges = [
            row[0]
            for row in app.execute(
                "SELECT max(id) FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / %s AS b "
                "FROM house WHERE community_id = %s) s GROUP BY b ORDER BY 1", (BATCH, community)
            )
        ]  # fmt: skip
        began, after = time.perf_counter(), 0
        for upto in edges:
            app.execute(
                FLOOR,
                {
                    "pf": start, "pt": _next(start), "community": community, "after": after,
                    "upto": upto, "key": f"{start}:{upto}", "receivable": ids[0][0],
                    "income": ids[1][0], "run": run,
                },
            )  # fmt: skip
            app.commit()
            after = upto
        return time.perf_counter() - began


def _next(start: date) -> date:
    return date(start.year + start.month // 12, start.month % 12 + 1, 1)


def _memory(here: Place) -> Figure:
    """Peak memory of a process that runs 100,000 houses, against one that runs 10,000."""
    with psycopg.connect(here.database.owner_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO community (id, company_id, payee_id, code, name) "
            "VALUES (3, 1, 1, 'K3', '小小区')"
        )
        for sql in (
            "INSERT INTO building (community_id, code, name) VALUES (3, '1', '1栋')",
            "INSERT INTO house (community_id, building_id, code, area) SELECT 3, max(b.id), "
            "n::text, 88 FROM building b, generate_series(1, 10000) n GROUP BY n",
            "INSERT INTO liability (house_id, party_id, valid) "
            "SELECT id, (SELECT min(id) FROM party), "
            "daterange('2020-01-01', NULL) FROM house WHERE community_id = 3",
            "INSERT INTO fee_item (community_id, code, name) VALUES (3, 'WY', '物业服务费')",
            "INSERT INTO fee_standard (community_id, fee_item_id, code, version, name, method, "
            "rate, effective, basis, published_at) SELECT 3, id, 'WY', 1, '物业', 'area', 2.15, "
            "daterange('2020-01-01', NULL), '合同', now() FROM fee_item WHERE community_id = 3",
            "INSERT INTO house_fee (community_id, house_id, standard_code, valid) SELECT 3, id, "
            "'WY', daterange('2020-01-01', NULL) FROM house WHERE community_id = 3",
        ):
            owner.execute(sql)
    small = [_peak(community=3, houses=10_000, start=date(2027, n, 1)) for n in (1, 2, 3)]
    large = [_peak(community=1, houses=HOUSES, start=date(2027, n, 1)) for n in (1, 2, 3)]
    return figure(
        id="P3-memory", unit="MB", values=large, floors=small, goal="≤ 1.1 × that of 10,000",
        met=lambda ratio: ratio <= 1.1,
    )  # fmt: skip


def _peak(*, community: int, houses: int, start: date) -> float:
    """Return the peak resident memory (MB) of a fresh process that issues one month.

    VmHWM, not ru_maxrss: the latter outlives exec and would report the bench's own peak.
    """
    code = (
        "from datetime import date; from backend.app import create_app;"
        "from backend.usecases.issue_bills import continue_bill_run, start_bill_run\n"
        "app = create_app()\n"
        "with app.app_context():\n"
        f"    run = start_bill_run(community_id={community}, period_from=date({start.year},"
        f"{start.month},1), period_to=date({_next(start).year},{_next(start).month},1),"
        "by='bench', company_id=1)\n"
        f"    assert continue_bill_run(run).bills == {houses}\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(int(status['VmHWM'].split()[0]) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_root()
    )
    return float(done.stdout.split()[-1])


def _root() -> str:
    from tests.support.product import PROJECT

    return str(PROJECT)
