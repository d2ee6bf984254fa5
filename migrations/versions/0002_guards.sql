-- ---------------------------------------------------------------- append-only tables
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['journal','posting','audit_event','audit_seal','inbox',
        'inbox_outcome','permit','order_event','contact','contact_log','delivery_receipt',
        'principal_event','points_entry','bill_line']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION refuse_change()', t);
    END LOOP;
END $$;

-- ---------------------------------------------------------------- ledger
CREATE FUNCTION ledger_check() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE bad bigint;
BEGIN
    SELECT journal_id INTO bad FROM new_rows
    GROUP BY journal_id, currency HAVING sum(amount) <> 0 OR count(*) < 2 LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'journal % does not balance', bad USING ERRCODE = 'check_violation';
    END IF;
    SELECT n.journal_id INTO bad FROM (
        SELECT journal_id, count(*) AS lines, max(line) AS top FROM new_rows GROUP BY journal_id) n
    WHERE n.lines <> (SELECT count(*) FROM posting p WHERE p.journal_id = n.journal_id) LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'journal % is closed: no later line', bad
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT n.journal_id INTO bad FROM new_rows n
    JOIN account a ON a.id = n.account_id JOIN journal j ON j.id = n.journal_id
    WHERE a.currency <> n.currency OR a.company_id <> j.company_id LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'journal % uses a foreign account or currency', bad
            USING ERRCODE = 'check_violation';
    END IF;
    UPDATE account a SET balance = a.balance + a.sign * n.total
    FROM (SELECT account_id, sum(amount) AS total FROM new_rows GROUP BY account_id) n
    WHERE a.id = n.account_id AND a.min_balance IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_check AFTER INSERT ON posting
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION ledger_check();

CREATE FUNCTION journal_has_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM posting WHERE journal_id = NEW.id) THEN
        RAISE EXCEPTION 'journal % has no lines', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER journal_has_lines AFTER INSERT ON journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION journal_has_lines();

CREATE FUNCTION account_fresh() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.balance <> 0 THEN
        RAISE EXCEPTION 'an account opens at zero' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_fresh BEFORE INSERT ON account
    FOR EACH ROW EXECUTE FUNCTION account_fresh();

-- ---------------------------------------------------------------- fee standards and bills
CREATE FUNCTION fee_standard_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.published_at IS NOT NULL AND (
        (to_jsonb(NEW) - 'effective') <> (to_jsonb(OLD) - 'effective')
        OR lower(NEW.effective) <> lower(OLD.effective)
        OR NOT (OLD.effective @> NEW.effective)) THEN
        RAISE EXCEPTION 'a published fee standard can only end earlier'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fee_standard_frozen BEFORE UPDATE ON fee_standard
    FOR EACH ROW EXECUTE FUNCTION fee_standard_frozen();

CREATE FUNCTION bill_line_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT standard_id FROM new_rows) n
               JOIN fee_standard s ON s.id = n.standard_id WHERE s.published_at IS NULL) THEN
        RAISE EXCEPTION 'bill line without a published fee standard (C43)'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bill_line_published AFTER INSERT ON bill_line
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bill_line_published();

CREATE FUNCTION bill_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.community_id, NEW.house_id, NEW.party_id, NEW.payee_id, NEW.fee_item_id, NEW.kind,
        NEW.source_key, NEW.revision, NEW.period_from, NEW.period_to, NEW.due_fen, NEW.issued_on)
       IS DISTINCT FROM
       (OLD.community_id, OLD.house_id, OLD.party_id, OLD.payee_id, OLD.fee_item_id, OLD.kind,
        OLD.source_key, OLD.revision, OLD.period_from, OLD.period_to, OLD.due_fen, OLD.issued_on)
    THEN
        RAISE EXCEPTION 'an issued bill is corrected by reversal, never changed'
            USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.reversed AND NOT NEW.reversed THEN
        RAISE EXCEPTION 'a reversed bill stays reversed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bill_frozen BEFORE UPDATE ON bill FOR EACH ROW EXECUTE FUNCTION bill_frozen();

-- ---------------------------------------------------------------- payment orders
INSERT INTO pay_edge (from_state, to_state) VALUES
    ('created','pending'), ('created','unknown'), ('created','succeeded'), ('created','closing'),
    ('pending','unknown'), ('pending','succeeded'), ('pending','closing'),
    ('unknown','pending'), ('unknown','succeeded'), ('unknown','closing'),
    ('closing','closed'), ('closing','succeeded'),
    ('closed','succeeded_late');

CREATE FUNCTION payment_order_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'created' THEN
            RAISE EXCEPTION 'an order begins as created' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.out_trade_no, NEW.community_id, NEW.house_id, NEW.party_id, NEW.merchant_id,
        NEW.channel, NEW.payer, NEW.amount_fen, NEW.created_at) IS DISTINCT FROM
       (OLD.out_trade_no, OLD.community_id, OLD.house_id, OLD.party_id, OLD.merchant_id,
        OLD.channel, OLD.payer, OLD.amount_fen, OLD.created_at)
       OR (OLD.channel_txn IS NOT NULL AND NEW.channel_txn IS DISTINCT FROM OLD.channel_txn) THEN
        RAISE EXCEPTION 'an order keeps its number, payer and amount'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state THEN
        IF NOT EXISTS (SELECT 1 FROM pay_edge
                       WHERE from_state = OLD.state AND to_state = NEW.state) THEN
            RAISE EXCEPTION 'order % cannot move from % to %', OLD.out_trade_no, OLD.state,
                NEW.state USING ERRCODE = 'check_violation';
        END IF;
        NEW.version := OLD.version + 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payment_order_guard BEFORE INSERT OR UPDATE ON payment_order
    FOR EACH ROW EXECUTE FUNCTION payment_order_guard();

CREATE FUNCTION payment_order_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO order_event (order_id, from_state, to_state) VALUES (NEW.id, NULL, NEW.state);
    ELSIF NEW.state <> OLD.state THEN
        INSERT INTO order_event (order_id, from_state, to_state)
        VALUES (NEW.id, OLD.state, NEW.state);
        IF NEW.state IN ('closed','succeeded','succeeded_late') THEN
            UPDATE order_bill SET live = false WHERE order_id = NEW.id AND live;
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payment_order_history AFTER INSERT OR UPDATE ON payment_order
    FOR EACH ROW EXECUTE FUNCTION payment_order_history();

-- ---------------------------------------------------------------- inbox and audit markers
CREATE FUNCTION inbox_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_pending (inbox_id, out_trade_no, not_before)
    VALUES (NEW.id, NEW.out_trade_no, NEW.received_at);
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_mark AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION inbox_mark();

CREATE FUNCTION inbox_judged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM inbox_pending WHERE inbox_id = NEW.inbox_id;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_judged AFTER INSERT ON inbox_outcome
    FOR EACH ROW EXECUTE FUNCTION inbox_judged();

CREATE FUNCTION audit_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending (event_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_mark AFTER INSERT ON audit_event
    FOR EACH ROW EXECUTE FUNCTION audit_mark();

-- ---------------------------------------------------------------- messages
CREATE FUNCTION message_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'planned' AND NEW.state IN ('calling','suppressed','failed'))
        OR (OLD.state = 'calling'
            AND NEW.state IN ('accepted','delivered','failed','suppressed','in_doubt','planned'))
        OR (OLD.state = 'in_doubt' AND NEW.state IN ('accepted','delivered','failed'))
        OR (OLD.state = 'accepted' AND NEW.state IN ('delivered','failed'))) THEN
        RAISE EXCEPTION 'message % cannot move from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER message_guard BEFORE UPDATE ON message
    FOR EACH ROW EXECUTE FUNCTION message_guard();

CREATE FUNCTION message_free_bills() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NEW.state IN ('failed','suppressed') THEN
        UPDATE message_bill SET live = false WHERE message_id = NEW.id AND live;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_free_bills AFTER UPDATE ON message
    FOR EACH ROW EXECUTE FUNCTION message_free_bills();

CREATE FUNCTION refund_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.out_refund_no, NEW.order_id, NEW.amount_fen) IS DISTINCT FROM
       (OLD.out_refund_no, OLD.order_id, OLD.amount_fen) THEN
        RAISE EXCEPTION 'a refund keeps its number and amount' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state AND OLD.state IN ('succeeded','closed','rejected') THEN
        RAISE EXCEPTION 'refund % is final', OLD.out_refund_no USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refund_guard BEFORE UPDATE ON refund FOR EACH ROW EXECUTE FUNCTION refund_guard();

INSERT INTO business_clock (id, offset_seconds) VALUES (1, 0);
-- One-year LPR as published; an administrator keeps the table. Before the first row nothing may
-- be charged (A30).
INSERT INTO lpr_rate (effective_from, annual, source) VALUES
    ('2023-08-21', 0.0345, '全国银行间同业拆借中心 2023-08-21'),
    ('2024-07-22', 0.0335, '全国银行间同业拆借中心 2024-07-22'),
    ('2024-10-21', 0.0310, '全国银行间同业拆借中心 2024-10-21'),
    ('2025-05-20', 0.0300, '全国银行间同业拆借中心 2025-05-20');
