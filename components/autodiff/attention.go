package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// Columns is a view of some columns of a Var [B, T, W]: those from From on. So
// query, key and value may lie side by side in the result of one product.
type Columns struct {
	Var  *Var
	From int
}

func (c Columns) width() int { return c.Var.Dim(-1) }

// Heads says how [ScaledDotProduct] reads its operands.
type Heads struct {
	Num       int     // N
	KeySize   int     // K, of one head's query and key
	ValueSize int     // of one head's value
	Scale     float64 // of the scores
	Causal    bool    // query t sees keys 0..t+S-T: the last query sees all keys
}

// ScaledDotProduct is attention with N heads (Vaswani et al. 2017, equation 1):
// for query q [B, T, N·K], key k [B, S, N·K], value v [B, S, N·ValueSize], head
// by head,
//
//	weights = softmax(Scale · q kᵀ)   [B, N, T, S]
//	context = weights v               [B, T, N·ValueSize]
//
// Keys from lengths[b] on take no part; lengths nil means that all do. A query
// that sees no key gets zero weights and a zero context. weights is a constant:
// it is there to be looked at.
func ScaledDotProduct(t *Tape, q, k, v Columns, lengths []int32, h Heads) (context, weights *Var) {
	if t.dtype == Float32 {
		return scaledDotProduct[float32](t, q, k, v, lengths, h)
	}
	return scaledDotProduct[float64](t, q, k, v, lengths, h)
}

type scaledDotProductOp[F kernel.Float] struct {
	q, k, v          Columns
	context, weights *Var
	lengths          []int32
	h                Heads
}

func scaledDotProduct[F kernel.Float](t *Tape, q, k, v Columns, lengths []int32, h Heads) (context, weights *Var) {
	batch, T, S := q.Var.Dim(0), q.Var.Dim(1), k.Var.Dim(1)
	if k.Var.Dim(0) != batch || v.Var.Dim(0) != batch || v.Var.Dim(1) != S {
		panic(fmt.Sprintf("autodiff: attention: query is %v, key %v, value %v", q.Var.shape, k.Var.shape, v.Var.shape))
	}
	context = t.New(batch, T, h.Num*h.ValueSize)
	weights = t.New(batch, h.Num, T, S)
	weights.storage.constant = true
	vq, vk, vv := Values[F](q.Var), Values[F](k.Var), Values[F](v.Var)
	w, y := Values[F](weights), Values[F](context)
	valid := Ints(t, T)
	for b := range batch {
		keys := S
		if lengths != nil {
			keys = int(lengths[b])
		}
		if keys == 0 { // and perhaps no key at all, S = 0
			clear(w[b*h.Num*T*S : (b+1)*h.Num*T*S])
			clear(y[b*T*h.Num*h.ValueSize : (b+1)*T*h.Num*h.ValueSize])
			continue
		}
		visible(valid, keys, S, h.Causal)
		for n := range h.Num {
			qn, kn, vn := q.at(b, n, h.KeySize), k.at(b, n, h.KeySize), v.at(b, n, h.ValueSize)
			wn := w[(b*h.Num+n)*T*S:][:T*S]
			kernel.Gemm(false, true, T, keys, h.KeySize, vq[qn:], q.width(), vk[kn:], k.width(), wn, S, false)
			if h.Scale != 1 {
				kernel.Scale(wn, F(h.Scale), wn)
			}
			kernel.SoftmaxRows(T, S, wn, S, valid)
			yn := b*T*h.Num*h.ValueSize + n*h.ValueSize
			kernel.Gemm(false, false, T, h.ValueSize, keys, wn, S, vv[vn:], v.width(), y[yn:], h.Num*h.ValueSize, false)
		}
	}
	if t.recording {
		op := Record[scaledDotProductOp[F]](t)
		op.q, op.k, op.v, op.context, op.weights, op.lengths, op.h = q, k, v, context, weights, lengths, h
	}
	return context, weights
}

// at is the offset of the first element of row b, head n, with size columns a head.
func (c Columns) at(b, n, size int) int {
	return b*c.Var.Dim(1)*c.width() + c.From + n*size
}

// visible sets valid[t] to the number of keys that query t of len(valid) sees.
func visible(valid []int32, keys, S int, causal bool) {
	for t := range valid {
		valid[t] = int32(keys)
		if causal {
			valid[t] = int32(min(keys, t+1+S-len(valid)))
		}
	}
}

// Backward, head by head: dv += weightsᵀ dy; dw = dy vᵀ; ds through the softmax
// and the scale; dq += ds k; dk += dsᵀ q.
func (op *scaledDotProductOp[F]) Backward() {
	if !op.context.HasGrad() {
		return
	}
	q, k, v, h := op.q, op.k, op.v, op.h
	batch, T, S := q.Var.Dim(0), q.Var.Dim(1), k.Var.Dim(1)
	vq, vk, vv := Values[F](q.Var), Values[F](k.Var), Values[F](v.Var)
	w, dy, ds := Values[F](op.weights), Grad[F](op.context), Floats[F](op.context.storage.tape, T*S)
	for b := range batch {
		keys := S
		if op.lengths != nil {
			keys = int(op.lengths[b])
		}
		if keys == 0 {
			continue
		}
		for n := range h.Num {
			qn, kn, vn := q.at(b, n, h.KeySize), k.at(b, n, h.KeySize), v.at(b, n, h.ValueSize)
			wn := w[(b*h.Num+n)*T*S:][:T*S]
			dyn, ldy := dy[b*T*h.Num*h.ValueSize+n*h.ValueSize:], h.Num*h.ValueSize
			if !v.Var.Constant() {
				kernel.Gemm(true, false, keys, h.ValueSize, T, wn, S, dyn, ldy, Grad[F](v.Var)[vn:], v.width(), true)
			}
			kernel.Gemm(false, true, T, keys, h.ValueSize, dyn, ldy, vv[vn:], v.width(), ds, S, false)
			for t := range T { // the columns past keys were not written
				clear(ds[t*S+keys : (t+1)*S])
			}
			kernel.SoftmaxRowsBackward(T, S, ds, wn, ds, S, F(h.Scale))
			if !q.Var.Constant() {
				kernel.Gemm(false, false, T, h.KeySize, keys, ds, S, vk[kn:], k.width(), Grad[F](q.Var)[qn:], q.width(), true)
			}
			if !k.Var.Constant() {
				kernel.Gemm(true, false, keys, h.KeySize, T, ds, S, vq[qn:], q.width(), Grad[F](k.Var)[kn:], k.width(), true)
			}
		}
	}
}

// AdditiveScores returns scores [B, T, S] with
//
//	scores[b, t, s] = Σ_a v[a] tanh(q[b, t, a] + k[b, s, a])
//
// for q [B, T, A], k [B, S, A] and v [A] (Bahdanau et al. 2015, equation in A.1.2).
// The tanh is computed again in the backward pass: [B, T, S, A] is never stored.
func AdditiveScores(t *Tape, q, k, v *Var) *Var {
	if t.dtype == Float32 {
		return additiveScores[float32](t, q, k, v)
	}
	return additiveScores[float64](t, q, k, v)
}

type additiveScoresOp[F kernel.Float] struct{ q, k, v, y *Var }

func additiveScores[F kernel.Float](t *Tape, q, k, v *Var) *Var {
	batch, T, S, A := q.Dim(0), q.Dim(1), k.Dim(1), v.Dim(0)
	if q.Dim(2) != A || k.Dim(2) != A || k.Dim(0) != batch {
		panic(fmt.Sprintf("autodiff: additive scores: q is %v, k %v, v %v", q.shape, k.shape, v.shape))
	}
	y := t.New(batch, T, S)
	vq, vk, vy := Values[F](q), Values[F](k), Values[F](y)
	for b := range batch {
		kernel.AdditiveScores(T, S, A, vq[b*T*A:], vk[b*S*A:], Values[F](v), vy[b*T*S:], S)
	}
	if t.recording {
		op := Record[additiveScoresOp[F]](t)
		op.q, op.k, op.v, op.y = q, k, v, y
	}
	return y
}

func (op *additiveScoresOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	batch, T, S, A := op.q.Dim(0), op.q.Dim(1), op.k.Dim(1), op.v.Dim(0)
	vq, vk, dy := Values[F](op.q), Values[F](op.k), Grad[F](op.y)
	dq, dk, dv := gradOrScratch[F](op.q), gradOrScratch[F](op.k), gradOrScratch[F](op.v)
	same := op.q.storage == op.k.storage && !op.k.Constant()
	if same { // a sequence scored against itself: the kernel's gradients must not overlap
		dk = Zeros[F](op.y.storage.tape, op.k.Size())
	}
	for b := range batch {
		kernel.AdditiveScoresBackward(T, S, A, vq[b*T*A:], vk[b*S*A:], Values[F](op.v),
			dy[b*T*S:], S, dq[b*T*A:], dk[b*S*A:], dv)
	}
	if same {
		kernel.AddTo(dq, dk)
	}
}

// Attend turns scores [B, T, S] into weights, a softmax over the first
// lengths[b] positions, and these into the context over values [B, S, D]:
// context [B, T, D], weights [B, 1, T, S], a constant.
func Attend(t *Tape, scores, values *Var, lengths []int32) (context, weights *Var) {
	if t.dtype == Float32 {
		return attend[float32](t, scores, values, lengths)
	}
	return attend[float64](t, scores, values, lengths)
}

type attendOp[F kernel.Float] struct {
	scores, values, context, weights *Var
	lengths                          []int32
}

func attend[F kernel.Float](t *Tape, scores, values *Var, lengths []int32) (context, weights *Var) {
	batch, T, S, D := scores.Dim(0), scores.Dim(1), scores.Dim(2), values.Dim(2)
	if values.Dim(0) != batch || values.Dim(1) != S {
		panic(fmt.Sprintf("autodiff: attend: scores is %v, values %v", scores.shape, values.shape))
	}
	context, weights = t.New(batch, T, D), t.New(batch, 1, T, S)
	weights.storage.constant = true
	w, y, vv := Values[F](weights), Values[F](context), Values[F](values)
	copy(w, Values[F](scores))
	valid := Ints(t, T)
	for b := range batch {
		visible(valid, int(lengths[b]), S, false)
		kernel.SoftmaxRows(T, S, w[b*T*S:(b+1)*T*S], S, valid)
		kernel.Gemm(false, false, T, D, int(lengths[b]), w[b*T*S:], S, vv[b*S*D:], D, y[b*T*D:], D, false)
	}
	if t.recording {
		op := Record[attendOp[F]](t)
		op.scores, op.values, op.context, op.weights, op.lengths = scores, values, context, weights, lengths
	}
	return context, weights
}

func (op *attendOp[F]) Backward() {
	if !op.context.HasGrad() {
		return
	}
	batch, T, S, D := op.scores.Dim(0), op.scores.Dim(1), op.scores.Dim(2), op.values.Dim(2)
	w, vv, dy := Values[F](op.weights), Values[F](op.values), Grad[F](op.context)
	ds := Floats[F](op.context.storage.tape, T*S)
	for b := range batch {
		keys := int(op.lengths[b])
		wb, dyb := w[b*T*S:(b+1)*T*S], dy[b*T*D:]
		if !op.values.Constant() {
			kernel.Gemm(true, false, keys, D, T, wb, S, dyb, D, Grad[F](op.values)[b*S*D:], D, true)
		}
		if op.scores.Constant() {
			continue
		}
		clear(ds)
		kernel.Gemm(false, true, T, keys, D, dyb, D, vv[b*S*D:], D, ds, S, false)
		kernel.SoftmaxRowsBackward(T, S, ds, wb, ds, S, 1)
		kernel.AddTo(Grad[F](op.scores)[b*T*S:(b+1)*T*S], ds)
	}
}
