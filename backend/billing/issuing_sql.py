"""The statements of a bill run. Amounts: exact numerics, one half-up rounding per line (M1).

Months come as a whole number of parts of a month (`periods.MONTH_PARTS` to the month), so no
share of a month is ever a rounded decimal: fen = round_half_up(price × 100 × parts / MONTH_PARTS).

A batch is one statement: it finds what every house of the range carries, writes bills, lines and
one journal for all that is plain, and names the (house, fee item) pairs that need care. Those are
few; they are read by their ids, worked out by the pure rules and written by the second statement.

Every table carries the batch's range of house ids, and nested loops and whole-table scans are
switched off for these statements (`BULK_PLAN`): on tables that were empty a moment ago the planner
has no statistics and would compare every row of a batch with every other, and on large ones it
would read a whole table for each batch of five thousand houses.
"""

from sqlalchemy import text

BULK_PLAN = text(
    "SELECT set_config('enable_nestloop', 'off', true), set_config('enable_seqscan', 'off', true)"
)

NEXT_HOUSES = text(
    """
    SELECT count(*) AS houses, coalesce(max(id), 0) AS last_id FROM (
        SELECT id FROM house WHERE community_id = :community AND id > :after
        ORDER BY id LIMIT :limit) h
    """
)

# A GiST index compares a bigint with a bigint only, hence the casts.
_IN_RANGE = "{0} > CAST(:after AS bigint) AND {0} <= CAST(:upto AS bigint)"
_PERIOD = "daterange(CAST(:pf AS date), CAST(:pt AS date))"

# What the houses of the range carry in the period and is not billed yet. `careful`: something
# changes inside the period (a tariff, a fee, a hand-over), nobody is liable for all of it, or the
# price is a rebate.
_PARTS = f"""
    SELECT hf.house_id, l.party_id, s.fee_item_id, s.id AS standard_id,
           CASE WHEN s.method = 'area' THEN h.area END AS area, s.rate, s.surcharge, s.fixed,
           hf.quantity, p.parts::numeric / :month_parts AS months, p.months_text, p.due_date,
           div(2 * (CASE WHEN s.method = 'area' THEN h.area * s.rate + s.surcharge
                         ELSE s.fixed * hf.quantity END) * 100 * p.parts + :month_parts,
               2 * :month_parts)::bigint AS fen,
           NOT p.whole OR NOT hf.valid @> {_PERIOD} OR l.house_id IS NULL
           OR CASE WHEN s.method = 'area' THEN h.area * s.rate + s.surcharge ELSE s.fixed END < 0
           AS careful
    FROM price p
    JOIN fee_standard s ON s.id = p.standard_id
    JOIN house_fee hf ON hf.standard_code = s.code AND hf.valid && {_PERIOD}
         AND {_IN_RANGE.format("hf.house_id")}
    JOIN house h ON h.id = hf.house_id AND h.community_id = :community
         AND {_IN_RANGE.format("h.id")}
    LEFT JOIN liability l ON l.house_id = hf.house_id AND l.valid @> {_PERIOD}
         AND {_IN_RANGE.format("l.house_id")}
    WHERE NOT EXISTS (
        SELECT 1 FROM bill b WHERE b.house_id = hf.house_id AND b.fee_item_id = s.fee_item_id
        AND {_IN_RANGE.format("b.house_id")} AND b.kind = 'regular' AND NOT b.reversed
        AND b.period_from < :pt AND b.period_to > :pf)
"""

# Houses are locked in id order (design 4.4): all that the batch touches by the first statement.
_WRITE = """
    new_bill AS (
        INSERT INTO bill (community_id, house_id, party_id, payee_id, fee_item_id, bill_run_id,
                          period_from, period_to, due_date, issued_on, due_fen)
        SELECT :community, house_id, party_id, :payee, fee_item_id, :run,
               min(period_from), max(period_to), max(due_date), :issued, greatest(sum(fen), 0)
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
    with_credit AS MATERIALIZED (
        SELECT h.house_id FROM house_account h
        WHERE h.house_id = ANY(ARRAY({touched}))
          AND ({rebate} OR (
               SELECT true FROM account a WHERE a.company_id = :company AND a.balance > 0
               AND a.code > 'credit:' || h.house_id || ':'  -- one short index range per house
               AND a.code < 'credit:' || h.house_id || ';' LIMIT 1))
        ORDER BY h.house_id FOR UPDATE),
    to_credit AS (
        UPDATE house_account h SET credit_pending = true
        WHERE h.house_id = ANY(ARRAY(SELECT house_id FROM with_credit)))
    SELECT count(*) AS bills, coalesce(sum(due_fen), 0)::bigint AS total_fen
"""

WRITE_PLAIN = text(
    f"""
    WITH price AS (
        SELECT * FROM unnest(CAST(:std AS bigint[]), CAST(:parts AS bigint[]),
            CAST(:months_text AS text[]), CAST(:due AS date[]), CAST(:whole AS boolean[]))
            AS p(standard_id, parts, months_text, due_date, whole)),
    part AS MATERIALIZED ({_PARTS}),
    careful AS MATERIALIZED (SELECT DISTINCT house_id, fee_item_id FROM part WHERE careful),
    line AS MATERIALIZED (
        SELECT p.*, CAST(:pf AS date) AS period_from, CAST(:pt AS date) AS period_to FROM part p
        WHERE NOT EXISTS (SELECT 1 FROM careful c WHERE c.house_id = p.house_id
                          AND c.fee_item_id = p.fee_item_id)),
    {
        _WRITE.format(
            touched="SELECT house_id FROM new_bill UNION SELECT house_id FROM careful",
            rebate="h.house_id = ANY(ARRAY(SELECT house_id FROM part WHERE fen < 0))",
        )
    },
        (SELECT array_agg(house_id ORDER BY house_id, fee_item_id) FROM careful) AS careful_houses,
        (SELECT array_agg(fee_item_id ORDER BY house_id, fee_item_id) FROM careful)
            AS careful_items
    FROM new_bill
    """
)

# What the careful way needs to know of its pairs.
CAREFUL_PAIRS = text(
    f"""
    SELECT p.house_id, p.fee_item_id, h.area,
        (SELECT jsonb_agg(jsonb_build_object('code', hf.standard_code, 'quantity', hf.quantity,
                'from', lower(hf.valid), 'to', upper(hf.valid)) ORDER BY hf.id)
         FROM house_fee hf WHERE hf.house_id = p.house_id AND hf.valid && {_PERIOD}
           AND hf.standard_code = ANY(:codes)) AS fees,
        (SELECT jsonb_agg(jsonb_build_object('party', l.party_id, 'from', lower(l.valid),
                'to', upper(l.valid)) ORDER BY l.valid)
         FROM liability l WHERE l.house_id = p.house_id AND l.valid && {_PERIOD}) AS holders
    FROM unnest(CAST(:houses AS bigint[]), CAST(:items AS bigint[])) AS p(house_id, fee_item_id)
    JOIN house h ON h.id = p.house_id AND h.id = ANY(:houses)
    ORDER BY p.house_id, p.fee_item_id
    """
)

WRITE_CAREFUL = text(
    f"""
    WITH line AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:x_house_id AS bigint[]), CAST(:x_party_id AS bigint[]),
            CAST(:x_fee_item_id AS bigint[]), CAST(:x_standard_id AS bigint[]),
            CAST(:x_pf AS date[]), CAST(:x_pt AS date[]), CAST(:x_area AS numeric[]),
            CAST(:x_rate AS numeric[]), CAST(:x_surcharge AS numeric[]),
            CAST(:x_fixed AS numeric[]), CAST(:x_quantity AS bigint[]),
            CAST(:x_months AS numeric[]), CAST(:x_months_text AS text[]),
            CAST(:x_fen AS bigint[]), CAST(:x_due AS date[]))
            AS x(house_id, party_id, fee_item_id, standard_id, period_from, period_to, area, rate,
                 surcharge, fixed, quantity, months, months_text, fen, due_date)),
    {_WRITE.format(touched="SELECT house_id FROM new_bill", rebate="false")}
    FROM new_bill
    """
)

COUNT_UNBILLABLE = text(
    f"""
    SELECT h.code, '没有应缴费的当事人' AS reason FROM house h
    WHERE h.community_id = :community
      AND EXISTS (SELECT 1 FROM house_fee hf WHERE hf.house_id = h.id AND hf.valid && {_PERIOD}
                  AND hf.standard_code = ANY(:codes))
      AND NOT EXISTS (SELECT 1 FROM liability l WHERE l.house_id = h.id AND l.valid && {_PERIOD})
    ORDER BY h.code LIMIT 50
    """
)

# Bills of the run that came to less than nothing: they ask 0, the rest is credit (A08).
NEGATIVE_BILLS = text(
    """
    SELECT b.id, b.house_id, b.party_id, f.code AS item, -sum(l.fen)::bigint AS fen
    FROM bill b JOIN bill_line l ON l.bill_id = b.id JOIN fee_item f ON f.id = b.fee_item_id
    WHERE b.bill_run_id = :run AND b.due_fen = 0 AND b.house_id = ANY(:houses)
      AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.company_id = :company
                      AND j.source_type = 'bill_credit' AND j.source_key = b.id::text)
    GROUP BY b.id, f.code HAVING sum(l.fen) < 0 ORDER BY b.id
    """
)
