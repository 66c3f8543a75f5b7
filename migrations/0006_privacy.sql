-- +goose Up

-- What was erased is destroyed again at every start: it is few records, found at once.
CREATE INDEX log_erased ON log (position) WHERE kind = 'privacy.erased.v1';

-- A key-encryption key is destroyed when nothing is wrapped by it any more. So that
-- nothing is from then on, a new key is wrapped by that of the newest epoch, or
-- refused.
-- +goose StatementBegin
CREATE FUNCTION newest_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added WHERE epoch < (SELECT max(e.epoch) FROM key_epoch e)) THEN
        RAISE EXCEPTION 'the epoch of a new key has passed' USING ERRCODE = 'DB001';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER newest_epoch AFTER INSERT ON data_key REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION newest_epoch();
