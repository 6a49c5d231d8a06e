// Package attention has the ways in which a decoder looks at the encoder's
// memory, each for any decoder: of each sequence the queries q [T, Q], the memory
// m [S, M], and
//
//	weights = softmax over s of score(q_t, m_s) / temperature    [N, T, S]
//	context = Σ_s weights_s m_s                                  [T, M]
//
// They differ in the score; multihead projects the values too. What depends on
// the memory alone is computed once a batch, in Prepare. [Options] are what all of
// them have.
package attention

import (
	"errors"
	"math"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Register enters this package's attentions.
func Register(c *components.Catalog) {
	registry.Add(&c.Attentions, "none", NoneOptions{}, NewNone)
	registry.Add(&c.Attentions, "dot", DotOptions{defaults()}, NewDot)
	registry.Add(&c.Attentions, "scaled_dot", ScaledDotOptions{defaults()}, NewScaledDot)
	registry.Add(&c.Attentions, "general", GeneralOptions{defaults()}, NewGeneral)
	registry.Add(&c.Attentions, "additive", AdditiveOptions{Options: defaults(), AttentionSize: 128}, NewAdditive)
	registry.Add(&c.Attentions, "multihead", MultiheadOptions{Options: defaults(), NumHeads: 4}, NewMultihead)
}

// NoneOptions configures the absence of attention.
type NoneOptions struct{}

// Doc describes the component.
func (NoneOptions) Doc() string {
	return "No attention: all that the decoder knows of the source is the first state that the bridge makes of the memory."
}

// Validate finds nothing.
func (NoneOptions) Validate() error { return nil }

// NewNone returns nil, which decoders take for no attention.
func NewNone(NoneOptions, components.AttentionDeps) (components.Attention, error) { return nil, nil }

// DotOptions configures dot attention.
type DotOptions struct{ Options }

// Doc describes the component.
func (DotOptions) Doc() string {
	return "Dot product (Luong et al. 2015): score = q·m. Where the sizes differ the memory is projected to the query's size for the score, which makes it general attention." + coverageDoc
}

// NewDot builds dot attention.
func NewDot(o DotOptions, d components.AttentionDeps) (components.Attention, error) {
	return newDot(o.Options, d, 1, d.QuerySize != d.MemorySize), nil
}

// ScaledDotOptions configures scaled dot attention.
type ScaledDotOptions struct{ Options }

// Doc describes the component.
func (ScaledDotOptions) Doc() string {
	return "Scaled dot product (Vaswani et al. 2017, equation 1, with one head and no projections): score = q·m / √Q. Where the sizes differ the memory is projected to the query's size for the score." + coverageDoc
}

// NewScaledDot builds scaled dot attention.
func NewScaledDot(o ScaledDotOptions, d components.AttentionDeps) (components.Attention, error) {
	return newDot(o.Options, d, 1/math.Sqrt(float64(d.QuerySize)), d.QuerySize != d.MemorySize), nil
}

// GeneralOptions configures general attention.
type GeneralOptions struct{ Options }

// Doc describes the component.
func (GeneralOptions) Doc() string {
	return "General, or bilinear (Luong et al. 2015, equation 8): score = qᵀ W m, without a bias. " +
		"The keys W m are computed once a batch, so a step of decoding costs what dot attention's does." + coverageDoc
}

// NewGeneral builds general attention. W is [Q, M], and Prepare multiplies it
// with the memory: keys = m Wᵀ [Σ S, Q]. So a step has no product with W, and
// the teacher-forced pass has one of Σ S rows where the projection of the
// queries would have Σ T.
func NewGeneral(o GeneralOptions, d components.AttentionDeps) (components.Attention, error) {
	return newDot(o.Options, d, 1, true), nil
}

// dot is all attention with one head whose score is a product of the query and a
// key.
type dot struct {
	product
	key nn.Linear // [Q, M]; Weight nil: the memory is the key
}

func newDot(o Options, d components.AttentionDeps, scale float64, project bool) *dot {
	a := &dot{product: newProduct(o, d.Params, autodiff.Heads{Num: 1, KeySize: d.QuerySize, ValueSize: d.MemorySize, Scale: scale})}
	if project {
		a.key = nn.NewProjection(d.Params, "key", d.MemorySize, d.QuerySize)
	}
	return a
}

// ContextSize is M.
func (a *dot) ContextSize() int { return a.heads.ValueSize }

// Prepare projects the memory to keys.
func (a *dot) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	keys := m.States
	if a.key.Weight != nil {
		keys = a.key.Forward(t, keys)
	}
	return a.prepare(t, components.Prepared{Keys: keys, Values: m.States, Spans: m.Spans}, 1)
}

// Attend scores, weighs and sums.
func (a *dot) Attend(t *autodiff.Tape, query *autodiff.Var, queries autodiff.Spans, m *components.Prepared) (context, weights *autodiff.Var) {
	return a.attend(t, autodiff.Columns{Var: query}, autodiff.Columns{Var: m.Keys}, autodiff.Columns{Var: m.Values}, queries, m)
}

// AdditiveOptions configures additive attention.
type AdditiveOptions struct {
	Options
	AttentionSize int `toml:"attention_size" doc:"size A of the hidden layer that scores"`
}

// Doc describes the component.
func (AdditiveOptions) Doc() string {
	return "Additive (Bahdanau et al. 2015): score = v·tanh(W q + U m), without biases. The query is the decoder's output of the same step, as in Luong et al. 2015; the paper uses the state before it. " +
		"With coverage, score = v·tanh(W q + U m + c u) for a learned vector u (See et al. 2017, equation 11), c being the sum of the weights of the queries before; u starts at zero." + lossDoc
}

// Validate reports every value out of range.
func (o AdditiveOptions) Validate() error {
	return errors.Join(o.Options.Validate(), registry.AtLeast("attention_size", o.AttentionSize, 1))
}

type additive struct {
	Options
	query, key nn.Linear     // [A, Q], [A, M]
	v          *autodiff.Var // [A]
	u          *autodiff.Var // [A], nil without coverage
	memory     int
}

// NewAdditive builds additive attention.
func NewAdditive(o AdditiveOptions, d components.AttentionDeps) (components.Attention, error) {
	a := &additive{
		Options: o.Options,
		query:   nn.NewProjection(d.Params, "query", d.QuerySize, o.AttentionSize),
		key:     nn.NewProjection(d.Params, "key", d.MemorySize, o.AttentionSize),
		v:       d.Params.New("v", nn.Uniform(1/math.Sqrt(float64(o.AttentionSize))), o.AttentionSize),
		memory:  d.MemorySize,
	}
	if o.Coverage {
		a.u = d.Params.New("coverage", nn.Zeros(), o.AttentionSize)
	}
	return a, nil
}

// ContextSize is M.
func (a *additive) ContextSize() int { return a.memory }

// Prepare computes U m, and its terms where no coverage is added to it first.
func (a *additive) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	keys := a.key.Forward(t, m.States)
	if !a.Coverage {
		autodiff.AdditiveTerms(t, keys)
	}
	return a.prepare(t, components.Prepared{Keys: keys, Values: m.States, Spans: m.Spans}, 1)
}

// Attend scores, weighs and sums.
func (a *additive) Attend(t *autodiff.Tape, query *autodiff.Var, queries autodiff.Spans, m *components.Prepared) (context, weights *autodiff.Var) {
	q := a.query.Forward(t, query)
	autodiff.AdditiveTerms(t, q)
	switch {
	case a.Coverage:
		weights, m.Coverage = autodiff.CoverAdditive(t, q, m.Keys, a.v, a.u, queries, m.Spans, a.covered(m))
	case m.WeightsTakeGradient:
		weights = autodiff.AdditiveScores(t, q, m.Keys, a.v, queries, m.Spans)
		autodiff.SoftmaxKeys(t, weights, queries, m.Spans, 1/a.Temperature, false)
	default:
		v := a.v
		if a.Temperature != 1 {
			v = autodiff.Scale(t, v, 1/a.Temperature)
		}
		return autodiff.AdditiveAttention(t, q, m.Keys, v, m.Values, queries, m.Spans)
	}
	return autodiff.WeightedSum(t, weights, autodiff.Columns{Var: m.Values}, queries, m.Spans, query.Rows(), a.memory), wanted(t, weights, m)
}

// MultiheadOptions configures multi-head attention.
type MultiheadOptions struct {
	Options
	NumHeads int `toml:"num_heads" doc:"heads N, which share the query's size evenly"`
}

// Doc describes the component.
func (MultiheadOptions) Doc() string {
	return "Multi-head (Vaswani et al. 2017, section 3.2.2): N scaled dot products of projected queries, keys and values, joined and projected. The heads share the query's size." + coverageDoc
}

// Validate reports every value out of range.
func (o MultiheadOptions) Validate() error {
	return errors.Join(o.Options.Validate(), registry.AtLeast("num_heads", o.NumHeads, 1))
}

type multihead struct {
	nn.CrossAttention
	product
	size int
}

// NewMultihead builds multi-head attention. An error says that the heads cannot
// share the query's size.
func NewMultihead(o MultiheadOptions, d components.AttentionDeps) (components.Attention, error) {
	if err := nn.CheckHeads(o.NumHeads, d.QuerySize); err != nil {
		return nil, registry.Fault{Key: "num_heads", Problem: err.Error()}
	}
	a := nn.NewCrossAttention(d.Params, d.QuerySize, d.MemorySize, o.NumHeads)
	return &multihead{a, newProduct(o.Options, d.Params, a.HeadShapes()), d.QuerySize}, nil
}

// ContextSize is Q.
func (a *multihead) ContextSize() int { return a.size }

// Prepare projects the memory to keys and values.
func (a *multihead) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	return a.prepare(t, components.Prepared{Keys: a.Keys(t, m.States), Values: m.States, Spans: m.Spans}, a.heads.Num)
}

// Attend attends with every head.
func (a *multihead) Attend(t *autodiff.Tape, query *autodiff.Var, queries autodiff.Spans, m *components.Prepared) (context, weights *autodiff.Var) {
	context, weights = a.attend(t, autodiff.Columns{Var: a.Query.Forward(t, query)},
		autodiff.Columns{Var: m.Keys}, autodiff.Columns{Var: m.Keys, From: a.size}, queries, m)
	return a.Output.Forward(t, context), weights
}
