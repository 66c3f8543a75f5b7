-- +goose Up

-- What opened the epochs of the log; hardly any, and asked for all the time.
CREATE INDEX log_forked ON log (position) WHERE kind = 'log.forked.v1';
