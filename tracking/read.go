package tracking

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Reader is the database open for reading. It sees each transaction of the
// processes that write once it is committed: all that a run recorded until a
// second or so ago. Its methods may be called by any goroutine.
type Reader struct {
	path string
	db   *sql.DB
}

// OpenReadOnly opens the database at path, which it never writes, while other
// processes may. The directory may be read-only too, if no process was killed
// while it had the database open for writing.
func OpenReadOnly(path string) (*Reader, error) {
	exists, err := checkFile(path)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("%s: %w: nothing has been recorded yet", path, fs.ErrNotExist)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{path: path, db: connectReader(absolute, nil)}
	version, err := checkVersion(r.db)
	if cannotOpen(err) && empty(absolute+"-wal") {
		// Without a WAL to read, only the wish to make one is in the way.
		r.db.Close()
		r.db = connectReader(absolute, map[string]string{"immutable": "1"})
		version, err = checkVersion(r.db)
	}
	switch {
	case cannotOpen(err):
		err = fmt.Errorf("%w; its directory must be writable: a process was killed while writing, and left %s-wal", err, path)
	case err == nil && version < schemaVersion:
		err = fmt.Errorf("has schema version %d of %d; any command that trains brings it up to date", version, schemaVersion)
	}
	if err != nil {
		r.db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func cannotOpen(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrCantOpen || e.Code == sqlite3.ErrReadonly)
}

// empty reports whether there is nothing in the file.
func empty(path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

// Close closes the database.
func (r *Reader) Close() error { return r.db.Close() }

// ExperimentRow is an experiment and how far it is.
type ExperimentRow struct {
	Name, Path string
	Registered time.Time // first
	Cells      int
	Trials     map[Status]int // how many are in each state; none is 0
}

// Experiments lists all experiments by name.
func (r *Reader) Experiments(ctx context.Context) ([]ExperimentRow, error) {
	experiments, err := query(ctx, r, func(rows *sql.Rows) (e ExperimentRow, err error) {
		var registered int64
		err = rows.Scan(&e.Name, &e.Path, &registered, &e.Cells)
		e.Registered = time.UnixMilli(registered)
		return e, err
	}, `SELECT name, path, registered, (SELECT count(DISTINCT cell) FROM experiment_cell WHERE experiment = name)
		FROM experiment ORDER BY name`)
	if err != nil {
		return nil, err
	}
	for i := range experiments {
		e := &experiments[i]
		trials, err := r.Trials(ctx, e.Name)
		if err != nil {
			return nil, err
		}
		e.Trials = map[Status]int{}
		counted := map[string]bool{} // a trial may have a row for each of several points
		for _, t := range trials {
			if !counted[t.Trial] {
				counted[t.Trial] = true
				e.Trials[t.Status]++
			}
		}
	}
	return experiments, nil
}

// Experiment returns an experiment as it was last registered. The error is
// [ErrNotFound] if there is none of that name.
func (r *Reader) Experiment(ctx context.Context, name string) (Experiment, error) {
	e := Experiment{Name: name}
	err := r.db.QueryRowContext(ctx, "SELECT path, source FROM experiment WHERE name = ?", name).Scan(&e.Path, &e.Source)
	if errors.Is(err, sql.ErrNoRows) {
		return e, r.noExperiment(ctx, name)
	}
	if err != nil {
		return e, r.named(err)
	}
	e.Cells, err = query(ctx, r, func(rows *sql.Rows) (c Cell, err error) {
		var axes string
		if err := rows.Scan(&c.ID, &c.Variant, &axes, &c.Config, &c.Parameters); err != nil {
			return c, err
		}
		c.Axes, err = decodeAxes(axes)
		return c, err
	}, `SELECT c.id, e.variant, e.axes, e.config, c.parameters
		FROM experiment_cell e JOIN cell c ON c.id = e.cell WHERE e.experiment = ? ORDER BY e.position`, name)
	if err != nil {
		return e, err
	}
	e.Trials, err = query(ctx, r, func(rows *sql.Rows) (t Trial, err error) {
		return t, rows.Scan(&t.ID, &t.CellID, &t.Seed)
	}, `SELECT t.id, t.cell, t.seed
		FROM experiment_trial e JOIN trial t ON t.id = e.trial WHERE e.experiment = ? ORDER BY e.position`, name)
	return e, err
}

func (r *Reader) noExperiment(ctx context.Context, name string) error {
	names, err := query(ctx, r, func(rows *sql.Rows) (s string, err error) {
		return s, rows.Scan(&s)
	}, "SELECT name FROM experiment ORDER BY name")
	if err != nil {
		return err
	}
	has := "no experiments yet"
	if len(names) > 0 {
		has = strings.Join(names, ", ")
	}
	return fmt.Errorf("experiment %q: %w: %s has %s", name, ErrNotFound, r.path, has)
}

// TrialsBy lists the trials whose id begins with prefix, by their ids, those too that
// no experiment has any more.
func (r *Reader) TrialsBy(ctx context.Context, prefix string) ([]Trial, error) {
	return query(ctx, r, func(rows *sql.Rows) (t Trial, err error) {
		return t, rows.Scan(&t.ID, &t.CellID, &t.Seed)
	}, "SELECT id, cell, seed FROM trial WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id", prefix)
}

// Point is where a trial lies in its experiment's grid.
type Point struct {
	Variant string
	Axes    []Axis
	Seed    int64
	Trial   string
}

// TrialRow is a trial of an experiment with the state of its last run.
type TrialRow struct {
	Point
	Cell       string
	Parameters int64 // of the model; 0 if not known
	Status     Status
	Steps      int       // last step with a metric; 0 if there is none
	Run        int64     // its last; 0 if it is pending
	Started    time.Time // its last run, as the rest; zero if it is pending
	Finished   time.Time // zero if it is pending or running
	Message    string
}

// Trials lists the trials of an experiment in the order of its file. A trial
// whose cell is at several points of the grid has a row for each. The error is
// [ErrNotFound] if there is no experiment of that name.
func (r *Reader) Trials(ctx context.Context, experiment string) ([]TrialRow, error) {
	if err := r.known(ctx, experiment); err != nil {
		return nil, err
	}
	trials, err := query(ctx, r, func(rows *sql.Rows) (t TrialRow, err error) {
		var axes string
		var run sql.NullInt64
		var started, finished sql.NullString
		err = rows.Scan(&t.Variant, &axes, &t.Seed, &t.Trial, &t.Cell, &t.Parameters, &t.Status, &t.Steps, &run, &started, &finished, &t.Message)
		if err != nil {
			return t, err
		}
		t.Run = run.Int64
		return t, errors.Join(parseAxes(axes, &t.Axes), parseTime(started, &t.Started), parseTime(finished, &t.Finished))
	}, `SELECT variant, axes, seed, trial, cell, parameters, status, steps, run, started, finished, message
		FROM trials WHERE experiment = ? ORDER BY position, variant, axes`, experiment)
	for i := range trials {
		if err == nil && trials[i].Status == Running {
			trials[i].Status, err = r.runningOrLost(ctx, trials[i].Run)
		}
	}
	return trials, err
}

// Status is the state of a trial. The error is [ErrNotFound] if it is not registered.
func (r *Reader) Status(ctx context.Context, trialID string) (Status, error) {
	state, err := runState(ctx, r.db, "trial = ?", trialID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Pending, r.named(knownTrial(ctx, r.db, trialID))
	case err != nil:
		return "", r.named(err)
	case state.status == Running && !state.live(time.Now()):
		return Lost, nil
	}
	return state.status, nil
}

// Parameters is the number of parameters of a trial's model, 0 if that is not
// known. The error is [ErrNotFound] if the trial is not registered.
func (r *Reader) Parameters(ctx context.Context, trialID string) (n int64, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT c.parameters FROM trial t JOIN cell c ON c.id = t.cell WHERE t.id = ?", trialID).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("trial %s: %w", trialID, ErrNotFound)
	}
	return n, r.named(err)
}

// runningOrLost tells more than SQL can: whether the process of a running run lives.
func (r *Reader) runningOrLost(ctx context.Context, run int64) (Status, error) {
	state, err := runState(ctx, r.db, "id = ?", run)
	if err == nil && state.status == Running && !state.live(time.Now()) {
		return Lost, nil
	}
	return state.status, r.named(err)
}

// RunRow is a run as the store knows it.
type RunRow struct {
	Provenance
	ID        int64
	Trial     string
	Status    Status
	Message   string
	Stack     string
	Started   time.Time
	Finished  time.Time // zero while running
	Host      string
	PID       int
	Command   []string
	GoVersion string
	Platform  string // "linux/amd64"
}

// RunsOf lists the runs of a trial, oldest first.
func (r *Reader) RunsOf(ctx context.Context, trialID string) ([]RunRow, error) {
	runs, err := query(ctx, r, func(rows *sql.Rows) (u RunRow, err error) {
		var command string
		var started, finished sql.NullString
		err = rows.Scan(&u.ID, &u.Trial, &u.Status, &u.Message, &u.Stack, &started, &finished, &u.Host, &u.PID, &u.Config,
			&u.CodeVersion, &u.Dirty, &u.DataHash, &u.GoVersion, &u.Platform, &u.CPU, &u.Kernel, &u.Workers, &command)
		if err != nil {
			return u, err
		}
		return u, errors.Join(json.Unmarshal([]byte(command), &u.Command), parseTime(started, &u.Started), parseTime(finished, &u.Finished))
	}, `SELECT run, trial, status, message, stack, started, finished, host, pid, config,
			code_version, dirty, data_hash, go_version, platform, cpu, kernel, workers, command
		FROM runs WHERE trial = ? ORDER BY run`, trialID)
	for i := range runs {
		if err == nil && runs[i].Status == Running {
			runs[i].Status, err = r.runningOrLost(ctx, runs[i].ID)
		}
	}
	return runs, err
}

// known returns an error unless there is an experiment of that name.
func (r *Reader) known(ctx context.Context, experiment string) error {
	err := r.db.QueryRowContext(ctx, "SELECT name FROM experiment WHERE name = ?", experiment).Scan(new(string))
	if errors.Is(err, sql.ErrNoRows) {
		return r.noExperiment(ctx, experiment)
	}
	return r.named(err)
}

// query collects the rows of a query.
func query[T any](ctx context.Context, r *Reader, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := r.db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, r.named(err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, r.named(err)
		}
		all = append(all, v)
	}
	return all, r.named(rows.Err())
}

func parseAxes(s string, axes *[]Axis) (err error) {
	*axes, err = decodeAxes(s)
	return err
}

// parseTime leaves t zero for NULL.
func parseTime(s sql.NullString, t *time.Time) (err error) {
	if s.Valid {
		*t, err = time.Parse(time.RFC3339, s.String)
	}
	return err
}

// parseNumber is the inverse of number.
func parseNumber(v sql.NullFloat64) float64 {
	if !v.Valid {
		return math.NaN()
	}
	return v.Float64
}
