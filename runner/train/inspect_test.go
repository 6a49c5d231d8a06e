package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/registry"
)

// sound is a trial in which there is nothing to find.
func sound(t testing.TB, change func(*Config)) Config {
	return with(t, func(c *Config) {
		c.Training.BatchTokens, c.Training.BatchSize = 0, 4
		c.Training.Steps = 100
		c.Schedule = componenttest.Build(t, &standard.Catalog().Schedules, "constant", nil)
		c.Optimizer = componenttest.Build(t, &standard.Catalog().Optimizers, "adam", map[string]any{"lr": 0.02})
		change(c)
	})
}

// found is what all checks but that of the cost find, by their names.
func found(t *testing.T, c Config) map[string]Finding {
	t.Helper()
	in, err := newInspection(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []func() error{in.start, in.loaded, in.dependence, in.parameters, in.differences, in.rate, in.overfit} {
		if err := check(); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]Finding{}
	for _, f := range in.findings {
		if _, twice := all[f.Check]; twice {
			t.Errorf("%s is found twice", f.Check)
		}
		if (f.Verdict == OK) != (f.Advice == "") {
			t.Errorf("%+v: advice is for what is not ok", f)
		}
		all[f.Check] = f
	}
	return all
}

// architectures are the pairs of an encoder and a decoder that are inspected.
func architectures(t testing.TB) map[string]func(*Config) {
	catalog := standard.Catalog()
	parts := func(encoder, decoder, attention string, options map[string]any) func(*Config) {
		return func(c *Config) {
			c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, encoder, options)
			c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, decoder, options)
			c.Parts.Attention = componenttest.Build(t, &catalog.Attentions, attention, nil)
		}
	}
	recurrent := map[string]any{"embedding_size": 6, "hidden_size": 16}
	transformer := map[string]any{"model_size": 16, "ffn_size": 32, "num_layers": 1, "num_heads": 4}
	return map[string]func(*Config){
		"rnn":         parts("rnn", "rnn", "dot", recurrent),
		"lstm":        parts("lstm", "lstm", "none", recurrent),
		"gru":         parts("gru", "gru", "additive", recurrent),
		"transformer": parts("transformer", "transformer", "multihead", transformer),
		"pointer": func(c *Config) {
			parts("gru", "gru", "dot", recurrent)(c)
			c.Parts.Output = componenttest.Build(t, &catalog.Outputs, "pointer_generator", nil)
		},
		"coverage": func(c *Config) {
			parts("gru", "gru", "dot", recurrent)(c)
			c.Parts.Attention = componenttest.Build(t, &catalog.Attentions, "additive", map[string]any{"coverage": true, "coverage_loss": 0.5})
		},
		"frames": func(c *Config) {
			parts("gru", "gru", "none", recurrent)(c)
			c.Parts.FrontEnd = componenttest.Build(t, &catalog.FrontEnds, "linear", nil)
			c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, "dense", nil)
			framesOf := func(pairs components.Split) components.Split {
				var framed components.Pairs
				for i := range pairs.Len() {
					p := pairs.Pair(i)
					f := components.Frames{Size: 2}
					for _, token := range p.Source {
						f.Values = append(f.Values, float32(token)-6, float32(token%2))
					}
					framed = append(framed, components.Pair{Frames: f, Target: p.Target})
				}
				return framed
			}
			d := *c.Data
			d.Source, d.FrameSize = nil, 2
			d.Train, d.Valid, d.Test = framesOf(d.Train), framesOf(d.Valid), framesOf(d.Test)
			c.Data, c.Metrics = &d, nil
		},
	}
}

func TestInspectSound(t *testing.T) {
	for name, change := range architectures(t) {
		t.Run(name, func(t *testing.T) {
			for check, f := range found(t, sound(t, change)) {
				if f.Verdict == Fault {
					t.Errorf("%s: %s; %s", check, f.Text, f.Advice)
				}
			}
		})
	}
	c := sound(t, func(*Config) {})
	findings, err := Inspect(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	last := findings[len(findings)-2:]
	if last[0].Check != "memory" || !strings.Contains(last[0].Text, "4 pairs") || last[1].Check != "time" || !strings.Contains(last[1].Text, "for 100 steps") {
		t.Errorf("the costs are %+v", last)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Inspect(ctx, c); !errors.Is(err, ErrInterrupted) {
		t.Errorf("interrupted, the error is %v", err)
	}
}

// A training that diverges while it is timed is a finding too.
func TestInspectDiverged(t *testing.T) {
	in, err := newInspection(context.Background(), sound(t, func(c *Config) {
		c.Optimizer = componenttest.Build(t, &standard.Catalog().Optimizers, "sgd", map[string]any{"lr": 1e38})
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.cost(); err != nil {
		t.Fatal(err)
	}
	if f := in.findings[len(in.findings)-1]; f.Check != "time" || f.Verdict != Fault || !strings.Contains(f.Text, "diverged at step") {
		t.Errorf("found %+v", f)
	}
}

// What a training keeps beside its weights takes memory.
func TestInspectMemory(t *testing.T) {
	for name, test := range map[string]struct {
		sets   int // of weights, beside the two of Adam's
		change func(*Config)
	}{
		"plain":                       {1, func(*Config) {}},
		"moving average":              {3, func(c *Config) { c.Training.EMADecay = 0.9 }},
		"best":                        {3, func(c *Config) { c.Evaluation.BestBy = "loss" }},
		"mean of the last":            {6, func(c *Config) { c.Training.AverageLast = 3 }},
		"mean of more than there are": {8, func(c *Config) { c.Training.AverageLast = 50 }},
		"accumulation":                {2, func(c *Config) { c.Training.Accumulate = 2 }},
	} {
		in, err := newInspection(context.Background(), sound(t, func(c *Config) {
			c.Optimizer = componenttest.Build(t, &standard.Catalog().Optimizers, "adam", nil)
			c.Training.Steps, c.Evaluation.Every = 100, 20
			test.change(c)
		}))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := in.kept(), (test.sets+2)*in.model.Params.Count(); got != want {
			t.Errorf("%s: keeps %d numbers, want %d", name, got, want)
		}
	}
}

// Pairs of which the loss gets larger are not those of a rate that is too small.
func TestInspectOvershoots(t *testing.T) {
	in, err := newInspection(context.Background(), sound(t, func(*Config) {}))
	if err != nil {
		t.Fatal(err)
	}
	in.usable = 1e6
	if err := in.overfit(); err != nil {
		t.Fatal(err)
	}
	if f := in.findings[0]; f.Verdict != Warning || !strings.Contains(f.Advice, "the rate is too large") {
		t.Errorf("found %+v", f)
	}
}

// A fault that is planted is found, by the check that is for it.
func TestInspectFaults(t *testing.T) {
	catalog := standard.Catalog()
	for _, test := range []struct {
		name, check string
		plant       func(*Config)
		verdict     Verdict
		says        string
	}{
		{"targets shifted to the left", "later tokens", withDecode(func(t *autodiff.Tape, d components.Decoder, m components.Memory, target components.Sequences) components.Decoded {
			return d.Decode(t, m, shifted(target))
		}), Fault, "before it"},
		{"targets shifted in training alone", "trained loss", withLoss(func(t *autodiff.Tape, o components.Output, d components.Decoded, x components.Extended, targets []int32, smoothing float64) *autodiff.Var {
			return o.Loss(t, d, x, append(slices.Clone(targets[1:]), components.Eos), smoothing)
		}), Fault, "training makes"},
		{"a causal mask inverted", "later tokens", withDecode(backwards), Fault, "before it"},
		{"a causal mask inverted in the whole pass alone", "step by step", withDecode(backwards), Fault, "differs by"},
		{"a mask of the memory inverted", "other pairs", withMemory(func(m components.Memory) components.Memory {
			n := len(m.Spans.Lengths)
			others := autodiff.Spans{Starts: slices.Clone(m.Spans.Starts), Lengths: slices.Clone(m.Spans.Lengths)}
			for i := range n {
				others.Starts[i], others.Lengths[i] = m.Spans.Starts[(i+1)%n], m.Spans.Lengths[(i+1)%n]
			}
			m.Spans = others
			return m
		}), Fault, "alone"},
		{"a memory masked out", "source", withEncoding(func(t *autodiff.Tape, m components.Memory) components.Memory {
			return through(m, func(v *autodiff.Var) *autodiff.Var { return autodiff.Scale(t, v, 0) })
		}), Fault, "does not depend on the source"},
		{"a layer that no gradient reaches", "parameters", withEncoding(func(t *autodiff.Tape, m components.Memory) components.Memory {
			return through(m, func(v *autodiff.Var) *autodiff.Var { return t.Constant(v.Float32s(), v.Shape().Dims()...) })
		}), Fault, "encoder."},
		{"a layer that is frozen", "frozen", func(c *Config) {
			c.Training.Groups = frozen(t, "encoder.*")
		}, Warning, "encoder."},
		{"a wrong backward pass", "gradients", withEncoding(func(t *autodiff.Tape, m components.Memory) components.Memory {
			return through(m, func(v *autodiff.Var) *autodiff.Var { return doubled(t, v) })
		}), Fault, "encoder."},
		{"a learning rate 100 times too large", "learning rate", func(c *Config) {
			c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "adam", map[string]any{"lr": 2.0})
		}, Fault, "too large"},
		{"a learning rate a million times too large", "learning rate", func(c *Config) {
			c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "adam", map[string]any{"lr": 1e6})
		}, Fault, "try 0.1 in"},
		{"a learning rate far too large without clipping", "learning rate", func(c *Config) {
			c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "sgd", map[string]any{"lr": 1e12})
			c.Training.ClipNorm = 0
		}, Fault, "the rate is too large"},
		{"a learning rate that is far too small", "few pairs", func(c *Config) {
			c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "adam", map[string]any{"lr": 1e-6})
		}, Warning, "too small"},
		{"embeddings of the wrong file", "source loaded embeddings", func(c *Config) {
			d, tokens := *c.Data, c.Data.Source.Tokens()[components.NumSpecial:]
			for i := range 20 {
				tokens = append(tokens, fmt.Sprint("another", i))
			}
			d.Source = components.NewVocabulary(tokens)
			c.Data = &d
			vectors(t, "a", "b", "z")(c)
		}, Fault, "2 of 25"},
		{"embeddings of a few tokens", "source loaded embeddings", vectors(t, "a", "b", "z"), Warning, "2 of 5"},
		{"embeddings of most tokens", "source loaded embeddings", vectors(t, "a", "b", "c"), OK, "3 of 5"},
		{"one target for all", "few pairs", func(c *Config) {
			d := *c.Data
			var same components.Pairs
			for i := range d.Train.Len() {
				same = append(same, components.Pair{Source: d.Train.Pair(i).Source, Target: d.Train.Pair(0).Target})
			}
			d.Train = same
			c.Data = &d
		}, Fault, "fewer than two"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := found(t, sound(t, test.plant))[test.check]
			if f.Verdict != test.verdict || !strings.Contains(f.Text+" "+f.Advice, test.says) {
				t.Errorf("%s is %+v, want a %s that says %q", test.check, f, test.verdict, test.says)
			}
		})
	}
}

// vectors has the source's embedding start from a file of these tokens.
func vectors(t *testing.T, tokens ...string) func(*Config) {
	path := filepath.Join(t.TempDir(), "vectors.txt")
	text := ""
	for i, token := range tokens {
		text += fmt.Sprintf("%s %d 0.1 0.2 0.3 0.4 0.5\n", token, i)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		var err error
		if c.Loaded.Source, err = components.ReadVectors(path, c.Data.Source); err != nil {
			t.Fatal(err)
		}
	}
}

// withDecode plants another pass over whole targets.
func withDecode(decode func(*autodiff.Tape, components.Decoder, components.Memory, components.Sequences) components.Decoded) func(*Config) {
	return func(c *Config) {
		build := c.Parts.Decoder
		c.Parts.Decoder = func(d components.DecoderDeps) (components.Decoder, error) {
			made, err := build(d)
			return &decoderOf{made, decode}, err
		}
	}
}

type decoderOf struct {
	components.Decoder
	decode func(*autodiff.Tape, components.Decoder, components.Memory, components.Sequences) components.Decoded
}

func (d *decoderOf) Decode(t *autodiff.Tape, m components.Memory, target components.Sequences) components.Decoded {
	return d.decode(t, d.Decoder, m, target)
}

// shifted is each target without its first token.
func shifted(s components.Sequences) components.Sequences {
	s.Tokens = slices.Clone(s.Tokens)
	for row := range s.Batch() {
		from, n := s.At(row)
		copy(s.Tokens[from:from+n-1], s.Tokens[from+1:from+n])
	}
	return s
}

// backwards reads each target from its end.
func backwards(t *autodiff.Tape, d components.Decoder, m components.Memory, target components.Sequences) components.Decoded {
	index := make([]int32, len(target.Tokens))
	tokens := slices.Clone(target.Tokens)
	for row := range target.Batch() {
		from, n := target.At(row)
		slices.Reverse(tokens[from : from+n])
		for i := range n {
			index[from+i] = int32(from + n - 1 - i)
		}
	}
	target.Tokens = tokens
	decoded := d.Decode(t, m, target)
	decoded.States = autodiff.Rows(t, decoded.States, index)
	return decoded
}

// withLoss plants another loss.
func withLoss(loss func(*autodiff.Tape, components.Output, components.Decoded, components.Extended, []int32, float64) *autodiff.Var) func(*Config) {
	return func(c *Config) {
		c.Parts.Output = func(d components.OutputDeps) (components.Output, error) {
			made, err := components.NewSoftmax(components.SoftmaxOptions{}, d)
			return outputOf{made, loss}, err
		}
	}
}

type outputOf struct {
	components.Output
	loss func(*autodiff.Tape, components.Output, components.Decoded, components.Extended, []int32, float64) *autodiff.Var
}

func (o outputOf) Loss(t *autodiff.Tape, d components.Decoded, x components.Extended, targets []int32, smoothing float64) *autodiff.Var {
	return o.loss(t, o.Output, d, x, targets, smoothing)
}

// withMemory plants another memory for the attention.
func withMemory(of func(components.Memory) components.Memory) func(*Config) {
	return func(c *Config) {
		build := c.Parts.Attention
		c.Parts.Attention = func(d components.AttentionDeps) (components.Attention, error) {
			made, err := build(d)
			return attentionOf{made, of}, err
		}
	}
}

type attentionOf struct {
	components.Attention
	of func(components.Memory) components.Memory
}

func (a attentionOf) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	return a.Attention.Prepare(t, a.of(m))
}

// withEncoding plants another memory for all.
func withEncoding(of func(*autodiff.Tape, components.Memory) components.Memory) func(*Config) {
	return func(c *Config) {
		build := c.Parts.Encoder
		c.Parts.Encoder = func(d components.EncoderDeps) (components.Encoder, error) {
			made, err := build(d)
			return encoderOf{made, of}, err
		}
	}
}

type encoderOf struct {
	components.Encoder
	of func(*autodiff.Tape, components.Memory) components.Memory
}

func (e encoderOf) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	return e.of(t, e.Encoder.Encode(t, source))
}

// through maps all that a memory is.
func through(m components.Memory, f func(*autodiff.Var) *autodiff.Var) components.Memory {
	m.States = f(m.States)
	m.Final = slices.Clone(m.Final)
	for i := range m.Final {
		m.Final[i].Hidden = f(m.Final[i].Hidden)
		if m.Final[i].Cell != nil {
			m.Final[i].Cell = f(m.Final[i].Cell)
		}
	}
	return m
}

// doubled is x with a backward pass that gives twice the gradient.
func doubled(t *autodiff.Tape, x *autodiff.Var) *autodiff.Var {
	y := autodiff.Scale(t, x, 1)
	if t.Recording() {
		autodiff.Record[doubleOp](t).y = y
	}
	return y
}

type doubleOp struct{ y *autodiff.Var }

func (op *doubleOp) Backward() {
	if op.y.DType() == autodiff.Float64 {
		for i, g := range autodiff.Grad[float64](op.y) {
			autodiff.Grad[float64](op.y)[i] = 2 * g
		}
		return
	}
	for i, g := range autodiff.Grad[float32](op.y) {
		autodiff.Grad[float32](op.y)[i] = 2 * g
	}
}

// frozen is the groups that freeze the parameters of a pattern.
func frozen(t testing.TB, pattern string) registry.ListOf[components.Group, struct{}] {
	t.Helper()
	groups := components.DefaultTraining().Groups
	groups.Choices = append(groups.Choices, registry.Choice[components.Group, struct{}]{
		Build: func(struct{}) (components.Group, error) {
			return components.Group{Parameters: pattern, Frozen: true}, nil
		},
	})
	return groups
}

// Targets that go with the source of another line are found, in training or in the
// test alone, whatever the sources are.
func TestInspectPairs(t *testing.T) {
	data := func() *components.Data {
		d := *config(t).Data
		rng := rand.New(rand.NewPCG(1, 2))
		drawn := func(n int) (pairs components.Pairs) {
			for range n {
				tokens := make([]int32, 2+rng.IntN(4))
				for i := range tokens {
					tokens[i] = components.NumSpecial + rng.Int32N(5)
				}
				pairs = append(pairs, components.Pair{Source: tokens, Target: tokens})
			}
			return pairs
		}
		d.Train, d.Valid, d.Test = drawn(1200), drawn(300), drawn(300)
		return &d
	}
	shift := func(s components.Split, by int) components.Pairs {
		var all components.Pairs
		for i := range s.Len() - by {
			all = append(all, components.Pair{Source: s.Pair(i).Source, Target: s.Pair(i + by).Target})
		}
		return all
	}
	if f := InspectPairs(data()); f.Verdict != OK {
		t.Errorf("in order, it is %+v", f)
	}
	d := data()
	d.Train = shift(d.Train, 1)
	if f := InspectPairs(d); f.Verdict != Fault || !strings.Contains(f.Text, "train") {
		t.Errorf("training shifted, it is %+v", f)
	}
	d = data()
	d.Test = shift(d.Test, 2)
	if f := InspectPairs(d); f.Verdict != Fault || !strings.Contains(f.Text, "test") {
		t.Errorf("the test shifted, it is %+v", f)
	}
	d = data()
	d.Train = shift(d.Train, 501) // which is no shift but chaos
	if f := InspectPairs(d); f.Verdict != Warning {
		t.Errorf("in disorder, it is %+v", f)
	}
	d = data()
	for range 4 * window { // as of SCAN, where jump is repeated
		d.Train = append(d.Train.(components.Pairs), d.Train.Pair(0))
	}
	if f := InspectPairs(d); f.Verdict != OK {
		t.Errorf("of one pair again and again, it is %+v", f)
	}
}
