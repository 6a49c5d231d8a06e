// Package metric has the numbers that say how good a model is: a family of
// metrics a file.
//
// Metrics of text compare what [components.Outcome.Text] makes of hypotheses and
// references. Each agrees with the tool that its documentation names, given the
// same options.
package metric

import (
	"exp/components"
	"exp/registry"
)

// Register enters this package's metrics.
func Register(c *components.Catalog) {
	registry.Add(&c.Metrics, "loss", LossOptions{}, NewLoss)
	registry.Add(&c.Metrics, "perplexity", PerplexityOptions{}, NewPerplexity)
	registry.Add(&c.Metrics, "token_accuracy", TokenAccuracyOptions{}, NewTokenAccuracy)
	registry.Add(&c.Metrics, "exact_match", ExactMatchOptions{}, NewExactMatch)
	registry.Add(&c.Metrics, "edit_distance", EditDistanceOptions{}, NewEditDistance)
	registry.Add(&c.Metrics, "bleu", DefaultBLEU(), NewBLEU)
	registry.Add(&c.Metrics, "chrf", DefaultChrF(0), NewChrF)
	registry.Add(&c.Metrics, "chrf_plus_plus", DefaultChrF(2), NewChrF)
	registry.Add(&c.Metrics, "ter", DefaultTER(), NewTER)
	registry.Add(&c.Metrics, "rouge_1", ROUGE1Options{}, NewROUGE1)
	registry.Add(&c.Metrics, "rouge_2", ROUGE2Options{}, NewROUGE2)
	registry.Add(&c.Metrics, "rouge_l", ROUGELOptions{}, NewROUGEL)
	registry.Add(&c.Metrics, "wer", WEROptions{}, NewWER)
	registry.Add(&c.Metrics, "cer", CEROptions{Whitespace: true}, NewCER)
	registry.Add(&c.Metrics, "per", PEROptions{Stress: true}, NewPER)
}

// simple is a metric that is one number, which a function computes.
type simple struct {
	decodes, higher bool
	score           func(*components.Outcome) float64
}

func (m simple) Decodes() bool        { return m.decodes }
func (m simple) HigherIsBetter() bool { return m.higher }
func (m simple) Parts() []string      { return nil }

func (m simple) Score(o *components.Outcome) (float64, []float64) { return m.score(o), nil }
