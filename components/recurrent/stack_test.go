package recurrent

import (
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// encoderDeps embeds a vocabulary of 12.
func encoderDeps(params *autodiff.Params) components.EncoderDeps {
	return components.EncoderDeps{Params: params, Source: func(size int) (components.Embedder, error) {
		return components.Embedding{Table: nn.NewEmbedding(params, "embedding", 12, size)}, nil
	}}
}

// list is layers as a file gives them.
func list(t *testing.T, layers ...map[string]any) registry.ListOf[Layer, struct{}] {
	t.Helper()
	l := registry.ListOf[Layer, struct{}]{Kind: newLayers()}
	for _, options := range layers {
		table := registry.NewTable("", registry.Origin{})
		for key, value := range options {
			table.Set(key, registry.Value{Data: value})
		}
		choice, err := l.Kind.Decode(table)
		if err != nil {
			t.Fatal(err)
		}
		l.Choices = append(l.Choices, choice)
	}
	return l
}

// Layers that differ read what the one below gives, in both directions, and the
// final state is that of the top one; alike ones are an encoder of one cell.
func TestLayers(t *testing.T) {
	params := autodiff.Declare()
	e, err := NewRecurrentEncoder(RecurrentEncoderOptions{StackOptions{EmbeddingSize: 3, Layers: list(t,
		map[string]any{"type": "lstm", "hidden_size": int64(4), "bidirectional": true},
		map[string]any{"type": "gru", "hidden_size": int64(8), "residual": true, "reset": "before"},
		map[string]any{"type": "rnn", "hidden_size": int64(5)},
	)}}, encoderDeps(params))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Final(), (components.FinalShape{Layers: 1, Size: 5}); got != want || e.MemorySize() != 5 {
		t.Errorf("final %+v, memory %d; want %+v, 5", got, e.MemorySize(), want)
	}
	for name, want := range map[string]autodiff.Shape{
		"layer0.weight_ih":         autodiff.NewShape(16, 3),
		"layer0.reverse.weight_ih": autodiff.NewShape(16, 3),
		"layer1.weight_ih":         autodiff.NewShape(24, 8),
		"layer1.weight_hh":         autodiff.NewShape(16, 8),
		"layer1.weight_hn":         autodiff.NewShape(8, 8),
		"layer2.weight_ih":         autodiff.NewShape(5, 8),
	} {
		if p := params.Lookup(name); p == nil || p.Shape() != want {
			t.Errorf("%s is %v, want %v", name, p, want)
		}
	}

	source := components.Sequences{Tokens: []int32{4, 9, 6, 11, 5}, Spans: autodiff.Spans{Starts: []int32{0, 4}, Lengths: []int32{4, 1}}}
	encode := func(build func(components.EncoderDeps) (components.Encoder, error)) []float32 {
		params, tape := autodiff.NewParams(autodiff.Float32, 1), autodiff.NewTape(autodiff.Float32)
		tape.Seed(3)
		e, err := build(encoderDeps(params))
		if err != nil {
			t.Fatal(err)
		}
		tape.Reset(true, true)
		m := e.Encode(tape, source)
		out := m.States.Float32s()
		for _, final := range m.Final {
			out = slices.Concat(out, final.Hidden.Float32s(), final.Cell.Float32s())
		}
		return out
	}
	layer := map[string]any{"type": "lstm", "hidden_size": int64(4), "bidirectional": true, "dropout": 0.5}
	top := map[string]any{"type": "lstm", "hidden_size": int64(4), "bidirectional": true, "residual": true}
	listed := encode(func(d components.EncoderDeps) (components.Encoder, error) {
		return NewRecurrentEncoder(RecurrentEncoderOptions{StackOptions{EmbeddingSize: 3, Dropout: 0.5, Layers: list(t, layer, top)}}, d)
	})
	alike := encode(func(d components.EncoderDeps) (components.Encoder, error) {
		o := EncoderOptions{EmbeddingSize: 3, HiddenSize: 4, NumLayers: 2, Bidirectional: true, Residual: true, Dropout: 0.5, CellOptions: defaultCell}
		return NewLSTMEncoder(LSTMEncoderOptions{o, defaultLSTM}, d)
	})
	sameBits(t, "layers in a list, and the encoder of equal ones", listed, alike)
}

// With residual a layer gives what it reads, and what it would give without.
func TestResidual(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	stack, err := newStack(autodiff.NewParams(autodiff.Float32, 1), equalLayers(2, Layer{cell{kind: gru}, LayerOptions{HiddenSize: 4, Residual: true}}), 3)
	if err != nil {
		t.Fatal(err)
	}
	if stack[0].residual || !stack[1].residual {
		t.Errorf("the layers are residual: %v and %v, want the upper one alone", stack[0].residual, stack[1].residual)
	}
	spans := autodiff.Spans{Starts: []int32{0, 2}, Lengths: []int32{2, 1}}
	x := tape.Input([]float32{1, -2, 3, 0.5, 4, -1, 2, 1, 0, 1, 1, -3}, 3, 4)
	y, end := stack[1].forward(tape, x, pack(tape, spans), state{})
	plain, plainEnd := stack[1].directions[0].forward(tape, x, pack(tape, spans), state{})
	want := plain.Float32s()
	for i, v := range x.Float32s() {
		want[i] += v
	}
	sameBits(t, "output", y.Float32s(), want)
	sameBits(t, "final state", end.h.Float32s(), plainEnd.h.Float32s())
}

// An utterance ends with its separator, and a source with its last.
func TestSplit(t *testing.T) {
	const sep = 7
	var source components.Sequences
	for _, tokens := range [][]int32{{4, sep, 5, 6, sep, 4}, {}, {8}, {sep, sep}, {4, 5, sep}} {
		source.Add(tokens...)
	}
	utterances, contexts := (&hred{separator: sep}).split(autodiff.NewTape(autodiff.Float32), source)
	for what, test := range map[string]struct{ got, want []int32 }{
		"starts":             {utterances.Starts, []int32{0, 2, 5, 6, 7, 8, 9}},
		"lengths":            {utterances.Lengths, []int32{2, 3, 1, 1, 1, 1, 3}},
		"starts of sources":  {contexts.Starts, []int32{0, 3, 3, 4, 6}},
		"lengths of sources": {contexts.Lengths, []int32{3, 0, 1, 2, 1}},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s are %v, want %v", what, test.got, test.want)
		}
	}
}

// The memory of hred is the context encoder over the final states of utterances
// that are each read alone.
func TestHRED(t *testing.T) {
	const sep = 7
	params, tape := autodiff.NewParams(autodiff.Float32, 1), autodiff.NewTape(autodiff.Float32)
	tape.Reset(false, false)
	o := HREDOptions{Cell: LSTM, EncoderOptions: defaultEncoder(), ContextSize: 6, Separator: "#"}
	o.EmbeddingSize, o.HiddenSize, o.NumLayers, o.Bidirectional = 3, 4, 2, true
	built, err := NewHRED(o, encoderDeps(params))
	if err != nil {
		t.Fatal(err)
	}
	e := built.(*hred)
	e.SetSeparator(sep)
	if got, want := e.Final(), (components.FinalShape{Layers: 1, Size: 6, Cell: true}); got != want || e.MemorySize() != 6 {
		t.Errorf("final %+v, memory %d; want %+v, 6", got, e.MemorySize(), want)
	}
	utterances := [][]int32{{4, 9, sep}, {sep}, {5, 6, 8}}
	memory := e.Encode(tape, one(slices.Concat(utterances...)))
	got, final := memory.States.Float32s(), memory.Final[0].Cell.Float32s()

	var states []float32
	last := make([]components.FinalState, 2)
	for _, tokens := range utterances {
		s := one(tokens)
		forwardStack(tape, e.utterance, e.embedder.Embed(tape, s), s.Spans, last)
		states = append(states, last[1].Hidden.Float32s()...)
	}
	want := forwardStack(tape, e.context, tape.Input(states, 3, 8), autodiff.Spans{Starts: []int32{0}, Lengths: []int32{3}}, last)
	sameBits(t, "memory", got, want.Float32s())
	sameBits(t, "final cell state", final, last[0].Cell.Float32s())
}

func one(tokens []int32) (s components.Sequences) {
	s.Add(tokens...)
	return s
}

// The mean is of the embeddings, and they are the memory.
func TestMean(t *testing.T) {
	params, tape := autodiff.NewParams(autodiff.Float32, 1), autodiff.NewTape(autodiff.Float32)
	e, err := NewMean(MeanOptions{EmbeddingSize: 2}, encoderDeps(params))
	if err != nil {
		t.Fatal(err)
	}
	table := params.Lookup("embedding.weight").Float32s()
	var source components.Sequences
	source.Add(4, 5)
	source.Add()
	m := e.Encode(tape, source)
	sameBits(t, "memory", m.States.Float32s(), table[4*2:6*2])
	sameBits(t, "mean", m.Final[0].Hidden.Float32s(), []float32{(table[8] + table[10]) * 0.5, (table[9] + table[11]) * 0.5, 0, 0})
}
