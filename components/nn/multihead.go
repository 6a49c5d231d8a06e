package nn

import (
	"fmt"
	"math"

	"exp/components/autodiff"
)

// CheckHeads says whether heads can share size columns between them, and names
// the nearest numbers of heads where they cannot.
func CheckHeads(heads, size int) error {
	if heads < 1 {
		return fmt.Errorf("must be at least 1, is %d", heads)
	}
	if size%heads == 0 {
		return nil
	}
	if heads > size {
		return fmt.Errorf("%d heads cannot share a size of %d; at most %d can", heads, size, size)
	}
	below, above := heads-1, heads+1
	for size%below != 0 {
		below--
	}
	for size%above != 0 {
		above++
	}
	return fmt.Errorf("%d heads cannot share a size of %d evenly; nearest: %d, %d", heads, size, below, above)
}

// SelfAttention is multi-head attention of a sequence to itself (Vaswani et al.
// 2017, section 3.2.2), its query, key and value made by one product.
type SelfAttention struct {
	Input  Linear // [3D, D]: query, key and value, one above the other
	Output Linear // [D, D]
	Heads  int

	Rotary   *Sinusoids // of a head's size: queries and keys are turned by their positions; nil: they are not
	Relative *Relative  // nil without
}

// Relative is what self-attention has learned of distances (Shaw et al. 2018): a
// vector each that is added to the keys and to the values, for all heads.
type Relative struct {
	Keys, Values *autodiff.Var // [R, head size]
	Distances    autodiff.Distances
}

// NewRelative adds the vectors of distances up to limit, of both directions or,
// for causal self-attention, of those behind alone. They start as the rows of a
// Xavier matrix do.
func NewRelative(p *autodiff.Params, limit, size int, causal bool) *Relative {
	d := autodiff.Distances{Behind: limit, Ahead: limit}
	if causal {
		d.Ahead = 0
	}
	return &Relative{
		Keys:      p.New("relative_key", Xavier(1), d.Rows(), size),
		Values:    p.New("relative_value", Xavier(1), d.Rows(), size),
		Distances: d,
	}
}

// NewSelfAttention adds self-attention of model size D.
func NewSelfAttention(p *autodiff.Params, name string, size, heads int) SelfAttention {
	p = p.Scope(name)
	return SelfAttention{
		Input:  newAttentionLinear(p, "input", size, size, 3),
		Output: newAttentionLinear(p, "output", size, size, 1),
		Heads:  heads,
	}
}

// newAttentionLinear starts as PyTorch's attention does: Xavier weights, zero biases.
func newAttentionLinear(p *autodiff.Params, name string, in, out, blocks int) Linear {
	p = p.Scope(name)
	return Linear{Weight: p.New("weight", Xavier(blocks), blocks*out, in), Bias: p.New("bias", Zeros(), blocks*out)}
}

func (a SelfAttention) heads(size int, causal bool) autodiff.Heads {
	head := size / a.Heads
	return autodiff.Heads{Num: a.Heads, KeySize: head, ValueSize: head, Scale: 1 / math.Sqrt(float64(head)), Causal: causal}
}

// Forward maps the sequences in x [Σ lengths, D] to [Σ lengths, D] and the
// weights [B, N, T, T] of the longest. queries is the rows that look, and keys
// those that are seen, mostly the same.
func (a SelfAttention) Forward(t *autodiff.Tape, x *autodiff.Var, queries, keys autodiff.Spans, causal bool) (y, weights *autodiff.Var) {
	all := a.project(t, x, queries, 0)
	columns := func(i int) autodiff.Columns { return autodiff.Columns{Var: all, From: i * x.Dim(1)} }
	return a.attend(t, columns(0), columns(1), columns(2), queries, keys, a.heads(x.Dim(1), causal), 0)
}

// Step maps the next step x [B, D] of sequences of one row each to [B, D], given
// the steps before it, whose keys and values are in cache, and adds x to them. It
// is for decoding: it records no gradient.
func (a SelfAttention) Step(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, cache *autodiff.Cache) *autodiff.Var {
	size, step := x.Dim(1), cache.Longest()
	all := a.project(t, x, spans, step)
	cache.Append(t, autodiff.Columns{Var: all, From: size}, 2*size)
	y, _ := a.attend(t, autodiff.Columns{Var: all}, autodiff.Columns{Var: cache.Values}, autodiff.Columns{Var: cache.Values, From: size},
		spans, cache.Spans, a.heads(size, false), step)
	return y
}

// project returns query, key and value side by side, those of each sequence at the
// positions from, from+1, ...
func (a SelfAttention) project(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, from int) *autodiff.Var {
	all := a.Input.Forward(t, x)
	if a.Rotary != nil {
		autodiff.Rotate(t, autodiff.Columns{Var: all}, 2*a.Heads, a.Rotary.Steps(t, from, spans.Longest()), spans, 0)
	}
	return all
}

// attend is what follows the projection; the first query of each sequence is at
// position from.
func (a SelfAttention) attend(t *autodiff.Tape, q, k, v autodiff.Columns, queries, keys autodiff.Spans, h autodiff.Heads, from int) (y, weights *autodiff.Var) {
	if a.Relative == nil {
		y, weights = autodiff.ScaledDotProduct(t, q, k, v, queries, keys, h)
		return a.Output.Forward(t, y), weights
	}
	distances := a.Relative.Distances
	distances.From = from
	weights = autodiff.DotScores(t, q, k, queries, keys, h)
	autodiff.AddRelativeScores(t, weights, q, a.Relative.Keys, queries, keys, distances)
	autodiff.SoftmaxKeys(t, weights, queries, keys, h.Scale, h.Causal)
	y = autodiff.WeightedSum(t, weights, v, queries, keys, q.Var.Rows(), h.ValueSize)
	autodiff.AddRelativeValues(t, y, weights, a.Relative.Values, queries, keys, distances)
	return a.Output.Forward(t, y), weights
}

// CrossAttention is multi-head attention of a query to a memory of another
// sequence (Vaswani et al. 2017, section 3.2.2).
type CrossAttention struct {
	Query    Linear // [D, Q]
	KeyValue Linear // [2D, M]: key and value, one above the other
	Output   Linear // [Q, D]
	Heads    int
}

// NewCrossAttention adds attention of queries of querySize Q to a memory of
// memorySize M; the width D that the heads share is Q.
func NewCrossAttention(p *autodiff.Params, querySize, memorySize, heads int) CrossAttention {
	return CrossAttention{
		Query:    newAttentionLinear(p, "query", querySize, querySize, 1),
		KeyValue: newAttentionLinear(p, "key_value", memorySize, querySize, 2),
		Output:   newAttentionLinear(p, "output", querySize, querySize, 1),
		Heads:    heads,
	}
}

// Keys projects the memory [Σ S, M] to keys and values side by side [Σ S, 2D].
func (a CrossAttention) Keys(t *autodiff.Tape, memory *autodiff.Var) *autodiff.Var {
	return a.KeyValue.Forward(t, memory)
}

// HeadShapes says how the heads lie in query and keys.
func (a CrossAttention) HeadShapes() autodiff.Heads {
	size := a.Query.Weight.Dim(0)
	head := size / a.Heads
	return autodiff.Heads{Num: a.Heads, KeySize: head, ValueSize: head, Scale: 1 / math.Sqrt(float64(head))}
}
