package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// AdditiveAttention is attention with one head and the score of Bahdanau et al.
// (2015, A.1.2): for the T queries q [T, A], S keys k [S, A] and values [S, D] of
// each sequence, and v [A],
//
//	scores[t, s] = Σ_a v[a] tanh(q[t, a] + k[s, a])
//	weights = softmax(scores)   [T, S]
//	context = weights values    [T, D]
//
// with queries, keys and the results as in [ScaledDotProduct]. Memory is linear in
// the lengths as there: the weights are kept where a query has no more keys than
// it has elements, else computed again in the backward pass, for some queries at a
// time.
func AdditiveAttention(t *Tape, q, k, v, values *Var, queries, keys Spans) (context, weights *Var) {
	if t.dtype == Float32 {
		return additiveAttention[float32](t, q, k, v, values, queries, keys)
	}
	return additiveAttention[float64](t, q, k, v, values, queries, keys)
}

type additiveAttentionOp[F kernel.Float] struct {
	q, k, v, values, context *Var
	sequences                []kernel.AttentionRows // at most additiveBlock queries of one
	weights                  []F                    // of all sequences, or nil
}

const (
	additiveBlock = 32      // queries of a sequence that are scored at a time
	additivePart  = 1 << 14 // scores at a time, or those of a block, where the weights are not kept
)

func additiveAttention[F kernel.Float](t *Tape, q, k, v, values *Var, queries, keys Spans) (context, weights *Var) {
	A := v.Dim(0)
	if q.Dim(-1) != A || k.Dim(-1) != A || keys.Batch() != queries.Batch() || values.Rows() != k.Rows() {
		panic(fmt.Sprintf("autodiff: additive attention: q is %v of %d sequences, k %v of %d, v %v, values %v",
			q.shape, queries.Batch(), k.shape, keys.Batch(), v.shape, values.shape))
	}
	if q.storage == k.storage { // the kernel's gradients must not overlap
		k = Scale(t, k, 1)
	}
	op := additiveAttentionOp[F]{q: q, k: k, v: v, values: values, context: t.New(q.Rows(), values.Dim(-1))}
	op.sequences = additiveBlocks(t, queries, keys)
	S, longest := keys.Longest(), queries.Longest()
	if t.keepWeights {
		weights = t.Zero(queries.Batch(), 1, longest, S)
		weights.storage.constant = true
	}
	var w []F
	if t.recording && S <= A {
		op.weights = Floats[F](t, kernel.ScoresOf(op.sequences))
	} else {
		w = kept[F](t, max(additivePart, additiveBlock*S))
	}
	op.parts(w, func(part []kernel.AttentionRows, w []F) {
		kernel.AdditiveAttention(A, values.Dim(-1), part, Values[F](q), Values[F](k), Values[F](v), Values[F](values), w, Values[F](op.context))
		if weights != nil {
			op.copyWeights(Values[F](weights), part, w, queries, S)
		}
	})
	if w != nil {
		giveBack(t, w)
	}
	if t.recording {
		*Record[additiveAttentionOp[F]](t) = op
	}
	return op.context, weights
}

// additiveBlocks is the spans in blocks of at most additiveBlock queries.
func additiveBlocks(t *Tape, queries, keys Spans) []kernel.AttentionRows {
	n := 0
	for _, length := range queries.Lengths {
		n += (int(length) + additiveBlock - 1) / additiveBlock
	}
	blocks, i := newRows(t, n), 0
	for b := range queries.Batch() {
		for r := rowsAt(queries, keys, b); r.Queries > 0; i++ {
			blocks[i] = r
			blocks[i].Queries = min(r.Queries, additiveBlock)
			r.Query, r.Queries = r.Query+blocks[i].Queries, r.Queries-blocks[i].Queries
		}
	}
	return blocks
}

// parts calls f for some sequences at a time, with room for their weights in w, or
// for all with the weights that are kept.
func (op *additiveAttentionOp[F]) parts(w []F, f func(part []kernel.AttentionRows, w []F)) {
	if op.weights != nil {
		f(op.sequences, op.weights)
		return
	}
	for rest := op.sequences; len(rest) > 0; {
		n, scores := 1, kernel.ScoresOf(rest[:1])
		for n < len(rest) && scores+kernel.ScoresOf(rest[n:n+1]) <= additivePart {
			scores += kernel.ScoresOf(rest[n : n+1])
			n++
		}
		f(rest[:n], w)
		rest = rest[n:]
	}
}

// copyWeights copies the weights of a part to those of all, [B, 1, T, S].
func (op *additiveAttentionOp[F]) copyWeights(all []F, part []kernel.AttentionRows, w []F, queries Spans, S int) {
	for _, r := range part {
		b := 0
		for start, length := queries.At(b); int(r.Query) < start || int(r.Query) >= start+length; start, length = queries.At(b) {
			b++
		}
		first := b*queries.Longest() + int(r.Query-queries.Starts[b])
		for i := range int(r.Queries) {
			copy(all[(first+i)*S:][:r.Keys], w)
			w = w[r.Keys:]
		}
	}
}

// Backward: dvalues += weightsᵀ dy; dw = dy valuesᵀ; ds through the softmax; then
// what the scores imply.
func (op *additiveAttentionOp[F]) Backward() {
	if !op.context.HasGrad() {
		return
	}
	t, A, S := op.context.storage.tape, op.v.Dim(0), 0
	var w, ds, dq, dk, dv, dvalues []F
	if op.weights == nil {
		for _, r := range op.sequences {
			S = max(S, int(r.Keys))
		}
		w = Floats[F](t, max(additivePart, additiveBlock*S))
		ds = Floats[F](t, len(w))
	} else {
		ds = Floats[F](t, len(op.weights))
	}
	if !op.q.Constant() || !op.k.Constant() || !op.v.Constant() {
		dq, dk, dv = gradOrScratch[F](op.q), gradOrScratch[F](op.k), gradOrScratch[F](op.v)
	}
	if !op.values.Constant() {
		dvalues = Grad[F](op.values)
	}
	q, k, v, values := Values[F](op.q), Values[F](op.k), Values[F](op.v), Values[F](op.values)
	op.parts(w, func(part []kernel.AttentionRows, w []F) {
		if op.weights == nil {
			kernel.AdditiveAttention(A, op.values.Dim(-1), part, q, k, v, values, w, nil)
		}
		kernel.AdditiveAttentionBackward(A, op.values.Dim(-1), part, q, k, v, values, w, Grad[F](op.context), ds, dq, dk, dv, dvalues)
	})
}
