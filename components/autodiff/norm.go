package autodiff

import "exp/components/kernel"

// LayerNorm normalises the last axis of x [..., D] to mean 0 and variance 1,
// then multiplies by gain [D] and adds bias [D] (Ba et al. 2016). The variance
// is the biased one, with eps added.
func LayerNorm(t *Tape, x, gain, bias *Var, eps float64) *Var {
	if t.dtype == Float32 {
		return layerNorm[float32](t, x, gain, bias, eps)
	}
	return layerNorm[float64](t, x, gain, bias, eps)
}

type layerNormOp[F kernel.Float] struct {
	x, gain, bias, y *Var
	mean, rstd       []F // [rows]
}

func layerNorm[F kernel.Float](t *Tape, x, gain, bias *Var, eps float64) *Var {
	rows := x.Rows()
	y := t.NewVar(x.shape)
	mean, rstd := Floats[F](t, rows), Floats[F](t, rows)
	kernel.LayerNorm(rows, x.Dim(-1), Values[F](y), Values[F](x), Values[F](gain), Values[F](bias), F(eps), mean, rstd)
	if t.recording {
		op := Record[layerNormOp[F]](t)
		op.x, op.gain, op.bias, op.y, op.mean, op.rstd = x, gain, bias, y, mean, rstd
	}
	return y
}

func (op *layerNormOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	kernel.LayerNormBackward(op.x.Rows(), op.x.Dim(-1), gradOrScratch[F](op.x), Grad[F](op.gain), Grad[F](op.bias),
		Grad[F](op.y), Values[F](op.x), Values[F](op.gain), op.mean, op.rstd)
}
