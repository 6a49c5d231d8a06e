package generate

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
)

const vocabulary = 12 // of the targets

// architectures is encoder, decoder and attention; a Transformer may have other
// positions; a decoder that is fed has input feeding; an attention that covers has
// coverage, and one that points is what a pointer-generator copies by.
var architectures = [][3]string{
	{"lstm", "lstm", "additive"}, {"gru", "gru", "none"}, {"rnn", "rnn", "dot"},
	{"lstm", "lstm fed", "additive"}, {"gru", "gru fed", "multihead"}, {"transformer", "rnn fed", "general"},
	{"transformer", "transformer", "multihead"}, {"transformer", "transformer", "none"},
	{"transformer", "gru", "general"}, {"lstm", "transformer", "scaled_dot"},
	{"lstm", "lstm", "additive points"}, {"gru", "gru fed", "multihead points"}, {"transformer", "transformer", "multihead points"},
	{"lstm", "lstm fed", "additive covers points"}, {"gru", "gru", "dot covers"},
	{"transformer relative", "transformer relative", "multihead"}, {"transformer rotary", "transformer rotary", "multihead covers"},
}

// numbers is the numbers of the source's tokens in the target: it lacks the last five.
func numbers(vocabulary int) []int32 {
	n := make([]int32, 12)
	for id := range n {
		n[id] = int32(id)
		if id >= min(7, vocabulary) {
			n[id] = int32(vocabulary + id)
		}
	}
	return n
}

// model returns a model whose parameters are large enough for it to say various
// things.
func model(t *testing.T, architecture [3]string, vocabulary int, seed uint64) *components.Model {
	t.Helper()
	catalog := standard.Catalog()
	side := func(words string) (name string, options map[string]any) {
		name, how, _ := strings.Cut(words, " ")
		if name == "transformer" {
			return name, map[string]any{"model_size": 8, "num_heads": 2, "ffn_size": 8, "positions": cmp.Or(how, "sinusoidal"), "max_distance": 3}
		}
		options = map[string]any{"embedding_size": 5, "hidden_size": 8}
		if how == "fed" {
			options["input_feeding"] = true
		}
		return name, options
	}
	encoder, encoderOptions := side(architecture[0])
	decoder, decoderOptions := side(architecture[1])
	attention, how, _ := strings.Cut(architecture[2], " ")
	attentionOptions, output := map[string]any{}, "softmax"
	if attention != "none" {
		attentionOptions["coverage"] = strings.Contains(how, "covers")
	}
	if strings.Contains(how, "points") {
		output = "pointer_generator"
	}
	params := autodiff.NewParams(autodiff.Float32, seed)
	m, err := components.NewModel(components.Parts{
		Encoder:   componenttest.Build(t, &catalog.Encoders, encoder, encoderOptions),
		Decoder:   componenttest.Build(t, &catalog.Decoders, decoder, decoderOptions),
		Attention: componenttest.Build(t, &catalog.Attentions, attention, attentionOptions),
		Output:    componenttest.Build(t, &catalog.Outputs, output, nil),
	}, params, 12, vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	m.Number(numbers(vocabulary))
	for _, p := range params.All() {
		values := p.Float32s()
		for i := range values {
			values[i] *= 3
			if strings.HasSuffix(p.Name(), "coverage") { // which starts at zero
				values[i] = -2
			}
		}
		if err := params.Set(p, values); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

var sources = [][]int32{{4, 5, 6, 7}, {8}, {9, 10, 11, 4, 4, 7}, {5, 5}, {}, {11, 6, 9}}

func batch(sources [][]int32) components.Sequences {
	var pairs []components.Pair
	for _, s := range sources {
		pairs = append(pairs, components.Pair{Source: s})
	}
	var b components.Batch
	b.Fill(pairs)
	return b.Source
}

// slow decodes one source by reading the whole target again for every token.
func slow(m *components.Model, source components.Pair, maxLength int) []int32 {
	tape := autodiff.NewTape(autodiff.Float32)
	var said []int32
	for len(said) < maxLength {
		var b components.Batch
		source.Target = said
		b.Fill([]components.Pair{source})
		tape.Reset(false, false)
		best := make([]int32, b.TargetIn.Longest())
		decoded, x := m.Decode(tape, m.Encode(tape, b.Source), &b)
		autodiff.Argmax(m.Output.Logits(tape, decoded, x), best)
		next := x.Token(0, best[len(said)])
		if next == components.Eos {
			break
		}
		said = append(said, next)
	}
	return said
}

// Greedy is the argmax of decoding all over again, for any row of any batch.
func TestGreedy(t *testing.T) {
	const maxLength = 20 // more than the first capacity of a decoder's cache
	ended, cut, copied := 0, 0, 0
	for _, architecture := range architectures {
		t.Run(strings.Join(architecture[:], "/"), func(t *testing.T) {
			for seed := range uint64(4) {
				m := model(t, architecture, vocabulary, seed)
				tape := autodiff.NewTape(autodiff.Float32)
				tape.Poison()
				got := Greedy(m, tape, batch(sources), maxLength)
				for row, source := range sources {
					want := slow(m, components.Pair{Source: source}, maxLength)
					if !slices.Equal(got[row], want) {
						t.Errorf("seed %d, row %d: %v, want %v", seed, row, got[row], want)
					}
					for _, token := range want {
						if token >= vocabulary {
							copied++
							if !slices.Contains(source, token-vocabulary) {
								t.Errorf("seed %d, row %d: %d is said, and no token of %v", seed, row, token, source)
							}
						}
					}
					if len(want) == maxLength {
						cut++
					} else {
						ended++
					}
					if alone := Greedy(m, tape, batch(sources[row:row+1]), maxLength); !slices.Equal(alone[0], want) {
						t.Errorf("seed %d, row %d alone: %v, want %v", seed, row, alone[0], want)
					}
				}
			}
		})
	}
	if ended == 0 || cut == 0 || copied == 0 {
		t.Errorf("%d hypotheses ended, %d were cut and %d tokens copied; all were to be tried", ended, cut, copied)
	}
}

func TestGreedyOfNothing(t *testing.T) {
	m := model(t, [3]string{"gru", "gru", "dot"}, vocabulary, 1)
	tape := autodiff.NewTape(autodiff.Float32)
	for row, h := range Greedy(m, tape, batch(sources), 0) {
		if len(h) != 0 {
			t.Errorf("row %d: %v, want nothing of at most 0 tokens", row, h)
		}
	}
	if h := Greedy(m, tape, batch(nil), 5); len(h) != 0 {
		t.Errorf("%d hypotheses of no source", len(h))
	}
}

// GreedySteps goes on past the end of every hypothesis.
func TestGreedySteps(t *testing.T) {
	m := model(t, [3]string{"gru", "gru", "dot"}, vocabulary, 1)
	parameter := m.Params.Lookup("output.bias")
	bias := parameter.Float32s()
	bias[components.Eos] = 1000
	if err := m.Params.Set(parameter, bias); err != nil {
		t.Fatal(err)
	}
	tape := autodiff.NewTape(autodiff.Float32)
	steps := 0
	GreedySteps(m, tape, batch(sources), 5, func(next []int32) bool {
		for row, token := range next {
			if token != components.Eos {
				t.Errorf("step %d, row %d: %d, want the end", steps, row, token)
			}
		}
		steps++
		return true
	})
	if steps != 5 {
		t.Errorf("%d steps, want 5", steps)
	}
	steps = 0
	GreedySteps(m, tape, batch(sources), 5, func([]int32) bool { steps++; return steps < 2 })
	if steps != 2 {
		t.Errorf("%d steps, want 2: then visit said to stop", steps)
	}
}

// counted notes how many rows each step has.
type counted struct {
	components.Decoder
	rows []int
}

func (c *counted) Step(t *autodiff.Tape, s components.DecoderState, tokens components.Sequences) components.Decoded {
	c.rows = append(c.rows, tokens.Batch())
	return c.Decoder.Step(t, s, tokens)
}

// A hypothesis that has ended leaves the batch.
func TestGreedyLeaves(t *testing.T) {
	const maxLength = 20
	for seed := range uint64(4) {
		m := model(t, [3]string{"lstm", "lstm", "additive"}, vocabulary, seed)
		c := &counted{Decoder: m.Decoder}
		m.Decoder = c
		hypotheses := Greedy(m, autodiff.NewTape(autodiff.Float32), batch(sources), maxLength)
		for step := range maxLength {
			want, got := 0, 0
			for _, h := range hypotheses {
				if len(h) >= step {
					want++
				}
			}
			if step < len(c.rows) {
				got = c.rows[step]
			}
			if got != want {
				t.Errorf("seed %d, step %d: %d rows, want %d", seed, step, got, want)
			}
		}
	}
}
