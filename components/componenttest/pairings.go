package componenttest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
)

// Pairings hands models of every encoder with every decoder to f, each with so many
// pairs that it can read, of several lengths; with two attentions in turn, and an
// output with each, or with whole with all of them, and also with every other value of
// an option of the decoder and of the attention; and models of every front end with
// every decoder.
func Pairings(t *testing.T, c *components.Catalog, whole bool, n int, f func(t *testing.T, m *components.Model, pairs []components.Pair)) {
	encoders, decoders, attentions, outputs, frontEnds := small(t, &c.Encoders), small(t, &c.Decoders), small(t, &c.Attentions), small(t, &c.Outputs), small(t, &c.FrontEnds)
	turn, outputTurn := partners{whole: whole}, partners{whole: whole}
	rng := rand.New(rand.NewPCG(3, 4))
	run := func(parts components.Parts, names ...string) {
		size := vocabulary
		if parts.FrontEnd != nil {
			size = frameSize
		}
		if _, err := components.Check(parts, size, vocabulary); err != nil {
			return // which Catalog looks at
		}
		t.Run(strings.Join(names, "/"), func(t *testing.T) {
			s := newSubject(t, parts)
			drawn := make([]components.Pair, n)
			for i := range drawn {
				for range rng.IntN(6) {
					drawn[i].Source = append(drawn[i].Source, components.NumSpecial+rng.Int32N(vocabulary-components.NumSpecial))
				}
			}
			f(t, s.build(t, autodiff.NewParams(autodiff.Float32, 1)), s.pairs(drawn...))
		})
	}
	for _, e := range encoders {
		for _, d := range decoders {
			for _, d := range others(d, whole) {
				for _, a := range inTurn(&turn, attentions) {
					for _, a := range others(a, whole) {
						for _, o := range inTurn(&outputTurn, outputs) {
							run(components.Parts{Encoder: e.build, Decoder: d.build, Attention: a.build, Output: o.build}, e.name, d.name, a.name, o.name)
						}
					}
				}
			}
		}
	}
	for _, d := range decoders {
		for _, a := range []attention{attentions[0], attentions[slices.IndexFunc(attentions, func(a attention) bool { return a.name == "none" })]} {
			for _, front := range frontEnds {
				run(components.Parts{FrontEnd: front.build, Encoder: encoders[0].build, Decoder: d.build, Attention: a.build}, front.name, encoders[0].name, d.name, a.name)
			}
		}
	}
}

// others is a variant, and with all those with another option.
func others[C, D any](v variant[C, D], all bool) []variant[C, D] {
	if !all {
		return []variant[C, D]{v}
	}
	return append([]variant[C, D]{v}, v.others...)
}
