// Package attention has the ways in which a decoder looks at the encoder's
// memory, each for any decoder: of each sequence the queries q [T, Q], the memory
// m [S, M], and
//
//	weights = softmax over s of score(q_t, m_s)    [N, T, S]
//	context = Σ_s weights_s m_s                    [T, M]
//
// They differ in the score; multihead projects the values too. What depends on
// the memory alone is computed once a batch, in Prepare.
package attention

import (
	"math"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Register enters this package's attentions.
func Register(c *components.Catalog) {
	registry.Add(&c.Attentions, "none", NoneOptions{}, NewNone)
	registry.Add(&c.Attentions, "dot", DotOptions{}, NewDot)
	registry.Add(&c.Attentions, "scaled_dot", ScaledDotOptions{}, NewScaledDot)
	registry.Add(&c.Attentions, "general", GeneralOptions{}, NewGeneral)
	registry.Add(&c.Attentions, "additive", AdditiveOptions{AttentionSize: 128}, NewAdditive)
	registry.Add(&c.Attentions, "multihead", MultiheadOptions{NumHeads: 4}, NewMultihead)
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
type DotOptions struct{}

// Doc describes the component.
func (DotOptions) Doc() string {
	return "Dot product (Luong et al. 2015): score = q·m. Where the sizes differ the memory is projected to the query's size for the score, which makes it general attention."
}

// Validate finds nothing.
func (DotOptions) Validate() error { return nil }

// NewDot builds dot attention.
func NewDot(_ DotOptions, d components.AttentionDeps) (components.Attention, error) {
	return newDot(d, 1, d.QuerySize != d.MemorySize), nil
}

// ScaledDotOptions configures scaled dot attention.
type ScaledDotOptions struct{}

// Doc describes the component.
func (ScaledDotOptions) Doc() string {
	return "Scaled dot product (Vaswani et al. 2017, equation 1, with one head and no projections): score = q·m / √Q. Where the sizes differ the memory is projected to the query's size for the score."
}

// Validate finds nothing.
func (ScaledDotOptions) Validate() error { return nil }

// NewScaledDot builds scaled dot attention.
func NewScaledDot(_ ScaledDotOptions, d components.AttentionDeps) (components.Attention, error) {
	return newDot(d, 1/math.Sqrt(float64(d.QuerySize)), d.QuerySize != d.MemorySize), nil
}

// GeneralOptions configures general attention.
type GeneralOptions struct{}

// Doc describes the component.
func (GeneralOptions) Doc() string {
	return "General, or bilinear (Luong et al. 2015, equation 8): score = qᵀ W m, without a bias. " +
		"The keys W m are computed once a batch, so a step of decoding costs what dot attention's does."
}

// Validate finds nothing.
func (GeneralOptions) Validate() error { return nil }

// NewGeneral builds general attention. W is [Q, M], and Prepare multiplies it
// with the memory: keys = m Wᵀ [Σ S, Q]. So a step has no product with W, and
// the teacher-forced pass has one of Σ S rows where the projection of the
// queries would have Σ T.
func NewGeneral(_ GeneralOptions, d components.AttentionDeps) (components.Attention, error) {
	return newDot(d, 1, true), nil
}

// dot is all attention whose score is a product of the query and a key.
type dot struct {
	key           nn.Linear // [Q, M]; Weight nil: the memory is the key
	scale         float64
	query, memory int
}

func newDot(d components.AttentionDeps, scale float64, project bool) *dot {
	a := &dot{scale: scale, query: d.QuerySize, memory: d.MemorySize}
	if project {
		a.key = nn.NewProjection(d.Params, "key", d.MemorySize, d.QuerySize)
	}
	return a
}

// ContextSize is M.
func (a *dot) ContextSize() int { return a.memory }

// Prepare projects the memory to keys.
func (a *dot) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	keys := m.States
	if a.key.Weight != nil {
		keys = a.key.Forward(t, keys)
	}
	return components.Prepared{Keys: keys, Values: m.States, Spans: m.Spans}
}

// Attend scores, weighs and sums.
func (a *dot) Attend(t *autodiff.Tape, query *autodiff.Var, queries autodiff.Spans, m components.Prepared) (context, weights *autodiff.Var) {
	return autodiff.ScaledDotProduct(t, autodiff.Columns{Var: query}, autodiff.Columns{Var: m.Keys}, autodiff.Columns{Var: m.Values},
		queries, m.Spans, autodiff.Heads{Num: 1, KeySize: a.query, ValueSize: a.memory, Scale: a.scale})
}

// AdditiveOptions configures additive attention.
type AdditiveOptions struct {
	AttentionSize int `toml:"attention_size" doc:"size A of the hidden layer that scores"`
}

// Doc describes the component.
func (AdditiveOptions) Doc() string {
	return "Additive (Bahdanau et al. 2015): score = v·tanh(W q + U m), without biases. The query is the decoder's output of the same step, as in Luong et al. 2015; the paper uses the state before it."
}

// Validate reports every value out of range.
func (o AdditiveOptions) Validate() error {
	return registry.AtLeast("attention_size", o.AttentionSize, 1)
}

type additive struct {
	query, key nn.Linear     // [A, Q], [A, M]
	v          *autodiff.Var // [A]
	memory     int
}

// NewAdditive builds additive attention.
func NewAdditive(o AdditiveOptions, d components.AttentionDeps) (components.Attention, error) {
	return &additive{
		query:  nn.NewProjection(d.Params, "query", d.QuerySize, o.AttentionSize),
		key:    nn.NewProjection(d.Params, "key", d.MemorySize, o.AttentionSize),
		v:      d.Params.New("v", nn.Uniform(1/math.Sqrt(float64(o.AttentionSize))), o.AttentionSize),
		memory: d.MemorySize,
	}, nil
}

// ContextSize is M.
func (a *additive) ContextSize() int { return a.memory }

// Prepare computes U m.
func (a *additive) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	return components.Prepared{Keys: a.key.Forward(t, m.States), Values: m.States, Spans: m.Spans}
}

// Attend scores, weighs and sums.
func (a *additive) Attend(t *autodiff.Tape, query *autodiff.Var, queries autodiff.Spans, m components.Prepared) (context, weights *autodiff.Var) {
	return autodiff.AdditiveAttention(t, a.query.Forward(t, query), m.Keys, a.v, m.Values, queries, m.Spans)
}

// MultiheadOptions configures multi-head attention.
type MultiheadOptions struct {
	NumHeads int `toml:"num_heads" doc:"heads N, which share the query's size evenly"`
}

// Doc describes the component.
func (MultiheadOptions) Doc() string {
	return "Multi-head (Vaswani et al. 2017, section 3.2.2): N scaled dot products of projected queries, keys and values, joined and projected. The heads share the query's size."
}

// Validate reports every value out of range.
func (o MultiheadOptions) Validate() error { return registry.AtLeast("num_heads", o.NumHeads, 1) }

type multihead struct {
	nn.CrossAttention
	size int
}

// NewMultihead builds multi-head attention. An error says that the heads cannot
// share the query's size.
func NewMultihead(o MultiheadOptions, d components.AttentionDeps) (components.Attention, error) {
	if err := nn.CheckHeads(o.NumHeads, d.QuerySize); err != nil {
		return nil, registry.Fault{Key: "num_heads", Problem: err.Error()}
	}
	return &multihead{nn.NewCrossAttention(d.Params, d.QuerySize, d.MemorySize, o.NumHeads), d.QuerySize}, nil
}

// ContextSize is Q.
func (a *multihead) ContextSize() int { return a.size }

// Prepare projects the memory to keys and values.
func (a *multihead) Prepare(t *autodiff.Tape, m components.Memory) components.Prepared {
	return components.Prepared{Keys: a.Keys(t, m.States), Values: m.States, Spans: m.Spans}
}

// Attend attends with every head.
func (a *multihead) Attend(t *autodiff.Tape, query *autodiff.Var, queries autodiff.Spans, m components.Prepared) (context, weights *autodiff.Var) {
	return a.Forward(t, query, m.Keys, queries, m.Spans)
}
