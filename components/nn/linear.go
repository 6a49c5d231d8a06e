package nn

import (
	"math"

	"exp/components/autodiff"
)

// Linear is y = x Wᵀ + b.
type Linear struct {
	Weight *autodiff.Var // [out, in]
	Bias   *autodiff.Var // [out], nil without
}

// NewLinear adds a linear map of in to out features, with a bias, that starts
// as PyTorch's does: uniform in ±1/√in.
func NewLinear(p *autodiff.Params, name string, in, out int) Linear {
	p = p.Scope(name)
	bound := Uniform(1 / math.Sqrt(float64(in)))
	return Linear{Weight: p.New("weight", bound, out, in), Bias: p.New("bias", bound, out)}
}

// NewProjection adds a linear map without a bias.
func NewProjection(p *autodiff.Params, name string, in, out int) Linear {
	return Linear{Weight: p.Scope(name).New("weight", Uniform(1/math.Sqrt(float64(in))), out, in)}
}

// Forward maps x [..., in] to [..., out].
func (l Linear) Forward(t *autodiff.Tape, x *autodiff.Var) *autodiff.Var {
	return autodiff.Linear(t, x, l.Weight, l.Bias)
}

// NormEpsilon is what layer normalisation adds to the variance, as PyTorch does.
const NormEpsilon = 1e-5

// LayerNorm normalises the last axis (Ba et al. 2016).
type LayerNorm struct{ Gain, Bias *autodiff.Var }

// NewLayerNorm adds a layer normalisation of size features.
func NewLayerNorm(p *autodiff.Params, name string, size int) LayerNorm {
	p = p.Scope(name)
	return LayerNorm{Gain: p.New("weight", Constant(1), size), Bias: p.New("bias", Zeros(), size)}
}

// Forward normalises x [..., size].
func (l LayerNorm) Forward(t *autodiff.Tape, x *autodiff.Var) *autodiff.Var {
	return autodiff.LayerNorm(t, x, l.Gain, l.Bias, NormEpsilon)
}
