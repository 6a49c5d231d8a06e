package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// Columns is a view of some columns of a Var [rows, W]: those from From on. So
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
	Causal    bool    // query t sees keys 0..t only
}

// ScaledDotProduct is attention with N heads (Vaswani et al. 2017, equation 1):
// for the T queries q [T, N·K], S keys k [S, N·K] and values v [S, N·ValueSize]
// of each sequence, head by head,
//
//	weights = softmax(Scale · q kᵀ)   [T, S]
//	context = weights v               [T, N·ValueSize]
//
// queries and keys say where the sequences lie in q, and in k and v: no two have
// queries in common. The context lies as q does. weights is [B, N, T, S] of the
// longest, zero past the lengths, and a constant: it is there to be looked at. A
// query that sees no key gets zero weights and a zero context.
func ScaledDotProduct(t *Tape, q, k, v Columns, queries, keys Spans, h Heads) (context, weights *Var) {
	if t.dtype == Float32 {
		return scaledDotProduct[float32](t, q, k, v, queries, keys, h)
	}
	return scaledDotProduct[float64](t, q, k, v, queries, keys, h)
}

type scaledDotProductOp[F kernel.Float] struct {
	q, k, v          Columns
	context, weights *Var
	queries, keys    Spans
	h                Heads
}

func scaledDotProduct[F kernel.Float](t *Tape, q, k, v Columns, queries, keys Spans, h Heads) (context, weights *Var) {
	if keys.Batch() != queries.Batch() || k.Var.Rows() != v.Var.Rows() {
		panic(fmt.Sprintf("autodiff: attention: query is %v of %d sequences, key %v, value %v of %d",
			q.Var.shape, queries.Batch(), k.Var.shape, v.Var.shape, keys.Batch()))
	}
	batch, longest, S := queries.Batch(), queries.Longest(), keys.Longest()
	width := h.Num * h.ValueSize
	context = t.New(q.Var.Rows(), width)
	weights = t.New(batch, h.Num, longest, S)
	weights.storage.constant = true
	vq, vk, vv := Values[F](q.Var), Values[F](k.Var), Values[F](v.Var)
	w, y := Values[F](weights), Values[F](context)
	valid := Ints(t, longest)
	for b := range batch {
		from, T := queries.At(b)
		first, seen := keys.At(b)
		if seen == 0 { // and perhaps no key at all, S = 0
			clear(w[b*h.Num*longest*S : (b+1)*h.Num*longest*S])
			clear(y[from*width : (from+T)*width])
			continue
		}
		visible(valid[:T], seen, h.Causal)
		for n := range h.Num {
			qn, kn, vn := q.at(from, n, h.KeySize), k.at(first, n, h.KeySize), v.at(first, n, h.ValueSize)
			wn := w[(b*h.Num+n)*longest*S:][:longest*S]
			clear(wn[T*S:])
			if T == 0 {
				continue
			}
			kernel.Gemm(false, true, T, seen, h.KeySize, vq[qn:], q.width(), vk[kn:], k.width(), wn, S, false)
			if h.Scale != 1 {
				kernel.Scale(wn[:T*S], F(h.Scale), wn)
			}
			kernel.SoftmaxRows(T, S, wn, S, valid)
			kernel.Gemm(false, false, T, h.ValueSize, seen, wn, S, vv[vn:], v.width(), y[from*width+n*h.ValueSize:], width, false)
		}
	}
	if t.recording {
		op := Record[scaledDotProductOp[F]](t)
		op.q, op.k, op.v, op.context, op.weights, op.queries, op.keys, op.h = q, k, v, context, weights, queries, keys, h
	}
	return context, weights
}

// at is the offset of the first element of a row, head n, with size columns a head.
func (c Columns) at(row, n, size int) int { return row*c.width() + c.From + n*size }

// visible sets valid[t] to the number of keys that query t of len(valid) sees.
func visible(valid []int32, keys int, causal bool) {
	for t := range valid {
		valid[t] = int32(keys)
		if causal {
			valid[t] = int32(min(keys, t+1))
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
	longest, S := op.weights.Dim(2), op.weights.Dim(3)
	vq, vk, vv := Values[F](q.Var), Values[F](k.Var), Values[F](v.Var)
	w, dy, all := Values[F](op.weights), Grad[F](op.context), Floats[F](op.context.storage.tape, longest*S)
	for b := range op.queries.Batch() {
		from, T := op.queries.At(b)
		first, seen := op.keys.At(b)
		if seen == 0 || T == 0 {
			continue
		}
		for n := range h.Num {
			qn, kn, vn := q.at(from, n, h.KeySize), k.at(first, n, h.KeySize), v.at(first, n, h.ValueSize)
			wn, ldy, ds := w[(b*h.Num+n)*longest*S:], h.Num*h.ValueSize, all[:T*S]
			dyn := dy[from*ldy+n*h.ValueSize:]
			if !v.Var.Constant() {
				kernel.Gemm(true, false, seen, h.ValueSize, T, wn, S, dyn, ldy, Grad[F](v.Var)[vn:], v.width(), true)
			}
			kernel.Gemm(false, true, T, seen, h.ValueSize, dyn, ldy, vv[vn:], v.width(), ds, S, false)
			kernel.SoftmaxRowsBackward(T, seen, ds, wn, ds, S, F(h.Scale))
			if !q.Var.Constant() {
				kernel.Gemm(false, false, T, h.KeySize, seen, ds, S, vk[kn:], k.width(), Grad[F](q.Var)[qn:], q.width(), true)
			}
			if !k.Var.Constant() {
				kernel.Gemm(true, false, seen, h.KeySize, T, ds, S, vq[qn:], q.width(), Grad[F](k.Var)[kn:], k.width(), true)
			}
		}
	}
}

// AdditiveScores returns scores [B, T, S] of the longest, zero past the lengths:
// for the T queries q [T, A] and S keys k [S, A] of each sequence, and v [A],
//
//	scores[b, t, s] = Σ_a v[a] tanh(q[t, a] + k[s, a])
//
// (Bahdanau et al. 2015, equation in A.1.2). queries and keys say where the
// sequences lie in q and k: no two have queries in common. The tanh is computed
// again in the backward pass: [T, S, A] is never stored.
func AdditiveScores(t *Tape, q, k, v *Var, queries, keys Spans) *Var {
	if t.dtype == Float32 {
		return additiveScores[float32](t, q, k, v, queries, keys)
	}
	return additiveScores[float64](t, q, k, v, queries, keys)
}

type additiveScoresOp[F kernel.Float] struct {
	q, k, v, y    *Var
	queries, keys Spans
}

func additiveScores[F kernel.Float](t *Tape, q, k, v *Var, queries, keys Spans) *Var {
	A := v.Dim(0)
	if q.Dim(-1) != A || k.Dim(-1) != A || keys.Batch() != queries.Batch() {
		panic(fmt.Sprintf("autodiff: additive scores: q is %v of %d sequences, k %v of %d, v %v", q.shape, queries.Batch(), k.shape, keys.Batch(), v.shape))
	}
	longest, S := queries.Longest(), keys.Longest()
	y := t.Zero(queries.Batch(), longest, S)
	vq, vk, vy := Values[F](q), Values[F](k), Values[F](y)
	for b := range queries.Batch() {
		from, T := queries.At(b)
		first, seen := keys.At(b)
		kernel.AdditiveScores(T, seen, A, vq[from*A:], vk[first*A:], Values[F](v), vy[b*longest*S:], S)
	}
	if t.recording {
		op := Record[additiveScoresOp[F]](t)
		op.q, op.k, op.v, op.y, op.queries, op.keys = q, k, v, y, queries, keys
	}
	return y
}

func (op *additiveScoresOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	longest, S, A := op.y.Dim(1), op.y.Dim(2), op.v.Dim(0)
	vq, vk, dy := Values[F](op.q), Values[F](op.k), Grad[F](op.y)
	dq, dk, dv := gradOrScratch[F](op.q), gradOrScratch[F](op.k), gradOrScratch[F](op.v)
	same := op.q.storage == op.k.storage && !op.k.Constant()
	if same { // a sequence scored against itself: the kernel's gradients must not overlap
		dk = Zeros[F](op.y.storage.tape, op.k.Size())
	}
	for b := range op.queries.Batch() {
		from, T := op.queries.At(b)
		first, seen := op.keys.At(b)
		kernel.AdditiveScoresBackward(T, seen, A, vq[from*A:], vk[first*A:], Values[F](op.v),
			dy[b*longest*S:], S, dq[from*A:], dk[first*A:], dv)
	}
	if same {
		kernel.AddTo(dq, dk)
	}
}

// Attend turns scores [B, T, S] into weights, a softmax over the keys of each
// sequence, and these into the context over the values [S, D] of each, which lie
// as keys says. queries says where the context [Σ T, D] is to lie. weights is
// [B, 1, T, S], zero past the lengths, a constant.
func Attend(t *Tape, scores, values *Var, queries, keys Spans) (context, weights *Var) {
	if t.dtype == Float32 {
		return attend[float32](t, scores, values, queries, keys)
	}
	return attend[float64](t, scores, values, queries, keys)
}

type attendOp[F kernel.Float] struct {
	scores, values, context, weights *Var
	queries, keys                    Spans
}

func attend[F kernel.Float](t *Tape, scores, values *Var, queries, keys Spans) (context, weights *Var) {
	batch, longest, S, D := scores.Dim(0), scores.Dim(1), scores.Dim(2), values.Dim(-1)
	if batch != queries.Batch() || batch != keys.Batch() || longest < queries.Longest() || S < keys.Longest() {
		panic(fmt.Sprintf("autodiff: attend: scores is %v, of %d sequences up to %d and %d up to %d",
			scores.shape, queries.Batch(), queries.Longest(), keys.Batch(), keys.Longest()))
	}
	rows := 0
	for b := range batch {
		start, length := queries.At(b)
		rows = max(rows, start+length)
	}
	context, weights = t.New(rows, D), t.New(batch, 1, longest, S)
	weights.storage.constant = true
	w, y, vv := Values[F](weights), Values[F](context), Values[F](values)
	copy(w, Values[F](scores))
	valid := Ints(t, longest)
	for b := range batch {
		from, T := queries.At(b)
		first, seen := keys.At(b)
		wb := w[b*longest*S : (b+1)*longest*S]
		visible(valid[:T], seen, false)
		kernel.SoftmaxRows(T, S, wb, S, valid[:T])
		kernel.Gemm(false, false, T, D, seen, wb, S, vv[first*D:], D, y[from*D:], D, false)
	}
	if t.recording {
		op := Record[attendOp[F]](t)
		op.scores, op.values, op.context, op.weights, op.queries, op.keys = scores, values, context, weights, queries, keys
	}
	return context, weights
}

func (op *attendOp[F]) Backward() {
	if !op.context.HasGrad() {
		return
	}
	longest, S, D := op.scores.Dim(1), op.scores.Dim(2), op.values.Dim(-1)
	w, vv, dy := Values[F](op.weights), Values[F](op.values), Grad[F](op.context)
	ds := Floats[F](op.context.storage.tape, longest*S)
	for b := range op.queries.Batch() {
		from, T := op.queries.At(b)
		first, seen := op.keys.At(b)
		wb, dyb := w[b*longest*S:(b+1)*longest*S], dy[from*D:]
		if !op.values.Constant() {
			kernel.Gemm(true, false, seen, D, T, wb, S, dyb, D, Grad[F](op.values)[first*D:], D, true)
		}
		if op.scores.Constant() {
			continue
		}
		clear(ds)
		kernel.Gemm(false, true, T, seen, D, dyb, D, vv[first*D:], D, ds, S, false)
		kernel.SoftmaxRowsBackward(T, seen, ds, wb, ds, S, 1)
		kernel.AddTo(Grad[F](op.scores)[b*longest*S:(b+1)*longest*S], ds)
	}
}
