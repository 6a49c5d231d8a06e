package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
)

// Diagnostics are recorded at each evaluation, are what they say, and change nothing
// of the training.
func TestDiagnostics(t *testing.T) {
	plain, sink := newMemory(), newMemory()
	c := with(t, func(c *Config) { plainSGD(t, c) })
	if err := Run(context.Background(), c, plain); err != nil {
		t.Fatal(err)
	}
	diagnosed := with(t, func(c *Config) {
		plainSGD(t, c)
		c.Diagnostics = components.Diagnostics{Layers: true, Activations: true, GradientFlow: 2}
	})
	tr, err := newTrial(diagnosed, sink)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	first := tr.layers(func(_ int, v *autodiff.Var) float64 {
		sum := 0.0
		for _, w := range v.Float32s() {
			sum += float64(w) * float64(w)
		}
		return sum
	})
	tr.Evaluation.Every = 1
	if err := tr.update(); err != nil {
		t.Fatal(err)
	}
	squares := 0.0
	for r := range sink.records {
		layer, ok := strings.CutPrefix(r.name, "gradient_norm/")
		if !ok {
			continue
		}
		norm := sink.value(t, 1, "train", r.name)
		squares += norm * norm
		if got, want := sink.value(t, 1, "train", "update_ratio/"+layer), 0.5*norm/math.Sqrt(first[layer]); !(math.Abs(got-want) <= 1e-4*want) {
			t.Errorf("the update of %s is %v of its weights, want %v", layer, got, want)
		}
	}
	if want := sink.value(t, 1, "train", "grad_norm"); !(math.Abs(math.Sqrt(squares)-want) <= 1e-6*want) {
		t.Errorf("the norms of all layers together are %v, want %v", math.Sqrt(squares), want)
	}

	sink = newMemory()
	if err := Run(context.Background(), diagnosed, sink); err != nil {
		t.Fatal(err)
	}
	names := map[string][]int{}
	for r := range sink.records {
		if _, known := plain.records[r]; known {
			if sink.records[r] != plain.records[r] {
				t.Errorf("%+v is another with diagnostics", r)
			}
			continue
		}
		name, _, _ := strings.Cut(r.name, "/")
		if !slices.Contains(names[name], r.step) {
			names[name] = append(names[name], r.step)
		}
	}
	for _, name := range []string{"gradient_norm", "update_ratio", "saturation", "attention_entropy", "gradient_flow"} {
		slices.Sort(names[name])
		if want := []int{3, 6, 8}; !slices.Equal(names[name], want) {
			t.Errorf("%s is recorded at steps %v, want %v", name, names[name], want)
		}
	}
	if len(names) != 5 {
		t.Errorf("recorded %v", names)
	}
	for _, gate := range []string{"encoder.layer0/f", "decoder.layer0/z"} {
		if share := sink.value(t, 8, "valid", "saturation/"+gate); !(share >= 0 && share <= 1) {
			t.Errorf("%v of %s is saturated", share, gate)
		}
	}
	if entropy := sink.value(t, 8, "valid", "attention_entropy"); !(entropy > 0 && entropy <= math.Log(4)) {
		t.Errorf("the entropy over 4 tokens at most is %v", entropy)
	}
}

// Where each step back multiplies a gradient by a half, or by two, the flow does.
func TestGradientFlow(t *testing.T) {
	catalog := standard.Catalog()
	for _, by := range []float64{0.5, 2} {
		c := with(t, func(c *Config) {
			options := map[string]any{"embedding_size": 6, "hidden_size": 8, "activation": "relu"}
			c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, "rnn", options)
			c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, "rnn", options)
			c.Parts.Attention = componenttest.Build(t, &catalog.Attentions, "none", nil)
			c.Diagnostics.GradientFlow = 10
		})
		tr, err := newTrial(c, discard{})
		if err != nil {
			t.Fatal(err)
		}
		set := func(name string, value func(i int) float32) {
			v := tr.model.Params.Lookup("encoder.layer0." + name)
			if v == nil {
				t.Fatalf("no parameter %s", name)
			}
			values := make([]float32, v.Size())
			for i := range values {
				values[i] = value(i)
			}
			if err := tr.model.Params.Set(v, values); err != nil {
				t.Fatal(err)
			}
		}
		set("weight_hh", func(i int) float32 {
			if i/8 == i%8 {
				return float32(by)
			}
			return 0
		})
		set("bias_ih", func(int) float32 { return 10 }) // where max(0, ·) is linear
		flow := tr.look(c.Data.Train.(components.Pairs)[2:3]).flow
		if len(flow) != 4 || !(flow[0] > 0) {
			t.Fatalf("the flow over 4 steps is %v", flow)
		}
		for distance, norm := range flow {
			if want := flow[0] * math.Pow(by, float64(distance)); !(math.Abs(norm-want) <= 1e-5*want) {
				t.Errorf("at a distance of %d the norm is %v, want %v", distance, norm, want)
			}
		}
	}
}

// The flow is there for every encoder whose memory is as long as its source.
func TestGradientFlowOfAll(t *testing.T) {
	catalog := standard.Catalog()
	for encoder, options := range map[string]map[string]any{
		"rnn": {}, "lstm": {"bidirectional": true, "num_layers": 2}, "gru": {"layer_norm": true, "reset": "before"}, "transformer": {},
	} {
		for _, attention := range []string{"none", "additive"} {
			t.Run(fmt.Sprintf("%s/%s", encoder, attention), func(t *testing.T) {
				c := with(t, func(c *Config) {
					c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, encoder, options)
					c.Parts.Attention = componenttest.Build(t, &catalog.Attentions, attention, nil)
					c.Diagnostics.GradientFlow = 10
				})
				tr, err := newTrial(c, discard{})
				if err != nil {
					t.Fatal(err)
				}
				s := tr.look(c.Data.Train.(components.Pairs)[:8])
				if len(s.flow) != 4 || slices.ContainsFunc(s.flow, func(x float64) bool { return !(x > 0) || !finite(x) }) {
					t.Errorf("the flow is %v", s.flow)
				}
				if s.attends != (attention != "none") {
					t.Errorf("there are weights: %v", s.attends)
				}
			})
		}
	}
}
