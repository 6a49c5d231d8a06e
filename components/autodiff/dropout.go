package autodiff

import "exp/components/kernel"

// A Mask is decisions of dropout, drawn but not stored: which elements are
// dropped is a function of the tape's [Tape.Seed] and of the number of decisions
// taken before, so nothing has to be kept for the backward pass or for a resumed
// run.
type Mask struct {
	p           float64 // 0: none is dropped
	key, offset uint64
}

// NewMask draws a mask of n decisions, each to drop with probability p. Outside
// training none does.
func NewMask(t *Tape, n int, p float64) Mask {
	if !t.training || p == 0 {
		return Mask{}
	}
	m := Mask{p, t.key, t.drawn}
	t.drawn += uint64(n)
	return m
}

// Dropout zeroes each element with probability p and scales the rest by
// 1/(1-p) (Srivastava et al. 2014, in the inverted form). Outside training, or
// with p = 0, it returns x itself.
func Dropout(t *Tape, x *Var, p float64) *Var { return Drop(t, x, NewMask(t, x.Size(), p)) }

// Drop is [Dropout] with a mask that was drawn before: x's element i meets its
// decision i.
func Drop(t *Tape, x *Var, m Mask) *Var { return drop(t, x, m, Spans{}) }

// DropoutSequences is [Dropout] of x [Σ lengths, D] with one mask [B, D] for all
// the rows of each sequence (Gal & Ghahramani 2016). The rows are those of spans,
// once each.
func DropoutSequences(t *Tape, x *Var, spans Spans, p float64) *Var {
	return drop(t, x, NewMask(t, spans.Batch()*x.Dim(-1), p), spans)
}

func drop(t *Tape, x *Var, m Mask, spans Spans) *Var {
	if m.p == 0 {
		return x
	}
	if t.dtype == Float32 {
		return dropout[float32](t, x, m, spans)
	}
	return dropout[float64](t, x, m, spans)
}

type dropoutOp[F kernel.Float] struct {
	x, y  *Var
	mask  Mask
	spans Spans // of no sequences: each element has a decision of its own
}

func dropout[F kernel.Float](t *Tape, x *Var, m Mask, spans Spans) *Var {
	y := t.NewVar(x.shape)
	to, from := Values[F](y), Values[F](x)
	if spans.Batch() == 0 {
		kernel.Dropout(to, from, m.p, m.key, m.offset)
	}
	d := x.Dim(-1)
	for b := range spans.Batch() {
		start, n := spans.At(b)
		for at := start * d; at < (start+n)*d; at += d {
			kernel.Dropout(to[at:at+d], from[at:], m.p, m.key, m.offset+uint64(b*d))
		}
	}
	if t.recording {
		op := Record[dropoutOp[F]](t)
		op.x, op.y, op.mask, op.spans = x, y, m, spans
	}
	return y
}

func (op *dropoutOp[F]) Backward() {
	if !op.y.HasGrad() || op.x.Constant() {
		return
	}
	dx, dy, m, d := Grad[F](op.x), Grad[F](op.y), op.mask, op.x.Dim(-1)
	if op.spans.Batch() == 0 {
		kernel.DropoutBackward(dx, dy, m.p, m.key, m.offset)
	}
	for b := range op.spans.Batch() {
		start, n := op.spans.At(b)
		for at := start * d; at < (start+n)*d; at += d {
			kernel.DropoutBackward(dx[at:at+d], dy[at:], m.p, m.key, m.offset+uint64(b*d))
		}
	}
}
