package train

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
)

// Sizes of the models and batches of these tests.
const (
	B, S, T, V = 3, 5, 4, 11
	H, E       = 8, 6     // of the LSTM
	D, F, N    = 8, 12, 2 // of the Transformer, with N heads
)

var shapes = Shapes{Batch: B, SourceLength: S, TargetLength: T, Vocabulary: V}

// benchConfig is a model to measure on data of these shapes.
func benchConfig(t *testing.T, name, attention string, options map[string]any) Config {
	c := config(t)
	catalog := standard.Catalog()
	c.Parts = components.Parts{
		Encoder:   componenttest.Build(t, &catalog.Encoders, name, options),
		Decoder:   componenttest.Build(t, &catalog.Decoders, name, options),
		Attention: componenttest.Build(t, &catalog.Attentions, attention, nil),
	}
	c.Training.BatchSize, c.Training.BatchTokens = shapes.Batch, 0
	c.Data = shapes.Data(nil)
	return c
}

func lstm(t *testing.T) Config {
	return benchConfig(t, "lstm", "dot", map[string]any{"embedding_size": E, "hidden_size": H})
}

func transformer(t *testing.T) Config {
	return benchConfig(t, "transformer", "multihead", map[string]any{"model_size": D, "num_layers": 1, "num_heads": N, "ffn_size": F})
}

func measure(t *testing.T, c Config, o BenchOptions) *Speed {
	t.Helper()
	o.Limit = time.Minute
	s, err := Bench(context.Background(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a step multiplies is what the formulas of its layers say. Each product of
// the forward pass has two in the backward pass, one for each factor, but that
// nothing is multiplied by the zero state from which the encoder starts. Scores
// that are computed once more to save memory do not count.
func TestMultiplyAdds(t *testing.T) {
	lstmEncoder := 3*B*S*4*H*E + 3*B*(S-1)*4*H*H // W x, U h
	lstmDecoder := 3*B*T*4*H*E + 3*B*T*4*H*H     // W x, U h
	dot := 2 * 3 * B * T * S * H                 // scores, context
	combine := 3 * B * T * 2 * H * H             // of context and output
	self := func(steps int) int {                // query, key, value, output; scores, context
		return 3*B*steps*4*D*D + 2*3*B*steps*steps*D
	}
	feedForward := func(steps int) int { return 3 * B * steps * 2 * D * F }
	cross := 3*B*T*2*D*D + 3*B*S*2*D*D + 2*3*B*T*S*D // query, output; key, value; scores, context
	for _, test := range []struct {
		name   string
		config Config
		want   int
	}{
		{"lstm", lstm(t), lstmEncoder + lstmDecoder + dot + combine + 3*B*T*H*V},
		{"transformer", transformer(t), self(S) + feedForward(S) + self(T) + cross + feedForward(T) + 3*B*T*D*V},
	} {
		t.Run(test.name, func(t *testing.T) {
			if s := measure(t, test.config, BenchOptions{Mode: BenchTrain, Steps: 4}); s.MultiplyAdds != float64(test.want) {
				t.Errorf("%v multiply-adds a step, want %d", s.MultiplyAdds, test.want)
			}
		})
	}
}

func TestBench(t *testing.T) {
	for _, mode := range Modes() {
		t.Run(string(mode), func(t *testing.T) {
			s := measure(t, lstm(t), BenchOptions{Mode: mode, Beam: 2, Steps: 5})
			if s.Steps != 5 || s.Tokens != B*T {
				t.Errorf("%d steps of %v tokens, want 5 of %d", s.Steps, s.Tokens, B*T)
			}
			if !(s.Min > 0 && s.Min <= s.Time && s.Time <= s.P90) {
				t.Errorf("a step takes %v, at least %v, in nine of ten at most %v", s.Time, s.Min, s.P90)
			}
			if !(s.TokensPerSecond > 0 && s.Peak > 0 && s.XFloor > 0 && s.MultiplyAdds > 0) || s.FirstStep.IsZero() || s.Parameters == 0 {
				t.Errorf("found nothing or nonsense: %+v", s)
			}
			if s.Profile != nil {
				t.Error("a profile that nobody asked for")
			}
		})
	}
}

// No hypothesis ends early: a step of beam search multiplies what its formula
// says. The beam has one row a pair in its first step, and as many as its size
// after it.
func TestBeamMultiplyAdds(t *testing.T) {
	const size = 3
	encoder := B*S*4*H*E + B*(S-1)*4*H*H
	row := 4*H*E + 4*H*H + 2*S*H + 2*H*H + H*V // W x, U h; scores, context; combine; logits
	want := encoder + B*row + (T-1)*size*B*row
	if s := measure(t, lstm(t), BenchOptions{Mode: BenchBeam, Beam: size, Steps: 4}); s.MultiplyAdds != float64(want) {
		t.Errorf("%v multiply-adds a step, want %d", s.MultiplyAdds, want)
	}
}

// The limit ends the measurement, but not before three steps.
func TestBenchLimit(t *testing.T) {
	s, err := Bench(context.Background(), lstm(t), BenchOptions{Mode: BenchTrain, Steps: 1000, Limit: time.Nanosecond})
	if err != nil || s.Steps != 3 {
		t.Errorf("%d steps, %v; want 3", s.Steps, err)
	}
}

func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Bench(ctx, lstm(t), BenchOptions{Mode: BenchTrain, Steps: 3, Limit: time.Minute}); !errors.Is(err, ErrInterrupted) {
		t.Errorf("error is %v, want %v", err, ErrInterrupted)
	}
}

func TestProfile(t *testing.T) {
	s := measure(t, transformer(t), BenchOptions{Mode: BenchTrain, Steps: 20, Profile: true})
	calls := map[string]int{}
	total := time.Duration(0)
	for i, r := range s.Profile {
		calls[r.Name] = r.Calls
		total += r.Time
		if r.Forward+r.Backward > 0 && r.Forward+r.Backward != r.Time {
			t.Errorf("%s: %v is not %v forward and %v backward", r.Name, r.Time, r.Forward, r.Backward)
		}
		if i > 0 && r.Time > s.Profile[i-1].Time {
			t.Errorf("%s is not in order", r.Name)
		}
	}
	if share := float64(total) / float64(s.ProfiledTime); !(share > 0.8 && share <= 1) {
		t.Errorf("the shares add up to %v, want about 1", share)
	}
	for name, want := range map[string]int{"linear": 7, "feed_forward": 2, "scaled_dot_product": 3, "layer_norm": 7, "linear_cross_entropy": 1, "optimizer": 1, "batch": 1} {
		if calls[name] != 20*want {
			t.Errorf("%s: %d calls, want %d", name, calls[name], 20*want)
		}
	}
}

// Synthetic pairs have the shapes given, and those of the data where none are.
func TestShapes(t *testing.T) {
	data := config(t).Data
	for _, test := range []struct {
		name string
		Shapes
	}{
		{"as the data", Shapes{}},
		{"source", Shapes{SourceLength: 9}},
		{"target", Shapes{TargetLength: 1}},
		{"vocabulary", Shapes{Vocabulary: 5}},
		{"all", Shapes{SourceLength: 2, TargetLength: 7, Vocabulary: 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := data
			if !test.NeedData() {
				from = nil
			}
			d := test.Data(from)
			vocabulary := cmp.Or(test.Vocabulary, data.Source.Size())
			if d.Source.Size() != vocabulary || d.Target.Size() != vocabulary {
				t.Errorf("vocabularies of %d and %d, want %d", d.Source.Size(), d.Target.Size(), vocabulary)
			}
			for i := range data.Train.Len() {
				was, is := data.Train.Pair(i), d.Train.Pair(i)
				source, target := cmp.Or(test.SourceLength, len(was.Source)), cmp.Or(test.TargetLength, len(was.Target)+1)
				if len(is.Source) != source || len(is.Target)+1 != target {
					t.Errorf("pair %d has lengths %d and %d, want %d and %d", i, len(is.Source), len(is.Target)+1, source, target)
				}
				for _, token := range slices.Concat(is.Source, is.Target) {
					if token < components.NumSpecial || int(token) >= vocabulary {
						t.Errorf("pair %d has token %d, of a vocabulary of %d", i, token, vocabulary)
					}
				}
			}
		})
	}
}

// The batches of data as it is are those that would be trained on.
func TestShapesInOrder(t *testing.T) {
	c := config(t)
	want := newOrder(c.Data.Train, c.Training, 7)
	got := newOrder(Shapes{}.Data(c.Data).Train, c.Training, 7)
	for range 20 {
		was, is := want.batch(), got.batch()
		if len(is) != len(was) {
			t.Fatalf("%d pairs, want %d", len(is), len(was))
		}
		for i := range was {
			if len(is[i].Source) != len(was[i].Source) || len(is[i].Target) != len(was[i].Target) {
				t.Errorf("pair %d has lengths %d and %d, want %d and %d", i, len(is[i].Source), len(is[i].Target), len(was[i].Source), len(was[i].Target))
			}
		}
	}
}
