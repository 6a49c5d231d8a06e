package attention

import (
	"errors"
	"math"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

func build(t *testing.T, params *autodiff.Params, name string, options map[string]any, query, memory int) (components.Attention, error) {
	t.Helper()
	c := components.NewCatalog()
	Register(c)
	table := registry.NewTable("model.attention", registry.Origin{})
	table.Set("type", registry.Value{Data: name})
	for key, value := range options {
		table.Set(key, registry.Value{Data: value})
	}
	choice, err := c.Attentions.Decode(table)
	if err != nil {
		t.Fatal(err)
	}
	return choice.Build(components.AttentionDeps{Params: params, QuerySize: query, MemorySize: memory})
}

// Which attentions have parameters, and how wide their context is.
func TestSizes(t *testing.T) {
	for _, test := range []struct {
		name                               string
		query, memory, parameters, context int
	}{
		{"dot", 4, 4, 0, 4},
		{"dot", 4, 6, 24, 6},
		{"scaled_dot", 4, 4, 0, 4},
		{"scaled_dot", 6, 4, 24, 4},
		{"general", 4, 4, 16, 4},
		{"general", 4, 6, 24, 6},
		{"additive", 4, 6, 128 * (4 + 6 + 1), 6},
		{"multihead", 4, 6, (4*4 + 4) + (8*6 + 8) + (4*4 + 4), 4},
	} {
		params := autodiff.Declare()
		a, err := build(t, params, test.name, nil, test.query, test.memory)
		if err != nil {
			t.Fatal(err)
		}
		if params.Count() != test.parameters || a.ContextSize() != test.context {
			t.Errorf("%s of %d to %d: %d parameters, context %d; want %d, %d",
				test.name, test.query, test.memory, params.Count(), a.ContextSize(), test.parameters, test.context)
		}
	}
}

func TestNone(t *testing.T) {
	if a, err := build(t, autodiff.Declare(), "none", nil, 4, 4); a != nil || err != nil {
		t.Errorf("none builds %v, %v; want nil", a, err)
	}
}

// The scores by hand: weights of one query to two keys, in the ratio e^difference.
func TestScores(t *testing.T) {
	for name, test := range map[string]struct {
		kind    string
		options map[string]any
		want    float64 // the difference of the two scores
	}{
		"dot":        {"dot", nil, 2*1 - 1*3}, // q·(k0 - k1)
		"scaled_dot": {"scaled_dot", nil, (2*1 - 1*3) / math.Sqrt2},
		"general":    {"general", nil, 0.5 * (2*1 - 1*3)}, // W = 1/2
		"additive":   {"additive", map[string]any{"attention_size": int64(2)}, additive2()},

		"dot at a temperature":      {"dot", map[string]any{"temperature": 0.5}, 2 * (2*1 - 1*3)},
		"additive at a temperature": {"additive", map[string]any{"attention_size": int64(2), "temperature": 2.0}, additive2() / 2},
	} {
		t.Run(name, func(t *testing.T) {
			params := autodiff.NewParams(autodiff.Float64, 1)
			a, err := build(t, params, test.kind, test.options, 2, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range params.All() { // matrices are half the identity, vectors 1
				values := autodiff.Values[float64](p)
				for i := range values {
					values[i] = 1
					if p.Shape().Rank() == 2 {
						values[i] = map[bool]float64{true: 0.5}[i%3 == 0]
					}
				}
			}
			params.Changed()
			tape := autodiff.NewTape(autodiff.Float64)
			tape.KeepWeights()
			memory := components.Memory{States: tape.Input([]float32{100, 100, 1, 0, 0, 3}, 3, 2), Spans: autodiff.Spans{Starts: []int32{1}, Lengths: []int32{2}}}
			query := tape.Input([]float32{2, 1}, 1, 2)
			prepared := a.Prepare(tape, memory)
			context, weights := a.Attend(tape, query, autodiff.SingleRows(tape, 1), &prepared)
			w := autodiff.Values[float64](weights)
			if got := math.Log(w[0] / w[1]); math.Abs(got-test.want) > 1e-12 {
				t.Errorf("the scores differ by %v, want %v", got, test.want)
			}
			if c := autodiff.Values[float64](context); math.Abs(c[0]-w[0]) > 1e-12 || math.Abs(c[1]-3*w[1]) > 1e-12 {
				t.Errorf("context is %v, want %v and %v", c, w[0], 3*w[1])
			}
		})
	}
}

// additive2 is Σ tanh((q + k0)/2) - Σ tanh((q + k1)/2).
func additive2() float64 {
	return math.Tanh(1.5) + math.Tanh(0.5) - math.Tanh(1) - math.Tanh(2)
}

func TestHeadsThatDoNotFit(t *testing.T) {
	_, err := build(t, autodiff.Declare(), "multihead", map[string]any{"num_heads": int64(3)}, 4, 6)
	var fault registry.Fault
	if !errors.As(err, &fault) || fault.Key != "num_heads" {
		t.Errorf("error is %v, want a fault of num_heads", err)
	}
}

// Three queries to two keys with coverage, by hand: the coverage in each score, the
// loss, and what is left in the memory.
func TestCoverage(t *testing.T) {
	const temperature, weight = 0.5, 0.3
	for _, kind := range []string{"dot", "additive"} {
		params := autodiff.NewParams(autodiff.Float64, 1)
		options := map[string]any{"coverage": true, "coverage_loss": weight, "temperature": temperature}
		if kind == "additive" {
			options["attention_size"] = int64(2)
		}
		a, err := build(t, params, kind, options, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range params.All() {
			values := autodiff.Values[float64](p)
			for j := range values {
				values[j] = 0.1 + 0.2*float64(i) - 0.3*float64(j)
			}
		}
		params.Changed()
		tape := autodiff.NewTape(autodiff.Float64)
		tape.KeepWeights()
		tape.Reset(false, false)
		memory := components.Memory{States: tape.Input([]float32{1, 0.5, -0.5, 2}, 2, 2), Spans: autodiff.Spans{Starts: []int32{0}, Lengths: []int32{2}}}
		queries := [][]float64{{0.2, 0.1}, {-0.3, 0.5}, {0.7, -0.2}}
		query := tape.Input([]float32{0.2, 0.1, -0.3, 0.5, 0.7, -0.2}, 3, 2)
		prepared := a.Prepare(tape, memory)
		_, weights := a.Attend(tape, query, autodiff.Spans{Starts: []int32{0}, Lengths: []int32{3}}, &prepared)

		keys, c, loss := autodiff.Values[float64](prepared.Keys), [2]float64{}, 0.0
		value := func(name string, i int) float64 { return autodiff.Values[float64](params.Lookup(name))[i] }
		for i, q := range queries {
			var e [2]float64
			for s := range e {
				score := 0.0
				for x := range 2 {
					if kind == "dot" {
						score += q[x] * keys[2*s+x]
					} else {
						wq := q[0]*value("query.weight", 2*x) + q[1]*value("query.weight", 2*x+1)
						score += value("v", x) * math.Tanh(wq+keys[2*s+x]+c[s]*value("coverage", x))
					}
				}
				if kind == "dot" {
					score += value("coverage", 0) * c[s]
				}
				e[s] = math.Exp(score / temperature)
			}
			for s := range e {
				w := e[s] / (e[0] + e[1])
				if got := autodiff.Values[float64](weights)[2*i+s]; math.Abs(got-w) > 1e-7 {
					t.Errorf("%s: query %d gives key %d the weight %v, want %v", kind, i, s, got, w)
				}
				loss += weight * math.Min(w, c[s])
				c[s] += w
			}
		}
		if got := prepared.CoverageLoss.Scalar(); math.Abs(got-loss) > 1e-6 {
			t.Errorf("%s: the loss is %v, want %v", kind, got, loss)
		}
		for s, got := range autodiff.Values[float64](prepared.Coverage) {
			if math.Abs(got-c[s]) > 1e-6 {
				t.Errorf("%s: the coverage of key %d is %v, want %v", kind, s, got, c[s])
			}
		}
	}
}
