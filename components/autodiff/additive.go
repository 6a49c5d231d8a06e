package autodiff

import (
	"fmt"
	"slices"

	"exp/components/kernel"
)

// AdditiveTerms turns queries or keys x, in place, into the terms that additive attention
// takes: exponentials, whose product takes the place of the sum, see
// [kernel.AdditiveTerms]. The gradient of x stays that of the queries or keys: it is what
// additive attention adds to. No operation before may have x as an operand or a result
// whose value its backward pass reads, and none but additive attention may have it as an
// operand after.
func AdditiveTerms(t *Tape, x *Var) {
	if t.dtype == Float32 {
		kernel.AdditiveTerms(Values[float32](x), Values[float32](x))
	} else {
		kernel.AdditiveTerms(Values[float64](x), Values[float64](x))
	}
}

// AdditiveAttention is attention with one head and the score of Bahdanau et al.
// (2015, A.1.2): for the T queries q [T, A], S keys k [S, A] and values [S, D] of
// each sequence, and v [A],
//
//	scores[t, s] = Σ_a v[a] tanh(q[t, a] + k[s, a])
//	weights = softmax(scores)   [T, S]
//	context = weights values    [T, D]
//
// where q and k are given as their [AdditiveTerms], and queries, keys and the results
// are as in [ScaledDotProduct]. Memory is linear in the lengths as there: the weights are
// kept where a query has no more keys than it has elements, else computed again in the
// backward pass, for some queries at a time.
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
	sum                      *valuesSumOp[F]        // in a loop
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
	S, longest := keys.Longest(), queries.Longest()
	keep := t.recording && S <= A
	op := additiveAttentionOp[F]{q: q, k: k, v: v, values: values}
	if keep {
		op.sum = sumValuesInLoop[F](t, values, queries, keys) // an entry before this one's
	}
	op.context = t.New(q.Rows(), values.Dim(-1))
	op.sequences = additiveBlocks(t, queries, keys)
	if t.keepWeights {
		weights = t.Zero(queries.Batch(), 1, longest, S)
		weights.storage.constant = true
	}
	var w []F
	if keep {
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
	var w, ds, dq, dk, dv, dvalues, transposed []F
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
	switch {
	case op.sum != nil:
		transposed = op.sum.add(op.sequences, op.weights, Grad[F](op.context))
	case !op.values.Constant():
		dvalues = Grad[F](op.values)
	}
	q, k, v, values := Values[F](op.q), Values[F](op.k), Values[F](op.v), Values[F](op.values)
	op.parts(w, func(part []kernel.AttentionRows, w []F) {
		if op.weights == nil {
			kernel.AdditiveAttention(A, op.values.Dim(-1), part, q, k, v, values, w, nil)
		}
		kernel.AdditiveAttentionBackward(A, op.values.Dim(-1), part, q, k, v, values, transposed, w, Grad[F](op.context), ds, dq, dk, dv, dvalues)
	})
}

// valuesSumOp is dvalues += weightsᵀ dy of an additive attention over the steps of a
// loop, of which each has one query a sequence, and the values transposed for all of
// them. Its entry comes before those of the steps, as that of a [weightSumOp].
type valuesSumOp[F kernel.Float] struct {
	tape        *Tape
	values      *Var
	sequences   []kernel.AttentionRows // of the first step; with the queries of all, in the backward pass of those added so far
	longest     int                    // keys of a sequence
	transposed  []F                    // [D, keys] of each sequence
	weights, dy []F                    // [rows, longest], [rows, D]: each sequence's rows from its last step on
}

// sumValuesInLoop returns the entry that collects for these values, nil outside a
// loop, and has it expect a step with these queries and keys.
func sumValuesInLoop[F kernel.Float](t *Tape, values *Var, queries, keys Spans) *valuesSumOp[F] {
	several := func(length int32) bool { return length != 1 }
	if !t.loop.inside || values.Constant() || values.storage.number >= t.loop.storages || slices.ContainsFunc(queries.Lengths, several) {
		return nil
	}
	i := slices.IndexFunc(t.loop.values, func(op Op) bool { return op.(*valuesSumOp[F]).collects(values, keys) })
	if i < 0 {
		sequences := additiveBlocks(t, queries, keys)
		sum := Record[valuesSumOp[F]](t)
		sum.tape, sum.values, sum.sequences, sum.longest = t, values, sequences, keys.Longest()
		for j := range sequences {
			sequences[j].Queries = 0
		}
		i = len(t.loop.values)
		t.loop.values = append(t.loop.values, sum)
	}
	sum := t.loop.values[i].(*valuesSumOp[F])
	for j := range keys.Batch() {
		sum.sequences[j].Queries++
	}
	return sum
}

// collects says whether keys are those of the first sequences.
func (op *valuesSumOp[F]) collects(values *Var, keys Spans) bool {
	if op.values.storage != values.storage || keys.Batch() > len(op.sequences) {
		return false
	}
	for i, r := range op.sequences[:keys.Batch()] {
		if r.Key != keys.Starts[i] || r.Keys != keys.Lengths[i] {
			return false
		}
	}
	return true
}

// add adds the weights and the gradients of the contexts of the step before those
// added so far, and returns the values transposed.
func (op *valuesSumOp[F]) add(sequences []kernel.AttentionRows, weights, dy []F) (transposed []F) {
	if op.dy == nil {
		op.begin()
	}
	D, S := op.values.Dim(-1), op.longest
	for i, r := range sequences {
		sum := &op.sequences[i]
		row := int(sum.Query + sum.Queries)
		copy(op.weights[row*S:], weights[:r.Keys])
		copy(op.dy[row*D:][:D], dy[int(r.Query)*D:])
		weights = weights[r.Keys:]
		sum.Queries++
	}
	return op.transposed
}

// begin lays out the rows of each sequence, and transposes its values.
func (op *valuesSumOp[F]) begin() {
	D, rows, keys := op.values.Dim(-1), int32(0), 0
	for i := range op.sequences {
		sum := &op.sequences[i]
		sum.Query, sum.Queries, rows = rows, 0, rows+sum.Queries
		keys += int(sum.Keys)
	}
	op.weights, op.dy = kept[F](op.tape, int(rows)*op.longest), kept[F](op.tape, int(rows)*D)
	op.transposed = kept[F](op.tape, keys*D)
	rest, values := op.transposed, Values[F](op.values)
	for _, r := range op.sequences {
		kernel.Transpose(int(r.Keys), D, values[int(r.Key)*D:], D, rest, int(r.Keys))
		rest = rest[int(r.Keys)*D:]
	}
}

func (op *valuesSumOp[F]) Backward() {
	if op.dy == nil {
		return
	}
	D, S := op.values.Dim(-1), op.longest
	products := newProducts(op.tape, len(op.sequences))
	for i, r := range op.sequences {
		row := int(r.Query)
		products[i] = product(int(r.Keys), D, int(r.Queries), row*S, row*D, int(r.Key)*D)
	}
	kernel.GemmBatch(true, false, products, op.weights, S, op.dy, D, Grad[F](op.values), D, true)
	giveBack(op.tape, op.weights)
	giveBack(op.tape, op.dy)
	giveBack(op.tape, op.transposed)
}
