package recurrent

import (
	"errors"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// Cell names a cell at its defaults.
type Cell string

const (
	RNN  Cell = "rnn"
	LSTM Cell = "lstm"
	GRU  Cell = "gru"
)

// Values lists what is allowed.
func (Cell) Values() []string { return []string{string(RNN), string(LSTM), string(GRU)} }

// UnmarshalText accepts one of Values.
func (c *Cell) UnmarshalText(text []byte) error { return registry.OneOf(c, text) }

func (c Cell) cell(o CellOptions) cell {
	switch c {
	case RNN:
		return defaultRNN.cell(o)
	case LSTM:
		return defaultLSTM.cell(o)
	}
	return defaultGRU.cell(o)
}

// HREDOptions configures the hred encoder.
type HREDOptions struct {
	Cell Cell `toml:"cell" doc:"cell of both encoders"`
	EncoderOptions
	ContextSize int    `toml:"context_size" doc:"size C of the context encoder's hidden state, and of the memory"`
	Separator   string `toml:"separator" doc:"text of the source token that ends an utterance"`
}

// Doc describes the component.
func (HREDOptions) Doc() string {
	return "Hierarchical recurrent encoder (Sordoni et al. 2015, Serban et al. 2016). A source is utterances, each up to its separator, which is read with it; " +
		"what follows the last separator is one more. The utterance encoder, a stack that begins anew with each, reads its tokens; the context encoder, " +
		"one layer from the first utterance on, reads the top layer's final states (both directions side by side). " +
		"The memory is the states of the context encoder, one an utterance, and an attention looks at these; the final state is its last. " +
		"What drops the values between layers drops those between the encoders, too."
}

// Validate reports every value out of range.
func (o HREDOptions) Validate() error {
	var none error
	if o.Separator == "" {
		none = registry.Fault{Key: "separator", Problem: "must be the text of a token, is empty"}
	}
	return errors.Join(o.EncoderOptions.Validate(), registry.AtLeast("context_size", o.ContextSize, 1), none)
}

// NewHRED builds the hred encoder.
func NewHRED(o HREDOptions, d components.EncoderDeps) (components.Encoder, error) {
	embedder, err := d.Source(o.EmbeddingSize)
	if err != nil {
		return nil, err
	}
	c, in := o.Cell.cell(o.CellOptions), o.embedded()
	utterance, err := newStack(d.Params.Scope("utterance"), o.layers(c), in.size)
	if err != nil {
		return nil, err
	}
	context, err := newStack(d.Params.Scope("context"), equalLayers(1, Layer{c, LayerOptions{HiddenSize: o.ContextSize}}), utterance[len(utterance)-1].size())
	if err != nil {
		return nil, err
	}
	return &hred{
		embedder: embedder, dropout: in.dropouts, utterance: utterance, context: context,
		separatorText: o.Separator, states: make([]components.FinalState, len(utterance)), final: make([]components.FinalState, 1),
	}, nil
}

type hred struct {
	embedder           components.Embedder
	dropout            dropouts
	utterance, context []stacked
	separatorText      string
	separator          int32 // 0 until it is told, which no source has
	states, final      []components.FinalState
}

// Separator is the token that ends an utterance.
func (e *hred) Separator() (token, option string) { return e.separatorText, "separator" }

// SetSeparator tells the token's number.
func (e *hred) SetSeparator(id int32) { e.separator = id }

// MemorySize is C.
func (e *hred) MemorySize() int { return e.context[0].size() }

// Final is the context encoder's state.
func (e *hred) Final() components.FinalShape { return finalShape(e.context) }

// Encode reads utterances, then their states.
func (e *hred) Encode(t *autodiff.Tape, source components.Sequences) components.Memory {
	utterances, contexts := e.split(t, source)
	x := e.dropout.apply(t, e.embedder.Embed(t, source), source.Spans)
	forwardStack(t, e.utterance, x, utterances, e.states)
	states := e.dropout.apply(t, e.states[len(e.states)-1].Hidden, contexts)
	memory := forwardStack(t, e.context, states, contexts, e.final)
	return components.Memory{States: memory, Spans: contexts, Final: e.final}
}

// split returns where the utterances of all sources lie among the tokens, and
// where those of each source lie among the utterances.
func (e *hred) split(t *autodiff.Tape, source components.Sequences) (utterances, contexts autodiff.Spans) {
	ends := func(tokens []int32, i int) bool { return tokens[i] == e.separator || i == len(tokens)-1 }
	total := 0
	contexts = autodiff.Spans{Starts: autodiff.Ints(t, source.Batch()), Lengths: autodiff.Ints(t, source.Batch())}
	for b := range source.Batch() {
		start, length := source.At(b)
		tokens := source.Tokens[start : start+length]
		contexts.Starts[b] = int32(total)
		for i := range tokens {
			if ends(tokens, i) {
				total++
			}
		}
		contexts.Lengths[b] = int32(total) - contexts.Starts[b]
	}
	utterances = autodiff.Spans{Starts: autodiff.Ints(t, total), Lengths: autodiff.Ints(t, total)}
	next := 0
	for b := range source.Batch() {
		start, length := source.At(b)
		tokens, from := source.Tokens[start:start+length], 0
		for i := range tokens {
			if ends(tokens, i) {
				utterances.Starts[next], utterances.Lengths[next] = int32(start+from), int32(i+1-from)
				from, next = i+1, next+1
			}
		}
	}
	return utterances, contexts
}
