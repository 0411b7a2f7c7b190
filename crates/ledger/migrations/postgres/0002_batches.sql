-- Batches: users under a name, fixed when it is made; the steps of a run's canary; and what was done and decided.
-- SQLite has a migration of the same name with the same tables.

CREATE TABLE batch (
    name     text COLLATE "C" PRIMARY KEY,
    snapshot bigint NOT NULL REFERENCES snapshot (no),
    selector text NOT NULL,
    settings text NOT NULL,
    made_by  text NOT NULL,
    made_at  bigint NOT NULL,
    frozen   boolean NOT NULL DEFAULT false
);

-- A user is told by the keyed fingerprint of the name, so that a later snapshot finds the same people. It grows with the
-- users, and whoever adds to it holds the batch's row: no foreign key.
CREATE TABLE batch_member (
    batch    text COLLATE "C" NOT NULL,
    user_key bytea NOT NULL,
    matched  boolean NOT NULL,
    PRIMARY KEY (batch, user_key)
);

CREATE INDEX batch_member_by_user ON batch_member (user_key);

-- A step is a range of ordinals: `steps` counts users up to the end of each, `step_ends` are the last ordinals. Both are
-- JSON arrays, absent until they are assigned; then nothing beyond the end of `step` is released.
ALTER TABLE run
    ADD COLUMN step      bigint NOT NULL DEFAULT 0,
    ADD COLUMN steps     text,
    ADD COLUMN step_ends text,
    ADD COLUMN waits_for text;

-- The runs that workers and the coordinator ask after all the time, however many have ended.
CREATE INDEX run_unfinished ON run (no) WHERE state IN ('preparing', 'open');

CREATE TABLE event (
    no      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms   bigint NOT NULL,
    by_whom text NOT NULL,
    batch   text COLLATE "C" NOT NULL,
    run     bigint,
    what    text COLLATE "C" NOT NULL,
    why     text NOT NULL
);

CREATE INDEX event_by_batch ON event (batch, no);

CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an event is append-only';
END
$$;

CREATE TRIGGER event_is_append_only BEFORE UPDATE OR DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION event_is_append_only();

CREATE TRIGGER event_is_kept BEFORE TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION event_is_append_only();
