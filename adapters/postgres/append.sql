-- Appends deliveries ($10 to $26) and their records ($27 to $38), with the keys
-- they are sealed with ($42 to $45), if the log
-- still ends at position $1, and if none of them can be a repetition: no
-- delivery has one of the keys ($5 sources, $6 keys), and the last one in none
-- of the scopes ($7 sources, $8 scopes) has the same bytes ($9). Otherwise it
-- changes nothing and returns 0. Run again after a lost reply it finds the head
-- moved and changes nothing.
WITH h AS (
    UPDATE head SET position = $2, recorded_at = $3, frontier = $4
    WHERE id = 1 AND position = $1
    AND NOT EXISTS (
        SELECT FROM unnest($5::text[], $6::text[]) AS u (source, key),
        LATERAL (SELECT FROM delivery d WHERE d.source = u.source AND d.key = u.key LIMIT 1) d
    )
    AND NOT EXISTS (
        SELECT FROM unnest($7::text[], $8::text[], $9::bytea[]) AS u (source, scope, body_mac),
        LATERAL (
            SELECT position FROM delivery_scope s
            WHERE s.source = u.source AND s.scope = u.scope
            ORDER BY position DESC LIMIT 1
        ) last
        JOIN delivery d ON d.position = last.position
        WHERE d.body_mac = u.body_mac
    )
    RETURNING 1
), deliveries AS (
    INSERT INTO delivery (position, records, id, source, topic, key, status, test, flags, verified, received_at, cause, header, body, body_mac, fetched, replay)
    SELECT u.*
    FROM h, unnest($10::bigint[], $11::integer[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::boolean[],
        $18::text[], $19::text[], $20::timestamptz[], $21::text[], $22::bytea[], $23::bytea[], $24::bytea[], $25::text[], $26::boolean[]) AS u
), scopes AS (
    INSERT INTO delivery_scope (source, scope, position)
    SELECT u.*
    FROM h, unnest($39::text[], $40::text[], $41::bigint[]) AS u
), keys AS (
    INSERT INTO data_key (id, subject, epoch, wrapped)
    SELECT u.*
    FROM h, unnest($42::bytea[], $43::text[], $44::integer[], $45::bytea[]) AS u
), records AS (
    INSERT INTO log (position, id, kind, source, occurred_at, recorded_at, delivery, cause, test, data, personal, leaf, root)
    SELECT u.position, u.id, u.kind, u.source, u.occurred_at, $3, u.delivery, u.cause, u.test, u.data, u.personal, u.leaf, u.root
    FROM h, unnest($27::bigint[], $28::text[], $29::bytea[], $30::bytea[], $31::text[], $32::text[], $33::timestamptz[],
        $34::text[], $35::text[], $36::boolean[], $37::json[], $38::json[])
        AS u (position, id, leaf, root, kind, source, occurred_at, delivery, cause, test, data, personal)
    RETURNING 1
)
SELECT (SELECT count(*) FROM records), (SELECT pg_notify('daybook_log', $2::text) FROM h)::text
