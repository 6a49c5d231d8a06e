package tracking

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const spoolExt = ".spool"

// Metric is a number that is the same on every run of a trial.
type Metric struct {
	Split, Name string
	Step        int // updates done
	Value       float64
}

// PutReading records that a split is about to be read for the model of a finished
// trial at a step.
func (s *Store) PutReading(ctx context.Context, trialID string, step int, split string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if err := knownTrial(ctx, tx, trialID); err != nil {
			return err
		}
		in := newInserter(ctx, tx, trialID, 0)
		defer in.close()
		return in.add(record{kind: readingRecord, step: step, split: split})
	})
}

// PutMetrics adds metrics to a finished trial, computed later from its
// checkpoint; they replace those that it has under the same keys.
func (s *Store) PutMetrics(ctx context.Context, trialID string, metrics []Metric) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if err := knownTrial(ctx, tx, trialID); err != nil {
			return err
		}
		in := newInserter(ctx, tx, trialID, 0)
		defer in.close()
		for _, m := range metrics {
			if m.Step < 0 {
				panic(fmt.Sprintf("tracking: step %d is negative", m.Step))
			}
			if err := in.add(record{kind: metricRecord, step: m.Step, split: m.Split, name: m.Name, value: m.Value}); err != nil {
				return err
			}
		}
		return in.flush()
	})
}

// ingestRuns ingests what the store's own runs have recorded, in one transaction.
func (s *Store) ingestRuns(ctx context.Context, runs []*Run) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, r := range runs {
			size, _ := r.flush()
			switch err := s.ingest(ctx, tx, r, size); {
			case errors.Is(err, ErrLost), errors.Is(err, errCorrupt):
				r.fail(err)
			case errors.Is(err, errEnded): // just now
			case err != nil:
				return err
			}
		}
		return nil
	})
}

// heartbeat gives a sign of life for the store's own runs.
func (s *Store) heartbeat(ctx context.Context, runs []*Run) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, r := range runs {
			_, err := s.running(ctx, tx, r)
			if err == nil {
				_, err = tx.ExecContext(ctx, "UPDATE run SET heartbeat = ? WHERE id = ?", time.Now().UnixMilli(), r.id)
			}
			switch {
			case errors.Is(err, ErrLost):
				r.fail(err)
			case errors.Is(err, errEnded): // just now
			case err != nil:
				return err
			}
		}
		return nil
	})
}

// running is the state of a run of this store, or why it may not be written.
func (s *Store) running(ctx context.Context, tx *sql.Tx, r *Run) (state, error) {
	state, err := runState(ctx, tx, "id = ?", r.id)
	switch {
	case err != nil:
	case state.status == Lost:
		err = ErrLost
	case state.status != Running:
		err = errEnded
	}
	return state, err
}

// ingest ingests the spool of a run of this store up to size, all of which was
// written as whole records.
func (s *Store) ingest(ctx context.Context, tx *sql.Tx, r *Run, size int64) error {
	state, err := s.running(ctx, tx, r)
	if err != nil {
		return err
	}
	offset, err := s.ingestSpool(ctx, tx, state, size)
	if err == nil && offset < size {
		err = fmt.Errorf("%s: %w at byte %d", filepath.Join(s.spool, r.file), errCorrupt, offset)
	}
	return err
}

// closeLost marks a run whose process died as lost, with what it recorded. A
// record that was cut short is dropped.
func (s *Store) closeLost(ctx context.Context, tx *sql.Tx, state state) error {
	if _, err := s.ingestSpool(ctx, tx, state, math.MaxInt64); err != nil {
		return err
	}
	message := fmt.Sprintf("process %d on %s ended without a word: killed, out of memory, or a loss of power", state.pid, state.host)
	_, err := tx.ExecContext(ctx, "UPDATE run SET status = 'lost', ended = heartbeat, message = ? WHERE id = ?", message, state.id)
	return err
}

// recover closes the runs of dead processes and removes the spools that are of
// no more use, which a process that dies may leave behind.
func (s *Store) recover(ctx context.Context) error {
	dead, err := s.deadRuns(ctx)
	if err != nil {
		return err
	}
	for _, id := range dead {
		err := s.transact(ctx, func(tx *sql.Tx) error {
			state, err := runState(ctx, tx, "id = ?", id)
			if err != nil || state.status != Running || state.live(time.Now()) { // another process was faster, or it woke
				return err
			}
			return s.closeLost(ctx, tx, state)
		})
		if err != nil {
			return err
		}
	}
	files, err := os.ReadDir(s.spool)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), spoolExt) {
			continue
		}
		state, err := runState(ctx, s.Reader.db, "spool = ?", f.Name())
		if errors.Is(err, sql.ErrNoRows) { // of another database in this directory
			continue
		}
		if err != nil {
			return s.named(err)
		}
		if state.status != Running {
			s.removeSpool(f.Name())
		}
	}
	return nil
}

func (s *Store) deadRuns(ctx context.Context) ([]int64, error) {
	rows, err := s.Reader.db.QueryContext(ctx, "SELECT "+stateColumns+" FROM run WHERE status = 'running'")
	if err != nil {
		return nil, s.named(err)
	}
	defer rows.Close()
	var dead []int64
	now := time.Now()
	for rows.Next() {
		state, err := scanState(rows)
		if err != nil {
			return nil, s.named(err)
		}
		if !state.live(now) {
			dead = append(dead, state.id)
		}
	}
	return dead, s.named(rows.Err())
}

// removeSpool removes a file whose records are all in the database. One that
// stays only takes room, and the next Open tries again.
func (s *Store) removeSpool(file string) { os.Remove(filepath.Join(s.spool, file)) }

// ingestSpool ingests a run's spool up to limit and returns the offset it got
// to, which the transaction sets down with the rows.
func (s *Store) ingestSpool(ctx context.Context, tx *sql.Tx, state state, limit int64) (int64, error) {
	in := newInserter(ctx, tx, state.trial, state.id)
	defer in.close()
	offset, err := readSpool(filepath.Join(s.spool, state.spool), state.ingested, limit, in.add)
	if err == nil {
		err = in.flush()
	}
	if err != nil || offset == state.ingested {
		return offset, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE run SET ingested = ? WHERE id = ?", offset, state.id)
	return offset, err
}

// insertRows is how many points one statement inserts.
const insertRows = 32

// inserter applies the records of one trial in a transaction.
type inserter struct {
	ctx    context.Context
	tx     *sql.Tx
	trial  string
	run    int64
	series map[[2]string]int64 // split and name to id
	many   *sql.Stmt           // inserts insertRows points
	points []any               // series, step and value of each, less than insertRows
}

func newInserter(ctx context.Context, tx *sql.Tx, trial string, run int64) *inserter {
	return &inserter{ctx: ctx, tx: tx, trial: trial, run: run, series: map[[2]string]int64{}}
}

// close releases the statement; the rows are flush's.
func (in *inserter) close() {
	if in.many != nil {
		in.many.Close()
	}
}

func (in *inserter) add(r record) error {
	switch r.kind {
	case metricRecord:
		return in.addPoint(r)
	case measurementRecord:
		_, err := in.tx.ExecContext(in.ctx, `
			INSERT INTO measurement (run, name, step, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (run, name, step) DO UPDATE SET value = excluded.value`,
			in.run, r.name, r.step, number(r.value))
		return err
	case readingRecord:
		_, err := in.tx.ExecContext(in.ctx, "INSERT INTO reading (trial, split, step, at) VALUES (?, ?, ?, ?)", in.trial, r.split, r.step, time.Now().UnixMilli())
		return err
	case resumeRecord:
		if err := in.flush(); err != nil {
			return err
		}
		_, err := in.tx.ExecContext(in.ctx, "DELETE FROM point WHERE series IN (SELECT id FROM series WHERE trial = ?) AND step > ?", in.trial, r.step)
		return err
	}
	panic(fmt.Sprintf("tracking: record of kind %q", r.kind))
}

func (in *inserter) addPoint(r record) (err error) {
	key := [2]string{r.split, r.name}
	id, ok := in.series[key]
	if !ok {
		err := in.tx.QueryRowContext(in.ctx, `
			INSERT INTO series (trial, split, name) VALUES (?, ?, ?)
			ON CONFLICT (trial, split, name) DO UPDATE SET name = name RETURNING id`, in.trial, r.split, r.name).Scan(&id)
		if err != nil {
			return err
		}
		in.series[key] = id
	}
	in.points = append(in.points, id, r.step, number(r.value))
	if len(in.points) < 3*insertRows {
		return nil
	}
	if in.many == nil {
		if in.many, err = in.tx.PrepareContext(in.ctx, insertPoints(insertRows)); err != nil {
			return err
		}
	}
	_, err = in.many.ExecContext(in.ctx, in.points...)
	in.points = in.points[:0]
	return err
}

// flush inserts the points that are left.
func (in *inserter) flush() error {
	if len(in.points) == 0 {
		return nil
	}
	_, err := in.tx.ExecContext(in.ctx, insertPoints(len(in.points)/3), in.points...)
	in.points = in.points[:0]
	return err
}

func insertPoints(n int) string {
	return "INSERT INTO point (series, step, value) VALUES (?, ?, ?)" + strings.Repeat(", (?, ?, ?)", n-1) +
		" ON CONFLICT (series, step) DO UPDATE SET value = excluded.value"
}

// number is a value as it is stored: SQLite has no NaN.
func number(v float64) any {
	if math.IsNaN(v) {
		return nil
	}
	return v
}
