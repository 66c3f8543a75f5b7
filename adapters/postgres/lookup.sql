-- The head of the log, and every delivery that may be the same as one of those
-- to append: by key ($1 sources, $2 keys), by scope ($3 sources, $4 scopes: the
-- last one in each), by id ($5: those whose append was interrupted) and, of those
-- that are to be replayed ($6 ids), each itself, its replay, and the last one that
-- is booked in each scope ($7 sources, $8 scopes). A replay with a key is not among
-- the last: it may be older than what is booked before it. Origin is where a
-- delivery, or the one it replays, stands; booked is whether its facts are in the
-- log. One row at least; the columns of found are null if nothing was.
SELECT h.position, h.recorded_at, h.frontier, (SELECT root FROM log WHERE position = h.position),
       found.how, found.ord, d.position, d.records, d.id, d.status, d.body_mac,
       coalesce(CASE WHEN d.replay THEN (SELECT o.position FROM delivery o WHERE o.id = d.cause) END, d.position) AS origin,
       d.status = 'accepted' OR EXISTS (SELECT FROM delivery r WHERE r.cause = d.id AND r.replay) AS booked
FROM head h
LEFT JOIN LATERAL (
    SELECT 'key' AS how, u.ord, d.position
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (source, key, ord)
    JOIN delivery d ON d.source = u.source AND d.key = u.key
    UNION ALL
    SELECT 'scope', u.ord, last.position
    FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS u (source, scope, ord),
    LATERAL (
        SELECT position
        FROM delivery_scope s
        WHERE s.source = u.source AND s.scope = u.scope
        ORDER BY position DESC LIMIT 1
    ) last
    UNION ALL
    SELECT 'id', u.ord, d.position
    FROM unnest($5::text[]) WITH ORDINALITY AS u (id, ord)
    JOIN delivery d ON d.id = u.id
    UNION ALL
    SELECT 'replayed', u.ord, d.position
    FROM unnest($6::text[]) WITH ORDINALITY AS u (id, ord)
    JOIN delivery d ON d.id = u.id
    UNION ALL
    SELECT 'replay', u.ord, d.position
    FROM unnest($6::text[]) WITH ORDINALITY AS u (id, ord)
    JOIN delivery d ON d.cause = u.id AND d.replay
    UNION ALL
    SELECT 'booked', u.ord, last.position
    FROM unnest($7::text[], $8::text[]) WITH ORDINALITY AS u (source, scope, ord),
    LATERAL (
        SELECT s.position
        FROM delivery_scope s JOIN delivery d ON d.position = s.position
        WHERE s.source = u.source AND s.scope = u.scope AND d.status = 'accepted' AND NOT (d.replay AND d.key IS NOT NULL)
        ORDER BY s.position DESC LIMIT 1
    ) last
) found ON true
LEFT JOIN delivery d ON d.position = found.position
WHERE h.id = 1
