GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};
REVOKE UPDATE, DELETE, TRUNCATE ON
    journal, posting, account, audit_event, audit_seal, inbox, inbox_outcome, permit, order_event,
    contact, contact_log, delivery_receipt, principal_event, points_entry
FROM {role};
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON pay_edge, alembic_version FROM {role};
REVOKE DELETE, TRUNCATE ON
    bill, bill_line, payment_order, order_bill, refund, receipt, message, message_bill, hold, promise,
    schedule_run, fee_standard, late_fee_terms
FROM {role};
REVOKE UPDATE ON bill_line FROM {role};
GRANT USAGE ON SCHEMA check_v1 TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA check_v1 TO {role};
