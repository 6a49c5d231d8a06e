package autodiff

import (
	"testing"
	"time"
)

func TestProfile(t *testing.T) {
	tape := NewTape(Float32)
	tape.Mark("nobody asked")
	p := tape.Profile()
	started := time.Now()
	for range 3 {
		p.Begin()
		tape.Reset(true, true)
		tape.Mark("reset")
		x := tape.Input([]float32{1, 2, 3, 4}, 2, 2)
		y := AddToRows(tape, Add(tape, Scale(tape, x, 2), x), x, SingleRows(tape, 2))
		tape.Backward(CrossEntropy(tape, y, []int32{0, 1}, 0))
	}
	took := time.Since(started)
	total := time.Duration(0)
	calls := map[string]int{}
	for _, r := range p.Rows() {
		calls[r.Name] = r.Calls
		total += r.Time
		if r.Name == "reset" != (r.Forward == 0 && r.Backward == 0) {
			t.Errorf("%s: %v forward, %v backward", r.Name, r.Forward, r.Backward)
		}
	}
	for _, name := range []string{"reset", "scale", "add", "add_to_rows", "cross_entropy"} {
		if calls[name] != 3 {
			t.Errorf("%s: %d calls, want 3; all: %v", name, calls[name], calls)
		}
	}
	if len(calls) != 5 || total > took {
		t.Errorf("%v in %v of %v", calls, total, took)
	}
}
