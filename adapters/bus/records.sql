-- The first $2 records after the cursor of the follower $1, each with the
-- position of the cursor. None while another instance of the follower is at
-- work. The cursor stays locked until the end of the transaction.
SELECT c.position, l.position, l.id, l.kind, l.source, l.occurred_at, l.recorded_at, l.delivery, l.cause, l.test, l.data, l.personal
FROM (SELECT position FROM cursor WHERE follower = $1 FOR UPDATE SKIP LOCKED) c,
LATERAL (
    SELECT * FROM log
    WHERE position > c.position AND position <= (SELECT position FROM head)
    ORDER BY position LIMIT $2
) l
ORDER BY l.position
