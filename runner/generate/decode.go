package generate

import (
	"math"
	"slices"

	"exp/components"
	"exp/components/autodiff"
)

// Options says how to decode.
type Options struct {
	components.DecodingOptions
	Forced []int32 // the tokens of Prefix, of the target's vocabulary
	Count  int     // hypotheses of a source, at most; a beam has no more than its size. 0 means 1

	// Seed and the number of a source in Examples decide, with the number of the
	// hypothesis and of the step, what is drawn. Without Examples a source's number is
	// its place in the batch.
	Seed     uint64
	Examples []int

	// Stop, when it is closed, cuts hypotheses before the next step, as MaxLength does.
	Stop <-chan struct{}
}

// goes says that no one has stopped it.
func (o *Options) goes() bool {
	select {
	case <-o.Stop:
		return false
	default:
		return true
	}
}

// NewOptions completes o for the data that a model is of.
func NewOptions(o components.DecodingOptions, d *components.Data, seed uint64) (Options, error) {
	forced, err := d.ReadTarget(o.Prefix)
	return Options{DecodingOptions: o, Forced: forced, Seed: seed}, err
}

// A Hypothesis is a target that was found, without [components.Eos].
type Hypothesis struct {
	Tokens []int32
	// LogProb is Σ log p, in nats, as the model says it, whatever the options rule out:
	// over the tokens and, where the hypothesis ended, its [components.Eos].
	LogProb float64
	Ended   bool // else the greatest length cut it
	// Score is what ranks the hypotheses of a beam, LogProb / penalty + coverage; that
	// of a sample is LogProb.
	Score float64
}

// Decode decodes a batch of sources, and returns up to o.Count hypotheses of each, one
// at least: of a beam the best first, of samples the first drawn. A hypothesis ends
// before its [components.Eos], or after o.MaxLength tokens. It resets t, and what it
// returns for a source does not depend on the others of the batch.
//
// What the options rule out, a token that would repeat an n-gram or an end that comes
// too early, has no probability, and where nothing else is left a hypothesis ends.
// Forced tokens are part of the hypothesis in all respects, but that they may repeat.
//
// An aligned decoder has one hypothesis, the best of all, whatever the options are.
func Decode(m *components.Model, t *autodiff.Tape, source components.Sequences, o Options) [][]Hypothesis {
	o.Count = max(1, o.Count)
	switch {
	case m.Aligned():
		var found [][]Hypothesis
		for _, h := range aligned(m, t, source) {
			h.Score = h.LogProb / o.penalty(len(h.Tokens))
			found = append(found, []Hypothesis{h})
		}
		return found
	case o.Search == components.Sample:
		return sample(m, t, source, o)
	case o.CoverageBeta > 0:
		var found [][]Hypothesis
		t.WithWeights(func() { found = beamSearch(m, t, source, o) })
		return found
	}
	return beamSearch(m, t, source, o)
}

// Best is the first hypothesis of [Decode] for each source, without its score: where
// the options ask for no more, that of [Greedy].
func Best(m *components.Model, t *autodiff.Tape, source components.Sequences, o Options) [][]int32 {
	if o.Search != components.Sample && o.BeamSize <= 1 && o.BlockNgrams == 0 && o.MinLength == 0 && len(o.Forced) == 0 {
		return Greedy(m, t, source, o.MaxLength)
	}
	var best [][]int32
	for _, hypotheses := range Decode(m, t, source, o) {
		best = append(best, hypotheses[0].Tokens)
	}
	return best
}

// penalty is what Σ log p of n tokens, the end counted too, is divided by: n^alpha, or
// ((5+n)/6)^alpha (Wu et al. 2016, equation 14).
func (o *Options) penalty(n int) float64 {
	if o.LengthPenalty == components.Wu {
		return math.Pow(float64(5+n)/6, o.LengthAlpha)
	}
	return math.Pow(float64(max(1, n)), o.LengthAlpha)
}

// predictions is log p = logits - normaliser, row by row. The difference is
// taken in float64, so two logits that differ give probabilities that do.
type predictions struct {
	logits     []float32 // [rows, columns]
	normaliser []float64 // [rows]: log Σ e^logit
	columns    int
}

func newPredictions(t *autodiff.Tape, logits *autodiff.Var) predictions {
	p := predictions{logits: autodiff.Values[float32](logits), columns: logits.Dim(-1)}
	top := autodiff.Ints(t, logits.Rows())
	autodiff.Argmax(logits, top)
	p.normaliser = autodiff.TokenLosses(t, logits, top)
	for row, column := range top {
		p.normaliser[row] += float64(p.logits[row*p.columns+int(column)])
	}
	return p
}

// row is the logits of a row.
func (p predictions) row(row int) []float32 { return p.logits[row*p.columns:][:p.columns] }

// logProb is log p of a logit of a row.
func (p predictions) logProb(row int, logit float32) float64 {
	return float64(logit) - p.normaliser[row]
}

// rules takes from the logits what the options rule out.
type rules struct {
	*Options
	decoding *components.Decoding
}

// plain says that nothing is ever ruled out.
func (r rules) plain() bool { return r.MinLength == 0 && r.BlockNgrams == 0 && len(r.Forced) == 0 }

// apply makes the logits of a row -Inf where its hypothesis, which has said so many
// tokens, may not go on; said is these tokens where o.BlockNgrams is not 0.
func (r rules) apply(logits []float32, row, length int, said []int32) {
	if length < len(r.Forced) {
		forced := r.decoding.Column(row, r.Forced[length])
		logit := logits[forced]
		for column := range logits {
			logits[column] = float32(math.Inf(-1))
		}
		logits[forced] = logit
		return
	}
	end := logits[components.Eos]
	if length < r.MinLength {
		logits[components.Eos] = float32(math.Inf(-1))
	}
	if n := r.BlockNgrams; n > 0 && length >= n-1 {
		last := said[length-(n-1):]
		for at := 0; at+n <= length; at++ {
			if slices.Equal(said[at:at+n-1], last) {
				logits[r.decoding.Column(row, said[at+n-1])] = float32(math.Inf(-1))
			}
		}
	}
	for _, logit := range logits {
		if !math.IsInf(float64(logit), -1) {
			return
		}
	}
	logits[components.Eos] = end
}
