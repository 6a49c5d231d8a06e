package autodiff

import (
	"fmt"
	"unsafe"

	"exp/components/kernel"
)

// The operations of this file are attention in steps, for what
// [ScaledDotProduct] has no place for between them: scores [B, N, T, S] of the
// longest, made of queries and keys; the softmax over the keys; the sum of the
// values. Past the lengths scores and weights are zero, and so are weights of
// keys that a query does not see.

// grid is the layout of scores and weights.
type grid struct {
	queries, keys Spans
	heads, T, S   int
}

func newGrid(queries, keys Spans, heads int) grid {
	return grid{queries, keys, heads, queries.Longest(), keys.Longest()}
}

// each calls f for each head of each sequence: its place in the scores, whose rows
// are S apart, and its rows of queries and of keys.
func (g grid) each(f func(at, head int, r kernel.AttentionRows)) {
	for b := range g.queries.Batch() {
		r := kernel.AttentionRows{Query: g.queries.Starts[b], Queries: g.queries.Lengths[b], Key: g.keys.Starts[b], Keys: g.keys.Lengths[b]}
		if r.Queries == 0 || r.Keys == 0 {
			continue
		}
		for n := range g.heads {
			f((b*g.heads+n)*g.T*g.S, n, r)
		}
	}
}

// products is what f returns for each head of each sequence, in the tape's memory.
func (g grid) products(t *Tape, f func(at, head int, r kernel.AttentionRows) kernel.Product) []kernel.Product {
	products := newProducts(t, g.queries.Batch()*g.heads)
	n := 0
	g.each(func(at, head int, r kernel.AttentionRows) {
		products[n] = f(at, head, r)
		n++
	})
	return products[:n]
}

func newProducts(t *Tape, n int) []kernel.Product {
	const size = int(unsafe.Sizeof(kernel.Product{})) / 4
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*kernel.Product)(unsafe.Pointer(unsafe.SliceData(Ints(t, n*size)))), n)
}

// product is one of [M,K] and [K,N], whose operands begin at a, b and c.
func product(m, n, k, a, b, c int) kernel.Product {
	return kernel.Product{M: int64(m), N: int64(n), K: int64(k), A: int64(a), B: int64(b), C: int64(c)}
}

// check panics unless v is of this layout.
func (g grid) check(op string, v *Var) {
	if want := NewShape(g.queries.Batch(), g.heads, g.T, g.S); v.shape != want || g.keys.Batch() != g.queries.Batch() {
		panic(fmt.Sprintf("autodiff: %s: weights are %v, want %v for keys of %d sequences", op, v.shape, want, g.keys.Batch()))
	}
}

// DotScores returns q kᵀ of each sequence and head, without the scale of h: see
// [Heads] for how q and k are read.
func DotScores(t *Tape, q, k Columns, queries, keys Spans, h Heads) *Var {
	if t.dtype == Float32 {
		return dotScores[float32](t, q, k, queries, keys, h)
	}
	return dotScores[float64](t, q, k, queries, keys, h)
}

type dotScoresOp[F kernel.Float] struct {
	q, k   Columns
	scores *Var
	grid   grid
	size   int
}

func dotScores[F kernel.Float](t *Tape, q, k Columns, queries, keys Spans, h Heads) *Var {
	g := newGrid(queries, keys, h.Num)
	op := dotScoresOp[F]{q: q, k: k, scores: t.Zero(queries.Batch(), h.Num, g.T, g.S), grid: g, size: h.KeySize}
	g.check("dot scores", op.scores)
	products := g.products(t, func(at, head int, r kernel.AttentionRows) kernel.Product {
		T, S, atQ, atK := op.rows(head, r)
		return product(T, S, op.size, atQ, atK, at)
	})
	kernel.GemmBatch(false, true, products, columnsOf[F](q), q.width(), columnsOf[F](k), k.width(), Values[F](op.scores), g.S, false)
	if t.recording {
		*Record[dotScoresOp[F]](t) = op
	}
	return op.scores
}

// rows is the sizes of a sequence's scores, and where a head's queries and keys begin.
func (op *dotScoresOp[F]) rows(head int, r kernel.AttentionRows) (T, S, atQ, atK int) {
	return int(r.Queries), int(r.Keys), int(r.Query)*op.q.width() + head*op.size, int(r.Key)*op.k.width() + head*op.size
}

// Backward: dq += ds k, dk += dsᵀ q.
func (op *dotScoresOp[F]) Backward() {
	if !op.scores.HasGrad() {
		return
	}
	t, g, ds, q, k := op.scores.storage.tape, op.grid, Grad[F](op.scores), op.q, op.k
	if dq := gradOf[F](q); dq != nil {
		products := g.products(t, func(at, head int, r kernel.AttentionRows) kernel.Product {
			T, S, atQ, atK := op.rows(head, r)
			return product(T, op.size, S, at, atK, atQ)
		})
		kernel.GemmBatch(false, false, products, ds, g.S, columnsOf[F](k), k.width(), dq, q.width(), true)
	}
	if dk := gradOf[F](k); dk != nil {
		products := g.products(t, func(at, head int, r kernel.AttentionRows) kernel.Product {
			T, S, atQ, atK := op.rows(head, r)
			return product(S, op.size, T, at, atQ, atK)
		})
		kernel.GemmBatch(true, false, products, ds, g.S, columnsOf[F](q), q.width(), dk, k.width(), true)
	}
}

// AdditiveScores returns the scores [B, 1, T, S] of [AdditiveAttention], of q and k as there.
func AdditiveScores(t *Tape, q, k, v *Var, queries, keys Spans) *Var {
	if t.dtype == Float32 {
		return additiveScores[float32](t, q, k, v, queries, keys)
	}
	return additiveScores[float64](t, q, k, v, queries, keys)
}

type additiveScoresOp[F kernel.Float] struct {
	q, k, v, scores *Var
	grid            grid
}

func additiveScores[F kernel.Float](t *Tape, q, k, v *Var, queries, keys Spans) *Var {
	A := v.Dim(0)
	if q.Dim(-1) != A || k.Dim(-1) != A {
		panic(fmt.Sprintf("autodiff: additive scores: q is %v, k %v, v %v", q.shape, k.shape, v.shape))
	}
	if q.storage == k.storage { // the kernel's gradients must not overlap
		k = Scale(t, k, 1)
	}
	g := newGrid(queries, keys, 1)
	op := additiveScoresOp[F]{q, k, v, t.Zero(queries.Batch(), 1, g.T, g.S), g}
	g.check("additive scores", op.scores)
	g.each(func(at, _ int, r kernel.AttentionRows) {
		kernel.AdditiveScores(int(r.Queries), int(r.Keys), A, Values[F](q)[int(r.Query)*A:], Values[F](k)[int(r.Key)*A:], Values[F](v), Values[F](op.scores)[at:], g.S)
	})
	if t.recording {
		*Record[additiveScoresOp[F]](t) = op
	}
	return op.scores
}

func (op *additiveScoresOp[F]) Backward() {
	if !op.scores.HasGrad() {
		return
	}
	A, ds := op.v.Dim(0), Grad[F](op.scores)
	dq, dk, dv := gradOrScratch[F](op.q), gradOrScratch[F](op.k), gradOrScratch[F](op.v)
	op.grid.each(func(at, _ int, r kernel.AttentionRows) {
		atQ, atK := int(r.Query)*A, int(r.Key)*A
		kernel.AdditiveScoresBackward(int(r.Queries), int(r.Keys), A, Values[F](op.q)[atQ:], Values[F](op.k)[atK:], Values[F](op.v),
			ds[at:], op.grid.S, dq[atQ:], dk[atK:], dv)
	})
}

// SoftmaxKeys turns scores [B, N, T, S] into weights in place: the softmax of
// scale times the scores, over the keys that a query sees: all, or with causal
// those up to its own position. No operation before may read the scores in its
// backward pass.
func SoftmaxKeys(t *Tape, scores *Var, queries, keys Spans, scale float64, causal bool) {
	if t.dtype == Float32 {
		softmaxKeys[float32](t, scores, queries, keys, scale, causal)
	} else {
		softmaxKeys[float64](t, scores, queries, keys, scale, causal)
	}
}

type softmaxKeysOp[F kernel.Float] struct {
	weights *Var
	grid    grid
	scale   F
}

func softmaxKeys[F kernel.Float](t *Tape, scores *Var, queries, keys Spans, scale float64, causal bool) {
	g := newGrid(queries, keys, scores.Dim(1))
	g.check("softmax", scores)
	kernel.Scale(Values[F](scores), F(scale), Values[F](scores))
	var valid []int32
	if causal {
		valid = Ints(t, g.T)
	}
	g.each(func(at, _ int, r kernel.AttentionRows) {
		for i := range valid {
			valid[i] = min(r.Keys, int32(i+1))
		}
		kernel.SoftmaxRows(int(r.Queries), int(r.Keys), Values[F](scores)[at:], g.S, valid)
	})
	if t.recording {
		*Record[softmaxKeysOp[F]](t) = softmaxKeysOp[F]{scores, g, F(scale)}
	}
}

// Backward makes the gradient of the weights that of the scores, in place too.
// That of a key that is not seen becomes zero, as its weight is.
func (op *softmaxKeysOp[F]) Backward() {
	if !op.weights.HasGrad() {
		return
	}
	w, dw, ld := Values[F](op.weights), Grad[F](op.weights), op.grid.S
	op.grid.each(func(at, _ int, r kernel.AttentionRows) {
		kernel.SoftmaxRowsBackward(int(r.Queries), int(r.Keys), dw[at:], w[at:], dw[at:], ld, op.scale)
	})
}

// WeightedSum returns the contexts of the queries: weights [B, N, T, S] times the
// values of each sequence and head, laid out as [ScaledDotProduct] does for rows
// of queries.
func WeightedSum(t *Tape, weights *Var, v Columns, queries, keys Spans, rows, size int) *Var {
	if t.dtype == Float32 {
		return weightedSum[float32](t, weights, v, queries, keys, rows, size)
	}
	return weightedSum[float64](t, weights, v, queries, keys, rows, size)
}

type weightedSumOp[F kernel.Float] struct {
	weights, context *Var
	v                Columns
	grid             grid
	size             int
}

func weightedSum[F kernel.Float](t *Tape, weights *Var, v Columns, queries, keys Spans, rows, size int) *Var {
	g := newGrid(queries, keys, weights.Dim(1))
	g.check("weighted sum", weights)
	op := weightedSumOp[F]{weights, t.Zero(rows, g.heads*size), v, g, size}
	products := g.products(t, func(at, head int, r kernel.AttentionRows) kernel.Product {
		T, S, atV, atY := op.rows(head, r)
		return product(T, size, S, at, atV, atY)
	})
	kernel.GemmBatch(false, false, products, Values[F](weights), g.S, columnsOf[F](v), v.width(), Values[F](op.context), g.heads*size, false)
	if t.recording {
		*Record[weightedSumOp[F]](t) = op
	}
	return op.context
}

// rows is the sizes of a sequence's weights, and where a head's values and contexts begin.
func (op *weightedSumOp[F]) rows(head int, r kernel.AttentionRows) (T, S, atV, atY int) {
	return int(r.Queries), int(r.Keys), int(r.Key)*op.v.width() + head*op.size, int(r.Query)*op.context.Dim(1) + head*op.size
}

// Backward: dw += dy vᵀ, dv += wᵀ dy.
func (op *weightedSumOp[F]) Backward() {
	if !op.context.HasGrad() {
		return
	}
	t, g, dy, ld, v := op.context.storage.tape, op.grid, Grad[F](op.context), op.context.Dim(1), op.v
	products := g.products(t, func(at, head int, r kernel.AttentionRows) kernel.Product {
		T, S, atV, atY := op.rows(head, r)
		return product(T, S, op.size, atY, atV, at)
	})
	kernel.GemmBatch(false, true, products, dy, ld, columnsOf[F](v), v.width(), Grad[F](op.weights), g.S, true)
	if dv := gradOf[F](v); dv != nil {
		products := g.products(t, func(at, head int, r kernel.AttentionRows) kernel.Product {
			T, S, atV, atY := op.rows(head, r)
			return product(S, op.size, T, at, atY, atV)
		})
		kernel.GemmBatch(true, false, products, Values[F](op.weights), g.S, dy, ld, dv, v.width(), true)
	}
}

// PlaceWeights copies the weights of one step [n, N, 1, ...] to step step of all
// [B, N, T, S], those of row r to row order[r], in place. Nothing has been there
// before. order must live as long as the tape.
func PlaceWeights(t *Tape, all, weights *Var, order []int32, step int) {
	if t.dtype == Float32 {
		placeWeights[float32](t, all, weights, order, step)
	} else {
		placeWeights[float64](t, all, weights, order, step)
	}
}

type placeWeightsOp[F kernel.Float] struct {
	all, weights *Var
	order        []int32
	step         int
}

func placeWeights[F kernel.Float](t *Tape, all, weights *Var, order []int32, step int) {
	op := placeWeightsOp[F]{all, weights, order, step}
	op.each(func(to, from, keys int) { copy(Values[F](all)[to:][:keys], Values[F](weights)[from:]) })
	if t.recording && !weights.Constant() {
		*Record[placeWeightsOp[F]](t) = op
	}
}

func (op *placeWeightsOp[F]) each(f func(to, from, keys int)) {
	heads, steps, S, keys := op.all.Dim(1), op.all.Dim(2), op.all.Dim(3), op.weights.Dim(3)
	for r := range op.weights.Dim(0) * heads {
		f(((int(op.order[r/heads])*heads+r%heads)*steps+op.step)*S, r*keys, keys)
	}
}

func (op *placeWeightsOp[F]) Backward() {
	if op.all.HasGrad() {
		dAll, dw := Grad[F](op.all), Grad[F](op.weights)
		op.each(func(to, from, keys int) { kernel.AddTo(dw[from:][:keys], dAll[to:]) })
	}
}
