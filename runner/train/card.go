package train

import (
	"exp/components"
	"exp/components/kernel"
)

// Card is the architecture of a model and what a training step costs. The batch
// is the one of the first epoch with the most tokens.
type Card struct {
	Tensors    []TensorShape // in the order in which the model has them
	Parameters int
	Embeddings int // of the parameters, those of the embeddings
	Frozen     int // of the parameters, those that are not trained
	Loaded     components.Loaded
	Bridge     string // how the decoder starts from the memory, "" where it does not
	Frames     bool   // the source is frames
	Source     int    // size of the vocabulary, or of a frame
	Target     int    // size of the vocabulary

	SourcePadding, TargetPadding    float64 // share of the first epoch that would be padding, if batches had any
	Pairs, SourceSteps, TargetSteps int     // of the batch
	Forward, Backward               int64   // multiply-adds of matrix products for the batch
	Activations                     int     // bytes of the tape after the forward pass
	Step                            int     // bytes of the tape after the step, gradients included
}

// TensorShape is a parameter: its full name, dotted, and its shape.
type TensorShape struct {
	Name  string
	Shape []int
}

// NewCard builds the model and does one step on the largest batch, without
// moving the parameters. The configuration must have passed [Check].
func NewCard(c Config) (*Card, error) {
	c.Checkpoint = ""
	t, err := newTrial(c, discard{})
	if err != nil {
		return nil, err
	}
	card := &Card{Loaded: c.Loaded, Frames: c.Data.Source == nil, Parameters: t.model.Params.Count(), Source: c.Data.SourceSize(), Target: c.Data.Target.Size()}
	for _, v := range t.model.Params.All() {
		card.Tensors = append(card.Tensors, TensorShape{v.Name(), v.Shape().Dims()})
		if v.Frozen() {
			card.Frozen += v.Size()
		}
	}
	for _, v := range t.model.Embeddings() {
		card.Embeddings += v.Size()
	}
	if b, ok := t.model.Decoder.(components.Bridged); ok {
		card.Bridge = b.Bridge()
	}

	card.SourcePadding, card.TargetPadding = t.order.padding()
	t.model.Fill(&t.batch, t.order.largest())
	card.Pairs, card.SourceSteps, card.TargetSteps = t.batch.Source.Batch(), t.batch.Source.Steps(), t.batch.TargetOut.Steps()
	t.tape.Reset(true, true)
	t.tape.Seed(t.dropout)
	t.model.Params.ZeroGrad(t.tape)
	kernel.StartCount()
	loss, _ := t.model.Loss(t.tape, &t.batch, c.Training.LabelSmoothing)
	card.Forward, card.Activations = kernel.StopCount(), t.tape.Mem()
	kernel.StartCount()
	t.tape.Backward(loss)
	card.Backward, card.Step = kernel.StopCount(), t.tape.Mem()
	return card, nil
}
