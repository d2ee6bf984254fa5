"""The statements of a bill run. Amounts: exact numerics, one half-up rounding per line (M1).

Months come as a whole number of parts of a month (`periods.MONTH_PARTS` to the month), so no
share of a month is ever a rounded decimal: fen = round_half_up(price × 100 × parts / MONTH_PARTS).

Every table carries the batch's range of house ids, and nested loops are switched off for these
statements (`BULK_PLAN`): on tables that were empty a moment ago the planner has no statistics and
would otherwise compare every row of a batch with every other.
"""

from sqlalchemy import text

BULK_PLAN = text("SELECT set_config('enable_nestloop', 'off', true)")

NEXT_HOUSES = text(
    """
    SELECT count(*) AS houses, coalesce(max(id), 0) AS last_id FROM (
        SELECT id FROM house WHERE community_id = :community AND id > :after
        ORDER BY id LIMIT :limit) h
    """
)

# Every (house, fee item) of the range that carries a fee in the period and is not billed yet,
# and whether something changes inside the period.
_PAIRS = """
    SELECT hf.house_id, s.fee_item_id,
           bool_or(NOT hf.valid @> daterange(:pf, :pt)
                   OR NOT s.effective @> daterange(:pf, :pt)
                   OR l.house_id IS NULL) AS careful
    FROM house_fee hf
    LEFT JOIN liability l ON l.house_id = hf.house_id AND l.valid @> daterange(:pf, :pt)
         AND l.house_id > :after AND l.house_id <= :upto
    JOIN fee_standard s ON s.community_id = hf.community_id AND s.code = hf.standard_code
         AND s.published_at IS NOT NULL AND s.effective && daterange(:pf, :pt)
         AND s.code = ANY(:codes)
    WHERE hf.community_id = :community AND hf.house_id > :after AND hf.house_id <= :upto
      AND hf.valid && daterange(:pf, :pt)
    GROUP BY hf.house_id, s.fee_item_id
"""

_BILLED = """
    EXISTS (SELECT 1 FROM bill b WHERE b.house_id = {h} AND b.fee_item_id = {f}
            AND b.house_id > :after AND b.house_id <= :upto
            AND b.kind = 'regular' AND NOT b.reversed
            AND b.period_from < :pt AND b.period_to > :pf)
"""

SLOW_PAIRS = text(
    f"""
    WITH pair AS ({_PAIRS})
    SELECT p.house_id, p.fee_item_id, h.area,
        (SELECT jsonb_agg(jsonb_build_object('code', hf.standard_code, 'quantity', hf.quantity,
                'from', lower(hf.valid), 'to', upper(hf.valid)) ORDER BY hf.id)
         FROM house_fee hf WHERE hf.house_id = p.house_id AND hf.valid && daterange(:pf, :pt)
           AND hf.standard_code = ANY(:codes)) AS fees,
        (SELECT jsonb_agg(jsonb_build_object('party', l.party_id, 'from', lower(l.valid),
                'to', upper(l.valid)) ORDER BY l.valid)
         FROM liability l WHERE l.house_id = p.house_id AND l.valid && daterange(:pf, :pt))
           AS holders
    FROM pair p JOIN house h ON h.id = p.house_id
    WHERE p.careful AND NOT {_BILLED.format(h="p.house_id", f="p.fee_item_id")}
    ORDER BY p.house_id, p.fee_item_id
    """
)

FAST_LINES = f"""
    SELECT hf.house_id, l.party_id, s.fee_item_id, s.id AS standard_id,
           CAST(:pf AS date) AS period_from, CAST(:pt AS date) AS period_to,
           CASE WHEN s.method = 'area' THEN h.area END AS area, s.rate, s.surcharge, s.fixed,
           hf.quantity, p.parts::numeric / :month_parts AS months, p.months_text, p.due_date,
           div(2 * (CASE WHEN s.method = 'area' THEN h.area * s.rate + s.surcharge
                         ELSE s.fixed * hf.quantity END) * 100 * p.parts + :month_parts,
               2 * :month_parts)::bigint AS fen
    FROM price p
    JOIN fee_standard s ON s.id = p.standard_id
    JOIN house_fee hf ON hf.community_id = s.community_id AND hf.standard_code = s.code
         AND hf.valid @> daterange(:pf, :pt)
    JOIN house h ON h.id = hf.house_id AND h.id > :after AND h.id <= :upto
    JOIN liability l ON l.house_id = h.id AND l.valid @> daterange(:pf, :pt)
         AND l.house_id > :after AND l.house_id <= :upto
    WHERE hf.house_id > :after AND hf.house_id <= :upto
      AND NOT EXISTS (SELECT 1 FROM slow WHERE slow.house_id = hf.house_id
                      AND slow.fee_item_id = s.fee_item_id)
      AND NOT {_BILLED.format(h="hf.house_id", f="s.fee_item_id")}
"""

WRITE = text(
    f"""
    WITH price AS (
        SELECT * FROM unnest(CAST(:std AS bigint[]), CAST(:parts AS bigint[]),
            CAST(:months_text AS text[]), CAST(:due AS date[]))
            AS p(standard_id, parts, months_text, due_date)),
    slow AS (
        SELECT * FROM unnest(CAST(:slow_house AS bigint[]), CAST(:slow_item AS bigint[]))
            AS s(house_id, fee_item_id)),
    line AS MATERIALIZED (
        {FAST_LINES}
        UNION ALL
        SELECT house_id, party_id, fee_item_id, standard_id, period_from, period_to, area, rate,
               surcharge, fixed, quantity, months, months_text, due_date, fen
        FROM unnest(CAST(:x_house_id AS bigint[]), CAST(:x_party_id AS bigint[]),
            CAST(:x_fee_item_id AS bigint[]), CAST(:x_standard_id AS bigint[]),
            CAST(:x_pf AS date[]), CAST(:x_pt AS date[]), CAST(:x_area AS numeric[]),
            CAST(:x_rate AS numeric[]), CAST(:x_surcharge AS numeric[]),
            CAST(:x_fixed AS numeric[]), CAST(:x_quantity AS bigint[]),
            CAST(:x_months AS numeric[]), CAST(:x_months_text AS text[]),
            CAST(:x_fen AS bigint[]), CAST(:x_due AS date[]))
            AS x(house_id, party_id, fee_item_id, standard_id, period_from, period_to, area, rate,
                 surcharge, fixed, quantity, months, months_text, fen, due_date)),
    new_bill AS (
        INSERT INTO bill (community_id, house_id, party_id, payee_id, fee_item_id, bill_run_id,
                          period_from, period_to, due_date, issued_on, due_fen)
        SELECT :community, house_id, party_id, :payee, fee_item_id, :run,
               min(period_from), max(period_to), max(due_date), :issued, sum(fen)
        FROM line GROUP BY house_id, party_id, fee_item_id
        RETURNING id, house_id, party_id, fee_item_id, due_fen),
    new_line AS (
        INSERT INTO bill_line (bill_id, line, standard_id, period_from, period_to, area, rate,
                               surcharge, fixed, quantity, months, months_text, fen)
        SELECT b.id, row_number() OVER (PARTITION BY b.id ORDER BY l.period_from, l.standard_id),
               l.standard_id, l.period_from, l.period_to, l.area, l.rate, l.surcharge, l.fixed,
               l.quantity, l.months, l.months_text, l.fen
        FROM line l JOIN new_bill b USING (house_id, party_id, fee_item_id)),
    new_journal AS (
        INSERT INTO journal (company_id, source_type, source_key, posted_at)
        SELECT :company, 'bill_run', :batch, :at
        WHERE EXISTS (SELECT 1 FROM new_bill WHERE due_fen <> 0)
        RETURNING id),
    posted AS (
        INSERT INTO posting (journal_id, line, account_id, bill_id, currency, amount)
        SELECT j.id, row_number() OVER (), e.account_id, e.bill_id, 'CNY', e.amount
        FROM new_journal j, (
            SELECT :receivable AS account_id, id AS bill_id, due_fen AS amount
            FROM new_bill WHERE due_fen <> 0
            UNION ALL
            SELECT a.account_id, NULL, -sum(b.due_fen) FROM new_bill b
            JOIN unnest(CAST(:income_item AS bigint[]), CAST(:income_account AS bigint[]))
                 AS a(fee_item_id, account_id) USING (fee_item_id)
            GROUP BY a.account_id HAVING sum(b.due_fen) <> 0) e),
    to_credit AS (
        UPDATE house_account SET credit_pending = true WHERE house_id IN (
            SELECT split_part(a.code, ':', 2)::bigint FROM account a
            WHERE a.company_id = :company AND a.balance > 0 AND a.code ~ '^credit:'
              AND split_part(a.code, ':', 2)::bigint IN (SELECT house_id FROM new_bill)))
    SELECT count(*) AS bills, coalesce(sum(due_fen), 0)::bigint AS total_fen FROM new_bill
    """
)

COUNT_UNBILLABLE = text(
    f"""
    WITH pair AS ({_PAIRS.replace(":after", "0").replace(":upto", "9223372036854775807")})
    SELECT h.code, '没有应缴费的当事人' AS reason FROM pair p JOIN house h ON h.id = p.house_id
    WHERE NOT EXISTS (SELECT 1 FROM liability l WHERE l.house_id = p.house_id
                      AND l.valid && daterange(:pf, :pt))
    GROUP BY h.code ORDER BY h.code LIMIT 50
    """
)
