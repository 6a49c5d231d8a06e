package generate

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
)

// Of every encoder with every decoder: a batch of 64 and one of 1 give the same
// hypotheses with the same scores, to the bit, by greedy decoding, by beam search and by
// sampling; a beam of one is greedy decoding; and what is cached is what is computed
// again from the beginning.
func TestPairings(t *testing.T) {
	const n, maxLength = 64, 6
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tried := 0
	componenttest.Pairings(t, standard.Catalog(), os.Getenv("EXP_LONG") == "1", n, func(t *testing.T, m *components.Model, pairs []components.Pair) {
		tried++
		decode := func(o Options, examples ...int) [][]Hypothesis {
			o.Examples = examples
			var some []components.Pair
			for _, i := range examples {
				some = append(some, pairs[i])
			}
			var b components.Batch
			b.Fill(some)
			return Decode(m, tape, b.Source, o)
		}
		beam, drawn := options(maxLength, 3), samples(maxLength, 1)
		if beam.LengthPenalty, beam.LengthAlpha = components.Wu, 0.6; m.Attends() {
			beam.CoverageBeta = 0.3
		}
		beam.Count, drawn.Temperature = 2, 2
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		searches := map[string]Options{"greedy": options(maxLength, 1), "beam": beam, "sample": drawn}
		for name, o := range searches {
			together := decode(o, all...)
			for i := range all {
				if name != "greedy" && i%8 != 0 {
					continue
				}
				sameBits(t, fmt.Sprintf("%s, source %d alone", name, i), decode(o, i)[0], together[i])
			}
			if name != "greedy" {
				continue
			}
			var b components.Batch
			b.Fill(pairs)
			for i, tokens := range Greedy(m, tape, b.Source, maxLength) {
				if !slices.Equal(tokens, together[i][0].Tokens) {
					t.Errorf("source %d: greedy decoding says %v, a beam of one %v", i, tokens, together[i][0].Tokens)
				}
			}
			if m.Aligned() {
				continue // it caches nothing
			}
			for i := 0; i < n; i += 16 {
				if want := slow(m, pairs[i], maxLength); !slices.Equal(together[i][0].Tokens, want) {
					t.Errorf("source %d: %v, and %v where nothing is cached", i, together[i][0].Tokens, want)
				}
			}
		}
	})
	if tried < 50 {
		t.Errorf("%d pairings were tried", tried)
	}
}
