package recurrent

import (
	"fmt"

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
	Residual      bool    `toml:"residual" doc:"what a layer above the lowest reads is added to what it gives (He et al. 2016, Wu et al. 2016)"`
	Dropout       float64 `toml:"dropout" doc:"drop probability of the embedding, between layers and before the output layer, in [0, 1); what is fed is not dropped"`

	VariationalDropout float64 `toml:"variational_dropout" doc:"the same with one mask a sequence for all its steps (Gal & Ghahramani 2016), in [0, 1)"`
	Attending
	CellOptions
}

// Attending is how a recurrent decoder and its attention are joined.
type Attending struct {
	InputFeeding bool   `toml:"input_feeding" doc:"the lowest layer reads [embedding; attentional state of the step before] (Luong et al. 2015, section 3.3)"`
	Bridge       Bridge `toml:"bridge" doc:"first state of the layers: zero; copy of the encoder's final states; project, tanh(W h + b) of these; last or mean, tanh(W m + b) of the memory's last state or its mean; auto is copy where sizes are equal, else project, and mean where the encoder has no final state"`
}

var defaultAttending = Attending{Bridge: Auto}

func defaultDecoder() DecoderOptions {
	return DecoderOptions{EmbeddingSize: 128, HiddenSize: 128, NumLayers: 1, Attending: defaultAttending, CellOptions: defaultCell}
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
	"The first state comes from the encoder over a bridge."

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

// RecurrentDecoderOptions configures the recurrent decoder.
type RecurrentDecoderOptions struct {
	StackOptions
	Attending
}

// Doc describes the component.
func (RecurrentDecoderOptions) Doc() string {
	return "A stack of recurrent layers that may differ. What drops the top layer's output drops the state before the output layer." + decoderDoc
}

// NewRNNDecoder builds the rnn decoder.
func NewRNNDecoder(o RNNDecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	return newDecoder(o.layers(o.cell(o.CellOptions)), o.embedded(), o.Attending, d)
}

// NewLSTMDecoder builds the lstm decoder.
func NewLSTMDecoder(o LSTMDecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	return newDecoder(o.layers(o.cell(o.CellOptions)), o.embedded(), o.Attending, d)
}

// NewGRUDecoder builds the gru decoder.
func NewGRUDecoder(o GRUDecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	return newDecoder(o.layers(o.cell(o.CellOptions)), o.embedded(), o.Attending, d)
}

// NewRecurrentDecoder builds the recurrent decoder.
func NewRecurrentDecoder(o RecurrentDecoderOptions, d components.DecoderDeps) (components.Decoder, error) {
	layers, err := o.layers()
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		if l.Bidirectional {
			return nil, registry.Fault{Key: fmt.Sprintf("layers[%d].bidirectional", i), Problem: "reads what is not said yet; a decoder has layers of one direction"}
		}
	}
	if layers[0].Residual && o.InputFeeding {
		return nil, registry.Fault{Key: "layers[0].residual", Problem: "adds the embedding, and with input_feeding the layer reads more; want false"}
	}
	return newDecoder(layers, o.embedded(), o.Attending, d)
}

func (o DecoderOptions) embedded() embedded {
	return embedded{o.EmbeddingSize, dropouts{o.Dropout, o.VariationalDropout}}
}

func (o DecoderOptions) layers(c cell) []Layer {
	return equalLayers(o.NumLayers, Layer{c, LayerOptions{
		HiddenSize: o.HiddenSize, Residual: o.Residual, Dropout: o.Dropout, VariationalDropout: o.VariationalDropout,
	}})
}

// decoder is an embedding, a stack of recurrent layers, and an attention after
// them. With input feeding the lowest layer reads the attentional state of the
// step before, too.
type decoder struct {
	embedder  components.Embedder
	dropout   dropouts // of the embedding
	stack     []stacked
	bridge    *bridge
	automatic Bridge
	attention components.Attention // nil without
	combine   nn.Linear            // [H, C+H]
	feeding   bool
	state     decoderState // of a teacher-forced pass
	fed       []fedLayer   // during an unroll with input feeding
}

func newDecoder(layers []Layer, in embedded, o Attending, d components.DecoderDeps) (components.Decoder, error) {
	embedder, err := d.Target(in.size)
	if err != nil {
		return nil, err
	}
	hidden := layers[len(layers)-1].HiddenSize
	dec := &decoder{embedder: embedder, dropout: in.dropouts, feeding: o.InputFeeding}
	dec.state.layers = make([]state, len(layers))
	dec.automatic = automatic(layers, d.Final)
	dec.bridge, err = newBridge(d.Params, o.Bridge, layers, d.MemorySize, d.Final)
	if err != nil {
		return nil, err
	}
	read := in.size
	if o.InputFeeding {
		read += hidden
	}
	dec.stack, err = newStack(d.Params, layers, read)
	if err != nil {
		return nil, err
	}
	dec.attention, err = d.Attention(d.Params.Scope("attention"), hidden)
	if err != nil {
		return nil, err
	}
	if dec.attention != nil {
		dec.combine = nn.NewProjection(d.Params, "combine", dec.attention.ContextSize()+hidden, hidden)
	} else if o.InputFeeding {
		return nil, registry.Fault{Key: "input_feeding", Problem: "feeds the attentional state, which there is none of without attention; want false, or an attention"}
	} else if o.Bridge == Zero {
		return nil, registry.Fault{Key: "bridge", Problem: "zero lets nothing of the source through without attention; want another, or an attention"}
	}
	return dec, nil
}

// Chosen is the bridge that auto stands for.
func (d *decoder) Chosen() map[string]string { return map[string]string{"bridge": string(d.automatic)} }

// OutputSize is H of the top layer.
func (d *decoder) OutputSize() int { return d.top().size() }

func (d *decoder) top() stacked { return d.stack[len(d.stack)-1] }

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
	s := &decoderState{layers: make([]state, len(d.stack))}
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
		for i, l := range d.stack {
			if i > 0 {
				x = d.stack[i-1].dropout.apply(t, x, target.Spans)
			}
			x, s.layers[i] = l.forward(t, x, packing, s.layers[i])
		}
		decoded.States = x
		if d.attention != nil {
			decoded.States, decoded.Context, decoded.Weights = d.attend(t, x, target.Spans, &s.prepared, nil)
		}
	}
	decoded.States = d.top().dropout.apply(t, decoded.States, target.Spans)
	decoded.Loss = s.prepared.CoverageLoss
	return decoded
}

// attend turns outputs x [Σ lengths, H] of the top layer into attentional states, which
// it writes to into unless that is nil.
func (d *decoder) attend(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, memory *components.Prepared, into *autodiff.Var) (attentional, context, weights *autodiff.Var) {
	context, weights = d.attention.Attend(t, x, spans, memory)
	if attentional = into; into == nil {
		attentional = t.New(x.Rows(), d.OutputSize())
	}
	w := d.combine.Weight
	autodiff.WriteLinear(t, attentional, context, autodiff.Columns{Var: w}, nil)
	autodiff.AddLinear(t, attentional, x, autodiff.Columns{Var: w, From: context.Dim(1)})
	autodiff.ActivateInPlace(t, attentional, autodiff.TanhActivation)
	return attentional, context, weights
}
