-- The ledger of mfa-migrate, first shape. SQLite has a migration of the same name with the same tables.
--
-- Tables that grow with the users carry no foreign keys: a check a row would cost as much as the row, and the statements
-- that file them look their snapshot or run up anyway. Identifiers and words sort by their bytes (COLLATE "C"), whatever
-- the database's locale. Sealed values cannot be compressed, so nobody tries (STORAGE EXTERNAL).

-- All times are milliseconds since 1970 UTC by this server's clock and no other: leases that two machines compare must
-- not depend on the machines' own clocks. `now_ms` is when the statement came in, so that it stands still within it;
-- `clock_ms` is right now, for what must not look older than it is after a wait for a lock.
CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint';

CREATE FUNCTION clock_ms() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
    AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint';

-- Who leads. Every statement of a leader that changes something shares the lock of its term's row; who leads next
-- counts it up, and the statements of the one before find no row any more.
CREATE TABLE leadership (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    term     bigint NOT NULL,
    name     text,
    taken_at bigint
);

INSERT INTO leadership (term) VALUES (0);

-- Small sealed values that are made once and never again, such as the key of all fingerprints.
CREATE TABLE kept (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- What the pacer has learned of the tenant, for the next run to start from.
CREATE TABLE learned_rate (
    bucket text COLLATE "C" PRIMARY KEY,
    rate   double precision NOT NULL
);

-- A datafile as captured. `no` stands for the long id in every row that belongs to it. The manifest is there once the
-- rows have been counted against it, and only then is the snapshot complete.
CREATE TABLE snapshot (
    no           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text COLLATE "C" NOT NULL UNIQUE,
    manifest     text,
    completed_at bigint
);

-- A record of a snapshot. The six keys stand in the order of contract::Match::ALL; matching joins on them.
CREATE TABLE record (
    snapshot bigint NOT NULL,
    ordinal  bigint NOT NULL,
    enabled  boolean NOT NULL,
    user_key bytea NOT NULL,
    content  bytea NOT NULL,
    key_0    bytea,
    key_1    bytea,
    key_2    bytea,
    key_3    bytea,
    key_4    bytea,
    key_5    bytea,
    sealed   bytea NOT NULL,
    PRIMARY KEY (snapshot, ordinal)
);

ALTER TABLE record ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- Serials that a record could claim, as fingerprints. The key finds other claimants of a serial, the index the
-- serials of a record.
CREATE TABLE record_serial (
    snapshot bigint NOT NULL,
    serial   bytea NOT NULL,
    ordinal  bigint NOT NULL,
    PRIMARY KEY (snapshot, serial, ordinal)
);

CREATE INDEX record_serial_by_record ON record_serial (snapshot, ordinal);

-- What was turned away. The file's name is empty where the source is a single file, since a key cannot be null. A record
-- that came damaged has the code `unreadable`, the field `(message)`, and its ordinal for a line.
CREATE TABLE reject (
    snapshot bigint NOT NULL,
    file     text COLLATE "C" NOT NULL,
    line     bigint NOT NULL,
    field    text COLLATE "C" NOT NULL,
    code     text NOT NULL,
    PRIMARY KEY (snapshot, file, line, field)
);

-- One pass over a batch. Totals of requests live here because they outlive the process; counts of users do not,
-- because they come from the entries. `halted` is why the run cannot go on without a person. A run's number is part of
-- sealing contexts and never comes back.
CREATE TABLE run (
    no                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind               text NOT NULL,
    batch              text NOT NULL,
    snapshot           bigint NOT NULL REFERENCES snapshot (no),
    policy             text NOT NULL,
    policy_hash        text NOT NULL,
    plan_hash          text,
    include_unchanged  boolean NOT NULL,
    state              text NOT NULL,
    opened_at          bigint NOT NULL,
    ended_at           bigint,
    halted             text,
    requests           bigint NOT NULL DEFAULT 0,
    writes             bigint NOT NULL DEFAULT 0,
    throttled          bigint NOT NULL DEFAULT 0,
    seconds            double precision NOT NULL DEFAULT 0,
    directory_pages    bigint NOT NULL DEFAULT 0,
    directory_next     text,
    directory_complete boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

CREATE INDEX run_by_batch ON run (batch, kind, state);

-- The directory as one run read it. Entries copy what they need, so these rows go when the run has ended.
CREATE TABLE directory (
    no      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run     bigint NOT NULL,
    entra   text COLLATE "C" NOT NULL,
    guest   boolean NOT NULL,
    allowed bigint NOT NULL,
    key_0   bytea,
    key_1   bytea,
    key_2   bytea,
    key_3   bytea,
    key_4   bytea,
    key_5   bytea,
    sealed  bytea NOT NULL,
    UNIQUE (run, entra)
);

ALTER TABLE directory ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- The tokens of the tenant as one run read them.
CREATE TABLE inventory (
    run       bigint NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    serial    bytea NOT NULL,
    token     text NOT NULL,
    PRIMARY KEY (run, device_id)
);

CREATE INDEX inventory_by_serial ON inventory (run, serial);

-- A user in a run. `writing` and `snapshot` repeat what the run says, so that a claim reads one row. `cut_short` means
-- that the last claim ended without a word. `holds` means that this entry alone may write to its Entra user.
-- Counting reads an index alone, and only where vacuum has passed: it comes often, and does not dawdle.
CREATE TABLE entry (
    run              bigint NOT NULL,
    ordinal          bigint NOT NULL,
    snapshot         bigint NOT NULL,
    writing          boolean NOT NULL,
    state            text COLLATE "C" NOT NULL,
    epoch            bigint NOT NULL DEFAULT 0,
    owner            text,
    lease_until      bigint,
    not_before       bigint,
    released_at      bigint,
    snoozed_ms       bigint NOT NULL DEFAULT 0,
    settled_at       bigint,
    attempts         bigint NOT NULL DEFAULT 0,
    crashes          bigint NOT NULL DEFAULT 0,
    snoozes          bigint NOT NULL DEFAULT 0,
    cut_short        boolean NOT NULL DEFAULT false,
    holds            boolean NOT NULL DEFAULT false,
    user_key         bytea NOT NULL,
    content          bytea NOT NULL,
    entra            text COLLATE "C",
    guest            boolean NOT NULL DEFAULT false,
    allowed          bigint NOT NULL DEFAULT 0,
    matched_by       bigint,
    outcome          text,
    codes            text NOT NULL DEFAULT '',
    directory        bytea,
    result           bytea,
    PRIMARY KEY (run, ordinal)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05,
        autovacuum_analyze_scale_factor = 0.1, autovacuum_vacuum_cost_limit = 2000);

ALTER TABLE entry ALTER COLUMN directory SET STORAGE EXTERNAL, ALTER COLUMN result SET STORAGE EXTERNAL;

-- Counts are read from this index alone.
CREATE INDEX entry_by_state ON entry (run, state, ordinal);

-- What is to be released next, and nothing else: a page must not walk past all that went before it.
CREATE INDEX entry_to_release ON entry (run, ordinal) WHERE state = 'waiting' AND released_at IS NULL;

-- All entries of one user of the source, over all runs.
CREATE INDEX entry_by_user ON entry (user_key);

-- One writer a user: two entries can never hold the same Entra user, whatever a statement forgets to ask.
CREATE UNIQUE INDEX entry_holding ON entry (entra) WHERE holds;

-- The next snooze that will be over. A claim takes `not_before` away, so only waiting entries are here.
CREATE INDEX entry_snoozed ON entry (run, not_before) WHERE not_before IS NOT NULL;

-- Plan lines that a person has reviewed.
CREATE TABLE reviewed (
    run     bigint NOT NULL,
    ordinal bigint NOT NULL,
    sealed  bytea NOT NULL,
    PRIMARY KEY (run, ordinal)
);

-- The value before our first write. It is only ever inserted; the one thing that happens to it later is that a rollback
-- settles it, and then another may stand in its place. A null value means that nothing was there.
CREATE TABLE pre_image (
    no         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entra      text COLLATE "C" NOT NULL,
    slot       text COLLATE "C" NOT NULL,
    value      bytea,
    run        bigint NOT NULL,
    filed_at   bigint NOT NULL,
    settled_by bigint
);

CREATE UNIQUE INDEX pre_image_standing ON pre_image (entra, slot) WHERE settled_by IS NULL;

CREATE FUNCTION pre_image_is_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a pre-image is insert-only';
END
$$;

CREATE TRIGGER pre_image_is_insert_only BEFORE UPDATE OF entra, slot, value, run, filed_at ON pre_image
    FOR EACH ROW EXECUTE FUNCTION pre_image_is_insert_only();

-- What we were about to write. No outcome means: maybe applied, maybe later. `epoch` is that of the claim that filed it,
-- so that a claim which ended without a word is known to have begun writing. There is room beside each row for the
-- outcome, which no index holds: those in doubt are found by their user, who has a handful of rows.
CREATE TABLE intent (
    entra    text COLLATE "C" NOT NULL,
    run      bigint NOT NULL,
    slot     text COLLATE "C" NOT NULL,
    epoch    bigint NOT NULL,
    filed_at bigint NOT NULL,
    outcome  text,
    value    bytea,
    PRIMARY KEY (entra, run, slot)
) WITH (fillfactor = 60);

-- The fingerprint last applied to an Entra user: nothing has changed as long as it is the same.
CREATE TABLE applied (
    entra       text COLLATE "C" PRIMARY KEY,
    fingerprint bytea NOT NULL,
    run         bigint NOT NULL
);

-- OATH secrets that we wrote, as fingerprints, each with the sealed serial it got. Graph never shows a secret again.
CREATE TABLE secret (
    entra       text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    serial      bytea NOT NULL,
    run         bigint NOT NULL,
    PRIMARY KEY (entra, fingerprint)
);

-- What stood when a page was done; it can be computed again from the entries as long as they have not moved on.
CREATE TABLE checkpoint (
    no     bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    run    bigint NOT NULL,
    step   text COLLATE "C" NOT NULL,
    page   bigint NOT NULL,
    counts text NOT NULL,
    at_ms  bigint NOT NULL,
    UNIQUE (run, step, page)
);

-- Who is at work, and what it waits for.
CREATE TABLE presence (
    kind      text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    waits_for text,
    seen_at   bigint NOT NULL,
    PRIMARY KEY (kind, name)
) WITH (fillfactor = 50);

-- Messages that were set aside.
CREATE TABLE parked_message (
    no        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue     text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    reason    text NOT NULL,
    parked_at bigint NOT NULL,
    UNIQUE (queue, id)
);

-- The shared pace, a row a bucket; what is in it is the pacer's affair. Each is rewritten many times a second.
CREATE TABLE pace (
    bucket text COLLATE "C" PRIMARY KEY,
    state  text NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
