package autodiff

// Observer is told by the layers of a model what there is to see in a pass, on a tape
// that [Tape.Observe] was called of.
type Observer interface {
	// Saturated tells of a gate, or of a tanh, of a layer the share of its activations
	// that are near the ends of their range: see [Saturation].
	Saturated(layer, gate string, share float64)
	// StateGradient tells the gradient of what the backward pass began with, with
	// respect to hidden states [len(rows), H] of a layer, all that reaches them by the
	// states after them too. rows says which of the rows of the layer's input, of which
	// there are so many, the states are of; nil: all, in order.
	StateGradient(layer string, rows []int32, of int, gradient []float32)
}

// Observe makes the tape's layers tell o, and nobody for nil. It is for a pass now and
// then, in float32.
func (t *Tape) Observe(o Observer) { t.observer = o }

// Observer is who looks, nil for nobody.
func (t *Tape) Observer() Observer { return t.observer }

// saturatedFrom is how near to an end of its range, as a share of its half, an
// activation is saturated: a tanh beyond ±0.95, a sigmoid below 0.025 or above 0.975.
const saturatedFrom = 0.95

// Saturation is the share of activations that are saturated: of those of tanh, in
// (-1, 1), or of sigmoid, in (0, 1). width columns from column from on are looked at,
// of rows that are ld apart.
func Saturation(activations []float32, ld, from, width int, sigmoid bool) float64 {
	saturated, n := 0, 0
	for at := from; at+width <= len(activations); at += ld {
		for _, a := range activations[at : at+width] {
			if sigmoid {
				a = 2*a - 1
			}
			if a > saturatedFrom || a < -saturatedFrom {
				saturated++
			}
			n++
		}
	}
	return float64(saturated) / float64(max(1, n))
}

// ObserveState has the gradient of x [rows, D], the hidden states of a layer, told to
// who looks at the tape.
func ObserveState(t *Tape, layer string, x *Var) {
	if t.observer != nil && t.recording && t.dtype == Float32 {
		op := Record[observeOp](t)
		op.layer, op.x, op.observer = layer, x, t.observer
	}
}

type observeOp struct {
	layer    string
	x        *Var
	observer Observer
}

// Backward comes after those of all that read x.
func (op *observeOp) Backward() {
	if op.x.HasGrad() {
		op.observer.StateGradient(op.layer, nil, op.x.Rows(), Grad[float32](op.x))
	}
}
