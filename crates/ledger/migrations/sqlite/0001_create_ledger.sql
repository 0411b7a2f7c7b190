-- The ledger of mfa-migrate, first shape. PostgreSQL gets a migration of the same name with the same tables.
--
-- The number below marks the file as ours ("mfam" in ASCII), so that another program's database is refused by type
-- and not by a missing table in the middle of a run.
PRAGMA application_id = 1835426157;

-- All times are milliseconds since 1970 UTC by this clock and no other: leases that two machines compare must not
-- depend on the machines' own clocks. Within one statement it stands still.
CREATE VIEW clock AS SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) AS now_ms;

-- Small sealed values that are made once and never again, such as the key of all fingerprints.
CREATE TABLE kept (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

-- What the pacer has learned of the tenant, for the next run to start from.
CREATE TABLE learned_rate (
    bucket TEXT NOT NULL PRIMARY KEY,
    rate   REAL NOT NULL
);

-- A datafile as captured. `no` stands for the long id in every row that belongs to it. The manifest is there once the
-- rows have been counted against it, and only then is the snapshot complete.
CREATE TABLE snapshot (
    no           INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    manifest     TEXT,
    completed_at INTEGER
);

-- A record of a snapshot. The six keys stand in the order of contract::Match::ALL; matching joins on them. The sealed
-- record is last, so that reading keys does not walk through its overflow pages.
CREATE TABLE record (
    snapshot INTEGER NOT NULL REFERENCES snapshot (no),
    ordinal  INTEGER NOT NULL,
    enabled  INTEGER NOT NULL,
    user_key BLOB NOT NULL,
    content  BLOB NOT NULL,
    key_0    BLOB,
    key_1    BLOB,
    key_2    BLOB,
    key_3    BLOB,
    key_4    BLOB,
    key_5    BLOB,
    sealed   BLOB NOT NULL,
    UNIQUE (snapshot, ordinal)
);

-- Serials that a record could claim, as fingerprints. The key finds other claimants of a serial, the index the
-- serials of a record.
CREATE TABLE record_serial (
    snapshot INTEGER NOT NULL REFERENCES snapshot (no),
    serial   BLOB NOT NULL,
    ordinal  INTEGER NOT NULL,
    PRIMARY KEY (snapshot, serial, ordinal)
) WITHOUT ROWID;

CREATE INDEX record_serial_by_record ON record_serial (snapshot, ordinal);

-- What was turned away. The file's name is empty where the source is a single file, since a key cannot be null. A record
-- that came damaged has the code `unreadable`, the field `(message)`, and its ordinal for a line.
CREATE TABLE reject (
    snapshot INTEGER NOT NULL REFERENCES snapshot (no),
    file     TEXT NOT NULL,
    line     INTEGER NOT NULL,
    field    TEXT NOT NULL,
    code     TEXT NOT NULL,
    PRIMARY KEY (snapshot, file, line, field)
) WITHOUT ROWID;

-- One pass over a batch. Totals of requests live here because they outlive the process; counts of users do not,
-- because they come from the entries. `halted` is why the run cannot go on without a person. AUTOINCREMENT: a run's number is part of sealing contexts and never comes back.
CREATE TABLE run (
    no                 INTEGER PRIMARY KEY AUTOINCREMENT,
    kind               TEXT NOT NULL,
    batch              TEXT NOT NULL,
    snapshot           INTEGER NOT NULL REFERENCES snapshot (no),
    policy             TEXT NOT NULL,
    policy_hash        TEXT NOT NULL,
    plan_hash          TEXT,
    include_unchanged  INTEGER NOT NULL,
    state              TEXT NOT NULL,
    opened_at          INTEGER NOT NULL,
    ended_at           INTEGER,
    halted             TEXT,
    requests           INTEGER NOT NULL DEFAULT 0,
    writes             INTEGER NOT NULL DEFAULT 0,
    throttled          INTEGER NOT NULL DEFAULT 0,
    seconds            REAL NOT NULL DEFAULT 0,
    directory_pages    INTEGER NOT NULL DEFAULT 0,
    directory_next     TEXT,
    directory_complete INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX run_by_batch ON run (batch, kind, state);

-- The directory as one run read it. Entries copy what they need, so these rows go when the run has ended.
CREATE TABLE directory (
    no      INTEGER PRIMARY KEY,
    run     INTEGER NOT NULL REFERENCES run (no),
    entra   TEXT NOT NULL,
    guest   INTEGER NOT NULL,
    allowed INTEGER NOT NULL,
    key_0   BLOB,
    key_1   BLOB,
    key_2   BLOB,
    key_3   BLOB,
    key_4   BLOB,
    key_5   BLOB,
    sealed  BLOB NOT NULL,
    UNIQUE (run, entra)
);

-- The tokens of the tenant as one run read them.
CREATE TABLE inventory (
    run       INTEGER NOT NULL REFERENCES run (no),
    device_id TEXT NOT NULL,
    serial    BLOB NOT NULL,
    token     TEXT NOT NULL,
    PRIMARY KEY (run, device_id)
);

CREATE INDEX inventory_by_serial ON inventory (run, serial);

-- A user in a run. `writing` and `snapshot` repeat what the run says, so that a claim reads one row. `cut_short` means
-- that the last claim ended without a word. `holds` means that this entry alone may write to its Entra user.
CREATE TABLE entry (
    run              INTEGER NOT NULL REFERENCES run (no),
    ordinal          INTEGER NOT NULL,
    snapshot         INTEGER NOT NULL REFERENCES snapshot (no),
    writing          INTEGER NOT NULL,
    state            TEXT NOT NULL,
    epoch            INTEGER NOT NULL DEFAULT 0,
    owner            TEXT,
    lease_until      INTEGER,
    not_before       INTEGER,
    released_at      INTEGER,
    snoozed_ms       INTEGER NOT NULL DEFAULT 0,
    settled_at       INTEGER,
    attempts         INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0,
    snoozes          INTEGER NOT NULL DEFAULT 0,
    cut_short        INTEGER NOT NULL DEFAULT 0,
    holds            INTEGER NOT NULL DEFAULT 0,
    user_key         BLOB NOT NULL,
    content          BLOB NOT NULL,
    entra            TEXT,
    guest            INTEGER NOT NULL DEFAULT 0,
    allowed          INTEGER NOT NULL DEFAULT 0,
    matched_by       INTEGER,
    outcome          TEXT,
    codes            TEXT NOT NULL DEFAULT '',
    directory        BLOB,
    result           BLOB,
    UNIQUE (run, ordinal)
);

-- Counts are read from this index alone; release walks it in order of the ordinals.
CREATE INDEX entry_by_state ON entry (run, state, ordinal);

-- All entries of one user of the source, over all runs.
CREATE INDEX entry_by_user ON entry (user_key);

-- One writer a user: two entries can never hold the same Entra user, whatever a statement forgets to ask.
CREATE UNIQUE INDEX entry_holding ON entry (entra) WHERE holds = 1;

-- The next snooze that will be over.
CREATE INDEX entry_snoozed ON entry (run, not_before)
    WHERE state = 'waiting' AND not_before IS NOT NULL AND released_at IS NULL;

-- Plan lines that a person has reviewed.
CREATE TABLE reviewed (
    run     INTEGER NOT NULL REFERENCES run (no),
    ordinal INTEGER NOT NULL,
    sealed  BLOB NOT NULL,
    UNIQUE (run, ordinal)
);

-- The value before our first write. It is only ever inserted; the one thing that happens to it later is that a rollback
-- settles it, and then another may stand in its place. A null value means that nothing was there.
CREATE TABLE pre_image (
    no         INTEGER PRIMARY KEY,
    entra      TEXT NOT NULL,
    slot       TEXT NOT NULL,
    value      BLOB,
    run        INTEGER NOT NULL REFERENCES run (no),
    filed_at   INTEGER NOT NULL,
    settled_by INTEGER REFERENCES run (no)
);

CREATE UNIQUE INDEX pre_image_standing ON pre_image (entra, slot) WHERE settled_by IS NULL;

CREATE TRIGGER pre_image_is_insert_only BEFORE UPDATE OF entra, slot, value, run, filed_at ON pre_image
BEGIN
    SELECT RAISE (ABORT, 'a pre-image is insert-only');
END;

-- What we were about to write. No outcome means: maybe applied, maybe later. `epoch` is that of the claim that filed it,
-- so that a claim which ended without a word is known to have begun writing.
CREATE TABLE intent (
    entra    TEXT NOT NULL,
    run      INTEGER NOT NULL REFERENCES run (no),
    slot     TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    filed_at INTEGER NOT NULL,
    outcome  TEXT,
    value    BLOB,
    UNIQUE (entra, run, slot)
);

CREATE INDEX intent_in_doubt ON intent (entra) WHERE outcome IS NULL;

-- The fingerprint last applied to an Entra user: nothing has changed as long as it is the same.
CREATE TABLE applied (
    entra       TEXT NOT NULL PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    run         INTEGER NOT NULL REFERENCES run (no)
);

-- OATH secrets that we wrote, as fingerprints, each with the sealed serial it got. Graph never shows a secret again.
CREATE TABLE secret (
    entra       TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    serial      BLOB NOT NULL,
    run         INTEGER NOT NULL REFERENCES run (no),
    PRIMARY KEY (entra, fingerprint)
);

-- What stood when a page was done; it can be computed again from the entries as long as they have not moved on.
CREATE TABLE checkpoint (
    no     INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL REFERENCES run (no),
    step   TEXT NOT NULL,
    page   INTEGER NOT NULL,
    counts TEXT NOT NULL,
    at_ms  INTEGER NOT NULL,
    UNIQUE (run, step, page)
);

-- Who is at work, and what it waits for.
CREATE TABLE presence (
    kind      TEXT NOT NULL,
    name      TEXT NOT NULL,
    waits_for TEXT,
    seen_at   INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

-- Messages that were set aside.
CREATE TABLE parked_message (
    no        INTEGER PRIMARY KEY,
    queue     TEXT NOT NULL,
    id        TEXT NOT NULL,
    reason    TEXT NOT NULL,
    parked_at INTEGER NOT NULL,
    UNIQUE (queue, id)
);

-- The shared pace, a row a bucket; what is in it is the pacer's affair.
CREATE TABLE pace (
    bucket TEXT NOT NULL PRIMARY KEY,
    state  TEXT NOT NULL
);
