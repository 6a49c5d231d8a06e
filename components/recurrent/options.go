package recurrent

import (
	"fmt"

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
func (a *Activation) UnmarshalText(text []byte) error {
	switch v := Activation(text); v {
	case Tanh, ReLU:
		*a = v
		return nil
	}
	return fmt.Errorf("must be tanh or relu, is %q", text)
}

// Register enters this package's encoders and decoders.
func Register(c *components.Catalog) {
	registry.Add(&c.Encoders, "rnn", RNNEncoderOptions{EncoderOptions: defaultEncoder(), Activation: Tanh}, NewRNNEncoder)
	registry.Add(&c.Encoders, "lstm", LSTMEncoderOptions{EncoderOptions: defaultEncoder(), ForgetBias: 1}, NewLSTMEncoder)
	registry.Add(&c.Encoders, "gru", GRUEncoderOptions{EncoderOptions: defaultEncoder()}, NewGRUEncoder)
	registry.Add(&c.Decoders, "rnn", RNNDecoderOptions{DecoderOptions: defaultDecoder(), Activation: Tanh}, NewRNNDecoder)
	registry.Add(&c.Decoders, "lstm", LSTMDecoderOptions{DecoderOptions: defaultDecoder(), ForgetBias: 1}, NewLSTMDecoder)
	registry.Add(&c.Decoders, "gru", GRUDecoderOptions{DecoderOptions: defaultDecoder()}, NewGRUDecoder)
}
