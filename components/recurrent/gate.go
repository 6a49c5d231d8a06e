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

// gate returns the state after a step, and overwrites gates [n, gates·H], which
// is W x + U h + b + c of an LSTM and W x + b of a GRU.
func gate(t *autodiff.Tape, k kind, gates, hiddens *autodiff.Var, before state) state {
	if t.DType() == autodiff.Float32 {
		return gateStep[float32](t, k, gates, hiddens, before)
	}
	return gateStep[float64](t, k, gates, hiddens, before)
}

func gateStep[F kernel.Float](t *autodiff.Tape, k kind, gates, hiddens *autodiff.Var, before state) state {
	n, hidden := before.h.Dim(0), before.h.Dim(1)
	after := state{h: t.New(n, hidden)}
	if k == lstm {
		after.c = t.New(n, hidden)
		kernel.LSTMForward(n, hidden, autodiff.Values[F](gates), cellBefore[F](t, before), autodiff.Values[F](after.c), autodiff.Values[F](after.h))
	} else {
		kernel.GRUForward(n, hidden, autodiff.Values[F](gates), autodiff.Values[F](hiddens), autodiff.Values[F](before.h), autodiff.Values[F](after.h))
	}
	if t.Recording() {
		op := autodiff.Record[gateOp[F]](t)
		op.kind, op.tape, op.gates, op.hiddens, op.before, op.after = k, t, gates, hiddens, before, after
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
// nothing else has.
func (op *gateOp[F]) Backward() {
	t, n, hidden := op.tape, op.before.h.Dim(0), op.before.h.Dim(1)
	gates, dgates, dh := autodiff.Values[F](op.gates), autodiff.Grad[F](op.gates), autodiff.Grad[F](op.after.h)
	if op.kind == gru {
		dhBefore := autodiff.Floats[F](t, n*hidden)
		kernel.GRUBackward(n, hidden, gates, autodiff.Values[F](op.hiddens), autodiff.Values[F](op.before.h), dh, dgates, autodiff.Grad[F](op.hiddens), dhBefore)
		addTo(op.before.h, dhBefore)
		return
	}
	dc := autodiff.Floats[F](t, n*hidden)
	copy(dc, autodiff.Grad[F](op.after.c))
	kernel.LSTMBackward(n, hidden, gates, cellBefore[F](t, op.before), autodiff.Values[F](op.after.c), dh, dc, dgates)
	if op.before.c != nil {
		addTo(op.before.c, dc)
	}
}

func addTo[F kernel.Float](v *autodiff.Var, gradient []F) {
	if !v.Constant() {
		kernel.AddTo(autodiff.Grad[F](v), gradient)
	}
}
