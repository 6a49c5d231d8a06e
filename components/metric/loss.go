package metric

import (
	"math"

	"exp/components"
)

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
	return simple{score: func(o *components.Outcome) float64 { return o.Loss() / float64(o.Tokens()) }}, nil
}

// PerplexityOptions configures the perplexity.
type PerplexityOptions struct{}

// Doc describes the component.
func (PerplexityOptions) Doc() string { return "e to the power of the loss." }

// Validate finds nothing.
func (PerplexityOptions) Validate() error { return nil }

// NewPerplexity builds the perplexity.
func NewPerplexity(PerplexityOptions, components.MetricDeps) (components.Metric, error) {
	return simple{score: func(o *components.Outcome) float64 { return math.Exp(o.Loss() / float64(o.Tokens())) }}, nil
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
	return simple{higher: true, score: func(o *components.Outcome) float64 { return float64(o.Correct()) / float64(o.Tokens()) }}, nil
}
