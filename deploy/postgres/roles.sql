-- Who may do what in the ledger. Run it in the ledger's database as a superuser (or as the database's owner with CREATEROLE):
-- once before `mfa-migrate ledger prepare`, once after it, and again after every upgrade. Running it twice changes nothing.
--
--     psql -X -v ON_ERROR_STOP=1 -1 -d moves -f roles.sql
--
-- No password is set here. Give each login its own, typed and never on a command line:  \password mfa_worker
-- or let it come in with a client certificate. In the URL: postgres://mfa_worker:…@db.example/moves
--
-- | login           | for                                                | may                                          |
-- | mfa_owner       | `ledger prepare`, at the start and at upgrades     | change the schema; nothing runs as it        |
-- | mfa_coordinator | `serve coordinator`                                | write rows; never a line of the past         |
-- | mfa_worker      | `serve worker`                                     | the same, and no batch, snapshot or record   |
-- | mfa_operator    | the operators' verbs                               | write rows, and forget; never the past       |
-- | mfa_reader      | status, report, show, batch list and show, check   | look                                         |

DO $$
DECLARE
    login text;
BEGIN
    FOREACH login IN ARRAY ARRAY['mfa_owner', 'mfa_coordinator', 'mfa_worker', 'mfa_operator', 'mfa_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT', login);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), login);
    END LOOP;
    -- Nobody else comes in, and only who matches users makes temporary tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO mfa_coordinator, mfa_operator', current_database());
END
$$;

CREATE SCHEMA IF NOT EXISTS mfa_migrate;
ALTER SCHEMA mfa_migrate OWNER TO mfa_owner;
REVOKE ALL ON SCHEMA mfa_migrate FROM PUBLIC;
GRANT USAGE ON SCHEMA mfa_migrate TO mfa_coordinator, mfa_worker, mfa_operator, mfa_reader;

-- What is there, and what a later version brings.
GRANT SELECT ON ALL TABLES IN SCHEMA mfa_migrate TO mfa_coordinator, mfa_worker, mfa_operator, mfa_reader;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mfa_migrate TO mfa_coordinator, mfa_worker, mfa_operator;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA mfa_migrate TO mfa_coordinator, mfa_worker, mfa_operator;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mfa_migrate TO mfa_coordinator, mfa_worker, mfa_operator, mfa_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE mfa_owner IN SCHEMA mfa_migrate
    GRANT SELECT ON TABLES TO mfa_coordinator, mfa_worker, mfa_operator, mfa_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE mfa_owner IN SCHEMA mfa_migrate
    GRANT INSERT, UPDATE, DELETE ON TABLES TO mfa_coordinator, mfa_worker, mfa_operator;
ALTER DEFAULT PRIVILEGES FOR ROLE mfa_owner IN SCHEMA mfa_migrate
    GRANT USAGE ON SEQUENCES TO mfa_coordinator, mfa_worker, mfa_operator;
ALTER DEFAULT PRIVILEGES FOR ROLE mfa_owner IN SCHEMA mfa_migrate
    GRANT EXECUTE ON FUNCTIONS TO mfa_coordinator, mfa_worker, mfa_operator, mfa_reader;

-- Then narrower, where the tables are there already. Two kinds of rows are beyond everybody: what was done and decided is
-- only ever added to, and the shape of the schema is its owner's.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['event', 'journal'] LOOP
        IF to_regclass('mfa_migrate.' || name) IS NOT NULL THEN
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON mfa_migrate.%I FROM mfa_coordinator, mfa_worker, mfa_operator', name);
        END IF;
    END LOOP;
    IF to_regclass('mfa_migrate._sqlx_migrations') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON mfa_migrate._sqlx_migrations FROM mfa_coordinator, mfa_worker, mfa_operator;
    END IF;
    -- What was before our first write goes by `forget` alone, and that is an operator's. A seat in the staged rollout is ended
    -- and never taken away: without its row we would take a user for somebody else's, and withdraw methods too early.
    FOREACH name IN ARRAY ARRAY['pre_image', 'intent', 'journal_head', 'leadership', 'run', 'snapshot', 'batch', 'kept',
                                'seat'] LOOP
        IF to_regclass('mfa_migrate.' || name) IS NOT NULL THEN
            EXECUTE format('REVOKE DELETE ON mfa_migrate.%I FROM mfa_coordinator, mfa_worker', name);
        END IF;
    END LOOP;
    -- Matching gathers statistics of what it has just filed. Before PostgreSQL 17 only an owner may: there it is told so in a
    -- warning, and autovacuum does it a minute later.
    IF current_setting('server_version_num')::int >= 170000 AND to_regclass('mfa_migrate.directory') IS NOT NULL THEN
        EXECUTE 'GRANT MAINTAIN ON mfa_migrate.record, mfa_migrate.directory TO mfa_coordinator, mfa_operator';
    END IF;
    -- Workers take what there is and say what became of it; they bring nobody new and choose nobody.
    FOREACH name IN ARRAY ARRAY['snapshot', 'record', 'record_serial', 'reject', 'batch', 'batch_member', 'directory',
                                'reviewed', 'leadership'] LOOP
        IF to_regclass('mfa_migrate.' || name) IS NOT NULL THEN
            EXECUTE format('REVOKE INSERT, DELETE ON mfa_migrate.%I FROM mfa_worker', name);
        END IF;
    END LOOP;
END
$$;
