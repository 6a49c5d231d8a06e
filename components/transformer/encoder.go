package transformer

import (
	"math"
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

// EncoderOptions configures the transformer encoder.
type EncoderOptions struct{ Options }

// Doc describes the component.
func (EncoderOptions) Doc() string {
	return "Transformer encoder (Vaswani et al. 2017): embedding times √D plus positions, then layers of multi-head self-attention and a feed-forward network. " +
		positionsDoc + "Normalises before each part by default (Xiong et al. 2020), with a last layer normalisation; the paper does so after, without one."
}

type encoder struct {
	input  input
	layers []EncoderLayer
	norm   *nn.LayerNorm // after the last layer, with norm = "pre"
	o      Options
}

// NewEncoder builds the encoder.
func NewEncoder(o EncoderOptions, d components.EncoderDeps) (components.Encoder, error) {
	in, err := newInput(o.Options, d.Params, d.Source)
	if err != nil {
		return nil, err
	}
	e := &encoder{input: in, norm: newLastNorm(d.Params, o.Options), o: o.Options}
	for i := range o.NumLayers {
		e.layers = append(e.layers, NewEncoderLayer(d.Params.Scope("layer"+strconv.Itoa(i)), o.Options))
	}
	return e, nil
}

func newInput(o Options, p *autodiff.Params, embed func(size int) (components.Embedder, error)) (input, error) {
	embedder, err := embed(o.ModelSize)
	in := input{embedder: components.ScaledBy(embedder, math.Sqrt(float64(o.ModelSize))), dropout: o.Dropout}
	switch o.Positions {
	case Sinusoidal:
		in.positions = &nn.Positions{Sinusoids: nn.NewSinusoids(o.ModelSize)}
	case Learned:
		in.positions = nn.NewLearnedPositions(p, o.MaxLength, o.ModelSize)
	}
	return in, err
}

func newLastNorm(p *autodiff.Params, o Options) *nn.LayerNorm {
	if o.Norm != Pre {
		return nil
	}
	n := nn.NewLayerNorm(p, "norm", o.ModelSize)
	return &n
}

// MemorySize is D.
func (e *encoder) MemorySize() int { return e.o.ModelSize }

// Final says that there is no final state.
func (e *encoder) Final() components.FinalShape { return components.FinalShape{} }

// MaxLength is the number of learned positions.
func (e *encoder) MaxLength() (int, string) { return maxLength(e.o) }

func maxLength(o Options) (int, string) {
	if o.Positions == Learned {
		return o.MaxLength, "max_length"
	}
	return 0, ""
}

// Encode reads a batch.
func (e *encoder) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	x := e.input.forward(t, source, 0)
	autodiff.ObserveState(t, "encoder.layer0", x, nil, x.Rows())
	for _, l := range e.layers {
		x = l.Forward(t, x, source.Spans)
	}
	if e.norm != nil {
		x = e.norm.Forward(t, x)
	}
	return components.Memory{States: x, Spans: source.Spans}
}

// EncoderLayer is self-attention, then a feed-forward network.
type EncoderLayer struct {
	self          nn.SelfAttention
	ffn           feedForward
	aroundSelf    residual
	aroundForward residual
}

// NewEncoderLayer adds a layer's parameters.
func NewEncoderLayer(p *autodiff.Params, o Options) EncoderLayer {
	return EncoderLayer{
		self:          newSelfAttention(p, o, false),
		ffn:           newFeedForward(p, o),
		aroundSelf:    newResidual(p, "norm1", o),
		aroundForward: newResidual(p, "norm2", o),
	}
}

// Forward maps the sequences in x [Σ lengths, D] to [Σ lengths, D].
func (l EncoderLayer) Forward(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) *autodiff.Var {
	in := l.aroundSelf.input(t, x)
	y, _ := l.self.Forward(t, in, spans, spans, false)
	x = l.aroundSelf.output(t, x, in, y)
	in = l.aroundForward.input(t, x)
	return l.aroundForward.output(t, x, in, l.ffn.forward(t, in))
}
