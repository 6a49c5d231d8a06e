package tracking

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// state is what the store needs to know of a run to claim its trial, ingest its
// spool or tell whether it lives.
type state struct {
	id           int64
	trial        string
	status       Status
	started      time.Time
	heartbeat    time.Time
	host         string
	pid          int
	machine      string
	processStart int64
	spool        string
	ingested     int64
}

const stateColumns = "id, trial, status, started, heartbeat, host, pid, machine, process_start, spool, ingested"

func scanState(row interface{ Scan(...any) error }) (state, error) {
	var s state
	var started, heartbeat int64
	err := row.Scan(&s.id, &s.trial, &s.status, &started, &heartbeat, &s.host, &s.pid, &s.machine, &s.processStart, &s.spool, &s.ingested)
	s.started, s.heartbeat = time.UnixMilli(started), time.UnixMilli(heartbeat)
	return s, err
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// runState is the last run that meets a condition.
func runState(ctx context.Context, q querier, where string, args ...any) (state, error) {
	return scanState(q.QueryRowContext(ctx, "SELECT "+stateColumns+" FROM run WHERE "+where+" ORDER BY id DESC LIMIT 1", args...))
}

var thisMachine = sync.OnceValue(machine)

// live reports whether a running run is taken to be so. A process of this
// machine that is no more is known at once; else a sign of life is waited for.
func (s *state) live(now time.Time) bool {
	if s.machine != "" && s.machine == thisMachine() && ended(s.pid, s.processStart) {
		return false
	}
	return now.Sub(s.heartbeat) <= staleAfter
}

// knownTrial returns an error unless the trial is registered.
func knownTrial(ctx context.Context, q querier, id string) error {
	err := q.QueryRowContext(ctx, "SELECT id FROM trial WHERE id = ?", id).Scan(new(string))
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("trial %q: %w", id, ErrNotFound)
	}
	return err
}
