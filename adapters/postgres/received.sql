-- A delivery of the source $1 with the bytes whose MAC is $2 that was received
-- about at $3, from $4 to $5, if no other of the same scopes ($6) was received
-- between the two.
SELECT d.id FROM delivery d
WHERE d.source = $1 AND d.key IS NULL AND d.body_mac = $2 AND d.received_at BETWEEN $4 AND $5
AND NOT EXISTS (
    SELECT FROM delivery_scope s JOIN delivery other USING (position)
    WHERE s.source = $1 AND s.scope = ANY ($6::text[]) AND other.id <> d.id
    AND other.received_at BETWEEN least(d.received_at, $3) AND greatest(d.received_at, $3)
)
LIMIT 1
