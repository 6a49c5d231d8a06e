package plots

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"exp/registry"
)

// TestKind checks what the registry wants of every figure, and that its defaults
// are valid.
func TestKind(t *testing.T) {
	k := NewKind()
	if got, want := fmt.Sprint(k.Names()), "[ablation_table bar gradient_flow learning_curve results_table]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, name := range k.Names() {
		table := registry.NewTable("figures", registry.Origin{})
		table.Set("type", registry.Value{Data: name})
		choice, err := k.Decode(table)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, err := choice.Build(Sweep{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := f.Render(Data{}); err == nil || !strings.Contains(err.Error(), "there are no trials") {
			t.Errorf("%s without data: got %v", name, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	curve, bar, results, ablation := DefaultLearningCurve(), DefaultBar(), DefaultResultsTable(), DefaultAblationTable()
	curve.Y, curve.Width, curve.FileName = "loss", 0, "../x"
	bar.By, bar.Height = []string{"a", "a"}, 50
	results.Y = nil
	ablation.Baseline = map[string]string{"variant": "lstm"}
	for _, c := range []struct {
		options registry.Options
		want    string
	}{
		{curve, "name: must be a file name without a folder, is \"../x\"\nwidth: must be from 1 to 30 inches, is 0\ny: must be a split and a metric, as \"test/loss\", is \"loss\""},
		{bar, "by: names \"a\" twice\nheight: must be from 1 to 30 inches, is 50"},
		{results, "y: names no metric"},
		{ablation, "baseline: names \"variant\", which is not in by"},
	} {
		if got := fmt.Sprint(c.options.Validate()); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
	var s Spread
	if err := s.UnmarshalText([]byte("sem")); err == nil || s != "" {
		t.Errorf("got %q, %v", s, err)
	}
}

// TestSweepIsChecked checks that a figure that cannot be drawn is refused before
// anything is measured.
func TestSweepIsChecked(t *testing.T) {
	sweep := Sweep{Cells: []map[string]string{{"variant": "lstm"}, {"variant": "gru"}}, Metrics: []string{"valid/loss", "test/loss"}}
	curve, ablation := DefaultLearningCurve(), DefaultAblationTable()
	curve.Y, curve.By = "valid/los", []string{"variant"}
	if _, err := NewLearningCurve(curve, sweep); fmt.Sprint(err) != `y: "valid/los" is not measured; did you mean "valid/loss"?` {
		t.Errorf("got %v", err)
	}
	ablation.Y, ablation.By, ablation.Baseline = "test/loss", []string{"variant"}, map[string]string{"variant": "rnn"}
	if _, err := NewAblationTable(ablation, sweep); fmt.Sprint(err) != `baseline: no cell is rnn, to compare lstm with` {
		t.Errorf("got %v", err)
	}
	ablation.Baseline["variant"] = "gru"
	if _, err := NewAblationTable(ablation, sweep); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestMeasureCurve(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	o := DefaultLearningCurve()
	for _, c := range []struct {
		name   string
		trials []Trial
		want   string // segments of x:mean(low high), then trials drawn alone, then "n of trials"
	}{
		{"two seeds", []Trial{trial(0, Finished, 1, 2), trial(1, Finished, 3, 2)}, "10:2(1 3) 20:2(2 2) | | 2 of 2"},
		{"a single seed", []Trial{trial(0, Finished, 1, 2)}, "10:1(1 1) 20:2(2 2) | | 1 of 1"},
		{"a gap", []Trial{trial(0, Finished, 1, nan, 3), trial(1, Finished, 1, 2, 3)}, "10:1(1 1) / 30:3(3 3) | | 2 of 2"},
		{"infinite at its end", []Trial{trial(0, Finished, 1, inf), trial(1, Finished, 3, 2)}, "10:2(1 3) | | 1 of 2"},
		{"diverged", []Trial{trial(0, Finished, 1, 1, 1), trial(1, Diverged, 1, 9, nan)}, "10:1(1 1) 20:1(1 1) 30:1(1 1) | 10:1 20:9 x20:9 | 1 of 2"},
		{"diverged at once", []Trial{trial(0, Diverged, nan)}, " | | 0 of 1"},
		{"failed and started", []Trial{trial(0, Failed), trial(1, "running", 4)}, "10:4(4 4) | | 1 of 2"},
		{"not finished", []Trial{trial(0, "interrupted", 1), trial(1, Finished, 3, 2)}, "10:2(1 3) 20:2(2 2) | | 1 of 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.Band = Range
			var got curve
			g := group{}
			for i := range c.trials {
				g.trials = append(g.trials, &c.trials[i])
			}
			if err := got.measure(g, o); err != nil {
				t.Fatal(err)
			}
			var segments, alone []string
			for _, s := range got.segments {
				var points []string
				for i, p := range s.mean {
					points = append(points, fmt.Sprintf("%v:%v(%v %v)", p.X, p.Y, s.low[i].Y, s.high[i].Y))
				}
				segments = append(segments, strings.Join(points, " "))
			}
			for _, line := range got.alone {
				for _, p := range line {
					alone = append(alone, fmt.Sprintf("%v:%v", p.X, p.Y))
				}
			}
			for _, p := range got.ends {
				alone = append(alone, fmt.Sprintf("x%v:%v", p.X, p.Y))
			}
			text := fmt.Sprintf("%s | %s | %d of %d", strings.Join(segments, " / "), strings.Join(alone, " "), got.last, got.of)
			if text = strings.ReplaceAll(text, "|  |", "| |"); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestCurveErrors(t *testing.T) {
	torn := trial(4, Finished, 1, 2)
	torn.Series["valid/loss"] = Series{[]int{1, 2}, []float64{1}}
	for _, c := range []struct {
		name   string
		trial  Trial
		scale  Scale
		height float64
		want   string
	}{
		{"log of zero", trial(4, Finished, 1, 0), Logarithmic, 3, "figure learning-curve-valid-loss: y_scale: is log, but valid/loss of lstm, seed 4, is 0 at step 20; make it linear"},
		{"nothing measured", trial(4, "running"), Linear, 3, "figure learning-curve-valid-loss: no trial has a finite value of valid/loss yet"},
		{"torn", torn, Linear, 3, "figure learning-curve-valid-loss: lstm: valid/loss of seed 4 has 2 steps and 1 values"},
		{"no room", trial(4, Finished, 1, 2), Linear, 1, "figure learning-curve-valid-loss: height of 1 inches leaves no room for the panels beside a legend of 1; raise it, or show fewer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := DefaultLearningCurve()
			o.By, o.YScale, o.Height = []string{"variant"}, c.scale, c.height
			f, err := NewLearningCurve(o, Sweep{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = f.Render(Data{Trials: []Trial{with(c.trial, "variant", "lstm")}}); fmt.Sprint(err) != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestDenominator checks that a trial without a result is counted everywhere.
func TestDenominator(t *testing.T) {
	d := Data{Trials: []Trial{trial(0, Finished, 2, 1), trial(1, Finished, 2, 3), trial(2, Diverged, 2, math.NaN())}}
	curve, bar, results, ablation := DefaultLearningCurve(), DefaultBar(), DefaultResultsTable(), DefaultAblationTable()
	bar.Y, results.Y, ablation.Y = "test/loss", []string{"test/loss"}, "test/loss"
	for i, make := range []func() (Figure, error){
		func() (Figure, error) { return NewLearningCurve(curve, Sweep{}) },
		func() (Figure, error) { return NewBar(bar, Sweep{}) },
		func() (Figure, error) { return NewResultsTable(results, Sweep{}) },
		func() (Figure, error) { return NewAblationTable(ablation, Sweep{}) },
	} {
		f, err := make()
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Render(d)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.Write(&b, []string{"svg", "svg", "txt", "txt"}[i]); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "2 of 3") {
			t.Errorf("%s does not say 2 of 3:\n%s", f.Name(), b.String())
		}
	}
}

// TestAnyValues draws data with every awkward value that a database may hold. It
// may be refused, but nothing may panic or go on for ever.
func TestAnyValues(t *testing.T) {
	values := []float64{0, 1, -1, 0.5, 1e-300, 5e-324, 1e9, 1e300, math.MaxFloat64, 1 + 1e-15, 1, math.NaN(), math.Inf(1), math.Inf(-1)}
	drawn := 0
	for round := range 300 {
		rng := rand.New(rand.NewPCG(1, uint64(round)))
		var d Data
		kinds := 1 + rng.IntN(len(values)) // few kinds make equal values likely
		for v := range 1 + rng.IntN(3) {
			for seed := range 1 + rng.Int64N(3) {
				var points []float64
				for range rng.IntN(4) {
					points = append(points, values[(round+rng.IntN(kinds))%len(values)])
				}
				status := []Status{Finished, Finished, Diverged, "running"}[rng.IntN(4)]
				d.Trials = append(d.Trials, with(trial(seed, status, points...), "variant", fmt.Sprint(v)))
			}
		}
		curve, bar, results, ablation := DefaultLearningCurve(), DefaultBar(), DefaultResultsTable(), DefaultAblationTable()
		curve.By, bar.By, results.By, ablation.By = []string{"variant"}, []string{"variant"}, []string{"variant"}, []string{"variant"}
		curve.Band = Spread(SD.Values()[rng.IntN(3)])
		curve.YScale = Scale(Linear.Values()[rng.IntN(2)])
		bar.Y, results.Y, ablation.Y = "test/loss", []string{"test/loss"}, "test/loss"
		for _, f := range []Figure{LearningCurve{curve}, Bar{bar}, ResultsTable{results}, AblationTable{ablation}} {
			r, err := f.Render(d)
			if err != nil {
				continue
			}
			drawn++
			if err := r.Write(io.Discard, r.Formats()[len(r.Formats())-1]); err != nil {
				t.Errorf("round %d, %s: %v", round, f.Name(), err)
			}
		}
	}
	if drawn < 600 {
		t.Errorf("drew %d figures, want at least 600", drawn)
	}
}
