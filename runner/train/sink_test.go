package train

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

// record is where a metric belongs.
type record struct {
	step        int
	split, name string
}

// memory is a Sink that keeps its records, as the tracking store does: a later
// record of the same place takes that of an earlier, and Resume voids what comes
// after it.
type memory struct {
	records, durable map[record]uint64
	calls            int
	fail             int // the number of the call that fails, 0 for none
	resumed          int // the step of the last Resume
	progress         func(step int)
	again            []record // written twice since the last Resume
	written          map[record]bool
	readings         []string
	warnings         []string
}

func newMemory() *memory {
	return &memory{records: map[record]uint64{}, durable: map[record]uint64{}, written: map[record]bool{}}
}

var errKilled = errors.New("killed")

func (m *memory) call() error {
	m.calls++
	if m.calls == m.fail {
		return errKilled
	}
	return nil
}

func (m *memory) Metric(step int, split, name string, value float64) error {
	r := record{step, split, name}
	if m.written[r] {
		m.again = append(m.again, r)
	}
	m.written[r] = true
	m.records[r] = math.Float64bits(value)
	return m.call()
}

func (m *memory) Measurement(int, string, float64) error { return m.call() }

func (m *memory) Reading(step int, split string) error {
	m.readings = append(m.readings, fmt.Sprintf("%s %d", split, step))
	return m.call()
}

func (m *memory) Warn(err error) { m.warnings = append(m.warnings, err.Error()) }

func (m *memory) Resume(step, _ int) error {
	m.resumed = step
	m.written = map[record]bool{}
	maps.DeleteFunc(m.records, func(r record, _ uint64) bool { return r.step > step })
	return m.call()
}

func (m *memory) Sync() error {
	m.durable = maps.Clone(m.records)
	return m.call()
}

func (m *memory) Progress(step int, _ float64) {
	if m.progress != nil {
		m.progress(step)
	}
}

// value returns what was recorded.
func (m *memory) value(t *testing.T, step int, split, name string) float64 {
	t.Helper()
	bits, ok := m.records[record{step, split, name}]
	if !ok {
		t.Fatalf("step %d has no %s/%s", step, split, name)
	}
	return math.Float64frombits(bits)
}

// text is all records, one a line, to the bit.
func (m *memory) text() string {
	var lines []string
	for r, bits := range m.records {
		lines = append(lines, fmt.Sprintf("%4d %s/%s %016x", r.step, r.split, r.name, bits))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
