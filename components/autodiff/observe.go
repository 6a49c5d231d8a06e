package autodiff

// Observer is told by the layers of a model what there is to see in a pass, on a tape
// that [Tape.Observe] was called of.
type Observer interface {
	// Saturated tells of a gate, or of a tanh, of a layer how many of some of its
	// activations are near the ends of their range: see [Saturation].
	Saturated(layer, gate string, saturated, of int)
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

// Saturation is how many of n activations are saturated: of those of tanh, in
// (-1, 1), or of sigmoid, in (0, 1). width columns from column from on are looked at,
// of rows that are ld apart.
func Saturation(activations []float32, ld, from, width int, sigmoid bool) (saturated, n int) {
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
	return saturated, n
}

// ObserveState has the gradient of x [len(rows), D], hidden states of a layer, told to
// who looks at the tape in the backward pass: see [Observer.StateGradient]. It must
// come before all that reads x.
func ObserveState(t *Tape, layer string, x *Var, rows []int32, of int) {
	if t.observer != nil && t.recording && t.dtype == Float32 {
		*Record[observeOp](t) = observeOp{layer, x, rows, of}
	}
}

type observeOp struct {
	layer string
	x     *Var
	rows  []int32
	of    int
}

// Backward comes after those of all that read x.
func (op *observeOp) Backward() {
	if observer := op.x.storage.tape.observer; observer != nil && op.x.HasGrad() {
		observer.StateGradient(op.layer, op.rows, op.of, Grad[float32](op.x))
	}
}
