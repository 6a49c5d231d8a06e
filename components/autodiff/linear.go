package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// Linear returns y = x Wᵀ + b for x [..., in], W [out, in] and b [out], which
// may be nil: y [..., out]. W and b are parameters.
func Linear(t *Tape, x, w, b *Var) *Var {
	if t.dtype == Float32 {
		return linear[float32](t, x, w, b)
	}
	return linear[float64](t, x, w, b)
}

type linearOp[F kernel.Float] struct{ x, w, b, y *Var }

func linear[F kernel.Float](t *Tape, x, w, b *Var) *Var {
	in, out := w.Dim(1), w.Dim(0)
	if x.Dim(-1) != in {
		panic(fmt.Sprintf("autodiff: linear: x is %v, W is [out=%d in=%d]", x.shape, out, in))
	}
	y := t.NewVar(x.shape.withLast(out))
	var bias []F
	if b != nil {
		bias = Values[F](b)
	}
	kernel.GemmPacked(x.Rows(), Values[F](x), in, Packed[F](w, true), Values[F](y), out, bias, false)
	if t.recording {
		op := Record[linearOp[F]](t)
		op.x, op.w, op.b, op.y = x, w, b, y
	}
	return y
}

// Backward: dW += dyᵀ x, db += Σ dy, dx += dy W.
func (op *linearOp[F]) Backward() {
	if op.y.HasGrad() {
		linearBackward(op.x, op.w, op.b, Grad[F](op.y))
	}
}

// linearBackward takes the gradient dy [..., out] of x Wᵀ + b on.
func linearBackward[F kernel.Float](x, w, b *Var, dy []F) {
	rows, in, out := x.Rows(), w.Dim(1), w.Dim(0)
	kernel.Gemm(true, false, out, in, rows, dy, out, Values[F](x), in, Grad[F](w), in, true)
	if b != nil {
		kernel.SumRows(Grad[F](b), rows, out, dy, out)
	}
	if !x.Constant() {
		kernel.GemmPacked(rows, dy, out, Packed[F](w, false), Grad[F](x), in, nil, true)
	}
}
