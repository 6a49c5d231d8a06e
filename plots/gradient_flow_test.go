package plots

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"exp/registry"
)

// flows names the metrics of a flow.
func flows(distances int) (names []string) {
	for d := range distances {
		names = append(names, fmt.Sprintf("valid/gradient_flow/%d", d))
	}
	return names
}

// flowing gives trials a flow that falls, each variant's by less than the one's
// before.
func flowing(d Data, distances int) Data {
	rate := map[string]float64{}
	for i := range d.Trials {
		t := &d.Trials[i]
		if _, seen := rate[t.Labels["variant"]]; !seen {
			rate[t.Labels["variant"]] = math.Pow(10, -2/float64(1+3*len(rate)))
		}
		for distance, name := range flows(distances) {
			t.Final[name] = 0.01 * float64(1+t.Seed) * math.Pow(rate[t.Labels["variant"]]*(1+0.1*float64(t.Seed)), float64(distance))
		}
	}
	return d
}

// A line is relative to distance 0, and ends where a trial has nothing to show.
func TestGradientFlow(t *testing.T) {
	f := GradientFlow{metrics: flows(4)}
	a, b := trial(1, Finished), trial(2, Finished)
	for d, v := range []float64{2, 1, 0.5, 0} {
		a.Final[f.metrics[d]] = v
		b.Final[f.metrics[d]] = 100 * v * math.Pow(4, float64(d))
	}
	l := f.measure(group{trials: []*Trial{&a, &b}})
	if len(l.mean) != 3 || l.last != 2 {
		t.Fatalf("the line is %+v", l)
	}
	for d := range l.mean {
		for _, at := range []struct{ got, want float64 }{
			{l.low[d].Y, math.Pow(0.5, float64(d))}, {l.mean[d].Y, 1}, {l.high[d].Y, math.Pow(2, float64(d))}, {l.mean[d].X, float64(d)},
		} {
			if !(math.Abs(at.got-at.want) <= 1e-12) {
				t.Errorf("at distance %d: %v, want %v", d, at.got, at.want)
			}
		}
	}
	if _, err := (GradientFlow{}).Render(Data{Trials: []Trial{trial(1, Finished)}}); err == nil || !strings.Contains(err.Error(), "no trial has a gradient flow yet") {
		t.Errorf("without any, the error is %v", err)
	}
	var fault registry.Fault
	if _, err := NewGradientFlow(DefaultGradientFlow(), Sweep{Metrics: []string{"valid/loss"}}); !errors.As(err, &fault) || !strings.Contains(fault.Problem, "evaluate.diagnostics.gradient_flow") {
		t.Errorf("not measured, the error is %v", err)
	}
}
