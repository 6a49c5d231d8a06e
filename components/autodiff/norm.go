package autodiff

import "exp/components/kernel"

// LayerNorm normalises the last axis of x [..., D] to mean 0 and variance 1,
// then multiplies by gain [D] and adds bias [D] (Ba et al. 2016). The variance
// is the biased one, with eps added. The result can be forgotten.
func LayerNorm(t *Tape, x, gain, bias *Var, eps float64) *Var {
	if t.dtype == Float32 {
		return layerNorm[float32](t, x, gain, bias, eps)
	}
	return layerNorm[float64](t, x, gain, bias, eps)
}

type layerNormOp[F kernel.Float] struct {
	x, gain, bias, y *Var
	mean, rstd       []F // [rows]
	eps              F
}

func layerNorm[F kernel.Float](t *Tape, x, gain, bias *Var, eps float64) *Var {
	op := layerNormOp[F]{x: x, gain: gain, bias: bias, y: t.declare(x.shape), eps: F(eps)}
	op.mean, op.rstd = Floats[F](t, x.Rows()), Floats[F](t, x.Rows())
	op.y.storage.takeValue()
	op.compute()
	if t.recording {
		recorded := Record[layerNormOp[F]](t)
		*recorded = op
		op.y.storage.again = recorded
	}
	return op.y
}

func (op *layerNormOp[F]) compute() {
	kernel.LayerNorm(op.x.Rows(), op.x.Dim(-1), Values[F](op.y), Values[F](op.x), Values[F](op.gain), Values[F](op.bias), op.eps, op.mean, op.rstd)
}

func (op *layerNormOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	kernel.LayerNormBackward(op.x.Rows(), op.x.Dim(-1), gradOrScratch[F](op.x), Grad[F](op.gain), Grad[F](op.bias),
		Grad[F](op.y), Values[F](op.x), Values[F](op.gain), op.mean, op.rstd)
}
