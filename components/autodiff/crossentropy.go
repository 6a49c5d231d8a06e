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
	loss := t.New(1)
	losses := Floats[F](t, n)
	var gradient []F
	if t.recording {
		gradient = Floats[F](t, n*v)
	}
	kernel.CrossEntropy(n, v, Values[F](logits), targets, -1, F(smoothing), 1/F(n), gradient, losses)
	sum := 0.0
	for _, l := range losses {
		sum += float64(l)
	}
	Values[F](loss)[0] = F(sum / float64(n))
	if t.recording {
		op := Record[crossEntropyOp[F]](t)
		op.logits, op.loss, op.gradient = logits, loss, gradient
	}
	return loss
}

func (op *crossEntropyOp[F]) Backward() {
	if op.loss.HasGrad() && !op.logits.Constant() {
		kernel.Axpy(Grad[F](op.logits), Grad[F](op.loss)[0], op.gradient)
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
	kernel.CrossEntropy(len(targets), logits.Dim(-1), Values[F](logits), targets, -1, 0, 1, nil, losses)
	out := make([]float64, len(losses))
	for i, l := range losses {
		out[i] = float64(l)
	}
	return out
}
