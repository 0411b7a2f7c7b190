-- Temporary Access Passes that were asked for, and the cut-over of domains.

-- What every pass of one issue is asked for with. The operator's file names the issue; no pass is ever kept here.
CREATE TABLE pass_issue (
    id               TEXT NOT NULL PRIMARY KEY,
    lifetime_minutes INTEGER NOT NULL,
    once             INTEGER NOT NULL,
    start_ms         INTEGER,
    by_whom          TEXT NOT NULL,
    made_at          INTEGER NOT NULL
) WITHOUT ROWID;

-- One pair of hands a user: whoever asks Graph for a pass, or takes one away, holds the user first.
CREATE TABLE pass_claim (
    entra       TEXT NOT NULL PRIMARY KEY,
    owner       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) WITHOUT ROWID;

-- The wish to make a pass, filed before it is sent. No outcome means: maybe made, maybe later. `before` are Graph's ids of
-- the passes that were there, as a JSON array: those were never ours to take away.
CREATE TABLE pass (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    issue      TEXT NOT NULL REFERENCES pass_issue (id),
    entra      TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    before     TEXT NOT NULL,
    filed_at   INTEGER NOT NULL,
    outcome    TEXT,
    outcome_at INTEGER,
    method     TEXT,
    ending     TEXT,
    ended_at   INTEGER
);

CREATE INDEX pass_by_user ON pass (entra, no);

-- Nobody asks for a second pass while nobody knows what became of the first.
CREATE UNIQUE INDEX pass_in_doubt ON pass (entra) WHERE outcome IS NULL;

CREATE INDEX pass_to_end ON pass (no) WHERE outcome IS NULL OR (outcome = 'issued' AND ending IS NULL);

-- The value before our first change of a domain's federation. It is only ever inserted; the one thing that happens to it
-- later is that it was brought back, and then another may stand in its place. Null: it was not set.
CREATE TABLE cutover (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    domain     TEXT NOT NULL,
    federation TEXT NOT NULL,
    before     TEXT,
    by_whom    TEXT NOT NULL,
    filed_at   INTEGER NOT NULL,
    settled_at INTEGER
);

CREATE UNIQUE INDEX cutover_standing ON cutover (domain) WHERE settled_at IS NULL;

CREATE TRIGGER cutover_is_insert_only BEFORE UPDATE OF domain, federation, before, by_whom, filed_at ON cutover
BEGIN
    SELECT RAISE (ABORT, 'the value before a cut-over is insert-only');
END;

CREATE TRIGGER cutover_is_kept BEFORE DELETE ON cutover
BEGIN
    SELECT RAISE (ABORT, 'the value before a cut-over is insert-only');
END;

-- What we were about to set. No outcome means: maybe applied, maybe later.
CREATE TABLE cutover_intent (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    cutover    INTEGER NOT NULL REFERENCES cutover (no),
    value      TEXT NOT NULL,
    back       INTEGER NOT NULL,
    by_whom    TEXT NOT NULL,
    filed_at   INTEGER NOT NULL,
    outcome    TEXT,
    outcome_at INTEGER
);

CREATE INDEX cutover_intent_by_cutover ON cutover_intent (cutover, no);
