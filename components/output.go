package components

import (
	"math"

	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// DefaultOutput is the output where the configuration does not name one.
const DefaultOutput = "softmax"

// RegisterOutputs enters the outputs, which are of this package: they are
// what [Model] ends with.
func RegisterOutputs(c *Catalog) {
	registry.Add(&c.Outputs, DefaultOutput, SoftmaxOptions{}, NewSoftmax)
	registry.Add(&c.Outputs, "pointer_generator", PointerGeneratorOptions{}, NewPointerGenerator)
}

// SoftmaxOptions configures the softmax output.
type SoftmaxOptions struct{}

// Doc describes the component.
func (SoftmaxOptions) Doc() string {
	return "Softmax over the target vocabulary: logits = W state + b."
}

// Validate finds nothing.
func (SoftmaxOptions) Validate() error { return nil }

type softmax struct{ nn.Linear } // [V, D]

// NewSoftmax builds the softmax output.
func NewSoftmax(_ SoftmaxOptions, d OutputDeps) (Output, error) {
	return softmax{newLogits(d)}, nil
}

// newLogits adds the layer that gives the logits of V tokens.
func newLogits(d OutputDeps) nn.Linear {
	if d.Tied == nil {
		return nn.NewLinear(d.Params, "output", d.StateSize, d.Vocabulary)
	}
	bias := nn.Uniform(1 / math.Sqrt(float64(d.StateSize)))
	return nn.Linear{Weight: d.Tied, Bias: d.Params.Scope("output").New("bias", bias, d.Vocabulary)}
}

// Points says that nothing is copied.
func (softmax) Points() bool { return false }

// Logits is W state + b.
func (s softmax) Logits(t *autodiff.Tape, d Decoded, _ Extended) *autodiff.Var {
	return s.Forward(t, d.States)
}

// Loss is the cross-entropy of the logits.
func (s softmax) Loss(t *autodiff.Tape, d Decoded, _ Extended, targets []int32, smoothing float64) *autodiff.Var {
	return autodiff.LinearCrossEntropy(t, d.States, s.Weight, s.Bias, targets, smoothing)
}

// PointerGeneratorOptions configures the pointer-generator output.
type PointerGeneratorOptions struct{}

// Doc describes the component.
func (PointerGeneratorOptions) Doc() string {
	return "Pointer-generator (See et al. 2017): a token is generated from the vocabulary, by a softmax of W state + b, with probability p_gen, and copied from the source otherwise: " +
		"P(w) = p_gen softmax(w) + (1 - p_gen) Σ of the attention's weights of the source tokens that are w, the mean over its heads. " +
		"p_gen = sigmoid(w·[context; state; input] + b), of the attention's context (in a Transformer that of the last layer, before it is projected to the layer's width), " +
		"the state that the logits are made of (of a recurrent decoder the attentional state, of a Transformer the last layer's output; the paper has the recurrent state and a layer more before the softmax), " +
		"and the decoder's input embedding (of a Transformer with its positions). " +
		"A source token that the target vocabulary lacks can be said where it is in the source; the decoder reads it as unknown. " +
		"Label smoothing is spread over the vocabulary. From an empty source nothing is copied. Needs an attention."
}

// Validate finds nothing.
func (PointerGeneratorOptions) Validate() error { return nil }

type pointerGenerator struct {
	generate nn.Linear // [V, D]
	gate     nn.Linear // [1, C+D+E]
}

// NewPointerGenerator builds the pointer-generator output. An error says that
// there is no attention to point with.
func NewPointerGenerator(_ PointerGeneratorOptions, d OutputDeps) (Output, error) {
	if d.ContextSize == 0 {
		return nil, registry.Fault{Key: "type", Problem: "pointer_generator copies by the weights of the decoder's attention, and there is none; want an attention, or softmax"}
	}
	return pointerGenerator{
		generate: newLogits(d),
		gate:     nn.NewLinear(d.Params, "output_gate", d.ContextSize+d.StateSize+d.InputSize, 1),
	}, nil
}

// Points says that tokens are copied.
func (pointerGenerator) Points() bool { return true }

// Logits is log P.
func (p pointerGenerator) Logits(t *autodiff.Tape, d Decoded, x Extended) *autodiff.Var {
	return autodiff.PointerLogits(t, p.pointer(t, d, x))
}

// Loss is -log P of the targets.
func (p pointerGenerator) Loss(t *autodiff.Tape, d Decoded, x Extended, targets []int32, smoothing float64) *autodiff.Var {
	return autodiff.PointerCrossEntropy(t, p.pointer(t, d, x), targets, smoothing)
}

func (p pointerGenerator) pointer(t *autodiff.Tape, d Decoded, x Extended) autodiff.Pointer {
	w := autodiff.Columns{Var: p.gate.Weight}
	gate := autodiff.LinearColumns(t, d.Context, w, p.gate.Bias)
	w.From = d.Context.Dim(1)
	autodiff.AddLinear(t, gate, d.States, w)
	w.From += d.States.Dim(1)
	autodiff.AddLinear(t, gate, d.Input, w)
	return autodiff.Pointer{
		Logits: p.generate.Forward(t, d.States), Gate: gate, Weights: d.Weights,
		Queries: x.Queries, Keys: x.Keys, Columns: x.Columns, Width: x.Width,
	}
}
