package recurrent

import (
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// DecoderOptions is what all recurrent decoders have.
type DecoderOptions struct {
	EmbeddingSize int     `toml:"embedding_size" doc:"size E of the target embedding"`
	HiddenSize    int     `toml:"hidden_size" doc:"size H of the hidden state"`
	NumLayers     int     `toml:"num_layers" doc:"layers, one on the other"`
	InputFeeding  bool    `toml:"input_feeding" doc:"the lowest layer reads [embedding; attentional state of the step before] (Luong et al. 2015, section 3.3)"`
	Dropout       float64 `toml:"dropout" doc:"drop probability of the embedding, between layers and before the output layer, in [0, 1); what is fed is not dropped"`

	VariationalDropout float64 `toml:"variational_dropout" doc:"the same with one mask a sequence for all its steps (Gal & Ghahramani 2016), in [0, 1)"`
	CellOptions
}

func defaultDecoder() DecoderOptions {
	return DecoderOptions{EmbeddingSize: 128, HiddenSize: 128, NumLayers: 1, CellOptions: defaultCell}
}

// Version 2 draws dropout for the tokens of a batch alone.
func (DecoderOptions) Version() int { return 2 }

// Validate reports every value out of range.
func (o DecoderOptions) Validate() error {
	return EncoderOptions{
		EmbeddingSize: o.EmbeddingSize, HiddenSize: o.HiddenSize, NumLayers: o.NumLayers,
		Dropout: o.Dropout, VariationalDropout: o.VariationalDropout, CellOptions: o.CellOptions,
	}.Validate()
}

const decoderDoc = " The context is read with the top layer's output as query, and attentional state = tanh(W [context; output]) " +
	"(Luong et al. 2015, equation 5) predicts the next token; without attention the output itself does. " +
	"With input feeding that state, before its dropout and zero at first, is read along with the next embedding. " +
	"The first state comes from the encoder's final state, or from the mean of the memory where there is none."

// RNNDecoderOptions configures the rnn decoder.
type RNNDecoderOptions struct {
	DecoderOptions
	RNNCell
}

// Doc describes the component.
func (o RNNDecoderOptions) Doc() string { return o.RNNCell.Doc() + decoderDoc }

// LSTMDecoderOptions configures the lstm decoder.
type LSTMDecoderOptions struct {
	DecoderOptions
	LSTMCell
}

// Doc describes the component.
func (o LSTMDecoderOptions) Doc() string { return o.LSTMCell.Doc() + decoderDoc }

// GRUDecoderOptions configures the gru decoder.
type GRUDecoderOptions struct {
	DecoderOptions
	GRUCell
}

// Doc describes the component.
func (o GRUDecoderOptions) Doc() string { return o.GRUCell.Doc() + decoderDoc }

// NewRNNDecoder builds the rnn decoder.
func NewRNNDecoder(o RNNDecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	return newDecoder(o.cell(o.CellOptions), o.DecoderOptions, d)
}

// NewLSTMDecoder builds the lstm decoder.
func NewLSTMDecoder(o LSTMDecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	return newDecoder(o.cell(o.CellOptions), o.DecoderOptions, d)
}

// NewGRUDecoder builds the gru decoder.
func NewGRUDecoder(o GRUDecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	return newDecoder(o.cell(o.CellOptions), o.DecoderOptions, d)
}

// decoder is an embedding, a stack of recurrent layers, and an attention after
// them. With input feeding the lowest layer reads the attentional state of the
// step before, too.
type decoder struct {
	embedder  components.Embedder
	layers    []*layer
	bridge    *bridge
	attention components.Attention // nil without
	combine   nn.Linear            // [H, C+H]
	dropout   dropouts
	feeding   bool
	state     decoderState // of a teacher-forced pass
	fed       []fedLayer   // during an unroll with input feeding
}

func newDecoder(c cell, o DecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	embedder, err := d.Target(o.EmbeddingSize)
	if err != nil {
		return nil, err
	}
	dec := &decoder{embedder: embedder, dropout: dropouts{o.Dropout, o.VariationalDropout}, feeding: o.InputFeeding}
	dec.state.layers = make([]state, o.NumLayers)
	dec.bridge = newBridge(d.Params, c, o.NumLayers, o.HiddenSize, d.MemorySize, d.Final)
	in := o.EmbeddingSize
	if o.InputFeeding {
		in += o.HiddenSize
	}
	for i := range o.NumLayers {
		dec.layers = append(dec.layers, newLayer(d.Params.Scope("layer"+strconv.Itoa(i)), c, in, o.HiddenSize, false))
		in = o.HiddenSize
	}
	dec.attention, err = d.Attention(d.Params.Scope("attention"), o.HiddenSize)
	if err != nil {
		return nil, err
	}
	if dec.attention != nil {
		dec.combine = nn.NewProjection(d.Params, "combine", dec.attention.ContextSize()+o.HiddenSize, o.HiddenSize)
	} else if o.InputFeeding {
		return nil, registry.Fault{Key: "input_feeding", Problem: "feeds the attentional state, which there is none of without attention; want false, or an attention"}
	}
	return dec, nil
}

// OutputSize is H.
func (d *decoder) OutputSize() int { return d.layers[0].hidden() }

// decoderState is the layers' states, the attentional state that is fed (nil for
// zero), and the prepared memory.
type decoderState struct {
	layers   []state
	fed      *autodiff.Var // [B, H]
	prepared components.Prepared
}

// Decode unrolls the stack over all target tokens, then attends with all its
// outputs at once; with input feeding it does both step after step.
func (d *decoder) Decode(t *autodiff.Tape, memory components.Memory, target components.Sequences) components.Decoded {
	d.start(t, memory, &d.state)
	return d.unroll(t, &d.state, target)
}

// Start bridges the memory.
func (d *decoder) Start(t *autodiff.Tape, memory components.Memory) components.DecoderState {
	s := &decoderState{layers: make([]state, len(d.layers))}
	d.start(t, memory, s)
	return s
}

func (d *decoder) start(t *autodiff.Tape, memory components.Memory, s *decoderState) {
	d.bridge.start(t, memory, s.layers)
	s.fed = nil
	if d.attention != nil {
		s.prepared = d.attention.Prepare(t, memory)
		s.prepared.WeightsTakeGradient = memory.Pointed
	}
}

// Step unrolls the stack over one token.
func (d *decoder) Step(t *autodiff.Tape, s components.DecoderState, tokens components.Sequences) components.Decoded {
	return d.unroll(t, s.(*decoderState), tokens)
}

// Select selects rows of all states and of the prepared memory.
func (d *decoder) Select(t *autodiff.Tape, state components.DecoderState, rows []int32) {
	s := state.(*decoderState)
	for i := range s.layers {
		s.layers[i] = s.layers[i].rows(t, rows)
	}
	if s.fed != nil {
		s.fed = autodiff.Select(t, s.fed, rows)
	}
	if d.attention != nil {
		s.prepared = s.prepared.Select(t, rows)
	}
}

// unroll runs the stack from the state s. Over one token it leaves the next
// state there.
func (d *decoder) unroll(t *autodiff.Tape, s *decoderState, target components.Sequences) components.Decoded {
	packing := pack(t, target.Spans)
	x := d.dropout.apply(t, d.embedder.Embed(t, target), target.Spans)
	decoded := components.Decoded{Input: x}
	if d.feeding {
		decoded.States, decoded.Context, decoded.Weights = d.feed(t, s, x, packing)
	} else {
		for i, l := range d.layers {
			if i > 0 {
				x = d.dropout.apply(t, x, target.Spans)
			}
			x, s.layers[i] = l.forward(t, x, packing, s.layers[i])
		}
		decoded.States = x
		if d.attention != nil {
			decoded.States, decoded.Context, decoded.Weights = d.attend(t, x, target.Spans, &s.prepared)
		}
	}
	decoded.States = d.dropout.apply(t, decoded.States, target.Spans)
	decoded.Loss = s.prepared.CoverageLoss
	return decoded
}

// attend turns outputs x [Σ lengths, H] of the top layer into attentional states.
func (d *decoder) attend(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, memory *components.Prepared) (attentional, context, weights *autodiff.Var) {
	context, weights = d.attention.Attend(t, x, spans, memory)
	w := d.combine.Weight
	attentional = autodiff.LinearColumns(t, context, autodiff.Columns{Var: w}, nil)
	autodiff.AddLinear(t, attentional, x, autodiff.Columns{Var: w, From: context.Dim(1)})
	autodiff.ActivateInPlace(t, attentional, autodiff.TanhActivation)
	return attentional, context, weights
}
