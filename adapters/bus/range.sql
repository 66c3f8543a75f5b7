-- The cursor of the follower $1, the last of the first $2 records after it and
-- how many they are. No row if there are none, or while another instance of the
-- follower is at work. The cursor stays locked until the end of the transaction.
SELECT c.position, max(l.position), count(*)
FROM (SELECT position FROM cursor WHERE follower = $1 FOR UPDATE SKIP LOCKED) c,
LATERAL (
    SELECT position FROM log
    WHERE position > c.position AND position <= (SELECT position FROM head)
    ORDER BY position LIMIT $2
) l
GROUP BY c.position
