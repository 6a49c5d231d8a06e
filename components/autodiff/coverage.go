package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// Coverage is what queries before have looked at, and what it costs to look there
// again (See et al. 2017, section 2.3).
type Coverage struct {
	Sum         *Var    // [B, N, S or more]: of the weights of the queries before
	Loss        *Var    // [1], to which the coverage loss is added; nil for none
	LossWeight  float64 // of it
	Temperature float64 // by which scores are divided
}

// CoverSoftmax turns scores [B, N, T, S] into weights in place, query after query:
// for c the coverage before a query, of each head by itself,
//
//	weights = softmax((scale · scores + u[n] c) / Temperature)
//	loss   += LossWeight/N · Σ_s min(weights, c)      (See et al. 2017, equation 12)
//	c      += weights
//
// u is [N]. It returns the coverage after the last query of each sequence. No
// operation before may read the scores in its backward pass.
func CoverSoftmax(t *Tape, scores, u *Var, scale float64, queries, keys Spans, c Coverage) (after *Var) {
	if t.dtype == Float32 {
		return cover(t, &coverOp[float32]{weights: scores, term: u, scale: float32(scale)}, queries, keys, c)
	}
	return cover(t, &coverOp[float64]{weights: scores, term: u, scale: scale}, queries, keys, c)
}

// CoverAdditive is CoverSoftmax with one head and the score of
// [AdditiveAttention], whose tanh the coverage is in (See et al. 2017, equation 11):
//
//	scores[t, s] = Σ_a v[a] tanh(q[t, a] + k[s, a] + c[s] u[a])
//
// for u [A], where q is given as its [AdditiveTerms], and k as it is. It returns the
// weights, too.
func CoverAdditive(t *Tape, q, k, v, u *Var, queries, keys Spans, c Coverage) (weights, after *Var) {
	if A := v.Dim(0); q.Dim(-1) != A || k.Dim(-1) != A || u.Dim(0) != A {
		panic(fmt.Sprintf("autodiff: additive coverage: q is %v, k %v, v %v, u %v", q.shape, k.shape, v.shape, u.shape))
	}
	weights = t.Zero(queries.Batch(), 1, queries.Longest(), keys.Longest())
	if t.dtype == Float32 {
		return weights, cover(t, &coverOp[float32]{weights: weights, term: u, scale: 1, q: q, k: k, v: v}, queries, keys, c)
	}
	return weights, cover(t, &coverOp[float64]{weights: weights, term: u, scale: 1, q: q, k: k, v: v}, queries, keys, c)
}

type coverOp[F kernel.Float] struct {
	weights, term *Var
	q, k, v       *Var // of additive scores, nil without
	coverage      Coverage
	after         *Var
	grid          grid
	scale, warmth F // of the scores; of scores and coverage: 1 over the temperature
}

func cover[F kernel.Float](t *Tape, op *coverOp[F], queries, keys Spans, c Coverage) *Var {
	op.grid, op.coverage, op.warmth = newGrid(queries, keys, op.weights.Dim(1)), c, F(1/c.Temperature)
	op.grid.check("coverage", op.weights)
	if c.Sum.shape.rank != 3 || c.Sum.Dim(0) != queries.Batch() || c.Sum.Dim(1) != op.grid.heads || c.Sum.Dim(2) < op.grid.S {
		panic(fmt.Sprintf("autodiff: coverage: weights are %v, coverage %v", op.weights.shape, c.Sum.shape))
	}
	op.after = t.NewVar(c.Sum.shape)
	copy(Values[F](op.after), Values[F](c.Sum))
	scratch, loss := kept[F](t, op.scratch()), 0.0
	op.grid.each(func(at, head int, r kernel.AttentionRows) {
		S := int(r.Keys)
		sum := Values[F](op.after)[op.sum(at):][:S]
		for i := range int(r.Queries) {
			w := Values[F](op.weights)[at+i*op.grid.S:][:S]
			op.score(w, sum, scratch, head, i, r)
			kernel.SoftmaxRows(1, S, w, S, nil)
			if c.Loss != nil {
				for j, x := range w {
					loss += float64(min(x, sum[j]))
				}
			}
			kernel.AddTo(sum, w)
		}
	})
	giveBack(t, scratch)
	if c.Loss != nil {
		Values[F](c.Loss)[0] += F(loss * c.LossWeight / float64(op.grid.heads))
	}
	if t.recording {
		*Record[coverOp[F]](t) = *op
	}
	return op.after
}

// sum is where the coverage of a head of a sequence is, whose weights are at at.
func (op *coverOp[F]) sum(at int) int { return at / max(1, op.grid.T*op.grid.S) * op.after.Dim(2) }

// scratch is the size of the keys of a sequence, of additive scores.
func (op *coverOp[F]) scratch() int {
	if op.k == nil {
		return 0
	}
	return op.grid.S * op.k.Dim(-1)
}

// score writes to w what the softmax of query i of a sequence is of.
func (op *coverOp[F]) score(w, sum, covered []F, head, i int, r kernel.AttentionRows) {
	if op.k == nil {
		kernel.Scale(w, op.scale*op.warmth, w)
		kernel.Axpy(w, Values[F](op.term)[head]*op.warmth, sum)
		return
	}
	op.cover(covered, sum, r)
	S, A := int(r.Keys), op.v.Dim(0)
	kernel.AdditiveScores(1, S, A, Values[F](op.q)[(int(r.Query)+i)*A:], covered, Values[F](op.v), w, S)
	kernel.Scale(w, op.warmth, w)
}

// cover writes the terms of the additive keys of a sequence with their coverage, k + c uᵀ.
func (op *coverOp[F]) cover(covered, sum []F, r kernel.AttentionRows) {
	S, A := int(r.Keys), op.v.Dim(0)
	copy(covered[:S*A], Values[F](op.k)[int(r.Key)*A:])
	kernel.Gemm(false, false, S, A, 1, sum, 1, Values[F](op.term), A, covered, A, nil, true)
	kernel.AdditiveTerms(covered[:S*A], covered)
}

// Backward goes back from the last query: the gradient dc of the coverage after a
// query is also that of its weights.
func (op *coverOp[F]) Backward() {
	loss := F(0) // the gradient of each minimum
	if l := op.coverage.Loss; l != nil && l.HasGrad() {
		loss = Grad[F](l)[0] * F(op.coverage.LossWeight/float64(op.grid.heads))
	}
	if !op.weights.HasGrad() && !op.after.HasGrad() && loss == 0 {
		return
	}
	t, ld := op.after.storage.tape, op.grid.S
	w, dw := Values[F](op.weights), Grad[F](op.weights)
	before, dSum := Values[F](op.coverage.Sum), Grad[F](op.after)
	sums := Floats[F](t, op.grid.T*ld) // the coverage before each query
	covered, dCovered := Floats[F](t, op.scratch()), Floats[F](t, op.scratch())
	op.grid.each(func(at, head int, r kernel.AttentionRows) {
		T, S := int(r.Queries), int(r.Keys)
		copy(sums[:S], before[op.sum(at):])
		for i := range T - 1 {
			kernel.Add(sums[(i+1)*ld:][:S], sums[i*ld:], w[at+i*ld:])
		}
		dc := dSum[op.sum(at):][:S]
		for i := T - 1; i >= 0; i-- {
			w, ds, sum := w[at+i*ld:][:S], dw[at+i*ld:][:S], sums[i*ld:][:S]
			kernel.AddTo(ds, dc)
			if loss != 0 {
				for j, x := range w {
					if x < sum[j] {
						ds[j] += loss
					} else {
						dc[j] += loss
					}
				}
			}
			kernel.SoftmaxRowsBackward(1, S, ds, w, ds, S, op.warmth)
			op.scoreBackward(ds, dc, sum, covered, dCovered, head, i, r)
		}
	})
	if !op.coverage.Sum.Constant() {
		kernel.AddTo(Grad[F](op.coverage.Sum), dSum)
	}
}

// scoreBackward is the gradient of score: ds is that of its result, and becomes
// that of the scores; dc is added to.
func (op *coverOp[F]) scoreBackward(ds, dc, sum, covered, dCovered []F, head, i int, r kernel.AttentionRows) {
	if op.k == nil {
		Grad[F](op.term)[head] += kernel.Dot(ds, sum)
		kernel.Axpy(dc, Values[F](op.term)[head], ds)
		kernel.Scale(ds, op.scale, ds)
		return
	}
	S, A := int(r.Keys), op.v.Dim(0)
	atQ, atK, u := (int(r.Query)+i)*A, int(r.Key)*A, Values[F](op.term)
	op.cover(covered, sum, r)
	dCovered = dCovered[:S*A]
	clear(dCovered)
	kernel.AdditiveScoresBackward(1, S, A, Values[F](op.q)[atQ:], covered, Values[F](op.v), ds, S, Grad[F](op.q)[atQ:], dCovered, Grad[F](op.v))
	kernel.AddTo(Grad[F](op.k)[atK:][:S*A], dCovered)
	kernel.Gemm(false, false, 1, A, S, sum, S, dCovered, A, Grad[F](op.term), A, nil, true)
	kernel.Gemm(false, true, S, 1, A, dCovered, A, u, A, dc, 1, nil, true)
}
