-- +goose Up

-- Records of the form before this one commit to bodies in the clear.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM log) THEN
        RAISE EXCEPTION 'the log was written by a version of daybook from before its first release, which did not seal personal data'
            USING HINT = 'Capture its deliveries with that version (daybook delivery show), and ingest them into a new database.';
    END IF;
END
$$;
-- +goose StatementEnd

-- Which log this is, wherever it is restored. What is kept outside the database
-- is kept by this name.
CREATE TABLE book (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[0-9a-f]{32}$')
);

CREATE UNIQUE INDEX book_one ON book ((true));

INSERT INTO book VALUES (replace(gen_random_uuid()::text, '-', ''));

-- What is personal is sealed before it comes here; see the Go package seal.
ALTER TABLE log
    ALTER COLUMN personal TYPE json USING NULL; -- path to sealed text; the leaf commits to its hash

-- Keys, scopes and bodies are recognised again by their HMACs: nobody can guess
-- them here, before or after an erasure.
ALTER TABLE delivery RENAME COLUMN body_sha256 TO body_mac;
ALTER TABLE delivery
    ALTER COLUMN header TYPE bytea USING '', -- sealed
    DROP CONSTRAINT delivery_key_check,
    ADD CONSTRAINT delivery_key_check CHECK (length(key) = 43); -- HMAC, base64url
ALTER TABLE delivery_scope
    DROP CONSTRAINT delivery_scope_scope_check,
    ADD CONSTRAINT delivery_scope_scope_check CHECK (length(scope) = 43);

CREATE INDEX delivery_scope_position ON delivery_scope (position);

-- The keys that personal data are sealed with, each wrapped by a key-encryption
-- key that is kept outside the database. Deleting a row erases what it opens.
CREATE TABLE data_key (
    id      bytea            PRIMARY KEY CHECK (length(id) = 32), -- follows from the key; every sealed form begins with it
    subject text COLLATE "C",         -- whom it is about: source/type/id; null: one delivery
    epoch   integer          NOT NULL CHECK (epoch > 0), -- of the key-encryption key
    wrapped bytea            NOT NULL CHECK (length(wrapped) = 92)
);

CREATE UNIQUE INDEX data_key_subject ON data_key (subject) WHERE subject IS NOT NULL;

-- The key-encryption keys that there were. The id tells whether a file holds the
-- one that is meant.
CREATE TABLE key_epoch (
    epoch        integer     PRIMARY KEY CHECK (epoch > 0),
    id           bytea       NOT NULL CHECK (length(id) = 32),
    made_at      timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz
);

-- The roots of the full tiles of the Merkle tree, 256 wide: one for every 256
-- records at level 0, one for every 256 of these at level 1, and so on. They follow
-- from the leaves, which are in the log, and make proofs quick.
CREATE TABLE tile (
    level smallint NOT NULL CHECK (level >= 0),
    n     bigint   NOT NULL CHECK (n >= 0),
    root  bytea    NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (level, n)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON book
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tile
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
ALTER TABLE book ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE tile ENABLE ALWAYS TRIGGER append_only;
