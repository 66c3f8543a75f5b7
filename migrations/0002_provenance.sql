-- +goose Up

-- How a delivery came to us, if its sender did not send it by itself.
ALTER TABLE delivery
    ADD COLUMN fetched text COLLATE "C" NOT NULL DEFAULT '', -- what was asked of the provider's API
    ADD COLUMN replay  boolean          NOT NULL DEFAULT false, -- its cause, translated again
    ADD CONSTRAINT replay_has_cause CHECK (NOT replay OR cause IS NOT NULL);

-- A delivery is booked by one replay at the most.
CREATE UNIQUE INDEX delivery_replay ON delivery (cause) WHERE replay;

-- What follows from a delivery: a replay, or what was fetched for a notice.
CREATE INDEX delivery_cause ON delivery (cause) WHERE cause IS NOT NULL;

-- What a person may have to look at.
CREATE INDEX delivery_open ON delivery (position) WHERE status <> 'accepted';
