package tracking

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// Status is the state of a run, or of a trial: that of its last run.
type Status string

// The states of a trial. Finished and Diverged are final; a trial in any other
// but Running may be begun.
const (
	Pending     Status = "pending" // never begun
	Running     Status = "running"
	Finished    Status = "finished"
	Diverged    Status = "diverged"    // its loss or gradient ceased to be finite
	Failed      Status = "failed"      // ended by an error
	Interrupted Status = "interrupted" // asked to stop
	Lost        Status = "lost"        // its process ended without a word
)

// Final reports whether a trial in this state is never begun again.
func (s Status) Final() bool { return s == Finished || s == Diverged }

var (
	// ErrFinished is a trial that needs no further run.
	ErrFinished = errors.New("is finished already")
	// ErrClaimed is a trial that has a live run; the error is a [*ClaimedError].
	ErrClaimed = errors.New("is claimed by another run")
	// ErrLost is a run that was silent for so long that its trial was begun
	// elsewhere. What it records has no effect.
	ErrLost = errors.New("the run gave no sign of life and its trial was taken over by another")
	// ErrNotFound is a name or id that the store does not have.
	ErrNotFound = errors.New("not found")

	errEnded   = errors.New("the run has ended already")
	errCorrupt = errors.New("is missing or corrupt")
)

// ClaimedError says who has a trial.
type ClaimedError struct {
	Trial string
	Host  string
	PID   int
	Since time.Time
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("trial %s: %v: process %d on %s, since %s", e.Trial, ErrClaimed, e.PID, e.Host, e.Since.Format(time.DateTime))
}

// Is reports whether target is [ErrClaimed].
func (e *ClaimedError) Is(target error) bool { return target == ErrClaimed }

// Provenance is what would be needed to repeat a run. The store adds the times,
// the host, the process and its command line, the version of Go and the platform.
type Provenance struct {
	Config      string // resolved configuration, TOML
	CodeVersion string
	Dirty       bool // the code differs from that version
	DataHash    string
	CPU         string // model
	Kernel      string // path through the arithmetic: "avx2", ...
	Workers     int
}

// Run is one execution of a trial, under way in this process. Its methods may
// be called by any goroutine, but records of one goroutine only have an order.
// A method that records takes less than a microsecond and, like Sync, returns
// the error that stopped an earlier record on its way to the database, if any.
type Run struct {
	id    int64
	trial string
	file  string // name of the spool's file

	mu    sync.Mutex
	spool *spool
	err   error // of the spool or its ingestion; nothing more is recorded
}

// ID identifies the run in the store.
func (r *Run) ID() int64 { return r.id }

// Trial is the id of the run's trial.
func (r *Run) Trial() string { return r.trial }

// Begin claims a trial and begins a run of it. At most one run of a trial is
// live, whatever the number of processes: one whose process is known to have
// ended, or that gave no sign of life for 30 seconds, is marked as lost, and what
// it recorded is ingested. The error is [ErrFinished] for a trial that finished or
// diverged, a [*ClaimedError] for one with a live run, [ErrNotFound] for one that
// was never registered.
func (s *Store) Begin(ctx context.Context, trialID string, p Provenance) (*Run, error) {
	// The name is random: ids of runs start again in a new database beside old spools.
	r := &Run{trial: trialID, file: trialID + "-" + rand.Text()[:10] + spoolExt}
	var abandoned string
	err := s.transact(ctx, func(tx *sql.Tx) (err error) {
		if err := knownTrial(ctx, tx, trialID); err != nil {
			return err
		}
		if abandoned, err = s.claimable(ctx, tx, trialID); err != nil {
			return err
		}
		r.id, err = insertRun(ctx, tx, trialID, r.file, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	if abandoned != "" {
		s.removeSpool(abandoned)
	}
	if r.spool, err = createSpool(s.spool, r.file); err != nil {
		return nil, errors.Join(err, s.closeRun(ctx, r, 0, Failed, err.Error(), ""))
	}
	s.mu.Lock()
	s.runs[r.id] = r
	s.mu.Unlock()
	return r, nil
}

// claimable returns an error unless trialID may be begun. If its last run died
// it is closed, and its spool's name returned.
func (s *Store) claimable(ctx context.Context, tx *sql.Tx, trialID string) (abandoned string, err error) {
	last, err := runState(ctx, tx, "trial = ?", trialID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err != nil:
		return "", err
	case last.status.Final():
		return "", fmt.Errorf("trial %s: %w", trialID, ErrFinished)
	case last.status != Running:
		return "", nil
	case last.live(time.Now()):
		return "", &ClaimedError{Trial: trialID, Host: last.host, PID: last.pid, Since: last.started}
	}
	return last.spool, s.closeLost(ctx, tx, last)
}

func insertRun(ctx context.Context, tx *sql.Tx, trialID, spool string, p Provenance) (int64, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	now, pid := time.Now().UnixMilli(), os.Getpid()
	result, err := tx.ExecContext(ctx, `
		INSERT INTO run (trial, status, started, heartbeat, host, pid, machine, process_start, config,
			code_version, dirty, data_hash, go_version, platform, cpu, kernel, workers, command, spool, ingested)
		VALUES (?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		trialID, now, now, host, pid, thisMachine(), processStart(pid), p.Config,
		p.CodeVersion, p.Dirty, p.DataHash, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH, p.CPU, p.Kernel, p.Workers,
		encodeJSON(os.Args), spool)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// End ends a run with its status, which is Finished, Diverged, Failed or
// Interrupted, and ingests all that it recorded. If some of that could not be
// kept, a final status becomes Failed, and the error is returned. A run that was
// taken over stays lost, and the error is [ErrLost]. After any other error End
// may be called again. An interrupted run needs a ctx that is not done.
func (s *Store) End(ctx context.Context, r *Run, status Status, message, stack string) error {
	switch status {
	case Finished, Diverged, Failed, Interrupted:
	default:
		panic(fmt.Sprintf("tracking: a run cannot end as %q", status))
	}
	size, recorded := r.flush()
	if errors.Is(recorded, errEnded) {
		return recorded
	}
	err := s.closeRun(ctx, r, size, status, message, stack)
	if err != nil && !errors.Is(err, ErrLost) {
		return errors.Join(recorded, err)
	}
	s.mu.Lock()
	delete(s.runs, r.id)
	s.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	recorded, r.err = r.err, errEnded
	if err != nil { // lost, which says it all
		recorded = err
	}
	return errors.Join(recorded, r.spool.file.Close())
}

// closeRun ingests what is left of the size bytes of a run's spool and sets its
// status, in one transaction, after which the spool is of no more use. A final
// status becomes Failed if the run has an error, or is found to have one.
func (s *Store) closeRun(ctx context.Context, r *Run, size int64, status Status, message, stack string) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		err := s.ingest(ctx, tx, r, size)
		if errors.Is(err, errCorrupt) {
			r.fail(err)
		} else if err != nil {
			return err
		}
		if err := r.failure(); err != nil && status.Final() {
			status, message = Failed, err.Error()
		}
		_, err = tx.ExecContext(ctx, "UPDATE run SET status = ?, ended = ?, message = ?, stack = ? WHERE id = ?",
			status, time.Now().UnixMilli(), message, stack, r.id)
		return err
	})
	if err == nil {
		s.removeSpool(r.file)
	}
	return err
}

// Metric records a number that is the same on every run of the trial: at a step
// (updates done), of a split ("train", "valid", "test"), under a name. It replaces
// one recorded before under the same key. The value may be NaN or infinite; the
// sign of a zero is not kept.
func (r *Run) Metric(step int, split, name string, value float64) error {
	return r.record(record{kind: metricRecord, step: step, split: split, name: name, value: value})
}

// Measurement records a number that differs from run to run, such as seconds or
// bytes, at a step.
func (r *Run) Measurement(step int, name string, value float64) error {
	return r.record(record{kind: measurementRecord, step: step, name: name, value: value})
}

// Reading records that a split is about to be read for the model at a step. It
// is durable when Reading returns.
func (r *Run) Reading(step int, split string) error {
	if err := r.record(record{kind: readingRecord, step: step, split: split}); err != nil {
		return err
	}
	return r.Sync()
}

// Resume says that training goes on after step, from a checkpoint or, with 0,
// from the start. Metrics of the trial at later steps are void, whichever run
// recorded them.
func (r *Run) Resume(step int) error {
	return r.record(record{kind: resumeRecord, step: step})
}

// Sync makes all records durable: whatever happens later, they reach the database.
func (r *Run) Sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = r.spool.sync()
	}
	return r.err
}

func (r *Run) record(rec record) error {
	if rec.step < 0 {
		panic(fmt.Sprintf("tracking: step %d is negative", rec.step))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = r.spool.add(rec)
	}
	return r.err
}

// flush gives the spool's file what is pending. It returns the size of the file
// and the run's error.
func (r *Run) flush() (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = r.spool.flush()
	}
	return r.spool.size, r.err
}

// failure is the run's error.
func (r *Run) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// fail makes err the run's, unless it has one.
func (r *Run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}
