-- +goose Up

-- The log: every fact, in the order in which it was recorded. Positions are
-- given out by the appender, 1, 2, 3 and so on without a gap, and rows become
-- visible in that order.
CREATE TABLE log (
    position    bigint           PRIMARY KEY CHECK (position > 0),
    id          text COLLATE "C" NOT NULL UNIQUE CHECK (length(id) = 26),
    kind        text COLLATE "C" NOT NULL CHECK (kind <> ''),
    source      text COLLATE "C" NOT NULL CHECK (source <> ''),
    occurred_at timestamptz      NOT NULL CHECK (extract(year FROM occurred_at AT TIME ZONE 'UTC') BETWEEN 1 AND 9999),
    recorded_at timestamptz      NOT NULL,
    delivery    text COLLATE "C" NOT NULL, -- delivery.id
    cause       text COLLATE "C",          -- delivery.id or log.id that it follows from
    test        boolean          NOT NULL,
    data        json             NOT NULL, -- json, not jsonb: the exact bytes are hashed
    personal    bytea,                     -- sealed; the leaf commits to its hash
    leaf        bytea            NOT NULL CHECK (length(leaf) = 32),
    root        bytea            NOT NULL CHECK (length(root) = 32) -- of the tree that ends here
);

-- What a person has to look at; few, and asked for by themselves.
CREATE INDEX log_quarantined ON log (position) WHERE kind = 'intake.quarantined.v1';

-- Every authentic request, verbatim, with where its records are.
CREATE TABLE delivery (
    position    bigint           PRIMARY KEY CHECK (position > 0), -- of its first record
    records     integer          NOT NULL CHECK (records > 0),     -- how many follow each other from there
    id          text COLLATE "C" NOT NULL UNIQUE CHECK (length(id) = 26),
    source      text COLLATE "C" NOT NULL CHECK (source <> ''),
    topic       text             NOT NULL,
    key         text COLLATE "C" CHECK (length(key) <= 600), -- null: told apart by its scopes
    status      text             NOT NULL CHECK (status IN ('accepted', 'conflict', 'unrecognized', 'quarantined')),
    test        boolean          NOT NULL,
    flags       text             NOT NULL, -- words, joined by commas
    verified    text             NOT NULL, -- how it was authenticated
    received_at timestamptz      NOT NULL,
    cause       text COLLATE "C",
    header      json             NOT NULL,
    body        bytea            NOT NULL,
    body_sha256 bytea            NOT NULL CHECK (length(body_sha256) = 32),
    UNIQUE (source, key, body_sha256)
);

-- The scopes of deliveries that carry no id: one is a repetition only if the
-- last one in its scope has the same bytes.
CREATE TABLE delivery_scope (
    source   text COLLATE "C" NOT NULL,
    scope    text COLLATE "C" NOT NULL CHECK (length(scope) <= 600),
    position bigint           NOT NULL, -- delivery.position
    PRIMARY KEY (source, scope, position)
);

-- Where the log ends. Appending compares and swaps this row, which is what
-- keeps positions dense and the tree a single one.
CREATE TABLE head (
    id          integer     PRIMARY KEY CHECK (id = 1),
    position    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    frontier    bytea       NOT NULL CHECK (length(frontier) % 32 = 0)
) WITH (fillfactor = 10); -- room for updates within the page

INSERT INTO head VALUES (1, 0, '1970-01-01T00:00:00Z', '');

-- How far each follower of the log is.
CREATE TABLE cursor (
    follower   text COLLATE "C" PRIMARY KEY,
    position   bigint      NOT NULL DEFAULT 0 CHECK (position >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 20);

-- What is known of each projection beside its tables.
CREATE TABLE projection (
    name       text COLLATE "C" PRIMARY KEY,
    version    integer     NOT NULL,
    stopped_at bigint,              -- record it cannot take; null: it runs
    reason     text,
    built_at   timestamptz NOT NULL DEFAULT now(),
    CHECK ((stopped_at IS NULL) = (reason IS NULL))
);

-- +goose StatementBegin
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege', HINT = 'Append a correcting fact instead.';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON delivery
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON delivery_scope
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON head
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Always: also for replication sessions, which ordinary triggers pass over.
ALTER TABLE log ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE delivery ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE delivery_scope ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE head ENABLE ALWAYS TRIGGER append_only;
