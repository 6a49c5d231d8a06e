package autodiff

import "exp/components/kernel"

// CrossEntropy returns the mean over the rows of logits [rows, V] of
// -Σ_v q_v log softmax(logits)_v, in nats, where q puts 1-smoothing on the
// target and spreads smoothing evenly over all V classes (Szegedy et al. 2016,
// in PyTorch's form, the target included).
func CrossEntropy(t *Tape, logits *Var, targets []int32, smoothing float64) *Var {
	if t.dtype == Float32 {
		return crossEntropy[float32](t, logits, targets, smoothing)
	}
	return crossEntropy[float64](t, logits, targets, smoothing)
}

type crossEntropyOp[F kernel.Float] struct {
	logits, loss *Var
	gradient     []F // of the loss, [rows, V]
}

func crossEntropy[F kernel.Float](t *Tape, logits *Var, targets []int32, smoothing float64) *Var {
	n, v := logits.Rows(), logits.Dim(-1)
	losses := Floats[F](t, n)
	var gradient []F
	if t.recording {
		gradient = Floats[F](t, n*v)
	}
	kernel.CrossEntropy(n, v, Values[F](logits), v, targets, -1, F(smoothing), 1/F(n), gradient, losses)
	loss := mean(t, losses)
	if t.recording {
		op := Record[crossEntropyOp[F]](t)
		op.logits, op.loss, op.gradient = logits, loss, gradient
	}
	return loss
}

func (op *crossEntropyOp[F]) Backward() {
	if !op.loss.HasGrad() || op.logits.Constant() {
		return
	}
	scale := Grad[F](op.loss)[0]
	if dlogits, first := GradToWrite[F](op.logits); first {
		kernel.Scale(dlogits, scale, op.gradient)
	} else {
		kernel.Axpy(dlogits, scale, op.gradient)
	}
}

// LinearCrossEntropy is [CrossEntropy] of the logits x Wᵀ + b, for x [rows, in],
// W [V, in] and b [V]. It keeps one [rows, V] for logits, probabilities and
// gradient together, where the two operations one after the other keep three.
func LinearCrossEntropy(t *Tape, x, w, b *Var, targets []int32, smoothing float64) *Var {
	if t.dtype == Float32 {
		return linearCrossEntropy[float32](t, x, w, b, targets, smoothing)
	}
	return linearCrossEntropy[float64](t, x, w, b, targets, smoothing)
}

type linearCrossEntropyOp[F kernel.Float] struct {
	x, w, b, loss *Var
	dLogits       []F // of the loss, [rows, V], rows [kernel.Stride] apart
}

// The loss of logitsBlock rows is computed at a time where these have so few logits that
// the cache still has them then, at most cachedLogits.
const (
	logitsBlock  = 128
	cachedLogits = 1 << 18
)

func linearCrossEntropy[F kernel.Float](t *Tape, x, w, b *Var, targets []int32, smoothing float64) *Var {
	rows, in, size, ld := x.Rows(), w.Dim(1), w.Dim(0), kernel.Stride(w.Dim(0))
	logits, losses := Floats[F](t, rows*ld), Floats[F](t, rows)
	some, packed := rows, (*kernel.Packed[F])(nil)
	if rows > logitsBlock && logitsBlock*ld <= cachedLogits {
		some, packed = logitsBlock, PackedFor[F](t, rows, Columns{Var: w}, in, true)
	} else {
		Multiply(rows, Values[F](x), in, Columns{Var: w}, in, true, logits, ld, Values[F](b), false)
	}
	for from := 0; from < rows; from += some {
		n, block := min(some, rows-from), logits[from*ld:]
		if packed != nil {
			kernel.GemmPacked(false, n, Values[F](x)[from*in:], in, packed, block, ld, Values[F](b), false)
		}
		var gradient []F
		if t.recording {
			gradient = block
		}
		kernel.CrossEntropy(n, size, block, ld, targets[from:], -1, F(smoothing), 1/F(rows), gradient, losses[from:])
	}
	loss := mean(t, losses)
	if t.recording {
		op := Record[linearCrossEntropyOp[F]](t)
		op.x, op.w, op.b, op.loss, op.dLogits = x, w, b, loss, logits
	}
	return loss
}

// mean is summed in double precision: it is what is recorded of a step, and so
// stays valid after the backward pass.
func mean[F kernel.Float](t *Tape, losses []F) *Var {
	sum := 0.0
	for _, l := range losses {
		sum += float64(l)
	}
	loss := t.declare(NewShape(1))
	loss.storage.value = t.arena.take(loss.storage.bytes())
	Values[F](loss)[0] = F(sum / float64(len(losses)))
	return loss
}

func (op *linearCrossEntropyOp[F]) Backward() {
	if !op.loss.HasGrad() {
		return
	}
	if scale := Grad[F](op.loss)[0]; scale != 1 {
		kernel.Scale(op.dLogits, scale, op.dLogits)
	}
	rows, in, ld := op.x.Rows(), op.w.Dim(1), kernel.Stride(op.w.Dim(0))
	linearWeightBackward(Columns{Var: op.w}, op.b, rows, in, Values[F](op.x), in, op.dLogits, ld)
	if !op.x.Constant() {
		dx, first := GradToWrite[F](op.x)
		Multiply(rows, op.dLogits, ld, Columns{Var: op.w}, in, false, dx, in, nil, !first)
	}
}

// TokenLosses returns the cross-entropy of each row of logits [rows, V], in
// nats. It is for evaluation: it records no gradient.
func TokenLosses(t *Tape, logits *Var, targets []int32) []float64 {
	if t.dtype == Float32 {
		return tokenLosses[float32](t, logits, targets)
	}
	return tokenLosses[float64](t, logits, targets)
}

func tokenLosses[F kernel.Float](t *Tape, logits *Var, targets []int32) []float64 {
	losses := Floats[F](t, len(targets))
	kernel.CrossEntropy(len(targets), logits.Dim(-1), Values[F](logits), logits.Dim(-1), targets, -1, 0, 1, nil, losses)
	out := make([]float64, len(losses))
	for i, l := range losses {
		out[i] = float64(l)
	}
	return out
}
