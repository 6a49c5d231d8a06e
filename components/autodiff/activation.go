package autodiff

import "exp/components/kernel"

// An Activation is an elementwise nonlinearity.
type Activation uint8

const (
	TanhActivation    Activation = iota
	SigmoidActivation            // 1 / (1 + e^-x)
	ReLUActivation               // max(0, x), with derivative 0 at 0
	GELUActivation               // x Φ(x), Hendrycks & Gimpel 2016, the exact erf form
)

// Tanh returns tanh(x), elementwise.
func Tanh(t *Tape, x *Var) *Var { return Activate(t, x, TanhActivation) }

// Sigmoid returns 1 / (1 + e^-x), elementwise.
func Sigmoid(t *Tape, x *Var) *Var { return Activate(t, x, SigmoidActivation) }

// ReLU returns max(0, x), elementwise.
func ReLU(t *Tape, x *Var) *Var { return Activate(t, x, ReLUActivation) }

// GELU returns x Φ(x), elementwise.
func GELU(t *Tape, x *Var) *Var { return Activate(t, x, GELUActivation) }

// Activate returns the activation of x, elementwise.
func Activate(t *Tape, x *Var, f Activation) *Var {
	if t.dtype == Float32 {
		return activate[float32](t, x, f)
	}
	return activate[float64](t, x, f)
}

type activateOp[F kernel.Float] struct {
	x, y *Var
	f    Activation
}

func activate[F kernel.Float](t *Tape, x *Var, f Activation) *Var {
	y := t.NewVar(x.shape)
	switch dst, src := Values[F](y), Values[F](x); f {
	case TanhActivation:
		kernel.Tanh(dst, src)
	case SigmoidActivation:
		kernel.Sigmoid(dst, src)
	case ReLUActivation:
		kernel.Relu(dst, src)
	case GELUActivation:
		kernel.Gelu(dst, src)
	}
	if t.recording {
		op := Record[activateOp[F]](t)
		op.x, op.y, op.f = x, y, f
	}
	return y
}

func (op *activateOp[F]) Backward() {
	if !op.y.HasGrad() || op.x.Constant() {
		return
	}
	switch dx, dy := Grad[F](op.x), Grad[F](op.y); op.f {
	case TanhActivation:
		kernel.TanhBackward(dx, dy, Values[F](op.y))
	case SigmoidActivation:
		kernel.SigmoidBackward(dx, dy, Values[F](op.y))
	case ReLUActivation:
		kernel.ReluBackward(dx, dy, Values[F](op.y))
	case GELUActivation:
		kernel.GeluBackward(dx, dy, Values[F](op.x))
	}
}

// ActivateInPlace writes the activation of x over x; f is tanh or ReLU, whose
// derivatives follow from their results. No operation before may have x as an
// operand or a result whose value its backward pass reads.
func ActivateInPlace(t *Tape, x *Var, f Activation) {
	if f != TanhActivation && f != ReLUActivation {
		panic("autodiff: an activation in place that is neither tanh nor ReLU")
	}
	if t.dtype == Float32 {
		activateInPlace[float32](t, x, f)
	} else {
		activateInPlace[float64](t, x, f)
	}
}

type activateInPlaceOp[F kernel.Float] struct {
	x *Var
	f Activation
}

func activateInPlace[F kernel.Float](t *Tape, x *Var, f Activation) {
	if v := Values[F](x); f == TanhActivation {
		kernel.Tanh(v, v)
	} else {
		kernel.Relu(v, v)
	}
	if t.recording {
		op := Record[activateInPlaceOp[F]](t)
		op.x, op.f = x, f
	}
}

// Backward makes the gradient of the result that of the operand, in place too.
func (op *activateInPlaceOp[F]) Backward() {
	if !op.x.HasGrad() {
		return
	}
	if dx := Grad[F](op.x); op.f == TanhActivation {
		kernel.TanhGrad(dx, dx, Values[F](op.x))
	} else {
		kernel.ReluGrad(dx, dx, Values[F](op.x))
	}
}
