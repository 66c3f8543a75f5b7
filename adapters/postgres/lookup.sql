-- The head of the log, and every delivery that may be the same as one of those
-- to append: by key ($1 sources, $2 keys), by scope ($3 sources, $4 scopes: the
-- last one in each) and by id ($5: those whose append was interrupted). One row
-- at least; the columns of found are null if nothing was.
SELECT h.position, h.recorded_at, h.frontier, (SELECT root FROM log WHERE position = h.position),
       found.how, found.ord, found.position, found.records, found.id, found.status, found.body_sha256
FROM head h
LEFT JOIN LATERAL (
    SELECT 'key' AS how, u.ord, d.*
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (source, key, ord),
    LATERAL (
        SELECT position, records, id, status, body_sha256
        FROM delivery d
        WHERE d.source = u.source AND d.key = u.key
    ) d
    UNION ALL
    SELECT 'scope', u.ord, d.position, d.records, d.id, d.status, d.body_sha256
    FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS u (source, scope, ord),
    LATERAL (
        SELECT position
        FROM delivery_scope s
        WHERE s.source = u.source AND s.scope = u.scope
        ORDER BY position DESC LIMIT 1
    ) last
    JOIN delivery d ON d.position = last.position
    UNION ALL
    SELECT 'id', u.ord, d.position, d.records, d.id, d.status, d.body_sha256
    FROM unnest($5::text[]) WITH ORDINALITY AS u (id, ord)
    JOIN delivery d ON d.id = u.id
) found ON true
WHERE h.id = 1
