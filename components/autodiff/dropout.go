package autodiff

import "exp/components/kernel"

// Dropout zeroes each element with probability p and scales the rest by
// 1/(1-p) (Srivastava et al. 2014, in the inverted form). Outside training, or
// with p = 0, it returns x itself. The mask is a function of the tape's
// [Tape.Seed] and of the number of decisions taken before, so nothing has to be
// stored for the backward pass or for a resumed run.
func Dropout(t *Tape, x *Var, p float64) *Var {
	if !t.training || p == 0 {
		return x
	}
	if t.dtype == Float32 {
		return dropout[float32](t, x, p)
	}
	return dropout[float64](t, x, p)
}

type dropoutOp[F kernel.Float] struct {
	x, y        *Var
	p           float64
	key, offset uint64
}

func dropout[F kernel.Float](t *Tape, x *Var, p float64) *Var {
	y := t.NewVar(x.shape)
	key, offset := t.key, t.drawn
	t.drawn += uint64(x.Size())
	kernel.Dropout(Values[F](y), Values[F](x), p, key, offset)
	if t.recording {
		op := Record[dropoutOp[F]](t)
		op.x, op.y, op.p, op.key, op.offset = x, y, p, key, offset
	}
	return y
}

func (op *dropoutOp[F]) Backward() {
	if op.y.HasGrad() && !op.x.Constant() {
		kernel.DropoutBackward(Grad[F](op.x), Grad[F](op.y), op.p, op.key, op.offset)
	}
}
