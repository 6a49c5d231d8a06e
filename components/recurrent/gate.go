package recurrent

import (
	"exp/components/autodiff"
	"exp/components/kernel"
)

// gateOp is what a step of an LSTM or a GRU does after its products.
type gateOp[F kernel.Float] struct {
	kind           kind
	tape           *autodiff.Tape
	gates, hiddens *autodiff.Var // hiddens: U h + c of a GRU
	before, after  state
}

// gate returns the state after a step, whose hidden state it writes to h [n, H], and
// overwrites gates [n, gates·H], which is W x + U h + b + c of an LSTM and W x + b of a
// GRU.
func gate(t *autodiff.Tape, k kind, gates, hiddens *autodiff.Var, before state, h *autodiff.Var) state {
	if t.DType() == autodiff.Float32 {
		return gateStep[float32](t, k, gates, hiddens, before, h)
	}
	return gateStep[float64](t, k, gates, hiddens, before, h)
}

func gateStep[F kernel.Float](t *autodiff.Tape, k kind, gates, hiddens *autodiff.Var, before state, h *autodiff.Var) state {
	n, hidden := before.h.Dim(0), before.h.Dim(1)
	after := state{h: h}
	if k == lstm {
		after.c = t.New(n, hidden)
		kernel.LSTMForward(n, hidden, autodiff.Values[F](gates), 4*hidden, cellBefore[F](t, before), autodiff.Values[F](after.c), autodiff.Values[F](after.h))
	} else {
		kernel.GRUForward(n, hidden, autodiff.Values[F](gates), autodiff.Values[F](hiddens), autodiff.Values[F](before.h), autodiff.Values[F](after.h))
	}
	if t.Recording() {
		op := autodiff.Record[gateOp[F]](t)
		op.kind, op.tape, op.gates, op.hiddens, op.before, op.after = k, t, gates, hiddens, before, after
		autodiff.GradOverValue(gates)
		if hiddens != nil {
			autodiff.GradOverValue(hiddens)
		}
	}
	return after
}

func cellBefore[F kernel.Float](t *autodiff.Tape, s state) []F {
	if s.c == nil {
		return autodiff.Zeros[F](t, s.h.Size())
	}
	return autodiff.Values[F](s.c)
}

// Backward writes the gradient of the gates before their activation, which
// nothing else has, over the activations.
func (op *gateOp[F]) Backward() {
	t, n, hidden := op.tape, op.before.h.Dim(0), op.before.h.Dim(1)
	dh := autodiff.Grad[F](op.after.h)
	gates, _ := autodiff.GradToWrite[F](op.gates)
	if op.kind == gru {
		dhBefore, add := gradient[F](t, op.before.h)
		hiddens, _ := autodiff.GradToWrite[F](op.hiddens)
		kernel.GRUBackward(n, hidden, gates, hiddens, autodiff.Values[F](op.before.h), dh, dhBefore)
		if add {
			kernel.AddTo(autodiff.Grad[F](op.before.h), dhBefore)
		}
		return
	}
	dc := autodiff.Grad[F](op.after.c)
	if op.before.c == nil {
		kernel.LSTMBackward(n, hidden, gates, 4*hidden, autodiff.Zeros[F](t, n*hidden), autodiff.Values[F](op.after.c), dh, dc)
		return
	}
	dcBefore, add := gradient[F](t, op.before.c)
	copy(dcBefore, dc)
	kernel.LSTMBackward(n, hidden, gates, 4*hidden, autodiff.Values[F](op.before.c), autodiff.Values[F](op.after.c), dh, dcBefore)
	if add {
		kernel.AddTo(autodiff.Grad[F](op.before.c), dcBefore)
	}
}

// gradient is v's where nothing has reached it yet, else memory for what is to be
// added to it, or for what a constant has no use for.
func gradient[F kernel.Float](t *autodiff.Tape, v *autodiff.Var) (grad []F, add bool) {
	if !v.Constant() {
		grad, first := autodiff.GradToWrite[F](v)
		if first {
			return grad, false
		}
		add = true
	}
	return autodiff.Floats[F](t, v.Size()), add
}
