"""The permit's questions in SQL: holds, asked of all bills at once, and money on its way.

`EXISTS (… bill OR house OR party …)` cannot be hashed, so the planner would read all holds for
each of a hundred thousand bills. One test per scope can: bill, house (with or without a party),
party everywhere, everybody.
"""

from sqlalchemy import text

BULK_PLAN = text("SELECT set_config('enable_nestloop', 'off', true)")
"""Freshly filled tables have no statistics: keep the planner from comparing all rows with all."""

PAYING = """EXISTS (
    SELECT 1 FROM order_bill ob JOIN payment_order o ON o.id = ob.order_id
    LEFT JOIN inbox_pending ip ON ip.out_trade_no = o.out_trade_no
    WHERE ob.bill_id = b.id
      AND (o.state IN ('created','pending','unknown','closing')
           OR (o.state = 'closed' AND o.next_query_at IS NOT NULL)
           OR ip.inbox_id IS NOT NULL))"""
"""True for a bill `b` whose payment may be on its way: an order that lives or is still asked
about, a notice that waits to be judged."""

HOLDS_IN_FORCE = """
    in_force AS MATERIALIZED (
        SELECT bill_id, house_id, party_id FROM hold
        WHERE lifted_at IS NULL AND from_day <= :today
          AND (until_day IS NULL OR until_day > :today))
"""
"""A CTE of the holds in force on :today."""

NOT_HELD = """
    NOT EXISTS (SELECT 1 FROM in_force h WHERE h.bill_id = b.id)
    AND NOT EXISTS (SELECT 1 FROM in_force h WHERE h.bill_id IS NULL
                    AND h.house_id = b.house_id AND h.party_id IS NULL)
    AND NOT EXISTS (SELECT 1 FROM in_force h WHERE h.bill_id IS NULL
                    AND h.house_id = b.house_id AND h.party_id = b.party_id)
    AND NOT EXISTS (SELECT 1 FROM in_force h WHERE h.bill_id IS NULL
                    AND h.house_id IS NULL AND h.party_id = b.party_id)
    AND NOT EXISTS (SELECT 1 FROM in_force h WHERE h.bill_id IS NULL
                    AND h.house_id IS NULL AND h.party_id IS NULL)
"""
"""True for a bill `b` that no hold of `in_force` covers."""
