-- The writer appends and can do nothing else; the projector reads the log and
-- keeps what is derived from it; the auditor reads what is evidence, and keeps the
-- tiles of the tree. Run at every start: roles belong to the cluster
-- and grants on the database to neither a dump nor a template, so any of them may
-- be there or missing. Where the user may not make or grant them, sessions act
-- as the user and the triggers alone keep the log.
DO $$
DECLARE
    r text;
    here text := current_database();
    -- From 16 on, who makes a role is a member that may not act as it.
    take text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    statement text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('daybook grants'));
    FOREACH r IN ARRAY ARRAY['daybook_writer', 'daybook_projector', 'daybook_auditor'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', r);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL; -- made by another database's start just now
            WHEN insufficient_privilege THEN RAISE NOTICE 'role % may not be made', r;
        END;
        BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = r) AND NOT pg_has_role(r, take) THEN
                EXECUTE format('GRANT %I TO %I', r, current_user);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN RAISE NOTICE 'role % may not be taken', r;
        END;
    END LOOP;
    IF (SELECT count(*) FROM pg_roles WHERE rolname IN ('daybook_writer', 'daybook_projector', 'daybook_auditor')) < 3 THEN
        RETURN;
    END IF;
    IF NOT (has_table_privilege('daybook_writer', 'log', 'SELECT') AND has_table_privilege('daybook_writer', 'log', 'INSERT')
        AND has_table_privilege('daybook_writer', 'delivery', 'SELECT') AND has_table_privilege('daybook_writer', 'delivery', 'INSERT')
        AND has_table_privilege('daybook_writer', 'delivery_scope', 'SELECT') AND has_table_privilege('daybook_writer', 'delivery_scope', 'INSERT')
        AND has_table_privilege('daybook_writer', 'head', 'UPDATE')
        AND has_table_privilege('daybook_projector', 'log', 'SELECT') AND has_table_privilege('daybook_projector', 'delivery', 'SELECT')
        AND has_table_privilege('daybook_projector', 'head', 'SELECT')
        AND has_table_privilege('daybook_projector', 'cursor', 'DELETE') AND has_table_privilege('daybook_projector', 'projection', 'DELETE')
        AND has_table_privilege('daybook_writer', 'data_key', 'INSERT') AND has_table_privilege('daybook_projector', 'data_key', 'SELECT')
        AND has_table_privilege('daybook_auditor', 'tile', 'INSERT')) THEN
        GRANT USAGE ON SCHEMA public TO daybook_writer, daybook_projector, daybook_auditor;
        GRANT SELECT, INSERT ON log, delivery, delivery_scope, data_key TO daybook_writer;
        GRANT SELECT, UPDATE ON head TO daybook_writer;
        GRANT SELECT ON log, delivery, delivery_scope, head, data_key, key_epoch, book, tile TO daybook_projector;
        GRANT SELECT ON key_epoch, book, tile TO daybook_writer;
        GRANT SELECT ON log, delivery, delivery_scope, head, book TO daybook_auditor;
        GRANT SELECT, INSERT ON tile TO daybook_auditor;
        GRANT SELECT, INSERT, UPDATE, DELETE ON cursor, projection TO daybook_projector;
    END IF;
    IF NOT has_database_privilege('daybook_projector', here, 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO daybook_projector', here);
    END IF;
    -- Tables that were made while the role could not be taken, or restored without
    -- owners, become its own.
    IF pg_has_role('daybook_projector', take) THEN
        FOR statement IN
            SELECT format('ALTER SCHEMA %I OWNER TO daybook_projector', n.nspname)
            FROM pg_namespace n
            WHERE obj_description(n.oid, 'pg_namespace') LIKE 'tables of a daybook projection%'
            AND pg_get_userbyid(n.nspowner) <> 'daybook_projector'
            UNION ALL
            SELECT format('ALTER TABLE %I.%I OWNER TO daybook_projector', t.schemaname, t.tablename)
            FROM pg_tables t JOIN pg_namespace n ON n.nspname = t.schemaname
            WHERE obj_description(n.oid, 'pg_namespace') LIKE 'tables of a daybook projection%'
            AND t.tableowner <> 'daybook_projector'
        LOOP
            BEGIN
                EXECUTE statement;
            EXCEPTION
                WHEN insufficient_privilege THEN RAISE NOTICE '% is refused', statement;
            END;
        END LOOP;
    END IF;
END
$$
