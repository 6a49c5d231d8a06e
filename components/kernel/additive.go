package kernel

/*
#cgo noescape exp_additive_scores
#cgo nocallback exp_additive_scores
#cgo noescape exp_additive_scores_backward
#cgo nocallback exp_additive_scores_backward
#include "additive.h"
*/
import "C"

// AdditiveScores scores t queries against s keys of size a (Bahdanau et al.
// 2015, A.1.2): for q [t, a], k [s, a], v [a], and i < t, j < s
//
//	scores[i*ld+j] = sum over x < a of fma(v[x], tanh(q[i][x] + k[j][x]), ·)
//
// in lanes, see the package comment. scores must not overlap the others.
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
	for i := range t {
		for j := range s {
			var l lanes[F]
			for x := range a {
				l[x%numLanes] = fma(v[x], tanh(q[i*a+x]+k[j*a+x]), l[x%numLanes])
			}
			scores[i*ld+j] = l.join()
		}
	}
}

// AdditiveScoresBackward accumulates the gradients of AdditiveScores, dScores
// being that of the scores, in dq [t, a], dk [s, a] and dv [a]: for i < t and
// j < s in ascending order, where d = dScores[i*ld+j] is not 0 (it is for masked
// keys), and x < a
//
//	y = tanh(q[i][x] + k[j][x])
//	g = d*v[x] * (1 - y*y)    with the difference rounded once
//	dv[x] = fma(d, y, dv[x]);  dq[i][x] += g;  dk[j][x] += g
//
// dq, dk and dv must not overlap each other or the operands.
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
	for i := range t {
		for j := range s {
			d := dScores[i*ld+j]
			if d == 0 {
				continue
			}
			for x := range a {
				y := tanh(q[i*a+x] + k[j*a+x])
				g := F(F(d*v[x]) * fma(-y, y, 1))
				dv[x] = fma(d, y, dv[x])
				dq[i*a+x] += g
				dk[j*a+x] += g
			}
		}
	}
}

func checkAdditive(op string, t, s, a, lenQ, lenK, lenV int) {
	checkSizes(op, t, a)
	checkSizes(op, s, a)
	checkLength(op, "q", lenQ, t*a)
	checkLength(op, "k", lenK, s*a)
	checkLength(op, "v", lenV, a)
}
