-- Which pre-images stand. SQLite has a migration of the same name with the same view.

-- The numbers of runs say nothing of time: a run that was opened earlier may write later. They decide within a millisecond
-- alone. What was filed by the run of the pre-image belongs to it.
DROP VIEW standing;

CREATE VIEW standing AS
    SELECT p.*,
           EXISTS (SELECT FROM intent i
                    WHERE i.entra = p.entra AND i.slot = p.slot
                      AND (i.run = p.run OR i.filed_at > p.filed_at OR (i.filed_at = p.filed_at AND i.run > p.run))
                      AND (i.maybe_before OR i.outcome IS NULL OR i.outcome NOT IN ('not-sent', 'refused', 'invalid')
                           OR (i.outcome <> 'not-sent' AND starts_with(i.slot, 'hardwareOath:')))) AS maybe_landed
      FROM pre_image p WHERE p.settled_by IS NULL;
