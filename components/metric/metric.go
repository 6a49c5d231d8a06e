// Package metric has the numbers that say how good a model is.
package metric

import (
	"math"
	"slices"

	"exp/components"
	"exp/registry"
)

// Register enters this package's metrics.
func Register(c *components.Catalog) {
	registry.Add(&c.Metrics, "loss", LossOptions{}, NewLoss)
	registry.Add(&c.Metrics, "perplexity", PerplexityOptions{}, NewPerplexity)
	registry.Add(&c.Metrics, "token_accuracy", TokenAccuracyOptions{}, NewTokenAccuracy)
	registry.Add(&c.Metrics, "exact_match", ExactMatchOptions{}, NewExactMatch)
}

// simple is a metric that one function computes.
type simple struct {
	decodes, higher bool
	score           func(*components.Outcome) float64
}

func (m simple) Decodes() bool                       { return m.decodes }
func (m simple) HigherIsBetter() bool                { return m.higher }
func (m simple) Score(o *components.Outcome) float64 { return m.score(o) }

// LossOptions configures the loss.
type LossOptions struct{}

// Doc describes the component.
func (LossOptions) Doc() string {
	return "Cross-entropy in nats a target token, the end of each target included, given the tokens before it (teacher forcing), without label smoothing."
}

// Validate finds nothing.
func (LossOptions) Validate() error { return nil }

// NewLoss builds the loss.
func NewLoss(LossOptions, components.MetricDeps) (components.Metric, error) {
	return simple{score: func(o *components.Outcome) float64 { return o.Loss / float64(o.Tokens) }}, nil
}

// PerplexityOptions configures the perplexity.
type PerplexityOptions struct{}

// Doc describes the component.
func (PerplexityOptions) Doc() string { return "e to the power of the loss." }

// Validate finds nothing.
func (PerplexityOptions) Validate() error { return nil }

// NewPerplexity builds the perplexity.
func NewPerplexity(PerplexityOptions, components.MetricDeps) (components.Metric, error) {
	return simple{score: func(o *components.Outcome) float64 { return math.Exp(o.Loss / float64(o.Tokens)) }}, nil
}

// TokenAccuracyOptions configures the token accuracy.
type TokenAccuracyOptions struct{}

// Doc describes the component.
func (TokenAccuracyOptions) Doc() string {
	return "Share of the target tokens, the end of each target included, that are the most probable given the tokens before them (teacher forcing)."
}

// Validate finds nothing.
func (TokenAccuracyOptions) Validate() error { return nil }

// NewTokenAccuracy builds the token accuracy.
func NewTokenAccuracy(TokenAccuracyOptions, components.MetricDeps) (components.Metric, error) {
	return simple{higher: true, score: func(o *components.Outcome) float64 { return float64(o.Correct) / float64(o.Tokens) }}, nil
}

// ExactMatchOptions configures the exact match.
type ExactMatchOptions struct{}

// Doc describes the component.
func (ExactMatchOptions) Doc() string {
	return "Share of the greedy hypotheses that equal the whole target."
}

// Validate finds nothing.
func (ExactMatchOptions) Validate() error { return nil }

// NewExactMatch builds the exact match.
func NewExactMatch(ExactMatchOptions, components.MetricDeps) (components.Metric, error) {
	return simple{decodes: true, higher: true, score: exactMatch}, nil
}

func exactMatch(o *components.Outcome) float64 {
	same := 0
	for i, h := range o.Hypotheses {
		if slices.Equal(h, o.References[i]) {
			same++
		}
	}
	return float64(same) / float64(len(o.References))
}
