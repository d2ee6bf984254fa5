-- Installed in every test database after the migrations; jiaoqing_test.clean() brings the data
-- back to what the migrations left, in one round trip.
CREATE SCHEMA jiaoqing_test;
CREATE TABLE jiaoqing_test.seed (relation oid PRIMARY KEY, copy text, columns text);

CREATE VIEW jiaoqing_test.relations AS
    SELECT c.oid, c.oid::regclass AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relname <> 'alembic_version' AND n.nspname NOT LIKE 'pg\_%'
      AND n.nspname NOT IN ('jiaoqing_test', 'information_schema');

-- What the migrations put in (reference rows) is remembered and put back when a test changed it.
DO $$
DECLARE t record; filled boolean; copy text;
BEGIN
    FOR t IN SELECT * FROM jiaoqing_test.relations LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', t.name) INTO filled;
        IF filled THEN
            copy := format('jiaoqing_test.seed_%s', t.oid);
            EXECUTE format('CREATE TABLE %s AS TABLE %s', copy, t.name);
            INSERT INTO jiaoqing_test.seed
                SELECT t.oid, copy, string_agg(quote_ident(attname), ', ' ORDER BY attnum)
                FROM pg_attribute
                WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
        END IF;
    END LOOP;
END $$;

-- Every table counts from its own number, so that a mixed-up id cannot match by luck.
CREATE TABLE jiaoqing_test.sequence AS
    SELECT s.seqrelid AS relation,
           CASE WHEN pg_sequence_last_value(s.seqrelid) IS NOT NULL
                THEN pg_sequence_last_value(s.seqrelid) + s.seqincrement
                WHEN d.objid IS NULL THEN s.seqstart
                ELSE least(1000 + abs(hashtext(d.refobjid::regclass::text)::bigint) % 900000,
                           s.seqmax / 2) END AS first
    FROM pg_sequence s
    LEFT JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
                         AND d.classid = 'pg_class'::regclass
                         AND d.refclassid = 'pg_class'::regclass;
SELECT setval(relation::regclass, first, false) FROM jiaoqing_test.sequence;

-- The role of a replica: append-only triggers and foreign keys stay silent for the sweep.
CREATE FUNCTION jiaoqing_test.clean() RETURNS void LANGUAGE plpgsql
SET session_replication_role = replica SET lock_timeout = '5s' AS $$
DECLARE t record; changed boolean; large text[] := '{}';
BEGIN
    -- A transaction that a test forgot would keep its locks and might commit later.
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%'
      AND pid <> pg_backend_pid();
    FOR t IN SELECT name, pg_relation_size(oid) AS size FROM jiaoqing_test.relations
             WHERE pg_relation_size(oid) > 0
               AND oid NOT IN (SELECT relation FROM jiaoqing_test.seed)
    LOOP
        IF t.size > 262144 THEN
            large := large || t.name::text;
        ELSE
            EXECUTE format('DELETE FROM %s', t.name);
        END IF;
    END LOOP;
    IF large <> '{}' THEN
        EXECUTE format('TRUNCATE %s CASCADE', array_to_string(large, ', '));
    END IF;
    FOR t IN SELECT relation::regclass AS name, copy, columns FROM jiaoqing_test.seed LOOP
        EXECUTE format(
            'SELECT EXISTS ((SELECT a::text FROM %1$s a EXCEPT ALL SELECT b::text FROM %2$s b)
             UNION ALL (SELECT b::text FROM %2$s b EXCEPT ALL SELECT a::text FROM %1$s a))',
            t.name, t.copy) INTO changed;
        IF changed THEN
            EXECUTE format('DELETE FROM %s', t.name);
            EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s',
                           t.name, t.columns, t.columns, t.copy);
        END IF;
    END LOOP;
    PERFORM setval(relation::regclass, first, false) FROM jiaoqing_test.sequence
    WHERE pg_sequence_last_value(relation) IS NOT NULL;
END $$;
