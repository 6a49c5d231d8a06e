package recurrent

import (
	"math"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

// Packed steps are those of a sort by length, and lead back to their places.
func TestPack(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	p := pack(tape, autodiff.Spans{Starts: []int32{0, 2, 2, 6, 8}, Lengths: []int32{2, 0, 4, 2, 1}})
	for what, test := range map[string]struct{ got, want []int32 }{
		"order":     {p.order, []int32{2, 0, 3, 4, 1}}, // rows of one length stay in order
		"counts":    {p.counts, []int32{4, 3, 1, 1}},
		"starts":    {p.starts, []int32{0, 4, 7, 8}},
		"last":      {p.last, []int32{5, -1, 8, 6, 3}},
		"forwards":  {p.index[0], []int32{2, 0, 6, 8, 3, 1, 7, 4, 5}},
		"backwards": {p.index[1], []int32{5, 1, 7, 8, 4, 0, 6, 3, 2}},
	} {
		for i, want := range test.want {
			if len(test.got) != len(test.want) || test.got[i] != want {
				t.Errorf("%s is %v, want %v", what, test.got, test.want)
				break
			}
		}
	}
	if p.total != 9 || p.even {
		t.Errorf("total %d, even %v; want 9, false", p.total, p.even)
	}
	if p := pack(tape, autodiff.Spans{Starts: []int32{0, 3}, Lengths: []int32{3, 3}}); !p.even {
		t.Error("rows of one length are not even")
	}
}

func TestInitialisation(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float64, 1)
	l := newLayer(params, cell{kind: lstm, forgetBias: 1.5}, 3, 4, false)
	for i, b := range autodiff.Values[float64](l.biasIH) {
		if want := map[bool]float64{true: 1.5}[i/4 == 1]; b != want { // gates i, f, g, o
			t.Errorf("bias %d is %v, want %v", i, b, want)
		}
	}
	for i, b := range autodiff.Values[float64](l.biasHH) {
		if b != 0 {
			t.Errorf("recurrent bias %d is %v, want 0", i, b)
		}
	}
	length := func(u []float64) (sum float64) {
		for _, x := range u {
			sum += x * x
		}
		return sum
	}
	for i, u := range rows(autodiff.Values[float64](l.weightHH), 4) {
		if math.Abs(length(u)-1) > 1e-12 {
			t.Errorf("row %d of U has length² %v, want 1", i, length(u))
		}
	}
	for init, bound := range map[Init]float64{Xavier: math.Sqrt(6. / 200), Uniform: 0.1} {
		l := newLayer(autodiff.NewParams(autodiff.Float64, 1), cell{kind: gru, resetBefore: true, CellOptions: CellOptions{Init: init}}, 3, 100, false)
		for _, u := range []*autodiff.Var{l.weightHH, l.weightHN} {
			values, largest := autodiff.Values[float64](u), 0.0
			for _, x := range values {
				largest = max(largest, math.Abs(x))
			}
			if variance := length(values) / float64(len(values)); largest > bound || largest < 0.99*bound || math.Abs(variance/(bound*bound/3)-1) > 0.05 {
				t.Errorf("%s: %s is up to %v with variance %v, want ±%v", init, u.Name(), largest, variance, bound)
			}
		}
	}
}

func rows(values []float64, size int) [][]float64 {
	var out [][]float64
	for ; len(values) > 0; values = values[size:] {
		out = append(out, values[:size])
	}
	return out
}

// final returns a memory whose final states hold their layer's number, plus one
// half in the cell state.
func final(tape *autodiff.Tape, shape components.FinalShape, memorySize int) components.Memory {
	fill := func(v float32, dims ...int) *autodiff.Var {
		values := make([]float32, autodiff.NewShape(dims...).Size())
		for i := range values {
			values[i] = v
		}
		return tape.Input(values, dims...)
	}
	states := fill(-0.25, 2, memorySize) // of mean 0.25
	last := autodiff.Values[float64](states)[memorySize:]
	for i := range last {
		last[i] = 0.75
	}
	m := components.Memory{States: states, Spans: autodiff.Spans{Starts: []int32{0}, Lengths: []int32{2}}}
	for i := range shape.Layers {
		state := components.FinalState{Hidden: fill(float32(i+1), 1, shape.Size)}
		if shape.Cell {
			state.Cell = fill(float32(i)+1.5, 1, shape.Size)
		}
		m.Final = append(m.Final, state)
	}
	return m
}

// What the layers of a decoder start from, with bridges of weight 1/4 to each
// input and bias 0: the mean of what they read, through tanh.
func TestBridge(t *testing.T) {
	const hidden = 4
	tanh := func(x float64) float64 { return math.Tanh(x) }
	for name, test := range map[string]struct {
		kind     kind
		bridge   Bridge
		layers   int
		from     components.FinalShape
		names    string // of the bridge's weights
		h, c     []float64
		noCell   bool
		memory   int
		fraction float64 // of a weight
	}{
		"copy, layer by layer":       {kind: gru, layers: 2, from: components.FinalShape{Layers: 2, Size: 4}, h: []float64{1, 2}, noCell: true},
		"copy, with cells":           {kind: lstm, layers: 2, from: components.FinalShape{Layers: 2, Size: 4, Cell: true}, h: []float64{1, 2}, c: []float64{1.5, 2.5}},
		"the top layer for all":      {kind: gru, layers: 2, from: components.FinalShape{Layers: 3, Size: 4}, h: []float64{3, 3}, noCell: true},
		"the top layer for one":      {kind: gru, layers: 1, from: components.FinalShape{Layers: 2, Size: 4}, h: []float64{2}, noCell: true},
		"no cell to give":            {kind: lstm, layers: 1, from: components.FinalShape{Layers: 1, Size: 4}, h: []float64{1}, noCell: true},
		"no cell to take":            {kind: gru, layers: 1, from: components.FinalShape{Layers: 1, Size: 4, Cell: true}, h: []float64{1}, noCell: true},
		"projected, shared":          {kind: gru, layers: 2, from: components.FinalShape{Layers: 2, Size: 8}, names: "bridge", h: []float64{tanh(1), tanh(2)}, noCell: true, fraction: 8},
		"projected, cell by its own": {kind: lstm, layers: 1, from: components.FinalShape{Layers: 1, Size: 8, Cell: true}, names: "bridge bridge_cell", h: []float64{tanh(1)}, c: []float64{tanh(1.5)}, fraction: 8},
		"mean of the memory":         {kind: lstm, layers: 2, names: "bridge", h: []float64{tanh(0.25), tanh(0.25)}, noCell: true, memory: 5, fraction: 5},
		"last, asked for":            {kind: lstm, bridge: Last, layers: 2, from: components.FinalShape{Layers: 2, Size: 4, Cell: true}, names: "bridge", h: []float64{tanh(0.75), tanh(0.75)}, noCell: true, memory: 5, fraction: 5},
		"mean, asked for":            {kind: lstm, bridge: Mean, layers: 2, from: components.FinalShape{Layers: 2, Size: 4, Cell: true}, names: "bridge", h: []float64{tanh(0.25), tanh(0.25)}, noCell: true, memory: 5, fraction: 5},
		"project, asked for":         {kind: lstm, bridge: Project, layers: 1, from: components.FinalShape{Layers: 1, Size: 4, Cell: true}, names: "bridge bridge_cell", h: []float64{tanh(1)}, c: []float64{tanh(1.5)}, fraction: 4},
		"copy, asked for":            {kind: gru, bridge: Copy, layers: 1, from: components.FinalShape{Layers: 1, Size: 4}, h: []float64{1}, noCell: true},
	} {
		t.Run(name, func(t *testing.T) {
			params := autodiff.NewParams(autodiff.Float64, 1)
			memorySize := max(test.memory, test.from.Size)
			if test.bridge == "" {
				test.bridge = Auto
			}
			b, err := newBridge(params, test.bridge, equalLayers(test.layers, Layer{cell{kind: test.kind}, LayerOptions{HiddenSize: hidden}}), memorySize, test.from)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range params.All() {
				values := autodiff.Values[float64](p)
				for i := range values {
					values[i] = 0
					if strings.HasSuffix(p.Name(), ".weight") {
						values[i] = 1 / test.fraction
					}
				}
				if name, ok := strings.CutSuffix(p.Name(), ".weight"); ok {
					names = append(names, name)
				}
			}
			params.Changed()
			if got := strings.Join(names, " "); got != test.names {
				t.Errorf("has weights %q, want %q", got, test.names)
			}
			tape := autodiff.NewTape(autodiff.Float64)
			states := make([]state, test.layers)
			b.start(tape, final(tape, test.from, memorySize), states)
			for i, s := range states {
				check(t, "hidden state", i, s.h, test.h[i])
				if (s.c == nil) != test.noCell {
					t.Errorf("layer %d: no cell state %v, want %v", i, s.c == nil, test.noCell)
				}
				if s.c != nil {
					check(t, "cell state", i, s.c, test.c[i])
				}
			}
		})
	}
}

// What a bridge wants and does not find is refused.
func TestBridgeRefused(t *testing.T) {
	of := func(sizes ...int) (layers []Layer) {
		for _, size := range sizes {
			layers = append(layers, Layer{cell{kind: lstm}, LayerOptions{HiddenSize: size}})
		}
		return layers
	}
	for want, test := range map[string]struct {
		bridge Bridge
		layers []Layer
		from   components.FinalShape
	}{
		"bridge: copy wants the final state of a recurrent encoder, and this one has none; auto chooses mean": {
			Copy, of(4), components.FinalShape{}},
		"bridge: project wants the final state of a recurrent encoder, and this one has none; auto chooses mean": {
			Project, of(4), components.FinalShape{}},
		"bridge: copy wants final states of the size of every layer, and the encoder's are of size 4; auto chooses project": {
			Copy, of(4, 5), components.FinalShape{Layers: 2, Size: 4}},
	} {
		_, err := newBridge(autodiff.Declare(), test.bridge, test.layers, 7, test.from)
		if err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	params := autodiff.Declare()
	if _, err := newBridge(params, Auto, of(4, 5), 7, components.FinalShape{Layers: 1, Size: 4, Cell: true}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]autodiff.Shape{
		"bridge0.weight": autodiff.NewShape(4, 4), "bridge0_cell.weight": autodiff.NewShape(4, 4),
		"bridge1.weight": autodiff.NewShape(5, 4), "bridge1_cell.weight": autodiff.NewShape(5, 4),
	} {
		if p := params.Lookup(name); p == nil || p.Shape() != want {
			t.Errorf("%s is %v, want %v", name, p, want)
		}
	}
}

func check(t *testing.T, what string, layer int, v *autodiff.Var, want float64) {
	t.Helper()
	for _, got := range autodiff.Values[float64](v) {
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("layer %d: %s is %v, want %v", layer, what, got, want)
			return
		}
	}
}

// Two layers are as one on the other, each direction of the second reading both
// of the first.
func TestEncoderSizes(t *testing.T) {
	params := autodiff.Declare()
	e, err := NewLSTMEncoder(LSTMEncoderOptions{EncoderOptions: EncoderOptions{EmbeddingSize: 3, HiddenSize: 4, NumLayers: 2, Bidirectional: true}},
		components.EncoderDeps{Params: params, Source: func(size int) (components.Embedder, error) {
			return components.Embedding{Table: nn.NewEmbedding(params, "embedding", 9, size)}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Final(), (components.FinalShape{Layers: 2, Size: 8, Cell: true}); got != want || e.MemorySize() != 8 {
		t.Errorf("final %+v, memory %d; want %+v, 8", got, e.MemorySize(), want)
	}
	for name, want := range map[string]autodiff.Shape{
		"layer0.weight_ih":         autodiff.NewShape(16, 3),
		"layer0.reverse.weight_ih": autodiff.NewShape(16, 3),
		"layer1.weight_ih":         autodiff.NewShape(16, 8),
		"layer1.reverse.weight_hh": autodiff.NewShape(16, 4),
	} {
		if p := params.Lookup(name); p == nil || p.Shape() != want {
			t.Errorf("%s is %v, want %v", name, p, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*EncoderOptions){
		"":                     func(o *EncoderOptions) { o.Dropout = 0.9 },
		"embedding_size:":      func(o *EncoderOptions) { o.EmbeddingSize = 0 },
		"hidden_size:":         func(o *EncoderOptions) { o.HiddenSize = 0 },
		"num_layers:":          func(o *EncoderOptions) { o.NumLayers = 0 },
		"dropout:":             func(o *EncoderOptions) { o.Dropout = 1 },
		"variational_dropout:": func(o *EncoderOptions) { o.VariationalDropout = -0.1 },
		"recurrent_dropout:":   func(o *EncoderOptions) { o.RecurrentDropout = 1 },
	} {
		o := defaultEncoder()
		change(&o)
		for _, o := range []interface{ Validate() error }{o, DecoderOptions{
			EmbeddingSize: o.EmbeddingSize, HiddenSize: o.HiddenSize, NumLayers: o.NumLayers,
			Dropout: o.Dropout, VariationalDropout: o.VariationalDropout, CellOptions: o.CellOptions,
		}} {
			err := o.Validate()
			if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
				t.Errorf("%+v: error is %v, want %q", o, err, want)
			}
		}
	}
	var a Activation
	if err := a.UnmarshalText([]byte("relu")); err != nil || a != ReLU {
		t.Errorf("relu is read as %q, %v", a, err)
	}
	if err := a.UnmarshalText([]byte("gelu")); err == nil {
		t.Error("gelu is read as an activation of an RNN")
	}
}
