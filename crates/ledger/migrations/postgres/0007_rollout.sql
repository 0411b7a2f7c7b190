-- Staged rollout: which group a run means a user for, and who was put where. SQLite has a migration of the same name with
-- the same tables.

-- Object id of the group. It says who a worker has to see to; whoever stays out has none.
ALTER TABLE entry ADD COLUMN place text COLLATE "C";

-- A user's place in a group of the rollout, filed before it is asked for. Whoever was put there by somebody else has none.
-- `asked_at` is when it was last asked for, `doubt_at` when a request before that was made of which nobody knows, `filed_at`
-- when it was last asked for or asked to end: until the horizon after those nobody knows what may land. `acts_at` is when
-- the end of it acts.
CREATE TABLE seat (
    no       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entra    text COLLATE "C" NOT NULL,
    grp      text COLLATE "C" NOT NULL,
    run      bigint NOT NULL REFERENCES run (no),
    epoch    bigint NOT NULL,
    state    text COLLATE "C" NOT NULL,
    asked_at bigint NOT NULL,
    doubt_at bigint,
    filed_at bigint NOT NULL,
    ended_at bigint,
    acts_at  bigint
);

-- One seat a user.
CREATE UNIQUE INDEX seat_standing ON seat (entra) WHERE ended_at IS NULL;

CREATE INDEX seat_by_user ON seat (entra, no);
