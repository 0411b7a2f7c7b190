-- Retention: whose values before were removed, and which results have had theirs taken out.

-- An Entra user whose values before are gone: what was there before our first write cannot come back any more, and whoever
-- asks for it is told so. Nothing of the value is here.
CREATE TABLE forgotten (
    entra text COLLATE "C" PRIMARY KEY,
    at_ms bigint NOT NULL
);

-- The result says what was done and no longer with which values.
ALTER TABLE entry ADD COLUMN forgotten boolean NOT NULL DEFAULT false;

-- Settled values before are looked for by user when they are removed, and never else.
CREATE INDEX pre_image_settled ON pre_image (entra) WHERE settled_by IS NOT NULL;
