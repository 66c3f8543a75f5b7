-- +goose Up

-- What may have to be fetched from a provider; few, and asked for by themselves.
CREATE INDEX log_noticed ON log (source, position) WHERE kind = 'badges.noticed.v1';
