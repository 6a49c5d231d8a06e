package components

import (
	"errors"
	"fmt"

	"exp/registry"
)

// DecodingOptions is how targets are decoded: options of the [evaluate] table.
type DecodingOptions struct {
	Search        Search        `toml:"search" doc:"beam: the most probable hypotheses are looked for; sample: each token is drawn from what the model says follows (ancestral sampling)"`
	BeamSize      int           `toml:"beam_size" doc:"hypotheses of a beam; 1: always the most probable token (greedy)"`
	LengthPenalty LengthPenalty `toml:"length_penalty" doc:"what Σ log p of n tokens, the end counted too, is divided by to rank the hypotheses of a beam: power, n^length_alpha; wu, ((5+n)/6)^length_alpha (Wu et al. 2016, equation 14)"`
	LengthAlpha   float64       `toml:"length_alpha" doc:"exponent of length_penalty; 0: none"`
	CoverageBeta  float64       `toml:"coverage_beta" doc:"times Σ over the source of log min(1, Σ over the target of its attention weight), the mean over the heads of the last layer, is added to rank (Wu et al. 2016, equation 14); 0: none"`
	Temperature   float64       `toml:"temperature" doc:"what logits are divided by before a token is drawn"`
	TopK          int           `toml:"top_k" doc:"tokens that can be drawn, the most probable ones (Fan et al. 2018); 0: all"`
	TopP          float64       `toml:"top_p" doc:"a token is drawn of the fewest most probable, of those of top_k, that together have this share of the probability (Holtzman et al. 2020); in (0, 1]"`
	BlockNgrams   int           `toml:"block_ngrams" doc:"no sequence of so many tokens is twice in a hypothesis (Paulus et al. 2018); 0: any may be"`
	MinLength     int           `toml:"min_length" doc:"tokens before a hypothesis may end"`
	MaxLength     int           `toml:"max_length" doc:"longest hypothesis, in tokens"`
	Prefix        string        `toml:"prefix" doc:"text that every hypothesis begins with"`
}

// Search is how a hypothesis is found.
type Search string

// The ways.
const (
	Beam   Search = "beam"
	Sample Search = "sample"
)

// Values lists the ways.
func (Search) Values() []string { return []string{string(Beam), string(Sample)} }

// UnmarshalText reads a way.
func (s *Search) UnmarshalText(text []byte) error { return registry.OneOf(s, text) }

// LengthPenalty is by what hypotheses of several lengths are made comparable.
type LengthPenalty string

// The penalties.
const (
	Power LengthPenalty = "power"
	Wu    LengthPenalty = "wu"
)

// Values lists the penalties.
func (LengthPenalty) Values() []string { return []string{string(Power), string(Wu)} }

// UnmarshalText reads a penalty.
func (l *LengthPenalty) UnmarshalText(text []byte) error { return registry.OneOf(l, text) }

// Doc describes the options.
func (DecodingOptions) Doc() string { return "How targets are decoded." }

// DefaultDecodingOptions is greedy.
func DefaultDecodingOptions() DecodingOptions {
	return DecodingOptions{Search: Beam, BeamSize: 1, LengthPenalty: Power, Temperature: 1, TopP: 1, MaxLength: 100}
}

// leastTemperature is what the largest logits can be divided by. Below, the most
// probable token is as good as certain, as it is with top_k = 1.
const leastTemperature = 1e-6

// Validate reports every value out of range, and every one that is for another
// search.
func (o DecodingOptions) Validate() error {
	errs := []error{
		registry.AtLeast("beam_size", o.BeamSize, 1),
		registry.AtLeast("length_alpha", o.LengthAlpha, 0),
		registry.AtLeast("coverage_beta", o.CoverageBeta, 0),
		registry.AtLeast("temperature", o.Temperature, leastTemperature),
		registry.AtLeast("top_k", o.TopK, 0),
		registry.AtLeast("block_ngrams", o.BlockNgrams, 0),
		registry.AtLeast("min_length", o.MinLength, 0),
		registry.AtLeast("max_length", o.MaxLength, max(1, o.MinLength)),
	}
	if !(o.TopP > 0 && o.TopP <= 1) {
		errs = append(errs, registry.Fault{Key: "top_p", Problem: fmt.Sprintf("must be in (0, 1], is %v", o.TopP)})
	}
	misplaced := func(key string, stated bool, search Search) {
		if stated && o.Search != search {
			errs = append(errs, registry.Fault{Key: key, Problem: fmt.Sprintf("is for search = %q, and search is %q", search, o.Search)})
		}
	}
	misplaced("beam_size", o.BeamSize > 1, Beam)
	misplaced("length_penalty", o.LengthPenalty != Power, Beam)
	misplaced("length_alpha", o.LengthAlpha > 0, Beam)
	misplaced("coverage_beta", o.CoverageBeta > 0, Beam)
	misplaced("temperature", o.Temperature != 1, Sample)
	misplaced("top_k", o.TopK > 0, Sample)
	misplaced("top_p", o.TopP != 1, Sample)
	return errors.Join(errs...)
}

// Check says which options a model cannot follow.
func (o DecodingOptions) Check(m *Model) error {
	var errs []error
	if o.CoverageBeta > 0 && !m.Attends() {
		errs = append(errs, registry.Fault{Key: "evaluate.coverage_beta", Problem: "needs an attention, and the model has none"})
	}
	if !m.Aligned() {
		return errors.Join(errs...)
	}
	for _, option := range []struct {
		key    string
		stated bool
	}{
		{"search", o.Search != Beam}, {"beam_size", o.BeamSize > 1}, {"length_penalty", o.LengthPenalty != Power}, {"length_alpha", o.LengthAlpha > 0},
		{"block_ngrams", o.BlockNgrams > 0}, {"min_length", o.MinLength > 0}, {"prefix", o.Prefix != ""},
	} {
		if option.stated {
			errs = append(errs, registry.Fault{Key: "evaluate." + option.key, Problem: "is for a decoder that reads what it has said; this one says the best class of each step of the source by itself"})
		}
	}
	return errors.Join(errs...)
}
