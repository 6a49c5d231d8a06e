package plots

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestSpreadPrecision(t *testing.T) {
	for _, c := range []struct {
		mean, sd float64
		share    bool
		want     string
	}{
		{0.95578, 0.0236, true, "95.6 ± 2.4"},
		{0.8201, 0.0388, true, "82 ± 4"},
		{0.5, 0.0012, true, "50.00 ± 0.12"},
		{0.0464, 0.00107, false, "0.0464 ± 0.0011"},
		{1234.5, 57, false, "1234 ± 57"},
		{2.345, 0.0972, false, "2.35 ± 0.10"},
		{0.123, math.NaN(), false, "0.123"},
		{12.34, math.NaN(), false, "12.3"},
		{0.98765, math.NaN(), true, "98.8"},
		{-0.00001, 0.2, false, "0.00 ± 0.20"},
		{-3, 0.5, false, minus + "3.0 ± 0.5"},
		{math.NaN(), math.NaN(), false, missing},
		{-5.273e30, 2.2e29, false, minus + "5.27e+30 ± 2.2e+29"},
	} {
		if got := newColumn(c.share, nil).spread(Summary{Mean: c.mean, SD: c.sd}); got != c.want {
			t.Errorf("%v ± %v: got %s, want %s", c.mean, c.sd, got, c.want)
		}
	}
	// One value has the decimals of the column's finest spread.
	column := newColumn(true, []float64{0.01, math.NaN(), 0.002})
	if got, want := column.spread(Summary{Mean: 0.5, SD: math.NaN()}), "50.00"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRoundTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		whole  bool
		want   string
	}{
		{0, 20000, true, "[0 5000 10000 15000 20000] 0"},
		{0, 3, true, "[0 1 2 3] 0"},
		{0, 1, true, "[0 1] 0"},
		{0, 100, false, "[0 20 40 60 80 100] 0"},
		{0.1, 0.35, false, "[0.1 0.15 0.2 0.25 0.3 0.35] 2"},
		{-1, 1, false, "[-1 -0.5 0 0.5 1] 1"},
		{0.97, 1, false, "[0.97 0.98 0.99 1] 2"},
	} {
		values, decimals := roundTicks(c.lo, c.hi, 6, c.whole)
		got := fmt.Sprint(values, decimals)
		if got != c.want {
			t.Errorf("[%v, %v]: got %s, want %s", c.lo, c.hi, got, c.want)
		}
	}
}

func TestTickLabels(t *testing.T) {
	labels := func(share, log bool, lo, hi float64) string {
		ticks := valueTicks(share)(lo, hi)
		if log {
			ticks = logTicks(share)(lo, hi)
		}
		var texts []string
		for _, tick := range ticks {
			if tick.Label != "" {
				texts = append(texts, tick.Label)
			}
		}
		return strings.Join(texts, " ")
	}
	for _, c := range []struct {
		share, log bool
		lo, hi     float64
		want       string
	}{
		{true, false, 0, 1, "0 20 40 60 80 100"},
		{false, false, -0.5, 0.5, minus + "0.4 " + minus + "0.2 0.0 0.2 0.4"},
		{false, false, 0, 4e6, "0 1e+06 2e+06 3e+06 4e+06"},
		{false, true, 0.01, 5, "0.01 0.1 1"},
		{false, true, 0.03, 3, "0.05 0.1 0.2 0.5 1 2"},
		{false, true, 1e-8, 1e8, "1e" + minus + "08 1e" + minus + "06 0.0001 0.01 1 100 10000 1e+06 1e+08"},
		{false, true, 2.1, 2.9, "2.2 2.4 2.6 2.8"},
		{true, true, 0.001, 1, "0.1 1 10 100"},
	} {
		if got := labels(c.share, c.log, c.lo, c.hi); got != c.want {
			t.Errorf("[%v, %v] share %v log %v: got %s, want %s", c.lo, c.hi, c.share, c.log, got, c.want)
		}
	}
	for in, want := range map[float64]string{0: "0", 500: "500", 1500: "1.5k", 20000: "20k", 2.5e6: "2.5M"} {
		if got := formatSteps(in); got != want {
			t.Errorf("%v steps: got %s, want %s", in, got, want)
		}
	}
}

func TestShortNames(t *testing.T) {
	got := shortNames([]string{"variant", "model.attention.type", "model.encoder.hidden_size", "model.decoder.hidden_size", "train.optimizer.lr"})
	want := map[string]string{"variant": "variant", "model.attention.type": "attention", "model.encoder.hidden_size": "encoder.hidden size",
		"model.decoder.hidden_size": "decoder.hidden size", "train.optimizer.lr": "lr"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMarkup checks that a label is text in every format, whatever it holds.
func TestMarkup(t *testing.T) {
	label := `a_b*c|d\e&f%g$h#{i}<j>,"k"`
	d := Data{Trials: []Trial{with(trial(0, Finished, 1), "variant", label)}}
	o := DefaultResultsTable()
	o.By, o.Y = []string{"variant"}, []string{"test/loss"}
	f, err := NewResultsTable(o, Sweep{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Render(d)
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{
		"md":  `| a\_b\*c\|d\\e&f%g$h#{i}&lt;j>,"k" | 1.00 | 1 |`,
		"tex": `a\_b*c|d\textbackslash{}e\&f\%g\$h\#\{i\}\textless{}j\textgreater{},"k" & 1.00 & 1 \\`,
		"csv": `"a_b*c|d\e&f%g$h#{i}<j>,""k""",1,,1,1`,
	} {
		var b strings.Builder
		if err := r.Write(&b, format); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: got\n%s\nwant a line\n%s", format, b.String(), want)
		}
	}
}
