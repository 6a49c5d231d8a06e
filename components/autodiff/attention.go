package autodiff

import (
	"fmt"
	"unsafe"

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

// KeepWeights makes the attentions of t return their weights [B, N, T, S], for
// whoever wants to look at them. Nothing else computes or keeps them whole.
func (t *Tape) KeepWeights() { t.keepWeights = true }

// WithWeights calls f while the attentions of t return their weights, whether
// [Tape.KeepWeights] was called or not.
func (t *Tape) WithWeights(f func()) {
	before := t.keepWeights
	t.keepWeights = true
	f()
	t.keepWeights = before
}

// KeepsWeights says whether [Tape.KeepWeights] was called.
func (t *Tape) KeepsWeights() bool { return t.keepWeights }

// ScaledDotProduct is attention with N heads (Vaswani et al. 2017, equation 1):
// for the T queries q [T, N·K], S keys k [S, N·K] and values v [S, N·ValueSize]
// of each sequence, head by head,
//
//	weights = softmax(Scale · q kᵀ)   [T, S]
//	context = weights v               [T, N·ValueSize]
//
// queries and keys say where the sequences lie in q, and in k and v: no two have
// queries in common. The context lies as q does. weights is [B, N, T, S] of the
// longest, zero past the lengths, and a constant; nil unless the tape keeps
// weights. A query that sees no key gets zero weights and a zero context.
//
// Memory grows with the lengths, not with their product: the backward pass
// computes the weights again from two numbers a query and head.
func ScaledDotProduct(t *Tape, q, k, v Columns, queries, keys Spans, h Heads) (context, weights *Var) {
	if t.dtype == Float32 {
		return scaledDotProduct[float32](t, q, k, v, queries, keys, h)
	}
	return scaledDotProduct[float64](t, q, k, v, queries, keys, h)
}

type scaledDotProductOp[F kernel.Float] struct {
	q, k, v   Columns
	context   *Var
	shape     kernel.AttentionShape
	sequences []kernel.AttentionRows
	stats     []F // see [kernel.Attention]
}

func scaledDotProduct[F kernel.Float](t *Tape, q, k, v Columns, queries, keys Spans, h Heads) (context, weights *Var) {
	if keys.Batch() != queries.Batch() || k.Var.Rows() != v.Var.Rows() {
		panic(fmt.Sprintf("autodiff: attention: query is %v of %d sequences, key %v, value %v of %d",
			q.Var.shape, queries.Batch(), k.Var.shape, v.Var.shape, keys.Batch()))
	}
	op := scaledDotProductOp[F]{q: q, k: k, v: v, context: t.New(q.Var.Rows(), h.Num*h.ValueSize)}
	op.shape = kernel.AttentionShape{
		Heads: h.Num, KeySize: h.KeySize, ValueSize: h.ValueSize,
		LdQ: q.width(), LdK: k.width(), LdV: v.width(), LdY: h.Num * h.ValueSize,
		Scale: h.Scale, Causal: h.Causal, MaxKeys: keys.Longest(),
	}
	op.sequences = attentionRows(t, queries, keys)
	op.stats = Floats[F](t, 2*h.Num*q.Var.Rows())
	scratch := kept[F](t, op.shape.Scratch(false))
	kernel.Attention(&op.shape, op.sequences, columnsOf[F](q), columnsOf[F](k), columnsOf[F](v), Values[F](op.context), op.stats, scratch)
	giveBack(t, scratch)
	if t.keepWeights {
		weights = op.weights(t, queries.Longest())
	}
	if t.recording {
		*Record[scaledDotProductOp[F]](t) = op
	}
	return op.context, weights
}

// attentionRows is the spans as the kernel wants them.
func attentionRows(t *Tape, queries, keys Spans) []kernel.AttentionRows {
	rows := newRows(t, queries.Batch())
	for b := range rows {
		rows[b] = rowsAt(queries, keys, b)
	}
	return rows
}

func rowsAt(queries, keys Spans, b int) kernel.AttentionRows {
	return kernel.AttentionRows{Query: queries.Starts[b], Queries: queries.Lengths[b], Key: keys.Starts[b], Keys: keys.Lengths[b]}
}

func newRows(t *Tape, n int) []kernel.AttentionRows {
	const size = int(unsafe.Sizeof(kernel.AttentionRows{})) / 4
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*kernel.AttentionRows)(unsafe.Pointer(unsafe.SliceData(Ints(t, n*size)))), n)
}

// columnsOf is the values of c's columns, from the first on.
func columnsOf[F kernel.Float](c Columns) []F {
	if c.Var.Size() == 0 {
		return nil
	}
	return Values[F](c.Var)[c.From:]
}

// gradOf is the gradient of c's columns, nil of a constant.
func gradOf[F kernel.Float](c Columns) []F {
	if c.Var.Constant() || c.Var.Size() == 0 {
		return nil
	}
	return Grad[F](c.Var)[c.From:]
}

// weights computes the weights once more, for whoever looks at them.
func (op *scaledDotProductOp[F]) weights(t *Tape, longest int) *Var {
	h := &op.shape
	weights := t.Zero(len(op.sequences), h.Heads, longest, h.MaxKeys)
	weights.storage.constant = true
	valid := Ints(t, longest)
	for b, r := range op.sequences {
		T, S := int(r.Queries), int(r.Keys)
		if T == 0 || S == 0 {
			continue
		}
		for i := range T {
			valid[i] = r.Keys
			if h.Causal {
				valid[i] = min(r.Keys, int32(i+1))
			}
		}
		for n := range h.Heads {
			w := Values[F](weights)[(b*h.Heads+n)*longest*h.MaxKeys:][:T*h.MaxKeys]
			q, k := columnsOf[F](op.q)[int(r.Query)*h.LdQ+n*h.KeySize:], columnsOf[F](op.k)[int(r.Key)*h.LdK+n*h.KeySize:]
			kernel.Gemm(false, true, T, S, h.KeySize, q, h.LdQ, k, h.LdK, w, h.MaxKeys, nil, false)
			kernel.Scale(w, F(h.Scale), w)
			kernel.SoftmaxRows(T, h.MaxKeys, w, h.MaxKeys, valid[:T])
		}
	}
	return weights
}

// Backward: see [kernel.AttentionBackward].
func (op *scaledDotProductOp[F]) Backward() {
	if !op.context.HasGrad() {
		return
	}
	dq, dk, dv := gradOf[F](op.q), gradOf[F](op.k), gradOf[F](op.v)
	if dq == nil && dk == nil && dv == nil {
		return
	}
	kernel.AttentionBackward(&op.shape, op.sequences, columnsOf[F](op.q), columnsOf[F](op.k), columnsOf[F](op.v),
		Grad[F](op.context), op.stats, dq, dk, dv, Floats[F](op.context.storage.tape, op.shape.Scratch(true)))
}
