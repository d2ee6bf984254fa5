CREATE SCHEMA check_v1;

CREATE VIEW check_v1.bills AS
SELECT b.id, b.community_id, b.house_id, h.code AS house_code, b.party_id,
       f.code AS fee_item, b.period_from, b.period_to, b.due_date, b.due_fen, b.paid_fen,
       b.waived_fen, b.credited_fen, b.open_fen, b.late_fee_posted_fen, b.late_fee_paid_fen,
       b.late_fee_waived_fen, b.state, b.revision, b.kind, b.issued_on
FROM bill b JOIN house h ON h.id = b.house_id JOIN fee_item f ON f.id = b.fee_item_id;

CREATE VIEW check_v1.payment_orders AS
SELECT o.out_trade_no, o.channel, m.name AS merchant, o.state, o.amount_fen, o.channel_txn,
       (SELECT array_agg(ob.bill_id ORDER BY ob.bill_id) FROM order_bill ob
        WHERE ob.order_id = o.id) AS bill_ids,
       o.created_at, o.settled_at, o.paid_at, o.payer
FROM payment_order o JOIN merchant m ON m.id = o.merchant_id;

CREATE VIEW check_v1.refunds AS
SELECT r.out_refund_no, o.out_trade_no, r.channel, r.state, r.amount_fen
FROM refund r JOIN payment_order o ON o.id = r.order_id;

CREATE VIEW check_v1.inbox AS
SELECT i.channel, i.event_key, i.received_at, coalesce(c.state, 'received') AS state,
       i.kind, i.out_trade_no, c.reason
FROM inbox i LEFT JOIN inbox_outcome c ON c.inbox_id = i.id;

CREATE VIEW check_v1.journals AS
SELECT id, source_type, source_key, posted_at, reverses, company_id FROM journal;

CREATE VIEW check_v1.postings AS
SELECT p.journal_id, p.line, a.code AS account, p.bill_id, p.currency, p.amount
FROM posting p JOIN account a ON a.id = p.account_id;

CREATE VIEW check_v1.points AS
SELECT coalesce(a.party_id, s.party_id) AS party_id, coalesce(a.balance, 0) AS balance,
       coalesce(s.points, 0) AS shortage
FROM (SELECT substr(code, 8)::bigint AS party_id, balance FROM account
      WHERE currency = 'PT' AND code LIKE 'points:%') a
FULL JOIN points_shortage s ON s.party_id = a.party_id;

CREATE VIEW check_v1.messages AS
SELECT m.id, m.house_id,
       (SELECT array_agg(mb.bill_id ORDER BY mb.bill_id) FROM message_bill mb
        WHERE mb.message_id = m.id) AS bill_ids,
       m.stage, m.channel, m.window_key, m.kind, m.state, m.out_id, m.vendor_id,
       m.begun_at, m.ended_at, m.event, m.reason_code, m.party_id
FROM message m;

CREATE VIEW check_v1.contacts AS
SELECT id, house_id, party_id, steward_id, kind, result, at FROM contact;

CREATE VIEW check_v1.permits AS
SELECT id, subject_type, subject_id, decision, reason_code, at, house_id, party_id, rule_set
FROM permit;

CREATE VIEW check_v1.audit AS
SELECT s.seq, e.at, e.actor, e.action, e.object, s.prev_hash, s.hash
FROM audit_seal s JOIN audit_event e ON e.id = s.event_id;
