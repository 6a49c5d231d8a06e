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

// ReLULinear returns max(0, h) Wᵀ + b for h [rows, in], W [out, in] and b [out]:
// the second half of a feed-forward network. It writes the activation over h, and
// in its backward pass the gradient of h over that, so the widest layer of a
// Transformer takes one [rows, in]. No other operation may have h as an operand,
// and none before as a result whose value its backward pass reads.
func ReLULinear(t *Tape, h, w, b *Var) *Var {
	checkLinear(h, Columns{Var: w})
	y := t.NewVar(h.shape.withLast(w.Dim(0)))
	if t.dtype == Float32 {
		reluLinear[float32](t, h, w, b, y)
	} else {
		reluLinear[float64](t, h, w, b, y)
	}
	return y
}

type reluLinearOp[F kernel.Float] struct{ h, w, b, y *Var }

func reluLinear[F kernel.Float](t *Tape, h, w, b, y *Var) {
	rows, in := h.Rows(), w.Dim(1)
	kernel.Relu(Values[F](h), Values[F](h))
	Multiply(rows, Values[F](h), in, Columns{Var: w}, in, true, Values[F](y), w.Dim(0), Values[F](b), false)
	if t.recording {
		op := Record[reluLinearOp[F]](t)
		op.h, op.w, op.b, op.y = h, w, b, y
	}
}

// reluBlock is how many rows of the gradient of the activation are there at a time.
const reluBlock = 128

// Backward: dW += dyᵀ max(0, h), db += Σ dy, dh = dy W where h > 0.
func (op *reluLinearOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	if op.h.HasGrad() || op.h.storage.whole != nil {
		panic("autodiff: another operation has the operand of a ReLULinear")
	}
	t, rows, in, out := op.y.storage.tape, op.h.Rows(), op.w.Dim(1), op.w.Dim(0)
	h, dy := Values[F](op.h), Grad[F](op.y)
	linearWeightBackward(Columns{Var: op.w}, op.b, rows, in, h, dy, out)
	if op.h.Constant() {
		return
	}
	packed := PackedFor[F](t, rows, Columns{Var: op.w}, in, false)
	block := Floats[F](t, min(rows, reluBlock)*in)
	for from := 0; from < rows; from += reluBlock {
		n := min(reluBlock, rows-from)
		kernel.GemmPacked(false, n, dy[from*out:], out, packed, block, in, nil, false)
		of := h[from*in : (from+n)*in]
		kernel.ReluGrad(of, block[:n*in], of)
	}
	op.h.storage.grad, op.h.storage.ownsGrad = op.h.storage.value, false
	op.h.storage.reached.to = op.h.Size()
}
