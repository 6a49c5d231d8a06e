package recurrent

import (
	"exp/components"
	"exp/registry"
)

// Activation is the nonlinearity of an RNN's hidden state.
type Activation string

const (
	Tanh Activation = "tanh"
	ReLU Activation = "relu"
)

// Values lists what is allowed.
func (Activation) Values() []string { return []string{string(Tanh), string(ReLU)} }

// UnmarshalText accepts one of Values.
func (a *Activation) UnmarshalText(text []byte) error { return registry.OneOf(a, text) }

// Init is how recurrent weights start.
type Init string

const (
	Orthogonal Init = "orthogonal"
	Xavier     Init = "xavier"
	Uniform    Init = "uniform"
)

// Values lists what is allowed.
func (Init) Values() []string { return []string{string(Orthogonal), string(Xavier), string(Uniform)} }

// UnmarshalText accepts one of Values.
func (i *Init) UnmarshalText(text []byte) error { return registry.OneOf(i, text) }

// Reset is where a GRU's reset gate acts.
type Reset string

const (
	After  Reset = "after"
	Before Reset = "before"
)

// Values lists what is allowed.
func (Reset) Values() []string { return []string{string(After), string(Before)} }

// UnmarshalText accepts one of Values.
func (r *Reset) UnmarshalText(text []byte) error { return registry.OneOf(r, text) }

// CellOptions is what the layers of all recurrent encoders and decoders have.
type CellOptions struct {
	RecurrentDropout float64 `toml:"recurrent_dropout" doc:"drop probability of the hidden state where the next step's U h reads it, one mask a sequence (Gal & Ghahramani 2016), in [0, 1)"`
	LayerNorm        bool    `toml:"layer_norm" doc:"normalise W x and U h, each over all gates together, and for its output an LSTM's cell state (Ba et al. 2016)"`
	Init             Init    `toml:"init" doc:"initial recurrent weights U of each gate: orthogonal (Saxe et al. 2014), xavier (Glorot & Bengio 2010), as W always is, or uniform in ±1/√H, as PyTorch's"`
}

// RNNCell is what an rnn has beside.
type RNNCell struct {
	Activation Activation `toml:"activation" doc:"nonlinearity of the hidden state"`
}

// LSTMCell is what an lstm has beside.
type LSTMCell struct {
	ForgetBias float64 `toml:"forget_bias" doc:"initial bias of the forget gate (Jozefowicz et al. 2015)"`
}

// GRUCell is what a gru has beside.
type GRUCell struct {
	Reset Reset `toml:"reset" doc:"where the reset gate acts in the candidate: after the product, r (U h + c), as PyTorch and cuDNN, or before it, U (r h) + c, as Cho et al. 2014"`
}

const normDoc = " With layer_norm, a = γ N(W x) + b and u = γ' N(U h) + c (Ba et al. 2016), N over all gates together, which the paper does for an LSTM alone."

// Doc describes the cell.
func (RNNCell) Doc() string {
	return "Elman's recurrent network (Elman 1990): h' = f(a + u), with a = W x + b and u = U h + c." + normDoc
}

// Doc describes the cell.
func (LSTMCell) Doc() string {
	return "Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000, without peepholes): " +
		"i, f, o = σ(a + u), g = tanh(a + u); c' = f c + i g; h' = o tanh(c'), with a = W x + b and u = U h + c." + normDoc +
		" Then h' = o tanh(LN(c')), and c' goes on as it is."
}

// Doc describes the cell.
func (GRUCell) Doc() string {
	return "Gated recurrent unit (Cho et al. 2014): r, z = σ(a + u); n = tanh(a + r u); h' = (1-z) n + z h, with a = W x + b and u = U h + c. " +
		"With reset = \"before\", as in the paper, n = tanh(a + U (r h) + c)." + normDoc + " There the candidate's u has a norm of its own where the reset is before."
}

func (c RNNCell) cell(o CellOptions) cell {
	return cell{kind: rnn, relu: c.Activation == ReLU, CellOptions: o}
}

func (c LSTMCell) cell(o CellOptions) cell {
	return cell{kind: lstm, forgetBias: c.ForgetBias, CellOptions: o}
}

func (c GRUCell) cell(o CellOptions) cell {
	return cell{kind: gru, resetBefore: c.Reset == Before, CellOptions: o}
}

var (
	defaultCell = CellOptions{Init: Orthogonal}
	defaultRNN  = RNNCell{Activation: Tanh}
	defaultLSTM = LSTMCell{ForgetBias: 1}
	defaultGRU  = GRUCell{Reset: After}
)

// Register enters this package's encoders and decoders, and the layers that some
// of them list.
func Register(c *components.Catalog) {
	layers := newLayers()
	c.Layers = layers
	registry.Add(&c.Encoders, "rnn", RNNEncoderOptions{defaultEncoder(), defaultRNN}, NewRNNEncoder)
	registry.Add(&c.Encoders, "lstm", LSTMEncoderOptions{defaultEncoder(), defaultLSTM}, NewLSTMEncoder)
	registry.Add(&c.Encoders, "gru", GRUEncoderOptions{defaultEncoder(), defaultGRU}, NewGRUEncoder)
	registry.Add(&c.Encoders, "recurrent", RecurrentEncoderOptions{defaultStack(layers)}, NewRecurrentEncoder)
	registry.Add(&c.Encoders, "hred", HREDOptions{Cell: GRU, EncoderOptions: defaultEncoder(), ContextSize: 128, Separator: "__eou__"}, NewHRED)
	registry.Add(&c.Encoders, "pyramid", defaultPyramid(), NewPyramid)
	registry.Add(&c.Encoders, "mean", MeanOptions{EmbeddingSize: 128}, NewMean)
	registry.Add(&c.Decoders, "rnn", RNNDecoderOptions{defaultDecoder(), defaultRNN}, NewRNNDecoder)
	registry.Add(&c.Decoders, "lstm", LSTMDecoderOptions{defaultDecoder(), defaultLSTM}, NewLSTMDecoder)
	registry.Add(&c.Decoders, "gru", GRUDecoderOptions{defaultDecoder(), defaultGRU}, NewGRUDecoder)
	registry.Add(&c.Decoders, "recurrent", RecurrentDecoderOptions{defaultStack(layers), defaultAttending}, NewRecurrentDecoder)
}
