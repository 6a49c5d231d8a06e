package tracking

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
)

const (
	// ingestEvery is how far the database may lag behind a run.
	ingestEvery = time.Second
	// heartbeatEvery is how often a run gives a sign of life.
	heartbeatEvery = 5 * time.Second
	// staleAfter is how long a run without a sign of life still counts as
	// running. The view runs has the same number.
	staleAfter = 30 * time.Second
)

// Store is the database open for writing. Any number of processes may have it
// open; each writes through one connection, and its methods may be called by
// any goroutine.
type Store struct {
	*Reader
	db    *sql.DB // one connection, the only one that writes
	spool string  // directory

	mu   sync.Mutex
	runs map[int64]*Run // begun here and not ended

	stop context.CancelFunc
	done chan struct{} // closed when keep has returned
}

// Open opens the database at path, creates it with its directories if there is
// none, and brings its schema to this version. What dead runs left in their
// spools is ingested. A file that is not a database of this program, or is of a
// newer version of it, is refused and left as it is.
func Open(path string) (*Store, error) { return open(path, ingestEvery) }

func open(path string, ingestEvery time.Duration) (_ *Store, err error) {
	exists, err := checkFile(path)
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path) // a later chdir must not matter
	if err != nil {
		return nil, err
	}
	s := &Store{
		db:    connectWriter(absolute),
		spool: filepath.Join(filepath.Dir(absolute), "spool"),
		runs:  map[int64]*Run{},
		done:  make(chan struct{}),
	}
	defer func() {
		if err != nil {
			s.db.Close()
		}
	}()
	if !exists || undone(absolute) {
		if err := os.MkdirAll(filepath.Dir(absolute), 0o755); err != nil {
			return nil, err
		}
		if err := create(absolute); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := migrate(s.db); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(s.spool, 0o755); err != nil {
		return nil, err
	}
	s.Reader = &Reader{path: path, db: connectReader(absolute, nil)}
	if err := s.recover(context.Background()); err != nil {
		s.Reader.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.keep(ctx, ingestEvery)
	return s, nil
}

// Close ends the runs that are still under way as interrupted and closes the
// database.
func (s *Store) Close() error {
	s.stop()
	<-s.done
	var errs []error
	for _, r := range s.ongoing() {
		errs = append(errs, s.End(context.Background(), r, Interrupted, "the store was closed", ""))
	}
	// The writer goes last: the last connection tidies the WAL away.
	errs = append(errs, s.Reader.Close(), s.db.Close())
	return errors.Join(errs...)
}

// ongoing returns the runs begun here and not ended.
func (s *Store) ongoing() []*Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := make([]*Run, 0, len(s.runs))
	for _, r := range s.runs {
		runs = append(runs, r)
	}
	return runs
}

// keep ingests the spools of this store's runs and gives signs of life for
// them. Errors become those of the runs; a busy database is tried again later.
func (s *Store) keep(ctx context.Context, ingestEvery time.Duration) {
	defer close(s.done)
	ingest, heartbeat := time.NewTicker(ingestEvery), time.NewTicker(heartbeatEvery)
	defer ingest.Stop()
	defer heartbeat.Stop()
	for {
		var do func(context.Context, []*Run) error
		select {
		case <-ctx.Done():
			return
		case <-ingest.C:
			do = s.ingestRuns
		case <-heartbeat.C:
			do = s.heartbeat
		}
		runs := s.ongoing()
		if len(runs) == 0 {
			continue
		}
		if err := do(ctx, runs); err != nil && !isBusy(err) && ctx.Err() == nil {
			for _, r := range runs {
				r.fail(err)
			}
		}
	}
}

// transact calls f in a transaction that holds the write lock from its start.
func (s *Store) transact(ctx context.Context, f func(*sql.Tx) error) error {
	err := func() error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := f(tx); err != nil {
			return err
		}
		return tx.Commit()
	}()
	return s.named(err)
}

// named adds the file to an error of SQLite.
func (r *Reader) named(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	return err
}
