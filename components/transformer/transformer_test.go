package transformer

import (
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

func small(change func(*Options)) Options {
	o := Options{ModelSize: 4, NumLayers: 1, NumHeads: 2, FFNSize: 6, Norm: Pre, Activation: ReLU, Positions: Sinusoidal, MaxLength: 7, MaxDistance: 3}
	change(&o)
	return o
}

func embedding(p *autodiff.Params) func(int) (components.Embedder, error) {
	return func(size int) (components.Embedder, error) {
		return components.Embedding{Table: nn.NewEmbedding(p, "embedding", 9, size)}, nil
	}
}

// What an option adds to the parameters, and which lengths it limits.
func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Options)
		last   bool // a norm after the last layer
		table  bool // of positions
	}{
		"pre":     {func(*Options) {}, true, false},
		"post":    {func(o *Options) { o.Norm = Post }, false, false},
		"learned": {func(o *Options) { o.Positions = Learned }, true, true},
		"none":    {func(o *Options) { o.Positions = NoPositions }, true, false},
		"rotary":  {func(o *Options) { o.Positions = Rotary }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			params := autodiff.Declare()
			e, err := NewEncoder(EncoderOptions{small(test.change)}, components.EncoderDeps{Params: params, Source: embedding(params)})
			if err != nil {
				t.Fatal(err)
			}
			if got := params.Lookup("norm.weight") != nil; got != test.last {
				t.Errorf("a last norm is there: %v, want %v", got, test.last)
			}
			positions := params.Lookup("positions.weight")
			if (positions != nil) != test.table || test.table && positions.Shape() != autodiff.NewShape(7, 4) {
				t.Errorf("positions are %v, want a table: %v", positions, test.table)
			}
			limit, option := e.(components.Limited).MaxLength()
			if want := map[bool]int{true: 7}[test.table]; limit != want || test.table != (option == "max_length") {
				t.Errorf("longest length %d by %q, want %d", limit, option, want)
			}
		})
	}
}

// wide is an attention whose context is as wide as it is asked to be.
type wide struct{ size int }

func (w wide) ContextSize() int { return w.size }
func (w wide) Prepare(_ *autodiff.Tape, m components.Memory) components.Prepared {
	return components.Prepared{Values: m.States, Spans: m.Spans}
}
func (w wide) Attend(t *autodiff.Tape, query *autodiff.Var, _ autodiff.Spans, _ *components.Prepared) (context, weights *autodiff.Var) {
	return t.Input(make([]float32, query.Dim(0)*w.size), query.Dim(0), w.size), nil
}

// A decoder has an attention a layer, projects a context of another width, and
// without attention reads a summary: the top final state, else the memory.
func TestDecoderAttention(t *testing.T) {
	for name, test := range map[string]struct {
		attention components.Attention
		final     components.FinalShape
		want      []string // of the parameters that depend on it
	}{
		"as wide":              {wide{4}, components.FinalShape{}, []string{"layer0.norm2.weight [4]", "layer1.norm2.weight [4]"}},
		"wider":                {wide{5}, components.FinalShape{}, []string{"layer0.norm2.weight [4]", "layer0.context.weight [4 5]", "layer1.norm2.weight [4]", "layer1.context.weight [4 5]"}},
		"none, of a memory":    {nil, components.FinalShape{}, []string{"bridge.weight [4 3]"}},
		"none, of final state": {nil, components.FinalShape{Layers: 2, Size: 6}, []string{"bridge.weight [4 6]"}},
	} {
		t.Run(name, func(t *testing.T) {
			params := autodiff.NewParams(autodiff.Float32, 1)
			asked := 0
			_, err := NewDecoder(DecoderOptions{small(func(o *Options) { o.NumLayers = 2 })}, components.DecoderDeps{
				Params: params, Target: embedding(params), MemorySize: 3, Final: test.final,
				Attention: func(p *autodiff.Params, querySize int) (components.Attention, error) {
					asked++
					if querySize != 4 {
						t.Errorf("an attention of queries of size %d was asked for, want 4", querySize)
					}
					return test.attention, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if asked != 2 {
				t.Errorf("%d attentions were asked for, want 2", asked)
			}
			var got []string
			for _, p := range params.All() {
				for _, part := range []string{"norm2.weight", "context.weight", "bridge.weight"} {
					if strings.HasSuffix(p.Name(), part) {
						got = append(got, p.Name()+" "+p.Shape().String())
					}
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("parameters %q, want %q", got, test.want)
			}
		})
	}
	if got := (DecoderOptions{}).DefaultAttention(); got != "multihead" {
		t.Errorf("the default attention is %q, want multihead", got)
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"":                                    func(*Options) {},
		"model_size: must be at least 1":      func(o *Options) { o.ModelSize = 0 },
		"num_heads: 3 heads cannot share":     func(o *Options) { o.NumHeads = 3 },
		"num_heads: must be at least 1, is 0": func(o *Options) { o.NumHeads = 0 },
		"num_layers:":                         func(o *Options) { o.NumLayers = 0 },
		"ffn_size:":                           func(o *Options) { o.FFNSize = 0 },
		"max_length:":                         func(o *Options) { o.MaxLength = 0 },
		"max_distance:":                       func(o *Options) { o.MaxDistance = 0 },
		"num_heads: rotary positions turn":    func(o *Options) { o.Positions, o.NumHeads = Rotary, 4 },
		"dropout:":                            func(o *Options) { o.Dropout = 1 },
	} {
		err := small(change).Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	var n Norm
	var a Activation
	var p Positions
	for text, err := range map[string]error{
		"post": n.UnmarshalText([]byte("post")), "gelu": a.UnmarshalText([]byte("gelu")), "learned": p.UnmarshalText([]byte("learned")),
	} {
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if n != Post || a != GELU || p != Learned {
		t.Errorf("read %q, %q, %q", n, a, p)
	}
	if err := n.UnmarshalText([]byte("Pre")); err == nil || n != Post {
		t.Errorf("Pre is read as %q, %v", n, err)
	}
}

// The relative vectors that an option adds to each layer: of both directions in
// the encoder, of those behind in the decoder; and none where it is another.
func TestRelativePositions(t *testing.T) {
	for _, positions := range []Positions{Relative, Rotary, Sinusoidal} {
		o := small(func(o *Options) { o.Positions, o.NumLayers = positions, 2 })
		params := autodiff.Declare()
		if _, err := NewEncoder(EncoderOptions{o}, components.EncoderDeps{Params: params.Scope("e"), Source: embedding(params.Scope("e"))}); err != nil {
			t.Fatal(err)
		}
		if _, err := NewDecoder(DecoderOptions{o}, components.DecoderDeps{
			Params: params.Scope("d"), Target: embedding(params.Scope("d")), MemorySize: 3,
			Attention: func(*autodiff.Params, int) (components.Attention, error) { return nil, nil },
		}); err != nil {
			t.Fatal(err)
		}
		for _, layer := range []string{"layer0", "layer1"} {
			for _, part := range []string{"relative_key", "relative_value"} {
				for side, rows := range map[string]int{"e": 2*3 + 1, "d": 3 + 1} {
					name := side + "." + layer + ".self_attention." + part
					p := params.Lookup(name)
					if (p != nil) != (positions == Relative) || p != nil && p.Shape() != autodiff.NewShape(rows, 2) {
						t.Errorf("%s: %s is %v", positions, name, p)
					}
				}
			}
		}
	}
}
