-- Each time that a split was read which training must not see, for the model of a
-- trial at a step. A reading stays, whatever becomes of what was measured.
CREATE TABLE reading (
  id    INTEGER PRIMARY KEY,
  trial TEXT NOT NULL REFERENCES trial,
  split TEXT NOT NULL,
  step  INTEGER NOT NULL CHECK (step >= 0),
  at    INTEGER NOT NULL
) STRICT;
CREATE INDEX reading_of_trial ON reading (trial, id);

CREATE VIEW readings AS
-- Each reading of the test split, in the order in which they were recorded.
SELECT trial, split, step, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at
FROM reading ORDER BY id;
