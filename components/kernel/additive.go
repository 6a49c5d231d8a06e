package kernel

/*
#cgo noescape exp_additive_scores
#cgo nocallback exp_additive_scores
#cgo noescape exp_additive_scores_backward
#cgo nocallback exp_additive_scores_backward
#cgo noescape exp_additive_attention
#cgo nocallback exp_additive_attention
#cgo noescape exp_additive_attention_backward
#cgo nocallback exp_additive_attention_backward
#cgo noescape exp_additive_gradients
#cgo nocallback exp_additive_gradients
#include "additive.h"
*/
import "C"

import (
	"math"
	"unsafe"
)

// AdditiveTerms is what additive attention takes its queries and keys as: for i <
// len(dst)
//
//	dst[i] = exp(2 min(max(src[i], -43), 43))
//
// with 350 in place of 43 for float64, so that none is zero or infinite. For the terms
// q of x and k of y
//
//	tanh(x + y) = 1 - 2 / (1 + q k)
//
// so that a query and a key take a division, and no exponential of their own. The result
// is within 5e-7 of tanh(x + y), not within some units of its last place: in the sum that
// it goes into that is as good. dst may be src, but must not overlap it in part.
func AdditiveTerms[F Float](dst, src []F) {
	checkLength("AdditiveTerms", "src", len(src), len(dst))
	if native[F]() {
		activations.parallel(len(dst), len(dst), activation{termsNative, ptr(dst), ptr(src), nil})
		return
	}
	additiveTermsReference(dst, src)
}

func additiveTermsReference[F Float](dst, src []F) {
	most := F(350)
	if unsafe.Sizeof(most) == 4 {
		most = 43
	}
	for i := range dst {
		x := min(max(src[i], -most), most)
		dst[i] = exp(x + x)
	}
}

// half is (1 - tanh(x + y))/2 for q and k the terms of x and y. A float32 has the last
// bit of what it divides by cleared, which spares a processor the division, see
// additive.c.
func half[F Float](q, k F) F {
	b := min(fma(q, k, 1), 0x1p60) // whose reciprocal does not count beside 1
	if unsafe.Sizeof(b) == 4 {
		b = F(math.Float32frombits(math.Float32bits(float32(b)) &^ 1))
	}
	return 1 / b
}

// AdditiveScores scores t queries against s keys of size a (Bahdanau et al.
// 2015, A.1.2): for q [t, a] and k [s, a], the [AdditiveTerms] of queries and keys, v
// [a], and i < t, j < s
//
//	half = 1 / (1 + q[i][x] k[j][x])
//	scores[i*ld+j] = sum(v[x]) - 2 sum over x < a of fma(v[x], half, ·)
//
// in lanes, see the package comment, in each of which the difference is rounded once:
// Σ v tanh(query + key). scores must not overlap the others.
func AdditiveScores[F Float](t, s, a int, q, k, v, scores []F, ld int) {
	checkAdditive("AdditiveScores", t, s, a, len(q), len(k), len(v))
	checkMatrix("AdditiveScores", "scores", false, t, s, ld, len(scores))
	if native[F]() {
		additives.parallel(t, t*s*a, additive{t: t, s: s, a: a, q: ptr(q), k: ptr(k), v: ptr(v), scores: ptr(scores), ld: ld})
		return
	}
	additiveScoresReference(t, s, a, q, k, v, scores, ld)
}

var (
	additives         calls[additive]
	additiveBackwards calls[additiveBackward]
)

type additive struct {
	t, s, a         int
	q, k, v, scores *C.float
	ld              int
}

// Range computes the scores of queries.
func (x additive) Range(from, to int) {
	C.exp_additive_scores(C.int64_t(to-from), C.int64_t(x.s), C.int64_t(x.a), at(x.q, from*x.a), x.k, x.v, at(x.scores, from*x.ld), C.int64_t(x.ld))
}

type additiveBackward struct {
	additive
	dq, dk, dv *C.float
}

// Range computes units of columns of the gradients.
func (x additiveBackward) Range(from, to int) {
	from, to = from*unitColumns, min(to*unitColumns, x.a)
	C.exp_additive_scores_backward(C.int64_t(x.t), C.int64_t(x.s), C.int64_t(to-from), C.int64_t(x.a), at(x.q, from), at(x.k, from), at(x.v, from),
		x.scores, C.int64_t(x.ld), at(x.dq, from), at(x.dk, from), at(x.dv, from))
}

func additiveScoresReference[F Float](t, s, a int, q, k, v, scores []F, ld int) {
	var total lanes[F]
	for x := range a {
		total[x%numLanes] += v[x]
	}
	for i := range t {
		for j := range s {
			var l lanes[F]
			for x := range a {
				l[x%numLanes] = fma(v[x], half(q[i*a+x], k[j*a+x]), l[x%numLanes])
			}
			for x := range l {
				l[x] = fma(-2, l[x], total[x])
			}
			scores[i*ld+j] = l.join()
		}
	}
}

// AdditiveScoresBackward accumulates the gradients of AdditiveScores, dScores
// being that of the scores, in dq [t, a], dk [s, a] and dv [a]: for x < a, and i < t
// and j < s in ascending order, where d = dScores[i*ld+j] is not 0 (it is for masked
// keys)
//
//	half = 1 / (1 + q[i][x] k[j][x])
//	g = d * 4v[x] * (half - half*half)    with the difference rounded once
//	dq[i][x] += g;  dk[j][x] += g
//
// and then dv[x] += Σ d - 2 Σ d half. dq and dk are the gradients of the queries and
// keys, not of their terms. dq, dk and dv must not overlap each other or the operands.
func AdditiveScoresBackward[F Float](t, s, a int, q, k, v, dScores []F, ld int, dq, dk, dv []F) {
	checkAdditive("AdditiveScoresBackward", t, s, a, len(q), len(k), len(v))
	checkMatrix("AdditiveScoresBackward", "dScores", false, t, s, ld, len(dScores))
	checkLength("AdditiveScoresBackward", "dq", len(dq), t*a)
	checkLength("AdditiveScoresBackward", "dk", len(dk), s*a)
	checkLength("AdditiveScoresBackward", "dv", len(dv), a)
	if native[F]() {
		additiveBackwards.parallel(units(a, unitColumns), t*s*a, additiveBackward{
			additive{t: t, s: s, a: a, q: ptr(q), k: ptr(k), v: ptr(v), scores: ptr(dScores), ld: ld}, ptr(dq), ptr(dk), ptr(dv),
		})
		return
	}
	additiveScoresBackwardReference(t, s, a, q, k, v, dScores, ld, dq, dk, dv)
}

func additiveScoresBackwardReference[F Float](t, s, a int, q, k, v, dScores []F, ld int, dq, dk, dv []F) {
	for x := range a {
		var total, sum F
		for i := range t {
			for j := range s {
				d := dScores[i*ld+j]
				if d == 0 {
					continue
				}
				h := half(q[i*a+x], k[j*a+x])
				g := F(F(d*F(4*v[x])) * fma(-h, h, h))
				total += d
				sum = fma(d, h, sum)
				dq[i*a+x] += g
				dk[j*a+x] += g
			}
		}
		dv[x] += fma(-2, sum, total)
	}
}

// AdditiveAttention is attention with the scores of [AdditiveScores]: for the
// queries [rows, A] of each sequence and its keys [rows, A], and values [rows, D]
// that lie as the keys do
//
//	w    = softmax(scores)     in lanes, see the package comment
//	y[i] = Σ_j w[i][j] values[j]    a chain in ascending j
//
// w is the weights [queries, keys] of one sequence after the other. Without y the
// weights are all. A query without a key gets a zero context.
func AdditiveAttention[F Float](a, d int, sequences []AttentionRows, q, k, v, values, w, y []F) {
	scores := checkAdditiveAttention("AdditiveAttention", a, d, sequences, len(q), len(k), len(v), len(values), len(w), len(y))
	if y != nil {
		count(scores, 1, d)
	}
	if native[F]() {
		additiveAttentions.parallel(len(sequences), scores*(a+d/multiplyAddsPerNanosecond), additiveAttention{
			a: a, d: d, sequences: sequences, q: ptr(q), k: ptr(k), v: ptr(v), values: ptr(values), w: ptr(w), y: ptr(y),
		})
		return
	}
	for _, r := range sequences {
		m, n, query, key := r.ints()
		AdditiveScores(m, n, a, q[query*a:], k[key*a:], v, w, n)
		SoftmaxRows(m, n, w, n, nil)
		if y != nil {
			gemmReference(false, false, m, d, n, w, n, values[key*d:], d, y[query*d:], d, nil, false)
		}
		w = w[m*n:]
	}
}

// AdditiveAttentionBackward adds what the gradient dy of y implies for the
// weights w of [AdditiveAttention] to dvalues, unless it is nil, and to dq, dk
// and dv, unless all are nil: sequence after sequence
//
//	dvalues[j] += w[i][j] dy[i]                       a chain in ascending i
//	dw[i][j] = Σ_p dy[i][p] values[j][p]              a chain in ascending p
//	ds[i][j] = w[i][j] * (dw[i][j] - Σ_l w[i][l] dw[i][l])    in lanes
//
// and then as [AdditiveScoresBackward]. ds is as long as w; what it holds is lost.
// transposed is nil or, for who calls often with the same values, each sequence's
// values transposed, [d, keys], one after the other.
func AdditiveAttentionBackward[F Float](a, d int, sequences []AttentionRows, q, k, v, values, transposed, w, dy, ds, dq, dk, dv, dvalues []F) {
	const op = "AdditiveAttentionBackward"
	scores := checkAdditiveAttention(op, a, d, sequences, len(q), len(k), len(v), len(values), len(w), len(dy))
	if dvalues != nil {
		_, keys := extent(sequences)
		checkLength(op, "dvalues", len(dvalues), keys*d)
		count(scores, 1, d)
	}
	if dv != nil {
		checkLength(op, "ds", len(ds), scores)
		queries, keys := extent(sequences)
		checkLength(op, "dq", len(dq), queries*a)
		checkLength(op, "dk", len(dk), keys*a)
		checkLength(op, "dv", len(dv), a)
		count(scores, 1, d)
	} else {
		ds = nil
	}
	if transposed != nil {
		checkLength(op, "transposed", len(transposed), keysOf(sequences)*d)
	}
	if native[F]() {
		b := additiveAttentionBackward{
			d: d, sequences: sequences, values: ptr(values), transposed: ptr(transposed), w: ptr(w), dy: ptr(dy), dvalues: ptr(dvalues), ds: ptr(ds),
		}
		gradients := additiveGradient{
			a: a, sequences: sequences, q: ptr(q), k: ptr(k), v: ptr(v), ds: ptr(ds), dq: ptr(dq), dk: ptr(dk), dv: ptr(dv),
		}
		nanoseconds := 2 * scores * d / multiplyAddsPerNanosecond
		switch {
		case dv != nil && Threads() == 1: // else the sequences would add to dv at once
			b.gradients = gradients
			alone(len(sequences), nanoseconds+scores*a, b)
			return
		case apart(sequences):
			additiveAttentionBackwards.parallel(len(sequences), nanoseconds, b)
		default:
			b.Range(0, len(sequences))
		}
		if dv != nil {
			additiveGradients.parallel(units(a, unitColumns), scores*a, gradients)
		}
		return
	}
	for _, r := range sequences {
		m, n, query, key := r.ints()
		if dvalues != nil {
			gemmReference(true, false, n, d, m, w, n, dy[query*d:], d, dvalues[key*d:], d, nil, true)
		}
		if dv != nil {
			gemmReference(false, true, m, n, d, dy[query*d:], d, values[key*d:], d, ds, n, nil, false)
			SoftmaxRowsBackward(m, n, ds, w, ds, n, 1)
			AdditiveScoresBackward(m, n, a, q[query*a:], k[key*a:], v, ds, n, dq[query*a:], dk[key*a:], dv)
		}
		w = w[m*n:]
	}
}

var (
	additiveAttentions         calls[additiveAttention]
	additiveAttentionBackwards calls[additiveAttentionBackward]
	additiveGradients          calls[additiveGradient]
)

type additiveAttention struct {
	a, d                  int
	sequences             []AttentionRows
	q, k, v, values, w, y *C.float
}

// Range computes sequences.
func (x additiveAttention) Range(from, to int) {
	if from == to {
		return
	}
	C.exp_additive_attention(C.int64_t(x.a), C.int64_t(x.d), C.int64_t(to-from), attentionRows(x.sequences[from:]), x.q, x.k, x.v, x.values,
		at(x.w, ScoresOf(x.sequences[:from])), x.y)
}

type additiveAttentionBackward struct {
	d                                      int
	sequences                              []AttentionRows
	values, transposed, w, dy, dvalues, ds *C.float
	gradients                              additiveGradient // zero: the gradients of the scores alone
}

// Range computes sequences.
func (x additiveAttentionBackward) Range(from, to int) {
	if from == to {
		return
	}
	first, keys := ScoresOf(x.sequences[:from]), keysOf(x.sequences[:from])
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	g := &x.gradients
	C.exp_additive_attention_backward(C.int64_t(g.a), C.int64_t(x.d), C.int64_t(to-from), attentionRows(x.sequences[from:]), g.q, g.k, g.v, x.values,
		at(x.transposed, keys*x.d), at(x.w, first), x.dy, at(x.ds, first), g.dq, g.dk, g.dv, x.dvalues, &s[0])
}

// keysOf is how many keys the sequences have together.
func keysOf(sequences []AttentionRows) int {
	n := 0
	for _, r := range sequences {
		n += int(r.Keys)
	}
	return n
}

type additiveGradient struct {
	a                       int
	sequences               []AttentionRows
	q, k, v, ds, dq, dk, dv *C.float
}

// Range computes units of columns of the gradients.
func (x additiveGradient) Range(from, to int) {
	from, to = from*unitColumns, min(to*unitColumns, x.a)
	C.exp_additive_gradients(C.int64_t(to-from), C.int64_t(x.a), C.int64_t(len(x.sequences)), attentionRows(x.sequences),
		at(x.q, from), at(x.k, from), at(x.v, from), x.ds, at(x.dq, from), at(x.dk, from), at(x.dv, from))
}

// checkAdditiveAttention panics unless the sequences lie within their matrices,
// and returns how many scores they have.
func checkAdditiveAttention(op string, a, d int, sequences []AttentionRows, lenQ, lenK, lenV, lenValues, lenW, lenY int) int {
	checkSequences(op, sequences, math.MaxInt32)
	queries, keys := extent(sequences)
	checkAdditive(op, queries, keys, a, lenQ, lenK, lenV)
	checkLength(op, "values", lenValues, keys*d)
	if lenY > 0 {
		checkLength(op, "y", lenY, queries*d)
	}
	checkLength(op, "w", lenW, ScoresOf(sequences))
	return ScoresOf(sequences)
}

func checkAdditive(op string, t, s, a, lenQ, lenK, lenV int) {
	checkSizes(op, t, a)
	checkSizes(op, s, a)
	checkLength(op, "q", lenQ, t*a)
	checkLength(op, "k", lenK, s*a)
	checkLength(op, "v", lenV, a)
}
