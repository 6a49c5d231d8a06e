package autodiff

import "exp/components/kernel"

// FeedForward returns max(0, x W₁ᵀ + b₁) W₂ᵀ + b₂, for x [rows, D], W₁ [F, D], b₁ [F],
// W₂ [D', F] and b₂ [D']: the feed-forward network of a Transformer's layer (Vaswani et
// al. 2017, equation 2). Its backward pass writes the gradient of the hidden layer over
// the activations, so the widest layer of a Transformer takes one [rows, F].
func FeedForward(t *Tape, x, w1, b1, w2, b2 *Var) *Var {
	checkLinear(x, Columns{Var: w1})
	y := t.NewVar(x.shape.withLast(w2.Dim(0)))
	if t.dtype == Float32 {
		feedForward[float32](t, x, w1, b1, w2, b2, y)
	} else {
		feedForward[float64](t, x, w1, b1, w2, b2, y)
	}
	return y
}

type feedForwardOp[F kernel.Float] struct {
	x, w1, b1, w2, b2, y *Var
	hidden               []F // [rows, F], rows [kernel.Stride] apart: the activations
}

func feedForward[F kernel.Float](t *Tape, x, w1, b1, w2, b2, y *Var) {
	rows, in, size := x.Rows(), w1.Dim(1), w1.Dim(0)
	ld := kernel.Stride(size)
	hidden := Floats[F](t, rows*ld)
	Multiply(rows, Values[F](x), in, Columns{Var: w1}, in, true, hidden, ld, Values[F](b1), false)
	kernel.Relu(hidden, hidden) // with what lies between the rows, which nothing reads
	Multiply(rows, hidden, ld, Columns{Var: w2}, size, true, Values[F](y), w2.Dim(0), Values[F](b2), false)
	if t.recording {
		*Record[feedForwardOp[F]](t) = feedForwardOp[F]{x, w1, b1, w2, b2, y, hidden}
	}
}

// feedForwardBlock is how many rows of the gradient of the activations are there at a time.
const feedForwardBlock = 128

// Backward, with h the activations: dW₂ += dyᵀ h, db₂ += Σ dy, dh = dy W₂ where h > 0;
// dW₁ += dhᵀ x, db₁ += Σ dh, dx += dh W₁.
func (op *feedForwardOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	t, rows, in, size, out := op.y.storage.tape, op.x.Rows(), op.w1.Dim(1), op.w1.Dim(0), op.w2.Dim(0)
	hidden, dy, ld := op.hidden, Grad[F](op.y), kernel.Stride(size)
	linearWeightBackward(Columns{Var: op.w2}, op.b2, rows, size, hidden, ld, dy, out)

	packed := PackedFor[F](t, rows, Columns{Var: op.w2}, size, false)
	gradient := Floats[F](t, min(rows, feedForwardBlock)*ld)
	for from := 0; from < rows; from += feedForwardBlock {
		n := min(feedForwardBlock, rows-from)
		kernel.GemmPacked(false, n, dy[from*out:], out, packed, gradient, ld, nil, false)
		block := hidden[from*ld : (from+n)*ld]
		kernel.ReluGrad(block, gradient[:n*ld], block)
	}
	linearWeightBackward(Columns{Var: op.w1}, op.b1, rows, in, Values[F](op.x), in, hidden, ld)
	if !op.x.Constant() {
		dx, first := GradToWrite[F](op.x)
		Multiply(rows, hidden, ld, Columns{Var: op.w1}, in, false, dx, in, nil, !first)
	}
}
