-- The first deliveries of source $1 after position $2, up to position $3, that
-- its provider sent by itself and that are a notice or in quarantine; $4 at most.
SELECT l.position, l.recorded_at, d.id, d.body
FROM (
    SELECT position, recorded_at
    FROM log
    WHERE source = $1 AND position > $2 AND position <= $3 AND kind = 'badges.noticed.v1'
    UNION ALL
    SELECT position, recorded_at
    FROM log
    WHERE source = $1 AND position > $2 AND position <= $3 AND kind = 'intake.quarantined.v1'
) l
JOIN delivery d USING (position)
WHERE d.fetched = ''
ORDER BY l.position
LIMIT $4
