package attention

import (
	"errors"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Options is what all attentions have.
type Options struct {
	Temperature  float64 `toml:"temperature" doc:"divides the scores before the softmax"`
	Coverage     bool    `toml:"coverage" doc:"the score has a term in the coverage, the sum of the weights of the queries before (See et al. 2017)"`
	CoverageLoss float64 `toml:"coverage_loss" doc:"weight of the coverage loss, of an attention with coverage; 0: none"`
}

func defaults() Options { return Options{Temperature: 1, CoverageLoss: 1} }

const (
	coverageDoc = " With coverage, u c is added to the score, c being the sum of the weights of the queries before, " +
		"each head's by itself, and u a learned number of each head that starts at zero (See et al. 2017 have c in the tanh of additive attention)." + lossDoc
	lossDoc = " Its loss is Σ min(weights, c) over the source (equation 12), the mean over the heads, added to each target token's cross-entropy; " +
		"layers that have an attention each add up."
)

// Validate reports every value out of range.
func (o Options) Validate() error {
	return errors.Join(registry.Positive("temperature", o.Temperature), registry.AtLeast("coverage_loss", o.CoverageLoss, 0))
}

// prepare adds to m the coverage before the first query, where there is one.
func (o Options) prepare(t *autodiff.Tape, m components.Prepared, heads int) components.Prepared {
	if !o.Coverage {
		return m
	}
	m.Coverage = t.Zero(m.Spans.Batch(), heads, m.Spans.Longest())
	if o.CoverageLoss > 0 {
		m.CoverageLoss = t.Zero(1)
	}
	return m
}

// covered is the coverage of m as an operation wants it.
func (o Options) covered(m *components.Prepared) autodiff.Coverage {
	return autodiff.Coverage{Sum: m.Coverage, Loss: m.CoverageLoss, LossWeight: o.CoverageLoss, Temperature: o.Temperature}
}

// product is all attention whose score is a product of the query and a key.
type product struct {
	Options
	heads autodiff.Heads
	u     *autodiff.Var // [N], nil without coverage
}

func newProduct(o Options, p *autodiff.Params, heads autodiff.Heads) product {
	a := product{Options: o, heads: heads}
	if o.Coverage {
		a.u = p.New("coverage", nn.Zeros(), heads.Num)
	}
	return a
}

// attend scores, weighs and sums.
func (a *product) attend(t *autodiff.Tape, q, k, v autodiff.Columns, queries autodiff.Spans, m *components.Prepared) (context, weights *autodiff.Var) {
	if !a.Coverage && !m.WeightsTakeGradient {
		warm := a.heads
		warm.Scale /= a.Temperature
		return autodiff.ScaledDotProduct(t, q, k, v, queries, m.Spans, warm)
	}
	weights = autodiff.DotScores(t, q, k, queries, m.Spans, a.heads)
	if a.Coverage {
		m.Coverage = autodiff.CoverSoftmax(t, weights, a.u, a.heads.Scale, queries, m.Spans, a.covered(m))
	} else {
		autodiff.SoftmaxKeys(t, weights, queries, m.Spans, a.heads.Scale/a.Temperature, false)
	}
	return autodiff.WeightedSum(t, weights, v, queries, m.Spans, q.Var.Rows(), a.heads.ValueSize), wanted(t, weights, m)
}

// wanted is weights where anyone wants them.
func wanted(t *autodiff.Tape, weights *autodiff.Var, m *components.Prepared) *autodiff.Var {
	if t.KeepsWeights() || m.WeightsTakeGradient {
		return weights
	}
	return nil
}
