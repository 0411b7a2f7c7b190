-- The journal of changes, and which pre-images stand.

-- An intent that is filed again loses its outcome; what an earlier one may have done is kept.
ALTER TABLE intent ADD COLUMN maybe_before INTEGER NOT NULL DEFAULT 0;

-- The values before that stand. Where nothing of ours may have landed since, a value is only what was there when we first
-- looked. A refusal says that nothing landed, except of a token: there it may be the code that was refused, and the device
-- is there.
CREATE VIEW standing AS
    SELECT p.*,
           EXISTS (SELECT 1 FROM intent i
                    WHERE i.entra = p.entra AND i.slot = p.slot AND i.run >= p.run
                      AND (i.maybe_before OR i.outcome IS NULL OR i.outcome NOT IN ('not-sent', 'refused', 'invalid')
                           OR (i.outcome <> 'not-sent' AND i.slot LIKE 'hardwareOath:%'))) AS maybe_landed
      FROM pre_image p WHERE p.settled_by IS NULL;

-- Every change that was made or taken back, and every event, in one line of succession: each digest covers the one before
-- (contract::journal says how). Nothing here is sealed or needs a key, so it outlives what is forgotten.
CREATE TABLE journal (
    no      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    run     INTEGER,
    what    TEXT NOT NULL,
    content TEXT NOT NULL,
    digest  BLOB NOT NULL
);

CREATE TRIGGER journal_is_append_only BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;

CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;

-- The end of the chain, told apart from the lines: lines that are cut off at the end are missed.
CREATE TABLE journal_head (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    no     INTEGER NOT NULL,
    digest BLOB NOT NULL
);

INSERT INTO journal_head (one, no, digest) VALUES (1, 0, zeroblob(32));
