// Package transformer has the Transformer of Vaswani et al. 2017: an encoder of
// self-attention blocks, and a decoder of blocks that attend to the targets so
// far and, through the configured attention, to the memory.
package transformer

import (
	"errors"
	"fmt"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Register enters this package's encoder and decoder.
func Register(c *components.Catalog) {
	registry.Add(&c.Encoders, "transformer", EncoderOptions{defaults()}, NewEncoder)
	registry.Add(&c.Decoders, "transformer", DecoderOptions{defaults()}, NewDecoder)
}

// Options is what the encoder and the decoder have in common.
type Options struct {
	ModelSize   int        `toml:"model_size" doc:"size D of the embedding and of every layer's input and output"`
	NumLayers   int        `toml:"num_layers" doc:"layers, one on the other"`
	NumHeads    int        `toml:"num_heads" doc:"heads N of the self-attention, which share D evenly"`
	FFNSize     int        `toml:"ffn_size" doc:"size of the feed-forward network's hidden layer"`
	Norm        Norm       `toml:"norm" doc:"layer normalisation before each part (with one more at the end) or after its residual sum"`
	Activation  Activation `toml:"activation" doc:"nonlinearity of the feed-forward network"`
	Positions   Positions  `toml:"positions" doc:"how positions are told apart"`
	MaxLength   int        `toml:"max_length" doc:"longest sequence, in steps, that learned positions can read"`
	MaxDistance int        `toml:"max_distance" doc:"distance, in steps, from which on relative positions are not told apart"`
	Dropout     float64    `toml:"dropout" doc:"drop probability of the embedding and of each part before its residual sum, in [0, 1)"`
}

func defaults() Options {
	return Options{ModelSize: 128, NumLayers: 2, NumHeads: 4, FFNSize: 512, Norm: Pre, Activation: ReLU, Positions: Sinusoidal, MaxLength: 512, MaxDistance: 16}
}

// Version 2 draws dropout for the tokens of a batch alone.
func (Options) Version() int { return 2 }

// Validate reports every value out of range.
func (o Options) Validate() error {
	return errors.Join(
		registry.AtLeast("model_size", o.ModelSize, 1),
		registry.AtLeast("num_layers", o.NumLayers, 1),
		checkHeads(o),
		registry.AtLeast("ffn_size", o.FFNSize, 1),
		registry.AtLeast("max_length", o.MaxLength, 1),
		registry.AtLeast("max_distance", o.MaxDistance, 1),
		registry.InRange("dropout", o.Dropout, 0, 1),
	)
}

func checkHeads(o Options) error {
	if o.ModelSize < 1 {
		return nil // said already
	}
	if err := nn.CheckHeads(o.NumHeads, o.ModelSize); err != nil {
		return registry.Fault{Key: "num_heads", Problem: err.Error()}
	}
	if size := o.ModelSize / o.NumHeads; o.Positions == Rotary && size%2 != 0 {
		return registry.Fault{Key: "num_heads", Problem: fmt.Sprintf("rotary positions turn pairs, and %d heads of a size of %d have %d elements each; want an even number", o.NumHeads, o.ModelSize, size)}
	}
	return nil
}

// Norm is where a layer normalises.
type Norm string

const (
	Pre  Norm = "pre"  // Xiong et al. 2020
	Post Norm = "post" // as published
)

// Values lists what is allowed.
func (Norm) Values() []string { return []string{string(Pre), string(Post)} }

// UnmarshalText accepts one of Values.
func (n *Norm) UnmarshalText(text []byte) error { return registry.OneOf(n, text) }

// Activation is the nonlinearity of the feed-forward network.
type Activation string

const (
	ReLU Activation = "relu"
	GELU Activation = "gelu" // Hendrycks & Gimpel 2016, the exact erf form
)

// Values lists what is allowed.
func (Activation) Values() []string { return []string{string(ReLU), string(GELU)} }

// UnmarshalText accepts one of Values.
func (a *Activation) UnmarshalText(text []byte) error { return registry.OneOf(a, text) }

// Positions is how positions are told apart.
type Positions string

const (
	Sinusoidal  Positions = "sinusoidal" // sines and cosines (Vaswani et al. 2017)
	Learned     Positions = "learned"    // a vector a position (Gehring et al. 2017)
	Relative    Positions = "relative"   // a vector a distance, in the self-attention (Shaw et al. 2018)
	Rotary      Positions = "rotary"     // the self-attention's queries and keys are turned by an angle (Su et al. 2021)
	NoPositions Positions = "none"
)

// Values lists what is allowed.
func (Positions) Values() []string {
	return []string{string(Sinusoidal), string(Learned), string(Relative), string(Rotary), string(NoPositions)}
}

// UnmarshalText accepts one of Values.
func (p *Positions) UnmarshalText(text []byte) error { return registry.OneOf(p, text) }

// newSelfAttention adds the self-attention of a layer. Positions that are not
// added to the embedding are told apart here, in every layer.
func newSelfAttention(p *autodiff.Params, o Options, causal bool) nn.SelfAttention {
	a := nn.NewSelfAttention(p, "self_attention", o.ModelSize, o.NumHeads)
	switch size := o.ModelSize / o.NumHeads; o.Positions {
	case Relative:
		a.Relative = nn.NewRelative(p.Scope("self_attention"), o.MaxDistance, size, causal)
	case Rotary:
		a.Rotary = nn.NewSinusoids(size)
	}
	return a
}

const positionsDoc = "Relative positions add a learned vector of the distance, clipped at max_distance, to keys and values in every layer's self-attention, for all heads: " +
	"score = q·(k + a)/√K, context = Σ w (v + b). " +
	"Rotary ones turn the pair 2i, 2i+1 of each head's queries and keys by position · 10000^(-2i/K), as the paper has it, in every layer. " +
	"With either, nothing is added to the embedding, and the attention to the memory knows of no positions. "

// feedForward is y = W₂ f(W₁ x + b₁) + b₂, position by position.
type feedForward struct {
	in, out    nn.Linear // [F, D], [D, F]
	activation autodiff.Activation
}

func newFeedForward(p *autodiff.Params, o Options) feedForward {
	f := feedForward{in: nn.NewLinear(p, "linear1", o.ModelSize, o.FFNSize), out: nn.NewLinear(p, "linear2", o.FFNSize, o.ModelSize)}
	f.activation = autodiff.ReLUActivation
	if o.Activation == GELU {
		f.activation = autodiff.GELUActivation
	}
	return f
}

func (f feedForward) forward(t *autodiff.Tape, x *autodiff.Var) *autodiff.Var {
	if f.activation == autodiff.ReLUActivation {
		return autodiff.FeedForward(t, x, f.in.Weight, f.in.Bias, f.out.Weight, f.out.Bias)
	}
	return f.out.Forward(t, autodiff.Activate(t, f.in.Forward(t, x), f.activation))
}

// residual is what surrounds each part of a layer: x + part(norm x) before, or
// norm(x + part(x)) after.
type residual struct {
	norm    nn.LayerNorm
	pre     bool
	dropout float64
}

func newResidual(p *autodiff.Params, name string, o Options) residual {
	return residual{nn.NewLayerNorm(p, name, o.ModelSize), o.Norm == Pre, o.Dropout}
}

// input is what the part reads.
func (r residual) input(t *autodiff.Tape, x *autodiff.Var) *autodiff.Var {
	if r.pre {
		return r.norm.Forward(t, x)
	}
	return x
}

// output joins x and y, what the part made of its input in, and writes over y.
func (r residual) output(t *autodiff.Tape, x, in, y *autodiff.Var) *autodiff.Var {
	y = autodiff.Dropout(t, y, r.dropout)
	autodiff.AddTo(t, y, x)
	t.Forget(in) // the norm's result, or with one after each part that of the part before
	if r.pre {
		return y
	}
	return r.norm.Forward(t, y)
}

// input is the embedding, times √D, with positions.
type input struct {
	embedder  components.Embedder
	positions *nn.Positions // nil without
	dropout   float64
}

func (in input) forward(t *autodiff.Tape, s components.Sequences, from int) *autodiff.Var {
	x := in.embedder.Embed(t, s)
	if in.positions != nil {
		in.positions.Add(t, x, s.Spans, from)
	}
	return autodiff.Dropout(t, x, in.dropout)
}
