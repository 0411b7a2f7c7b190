-- Staged rollout: which group a run means a user for, and who was put where.

-- Object id of the group. It says who a worker has to see to; whoever stays out has none.
ALTER TABLE entry ADD COLUMN place TEXT;

-- A user's place in a group of the rollout, filed before it is asked for. Whoever was put there by somebody else has none.
-- `asked_at` is when it was last asked for, `doubt_at` when a request before that was made of which nobody knows, `filed_at`
-- when it was last asked for or asked to end: until the horizon after those nobody knows what may land. `acts_at` is when
-- the end of it acts.
CREATE TABLE seat (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    entra    TEXT NOT NULL,
    grp      TEXT NOT NULL,
    run      INTEGER NOT NULL REFERENCES run (no),
    epoch    INTEGER NOT NULL,
    state    TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    doubt_at INTEGER,
    filed_at INTEGER NOT NULL,
    ended_at INTEGER,
    acts_at  INTEGER
);

-- One seat a user.
CREATE UNIQUE INDEX seat_standing ON seat (entra) WHERE ended_at IS NULL;

CREATE INDEX seat_by_user ON seat (entra, no);
