PRAGMA application_id = 1702391924;
PRAGMA user_version = 2;
CREATE TABLE experiment (
  name       TEXT PRIMARY KEY,
  path       TEXT NOT NULL, -- the file it was last read from
  source     TEXT NOT NULL, -- the text of that file
  registered INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE cell (
  id         TEXT PRIMARY KEY,
  parameters INTEGER NOT NULL -- of the model; 0 where not known yet
) STRICT, WITHOUT ROWID;
CREATE TABLE trial (
  id   TEXT PRIMARY KEY,
  cell TEXT NOT NULL REFERENCES cell,
  seed INTEGER NOT NULL,
  UNIQUE (cell, seed)
) STRICT, WITHOUT ROWID;
CREATE TABLE experiment_cell (
  experiment TEXT NOT NULL REFERENCES experiment,
  position   INTEGER NOT NULL, -- order in the experiment
  cell       TEXT NOT NULL REFERENCES cell,
  variant    TEXT NOT NULL,
  axes       TEXT NOT NULL CHECK (json_valid(axes)), -- JSON object: axis to value
  config     TEXT NOT NULL, -- resolved configuration, TOML
  PRIMARY KEY (experiment, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE experiment_trial (
  experiment TEXT NOT NULL REFERENCES experiment,
  position   INTEGER NOT NULL, -- order in the experiment
  trial      TEXT NOT NULL REFERENCES trial,
  PRIMARY KEY (experiment, position),
  UNIQUE (experiment, trial)
) STRICT, WITHOUT ROWID;
CREATE TABLE run (
  id            INTEGER PRIMARY KEY,
  trial         TEXT NOT NULL REFERENCES trial,
  status        TEXT NOT NULL CHECK (status IN ('running', 'finished', 'diverged', 'failed', 'interrupted', 'lost')),
  message       TEXT NOT NULL DEFAULT '',
  stack         TEXT NOT NULL DEFAULT '',
  started       INTEGER NOT NULL,
  ended         INTEGER CHECK ((ended IS NULL) = (status = 'running')),
  heartbeat     INTEGER NOT NULL, -- last sign of life
  host          TEXT NOT NULL,
  pid           INTEGER NOT NULL,
  machine       TEXT NOT NULL, -- where the pid means something: boot and namespace
  process_start INTEGER NOT NULL, -- tells a process from a later one of the same pid; 0 where not known
  config        TEXT NOT NULL,
  code_version  TEXT NOT NULL,
  dirty         INTEGER NOT NULL CHECK (dirty IN (0, 1)),
  data_hash     TEXT NOT NULL,
  go_version    TEXT NOT NULL,
  platform      TEXT NOT NULL,
  cpu           TEXT NOT NULL,
  kernel        TEXT NOT NULL,
  workers       INTEGER NOT NULL,
  command       TEXT NOT NULL CHECK (json_valid(command)), -- JSON array
  spool         TEXT NOT NULL UNIQUE, -- file name in the spool directory
  ingested      INTEGER NOT NULL -- bytes of the spool that are in the tables
) STRICT;
CREATE INDEX run_of_trial ON run (trial, id);
CREATE UNIQUE INDEX run_claim ON run (trial) WHERE status = 'running';
CREATE TABLE series (
  id    INTEGER PRIMARY KEY,
  trial TEXT NOT NULL REFERENCES trial,
  split TEXT NOT NULL,
  name  TEXT NOT NULL,
  UNIQUE (trial, split, name)
) STRICT;
CREATE TABLE point (
  series INTEGER NOT NULL REFERENCES series,
  step   INTEGER NOT NULL CHECK (step >= 0),
  value  REAL, -- NULL where it is not a number; infinities as they are
  kind   TEXT GENERATED ALWAYS AS (CASE
           WHEN value IS NULL THEN 'nan'
           WHEN value = 9e999 THEN '+inf'
           WHEN value = -9e999 THEN '-inf'
           ELSE 'finite' END) VIRTUAL,
  PRIMARY KEY (series, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE measurement (
  run   INTEGER NOT NULL REFERENCES run,
  name  TEXT NOT NULL,
  step  INTEGER NOT NULL CHECK (step >= 0),
  value REAL,
  PRIMARY KEY (run, name, step)
) STRICT, WITHOUT ROWID;
CREATE VIEW runs AS
-- status   running, finished, diverged, failed, interrupted, or lost: ended
--          without a word, or without a sign of life for 30 seconds
-- command  JSON array
SELECT id AS run, trial,
  CASE WHEN status = 'running' AND heartbeat / 1000 < CAST(strftime('%s', 'now') AS INTEGER) - 30
    THEN 'lost' ELSE status END AS status,
  message, stack,
  strftime('%Y-%m-%dT%H:%M:%fZ', started / 1000.0, 'unixepoch') AS started,
  strftime('%Y-%m-%dT%H:%M:%fZ', ended / 1000.0, 'unixepoch') AS finished,
  host, pid, config, code_version, dirty, data_hash, go_version, platform, cpu, kernel, workers, command
FROM run;
CREATE VIEW member AS
SELECT et.experiment, et.position, ec.variant, ec.axes, t.seed, t.cell, t.id AS trial
FROM experiment_trial et
JOIN trial t ON t.id = et.trial
JOIN experiment_cell ec ON ec.experiment = et.experiment AND ec.cell = t.cell;
CREATE VIEW trials AS
-- Each trial of each experiment, with the state of its last run.
-- position    order in the experiment's file
-- variant     '' where the experiment has none
-- axes        JSON object: axes ->> '$."train.optimizer.lr"'
-- parameters  of the model; 0 where not known
-- status      pending before its first run, then that of its last run
-- steps       last step with a metric; 0 where there is none
-- run         its last run; NULL while pending
-- started, finished, message  of that run
SELECT m.experiment, m.position, m.variant, m.axes, m.seed, m.cell, m.trial,
  (SELECT parameters FROM cell WHERE id = m.cell) AS parameters,
  coalesce(r.status, 'pending') AS status,
  coalesce((SELECT max((SELECT max(p.step) FROM point p WHERE p.series = s.id))
    FROM series s WHERE s.trial = m.trial), 0) AS steps,
  r.run, r.started, r.finished, coalesce(r.message, '') AS message
FROM member m
LEFT JOIN runs r ON r.run = (SELECT max(id) FROM run WHERE trial = m.trial);
CREATE VIEW metrics AS
-- Every number that is the same on every run of a trial.
-- kind  finite, nan (value is NULL), +inf or -inf
-- (trial, split, metric, step) is the key: ordered by it, the same trials give
-- the same rows in any database.
SELECT s.trial, s.split, s.name AS metric, p.step, p.value, p.kind
FROM series s JOIN point p ON p.series = s.id;
CREATE VIEW curves AS
-- Metrics under the experiment's names, for every trial so far.
SELECT m.experiment, m.position, m.variant, m.axes, m.seed, m.trial,
  s.split, s.name AS metric, p.step, p.value, p.kind
FROM member m
JOIN series s ON s.trial = m.trial
JOIN point p ON p.series = s.id;
CREATE VIEW final_metrics AS
-- For finished trials, each metric at the last step at which it was evaluated.
SELECT m.experiment, m.position, m.variant, m.axes, m.seed, m.trial,
  s.split, s.name AS metric, p.step, p.value, p.kind
FROM member m
JOIN run r ON r.id = (SELECT max(id) FROM run WHERE trial = m.trial) AND r.status = 'finished'
JOIN series s ON s.trial = m.trial
JOIN point p ON p.series = s.id AND p.step = (SELECT max(step) FROM point WHERE series = s.id);
CREATE VIEW measurements AS
-- Wall-clock, speed, memory: apart from metrics, which compare whole.
SELECT r.trial, m.run, m.name, m.step, m.value
FROM measurement m JOIN run r ON r.id = m.run;
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
