-- Batches: users under a name, fixed when it is made; the steps of a run's canary; and what was done and decided.

CREATE TABLE batch (
    name     TEXT PRIMARY KEY,
    snapshot INTEGER NOT NULL REFERENCES snapshot (no),
    selector TEXT NOT NULL,
    settings TEXT NOT NULL,
    made_by  TEXT NOT NULL,
    made_at  INTEGER NOT NULL,
    frozen   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- A user is told by the keyed fingerprint of the name, so that a later snapshot finds the same people.
CREATE TABLE batch_member (
    batch    TEXT NOT NULL REFERENCES batch (name),
    user_key BLOB NOT NULL,
    matched  INTEGER NOT NULL,
    PRIMARY KEY (batch, user_key)
) WITHOUT ROWID;

CREATE INDEX batch_member_by_user ON batch_member (user_key);

-- A step is a range of ordinals: `steps` counts users up to the end of each, `step_ends` are the last ordinals. Both are
-- JSON arrays, absent until they are assigned; then nothing beyond the end of `step` is released.
ALTER TABLE run ADD COLUMN step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN steps TEXT;
ALTER TABLE run ADD COLUMN step_ends TEXT;
ALTER TABLE run ADD COLUMN waits_for TEXT;

CREATE TABLE event (
    no      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    batch   TEXT NOT NULL,
    run     INTEGER,
    what    TEXT NOT NULL,
    why     TEXT NOT NULL
);

CREATE INDEX event_by_batch ON event (batch, no);

CREATE TRIGGER event_is_append_only BEFORE UPDATE ON event
BEGIN
    SELECT RAISE (ABORT, 'an event is append-only');
END;

CREATE TRIGGER event_is_kept BEFORE DELETE ON event
BEGIN
    SELECT RAISE (ABORT, 'an event is append-only');
END;
