package kernel

/*
#cgo noescape exp_attention
#cgo nocallback exp_attention
#cgo noescape exp_attention_backward
#cgo nocallback exp_attention_backward
#cgo noescape exp_attention_scratch
#cgo nocallback exp_attention_scratch
#include "attention.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// AttentionShape is what the sequences of an attention have in common: N heads,
// whose queries, keys and values lie side by side in the rows of q, k and v.
type AttentionShape struct {
	Heads     int     // N
	KeySize   int     // K, of one head's query and key
	ValueSize int     // of one head's value
	LdQ       int     // from one query to the next
	LdK, LdV  int     // from one key, one value to the next
	LdY       int     // from one context to the next
	Scale     float64 // of the scores
	Causal    bool    // query t sees keys 0..t only
	MaxKeys   int     // of a sequence
}

// AttentionRows is where the queries and the keys of a sequence lie: the first
// row of each, and how many.
type AttentionRows struct{ Query, Queries, Key, Keys int32 }

// ints is how many queries and keys a sequence has, and the first of each.
func (r AttentionRows) ints() (queries, keys, query, key int) {
	return int(r.Queries), int(r.Keys), int(r.Query), int(r.Key)
}

// ScoresOf is how many scores the sequences have in a head.
func ScoresOf(sequences []AttentionRows) int {
	n := 0
	for _, r := range sequences {
		n += int(r.Queries) * int(r.Keys)
	}
	return n
}

// extent is how many rows of queries and of keys the sequences reach over.
func extent(sequences []AttentionRows) (queries, keys int) {
	for _, r := range sequences {
		queries, keys = max(queries, int(r.Query+r.Queries)), max(keys, int(r.Key+r.Keys))
	}
	return queries, keys
}

// checkSequences panics if a number is negative or a sequence has too many keys.
func checkSequences(op string, sequences []AttentionRows, maxKeys int) {
	for i, r := range sequences {
		if r.Query < 0 || r.Queries < 0 || r.Key < 0 || r.Keys < 0 || int(r.Keys) > maxKeys {
			panic(fmt.Sprintf("kernel: %s: sequence %d is %+v; want no negative number, and at most %d keys", op, i, r, maxKeys))
		}
	}
}

// attentionBlock is how many queries' scores are held at a time.
const attentionBlock = C.EXP_ATTENTION_BLOCK

// Scratch is how many elements [Attention] or, with backward,
// [AttentionBackward] works in.
func (s *AttentionShape) Scratch(backward bool) int {
	c := s.c()
	return int(C.exp_attention_scratch(&c, cBool(backward)))
}

func (s *AttentionShape) c() C.struct_exp_attention {
	return C.struct_exp_attention{
		heads: C.int64_t(s.Heads), key_size: C.int64_t(s.KeySize), value_size: C.int64_t(s.ValueSize),
		ld_q: C.int64_t(s.LdQ), ld_k: C.int64_t(s.LdK), ld_v: C.int64_t(s.LdV), ld_y: C.int64_t(s.LdY),
		causal: C.int64_t(cBool(s.Causal)), max_keys: C.int64_t(s.MaxKeys),
		scale: C.float(s.Scale),
	}
}

// visible is the number of keys that query i of a sequence sees.
func (s *AttentionShape) visible(r AttentionRows, i int) int {
	if !s.Causal {
		return int(r.Keys)
	}
	return min(int(r.Keys), i+1)
}

// Attention is scaled dot-product attention (Vaswani et al. 2017, equation 1) of
// the queries of each sequence to its keys, head by head: for query i that sees
// n keys
//
//	s[j] = Scale * Σ_p q[i][p] k[j][p]      a chain in ascending p
//	top  = max of s[0..n)
//	e[j] = exp(s[j] - top)
//	w[j] = e[j] * (1/sum of e)              in lanes, see the package comment
//	y[i] = Σ_j w[j] v[j]                    a chain in ascending j
//
// A query that sees no key gets zeros. y is overwritten. stats [rows of q, N, 2]
// keeps top and 1/sum for [AttentionBackward]: the weights are not kept.
// scratch is [s.Scratch(false)].
func Attention[F Float](s *AttentionShape, sequences []AttentionRows, q, k, v, y, stats, scratch []F) {
	s.check("Attention", sequences, len(q), len(k), len(v), len(y), len(stats), len(scratch), false)
	if len(sequences) == 0 {
		return
	}
	s.count(sequences, s.KeySize+s.ValueSize)
	if native[F]() {
		a := attention{shape: s.c(), sequences: sequences, q: ptr(q), k: ptr(k), v: ptr(v), y: ptr(y), stats: ptr(stats), scratch: ptr(scratch)}
		if s.Scratch(false) <= scratchSize {
			attentions.parallel(len(sequences), s.nanoseconds(sequences), a)
		} else {
			a.Range(0, len(sequences))
		}
		return
	}
	for _, r := range sequences {
		for n := range s.Heads {
			attentionReference(s, r, n, q, k, v, y, stats, scratch)
		}
	}
}

// AttentionBackward adds to dq, dk and dv, each unless it is nil, what the
// gradient dy of y implies. With the weights w computed again from the scores
// and stats, query after query
//
//	dv[j] += w[j] dy[i]
//	dw[j]  = Σ_p dy[i][p] v[j][p]
//	ds[j]  = Scale*w[j] * (dw[j] - Σ_l w[l] dw[l])    in lanes
//	dq[i] += Σ_j ds[j] k[j]
//	dk[j] += ds[j] q[i]
//
// dq, dk and dv lie as q, k and v do, and dy as y. Where the keys are the values,
// dk may be dv. scratch is [s.Scratch(true)].
func AttentionBackward[F Float](s *AttentionShape, sequences []AttentionRows, q, k, v, dy, stats, dq, dk, dv, scratch []F) {
	s.check("AttentionBackward", sequences, len(q), len(k), len(v), len(dy), len(stats), len(scratch), true)
	for _, d := range [...]struct {
		name      string
		got, want int
	}{{"dq", len(dq), len(q)}, {"dk", len(dk), len(k)}, {"dv", len(dv), len(v)}} {
		if d.got != 0 && d.got < d.want {
			panic(fmt.Sprintf("kernel: AttentionBackward: %s has %d elements, want %d, or none", d.name, d.got, d.want))
		}
	}
	if len(sequences) == 0 {
		return
	}
	s.count(sequences, s.ValueSize) // the scores have been counted
	if dq != nil {
		s.count(sequences, s.KeySize)
	}
	if dk != nil {
		s.count(sequences, s.KeySize)
	}
	if dv != nil {
		s.count(sequences, s.ValueSize)
	}
	if native[F]() {
		a := attention{
			shape: s.c(), sequences: sequences, backward: true,
			q: ptr(q), k: ptr(k), v: ptr(v), y: ptr(dy), stats: ptr(stats), dq: ptr(dq), dk: ptr(dk), dv: ptr(dv), scratch: ptr(scratch),
		}
		if apart(sequences) && s.Scratch(true) <= scratchSize {
			attentions.parallel(len(sequences), 2*s.nanoseconds(sequences), a)
		} else {
			a.Range(0, len(sequences))
		}
		return
	}
	for _, r := range sequences {
		for n := range s.Heads {
			attentionBackwardReference(s, r, n, q, k, v, dy, stats, dq, dk, dv, scratch)
		}
	}
}

var attentions calls[attention]

// attention is Attention, or AttentionBackward with y its dy.
type attention struct {
	shape      C.struct_exp_attention
	sequences  []AttentionRows
	backward   bool
	q, k, v, y *C.float
	stats      *C.float
	dq, dk, dv *C.float
	scratch    *C.float
}

// Range computes sequences. Fewer than all are computed beside others, and need
// scratch of their own.
func (a attention) Range(from, to int) {
	space, sequences := a.scratch, a.sequences[from:to]
	if len(sequences) < len(a.sequences) {
		s := scratchPool.Get().(*scratch)
		defer scratchPool.Put(s)
		space = &s[0]
	}
	if a.backward {
		C.exp_attention_backward(&a.shape, C.int64_t(len(sequences)), attentionRows(sequences), a.q, a.k, a.v, a.y, a.stats, a.dq, a.dk, a.dv, space)
	} else {
		C.exp_attention(&a.shape, C.int64_t(len(sequences)), attentionRows(sequences), a.q, a.k, a.v, a.y, a.stats, space)
	}
}

// nanoseconds is how long Attention takes on one core, about: its products, and
// an exponential a score.
func (s *AttentionShape) nanoseconds(sequences []AttentionRows) int {
	scores := ScoresOf(sequences) * s.Heads
	return scores + scores*(s.KeySize+s.ValueSize)/multiplyAddsPerNanosecond
}

// apart reports whether each sequence's rows come after those of the one before,
// so that gradients of several can be added to at once.
func apart(sequences []AttentionRows) bool {
	var query, key int32
	for _, r := range sequences {
		if r.Query < query || r.Key < key {
			return false
		}
		query, key = r.Query+r.Queries, r.Key+r.Keys
	}
	return true
}

// check panics unless the sequences lie within their matrices.
func (s *AttentionShape) check(op string, sequences []AttentionRows, q, k, v, y, stats, scratch int, backward bool) {
	checkSequences(op, sequences, s.MaxKeys)
	queries, keys := extent(sequences)
	checkMatrix(op, "q", false, queries, s.Heads*s.KeySize, s.LdQ, q)
	checkMatrix(op, "k", false, keys, s.Heads*s.KeySize, s.LdK, k)
	checkMatrix(op, "v", false, keys, s.Heads*s.ValueSize, s.LdV, v)
	checkMatrix(op, "y", false, queries, s.Heads*s.ValueSize, s.LdY, y)
	checkLength(op, "stats", stats, queries*s.Heads*2)
	checkLength(op, "scratch", scratch, s.Scratch(backward))
}

// count counts so many multiply-adds a score.
func (s *AttentionShape) count(sequences []AttentionRows, size int) {
	if !counting.Load() {
		return
	}
	for _, r := range sequences {
		for i := 0; i < int(r.Queries); i += attentionBlock {
			m := min(int(r.Queries)-i, attentionBlock)
			count(m*s.Heads, s.visible(r, i+m-1), size)
		}
	}
}

func attentionRows(x []AttentionRows) *C.struct_exp_attention_rows {
	return (*C.struct_exp_attention_rows)(unsafe.Pointer(unsafe.SliceData(x)))
}
