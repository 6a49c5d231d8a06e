package components

import "exp/registry"

// Diagnostics is the [evaluate.diagnostics] table: what is recorded of a training
// beside its metrics, at every evaluation on the validation split.
type Diagnostics struct {
	Layers       bool `toml:"layers" doc:"of the update before an evaluation, of each layer the norm of its gradient, before clipping, and of the update over that of the weights: train/gradient_norm/LAYER and train/update_ratio/LAYER"`
	Activations  bool `toml:"activations" doc:"share of the activations of each gate and tanh of the recurrent layers that are saturated, beyond 0.95 of their range, and mean entropy of the weights of the decoder's attention (of the last layer) in nats: valid/saturation/LAYER/GATE, valid/attention_entropy"`
	GradientFlow int  `toml:"gradient_flow" doc:"greatest distance in time d for which the norm of the gradient of the loss with respect to the hidden state d steps before the last of a source is recorded, as valid/gradient_flow/d; 0: none"`
}

// Doc describes the table.
func (Diagnostics) Doc() string {
	return "What is looked at within the model, on a few pairs of the validation split, without dropout. It changes nothing of the training, and costs a pass or two an evaluation. " +
		"The gradient flow is of the encoder's lowest layer: the hidden state h_t of an rnn, an lstm or a gru, read forwards, and what the lowest layer of a Transformer reads; " +
		"the loss reaches it by the memory of the last step and by the final state, as where there is no attention to the steps before (Hochreiter 1991, Bengio et al. 1994, Pascanu et al. 2013)."
}

// Validate reports every value out of range.
func (o Diagnostics) Validate() error { return registry.AtLeast("gradient_flow", o.GradientFlow, 0) }

// Wanted says that something is to be looked at.
func (o Diagnostics) Wanted() bool { return o != Diagnostics{} }
