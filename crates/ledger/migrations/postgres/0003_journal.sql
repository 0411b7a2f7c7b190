-- The journal of changes, and which pre-images stand. SQLite has a migration of the same name with the same tables.

-- An intent that is filed again loses its outcome; what an earlier one may have done is kept.
ALTER TABLE intent ADD COLUMN maybe_before boolean NOT NULL DEFAULT false;

-- The values before that stand. Where nothing of ours may have landed since, a value is only what was there when we first
-- looked. A refusal says that nothing landed, except of a token: there it may be the code that was refused, and the device
-- is there.
CREATE VIEW standing AS
    SELECT p.*,
           EXISTS (SELECT FROM intent i
                    WHERE i.entra = p.entra AND i.slot = p.slot AND i.run >= p.run
                      AND (i.maybe_before OR i.outcome IS NULL OR i.outcome NOT IN ('not-sent', 'refused', 'invalid')
                           OR (i.outcome <> 'not-sent' AND starts_with(i.slot, 'hardwareOath:')))) AS maybe_landed
      FROM pre_image p WHERE p.settled_by IS NULL;

-- Every change that was made or taken back, and every event, in one line of succession: each digest covers the one before
-- (contract::journal says how). Nothing here is sealed or needs a key, so it outlives what is forgotten.
CREATE TABLE journal (
    no      bigint PRIMARY KEY,
    at_ms   bigint NOT NULL,
    run     bigint,
    what    text COLLATE "C" NOT NULL,
    content text NOT NULL,
    digest  bytea NOT NULL
);

ALTER TABLE journal ALTER COLUMN digest SET STORAGE PLAIN;

CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only';
END
$$;

CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE ON journal
    FOR EACH ROW EXECUTE FUNCTION journal_is_append_only();

CREATE TRIGGER journal_is_kept BEFORE TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();

-- The end of the chain, and the lock that makes it one: whoever appends holds this row until its transaction ends.
CREATE TABLE journal_head (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    no     bigint NOT NULL,
    digest bytea NOT NULL
) WITH (fillfactor = 10);

INSERT INTO journal_head (no, digest) VALUES (0, decode(repeat('00', 32), 'hex'));

-- Each statement of a function sees what was committed before it began, so that the head is never an old one.
CREATE FUNCTION journal_append(of_run bigint, is_what text, is_content text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    head journal_head%ROWTYPE;
    at   bigint;
    sum  bytea;
BEGIN
    SELECT * INTO STRICT head FROM journal_head FOR UPDATE;
    at := clock_ms();
    sum := sha256(head.digest || int8send(head.no + 1) || int8send(at) || int8send(coalesce(of_run, 0))
                  || convert_to(is_what, 'UTF8') || '\x00'::bytea || convert_to(is_content, 'UTF8'));
    INSERT INTO journal (no, at_ms, run, what, content, digest)
    VALUES (head.no + 1, at, of_run, is_what, is_content, sum);
    UPDATE journal_head SET no = head.no + 1, digest = sum;
    RETURN head.no + 1;
END
$$;
