-- Temporary Access Passes that were asked for, and the cut-over of domains. SQLite has a migration of the same name with
-- the same tables.

-- What every pass of one issue is asked for with. The operator's file names the issue; no pass is ever kept here.
CREATE TABLE pass_issue (
    id               text COLLATE "C" PRIMARY KEY,
    lifetime_minutes bigint NOT NULL,
    once             boolean NOT NULL,
    start_ms         bigint,
    by_whom          text NOT NULL,
    made_at          bigint NOT NULL
);

-- One pair of hands a user: whoever asks Graph for a pass, or takes one away, holds the user first.
CREATE TABLE pass_claim (
    entra       text COLLATE "C" PRIMARY KEY,
    owner       text NOT NULL,
    epoch       bigint NOT NULL,
    lease_until bigint NOT NULL
);

-- The wish to make a pass, filed before it is sent. No outcome means: maybe made, maybe later. `before` are Graph's ids of
-- the passes that were there, as a JSON array: those were never ours to take away.
CREATE TABLE pass (
    no         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    issue      text COLLATE "C" NOT NULL REFERENCES pass_issue (id),
    entra      text COLLATE "C" NOT NULL,
    epoch      bigint NOT NULL,
    before     text NOT NULL,
    filed_at   bigint NOT NULL,
    outcome    text COLLATE "C",
    outcome_at bigint,
    method     text COLLATE "C",
    ending     text COLLATE "C",
    ended_at   bigint
);

CREATE INDEX pass_by_user ON pass (entra, no);

-- Nobody asks for a second pass while nobody knows what became of the first.
CREATE UNIQUE INDEX pass_in_doubt ON pass (entra) WHERE outcome IS NULL;

CREATE INDEX pass_to_end ON pass (no) WHERE outcome IS NULL OR (outcome = 'issued' AND ending IS NULL);

-- The value before our first change of a domain's federation. It is only ever inserted; the one thing that happens to it
-- later is that it was brought back, and then another may stand in its place. Null: it was not set.
CREATE TABLE cutover (
    no         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain     text COLLATE "C" NOT NULL,
    federation text COLLATE "C" NOT NULL,
    before     text COLLATE "C",
    by_whom    text NOT NULL,
    filed_at   bigint NOT NULL,
    settled_at bigint
);

CREATE UNIQUE INDEX cutover_standing ON cutover (domain) WHERE settled_at IS NULL;

CREATE FUNCTION cutover_is_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the value before a cut-over is insert-only';
END
$$;

CREATE TRIGGER cutover_is_insert_only BEFORE UPDATE OF domain, federation, before, by_whom, filed_at ON cutover
    FOR EACH ROW EXECUTE FUNCTION cutover_is_insert_only();

CREATE TRIGGER cutover_is_kept BEFORE DELETE ON cutover
    FOR EACH ROW EXECUTE FUNCTION cutover_is_insert_only();

CREATE TRIGGER cutover_is_not_emptied BEFORE TRUNCATE ON cutover
    FOR EACH STATEMENT EXECUTE FUNCTION cutover_is_insert_only();

-- What we were about to set. No outcome means: maybe applied, maybe later.
CREATE TABLE cutover_intent (
    no         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cutover    bigint NOT NULL REFERENCES cutover (no),
    value      text COLLATE "C" NOT NULL,
    back       boolean NOT NULL,
    by_whom    text NOT NULL,
    filed_at   bigint NOT NULL,
    outcome    text COLLATE "C",
    outcome_at bigint
);

CREATE INDEX cutover_intent_by_cutover ON cutover_intent (cutover, no);
