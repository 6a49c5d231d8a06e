package transformer

import (
	"cmp"
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

// DecoderOptions configures the transformer decoder.
type DecoderOptions struct{ Options }

// Doc describes the component.
func (DecoderOptions) Doc() string {
	return "Transformer decoder (Vaswani et al. 2017): layers of causal self-attention, attention to the memory, and a feed-forward network. " +
		"The model's attention stands in the place of cross-attention in every layer, its context projected where it is not as wide as the layer; " +
		"with none, the mean of the memory, or the encoder's top final state, is projected and added to each target embedding. " +
		positionsDoc +
		"Causal self-attention has relative vectors of the distances behind alone. " +
		"Normalises before each part by default, as the encoder does."
}

// DefaultAttention is the attention of the paper.
func (DecoderOptions) DefaultAttention() string { return "multihead" }

type decoder struct {
	input   input
	layers  []DecoderLayer
	norm    *nn.LayerNorm
	summary nn.Linear // [D, M or the final state's size]: without attention
	final   components.FinalShape
	o       Options
}

// NewDecoder builds the decoder.
func NewDecoder(o DecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	in, err := newInput(o.Options, d.Params, d.Target)
	if err != nil {
		return nil, err
	}
	dec := &decoder{input: in, norm: newLastNorm(d.Params, o.Options), final: d.Final, o: o.Options}
	attends := false
	for i := range o.NumLayers {
		p := d.Params.Scope("layer" + strconv.Itoa(i))
		attention, err := d.Attention(p.Scope("attention"), o.ModelSize)
		if err != nil {
			return nil, err
		}
		attends = attention != nil
		dec.layers = append(dec.layers, NewDecoderLayer(p, o.Options, attention))
	}
	if !attends {
		size := d.MemorySize
		if d.Final.Layers > 0 {
			size = d.Final.Size
		}
		dec.summary = nn.NewLinear(d.Params, "bridge", size, o.ModelSize)
	}
	return dec, nil
}

// OutputSize is D.
func (d *decoder) OutputSize() int { return d.o.ModelSize }

// MaxLength is the number of learned positions.
func (d *decoder) MaxLength() (int, string) { return maxLength(d.o) }

// Bridge names what is added to each target embedding.
func (d *decoder) Bridge() string {
	switch {
	case d.summary.Weight == nil:
		return ""
	case d.final.Layers > 0:
		return "project"
	}
	return "mean"
}

// summarise returns what is added to each target embedding, [B, D], nil where
// there is attention.
func (d *decoder) summarise(t *autodiff.Tape, m components.Memory) *autodiff.Var {
	switch {
	case d.summary.Weight == nil:
		return nil
	case d.final.Layers > 0:
		return d.summary.Forward(t, m.Final[len(m.Final)-1].Hidden)
	default:
		return d.summary.Forward(t, autodiff.MeanRows(t, m.States, m.Spans))
	}
}

// Decode is the teacher-forced pass.
func (d *decoder) Decode(t *autodiff.Tape, memory components.Memory, target components.Sequences) components.Decoded {
	x := d.input.forward(t, target, 0)
	if s := d.summarise(t, memory); s != nil {
		x = autodiff.AddToRows(t, x, s, target.Spans)
	}
	decoded := components.Decoded{Input: x}
	for i, l := range d.layers {
		prepared := autodiff.Alloc[components.Prepared](t)
		*prepared = d.prepare(t, i, memory)
		x, decoded.Context, decoded.Weights = l.Forward(t, x, target.Spans, prepared)
		decoded.Loss = addLoss(t, decoded.Loss, prepared.CoverageLoss)
	}
	decoded.States = d.last(t, x)
	return decoded
}

// prepare does once a batch what layer i needs of the memory. The output points
// with the last layer's attention.
func (d *decoder) prepare(t *autodiff.Tape, i int, memory components.Memory) components.Prepared {
	p := d.layers[i].Prepare(t, memory)
	p.WeightsTakeGradient = memory.Pointed && i == len(d.layers)-1
	return p
}

// addLoss is a + b, of which either may be nil.
func addLoss(t *autodiff.Tape, a, b *autodiff.Var) *autodiff.Var {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return autodiff.Add(t, a, b)
}

func (d *decoder) last(t *autodiff.Tape, x *autodiff.Var) *autodiff.Var {
	if d.norm == nil {
		return x
	}
	return d.norm.Forward(t, x)
}

// decoderState is each layer's prepared memory and the keys and values of the
// steps so far.
type decoderState struct {
	prepared []components.Prepared
	caches   []autodiff.Cache
	summary  *autodiff.Var
	steps    int
}

// Start prepares the memory for every layer.
func (d *decoder) Start(t *autodiff.Tape, memory components.Memory) components.DecoderState {
	s := &decoderState{caches: make([]autodiff.Cache, len(d.layers)), summary: d.summarise(t, memory)}
	for i := range d.layers {
		s.prepared = append(s.prepared, d.prepare(t, i, memory))
	}
	return s
}

// Step decodes one token with cached keys and values.
func (d *decoder) Step(t *autodiff.Tape, state components.DecoderState, tokens components.Sequences) components.Decoded {
	s := state.(*decoderState)
	x := d.input.forward(t, tokens, s.steps)
	if s.summary != nil {
		x = autodiff.AddToRows(t, x, s.summary, tokens.Spans)
	}
	decoded := components.Decoded{Input: x}
	for i, l := range d.layers {
		x, decoded.Context, decoded.Weights = l.step(t, x, tokens.Spans, &s.prepared[i], &s.caches[i])
	}
	s.steps++
	decoded.States = d.last(t, x)
	return decoded
}

// Select selects rows of the caches, the summary and the prepared memory.
func (d *decoder) Select(t *autodiff.Tape, state components.DecoderState, rows []int32) {
	s := state.(*decoderState)
	for i := range d.layers {
		s.caches[i].Select(t, rows)
		if d.layers[i].attention != nil {
			s.prepared[i] = s.prepared[i].Select(t, rows)
		}
	}
	if s.summary != nil {
		s.summary = autodiff.Select(t, s.summary, rows)
	}
}

// DecoderLayer is causal self-attention, attention to the memory, and a
// feed-forward network.
type DecoderLayer struct {
	self          nn.SelfAttention
	attention     components.Attention // nil without
	context       nn.Linear            // [D, C] where the context is not as wide as the layer
	ffn           feedForward
	aroundSelf    residual
	aroundMemory  residual
	aroundForward residual
}

// NewDecoderLayer adds a layer's parameters; attention nil means none.
func NewDecoderLayer(p *autodiff.Params, o Options, attention components.Attention) DecoderLayer {
	l := DecoderLayer{
		self:          newSelfAttention(p, o, true),
		attention:     attention,
		ffn:           newFeedForward(p, o),
		aroundSelf:    newResidual(p, "norm1", o),
		aroundForward: newResidual(p, "norm3", o),
	}
	if attention == nil {
		return l
	}
	l.aroundMemory = newResidual(p, "norm2", o)
	if size := attention.ContextSize(); size != o.ModelSize {
		l.context = nn.NewLinear(p, "context", size, o.ModelSize)
	}
	return l
}

// Prepare does once a batch what the layer's attention needs of the memory.
func (l DecoderLayer) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	if l.attention == nil {
		return components.Prepared{}
	}
	return l.attention.Prepare(t, m)
}

// Forward maps the sequences in x [Σ lengths, D] to [Σ lengths, D]; position t
// of each sees its positions up to t. The context is one to be read where the memory
// says that weights take a gradient.
func (l DecoderLayer) Forward(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, memory *components.Prepared) (y, context, weights *autodiff.Var) {
	in := l.aroundSelf.input(t, x)
	self, _ := l.self.Forward(t, in, spans, spans, true)
	return l.after(t, l.aroundSelf.output(t, x, in, self), spans, memory)
}

// step is Forward for the next position of each sequence alone, x [B, D].
func (l DecoderLayer) step(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, memory *components.Prepared, cache *autodiff.Cache) (y, context, weights *autodiff.Var) {
	in := l.aroundSelf.input(t, x)
	self := l.self.Step(t, in, spans, cache)
	return l.after(t, l.aroundSelf.output(t, x, in, self), spans, memory)
}

// after is what follows the self-attention.
func (l DecoderLayer) after(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, memory *components.Prepared) (y, context, weights *autodiff.Var) {
	if l.attention != nil {
		in := l.aroundMemory.input(t, x)
		context, weights = l.attention.Attend(t, in, spans, memory)
		read := context
		switch {
		case l.context.Weight != nil:
			read = l.context.Forward(t, context)
		case memory.WeightsTakeGradient: // the sum must not write over what the output reads
			read = autodiff.Scale(t, context, 1)
		}
		x = l.aroundMemory.output(t, x, in, read)
	}
	in := l.aroundForward.input(t, x)
	return l.aroundForward.output(t, x, in, l.ffn.forward(t, in)), context, weights
}
