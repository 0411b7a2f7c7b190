-- Retention: whose values before were removed, and which results have had theirs taken out.

-- An Entra user whose values before are gone: what was there before our first write cannot come back any more, and whoever
-- asks for it is told so. Nothing of the value is here.
CREATE TABLE forgotten (
    entra TEXT NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- The result says what was done and no longer with which values.
ALTER TABLE entry ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

-- Settled values before are looked for by user when they are removed, and never else.
CREATE INDEX pre_image_settled ON pre_image (entra) WHERE settled_by IS NOT NULL;
