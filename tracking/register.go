package tracking

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Experiment is a file's grid: its cells, and the trials that are these cells
// with a seed, both in the order of the file.
type Experiment struct {
	Name   string // identifies it in the store
	Path   string // of the file
	Source string // text of the file
	Cells  []Cell
	Trials []Trial
}

// Cell is a point of an experiment's grid.
type Cell struct {
	ID         string // its content; the same in every experiment
	Variant    string // "" if the experiment has none
	Axes       []Axis // in order; no key twice
	Config     string // resolved configuration, TOML
	Parameters int64  // of the model; 0 if not known
}

// Axis is the value that a cell has on one axis of the grid.
type Axis struct {
	Key, Value string
}

// Trial is a cell with a seed.
type Trial struct {
	ID     string // its content; letters, digits, '-', '_' and '.', at most 128
	CellID string
	Seed   int64
}

// maxTrialID is the length of an id at most.
const maxTrialID = 128

var trialID = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*$`)

// validTrialID keeps ids fit for the names of files. The length is not the
// expression's to check: to compile so many repetitions takes every command 2 ms.
func validTrialID(id string) bool { return len(id) <= maxTrialID && trialID.MatchString(id) }

// Register enters an experiment, or replaces what is known of it: cells and
// trials that it no longer has cease to belong to it. Trials themselves, with
// their runs and metrics, stay in the store. The same trial may belong to any
// number of experiments. It is an error if a trial's id stands for another cell
// or seed already.
func (s *Store) Register(ctx context.Context, e Experiment) error {
	if err := e.validate(); err != nil {
		return fmt.Errorf("experiment %q: %w", e.Name, err)
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		// An experiment's own rows are few; replacing them all keeps positions right.
		for _, q := range []string{"DELETE FROM experiment_trial WHERE experiment = ?", "DELETE FROM experiment_cell WHERE experiment = ?"} {
			if _, err := tx.ExecContext(ctx, q, e.Name); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO experiment (name, path, source, registered) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET path = excluded.path, source = excluded.source`,
			e.Name, e.Path, e.Source, time.Now().UnixMilli())
		if err != nil {
			return err
		}
		if err := registerCells(ctx, tx, e); err != nil {
			return err
		}
		return registerTrials(ctx, tx, e)
	})
}

func (e *Experiment) validate() error {
	if e.Name == "" {
		return errors.New("has no name")
	}
	cells := map[string]bool{}
	for _, c := range e.Cells {
		if c.ID == "" {
			return errors.New("a cell has no id")
		}
		cells[c.ID] = true
		keys := map[string]bool{}
		for _, a := range c.Axes {
			if keys[a.Key] {
				return fmt.Errorf("cell %s: axis %q is given twice", c.ID, a.Key)
			}
			keys[a.Key] = true
		}
	}
	trials := map[string]bool{}
	for _, t := range e.Trials {
		switch {
		case !validTrialID(t.ID):
			return fmt.Errorf("trial id %q: must be 1 to %d letters, digits, '-', '_' or '.', and not start with '.'", t.ID, maxTrialID)
		case !cells[t.CellID]:
			return fmt.Errorf("trial %s: cell %q is not one of the experiment", t.ID, t.CellID)
		case trials[t.ID]:
			return fmt.Errorf("trial %s: is given twice", t.ID)
		}
		trials[t.ID] = true
	}
	return nil
}

func registerCells(ctx context.Context, tx *sql.Tx, e Experiment) error {
	for i, c := range e.Cells {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO cell (id, parameters) VALUES (?, ?)
			ON CONFLICT (id) DO UPDATE SET parameters = excluded.parameters WHERE excluded.parameters <> 0`,
			c.ID, c.Parameters)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO experiment_cell (experiment, position, cell, variant, axes, config) VALUES (?, ?, ?, ?, ?, ?)",
			e.Name, i, c.ID, c.Variant, encodeAxes(c.Axes), c.Config)
		if err != nil {
			return err
		}
	}
	return nil
}

func registerTrials(ctx context.Context, tx *sql.Tx, e Experiment) error {
	for i, t := range e.Trials {
		var known Trial
		err := tx.QueryRowContext(ctx, "SELECT id, cell, seed FROM trial WHERE id = ? OR (cell = ? AND seed = ?)", t.ID, t.CellID, t.Seed).
			Scan(&known.ID, &known.CellID, &known.Seed)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			_, err = tx.ExecContext(ctx, "INSERT INTO trial (id, cell, seed) VALUES (?, ?, ?)", t.ID, t.CellID, t.Seed)
		case err == nil && known != t:
			err = fmt.Errorf("experiment %q: trial %s is cell %s with seed %d, but the store has trial %s as cell %s with seed %d",
				e.Name, t.ID, t.CellID, t.Seed, known.ID, known.CellID, known.Seed)
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO experiment_trial (experiment, position, trial) VALUES (?, ?, ?)", e.Name, i, t.ID); err != nil {
			return err
		}
	}
	return nil
}

// encodeAxes returns a JSON object whose keys are in the order of axes.
func encodeAxes(axes []Axis) string {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, a := range axes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(encodeJSON(a.Key))
		b.WriteByte(':')
		b.WriteString(encodeJSON(a.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// encodeJSON is json.Marshal that leaves <, > and & as they are.
func encodeJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // strings and lists of strings always encode
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// decodeAxes is the inverse of encodeAxes.
func decodeAxes(s string) ([]Axis, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("axes %q: %w", s, err)
	}
	var axes []Axis
	for d.More() {
		var pair [2]string
		for i := range pair {
			token, err := d.Token()
			if err != nil {
				return nil, fmt.Errorf("axes %q: %w", s, err)
			}
			text, ok := token.(string)
			if !ok {
				return nil, fmt.Errorf("axes %q: want text, not %v", s, token)
			}
			pair[i] = text
		}
		axes = append(axes, Axis{Key: pair[0], Value: pair[1]})
	}
	return axes, nil
}
