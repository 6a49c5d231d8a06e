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
// output with each, and models of every front end with every decoder. With whole it is
// all attentions, and every other value of an option of a decoder, with two partners in
// turn, and of an attention, with every decoder.
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
	pair := func(e encoder, d decoder, a attention, o output) {
		run(components.Parts{Encoder: e.build, Decoder: d.build, Attention: a.build, Output: o.build}, e.name, d.name, a.name, o.name)
	}
	for _, e := range encoders {
		for _, d := range decoders {
			for _, a := range inTurn(&turn, attentions) {
				for _, o := range inTurn(&outputTurn, outputs) {
					pair(e, d, a, o)
				}
			}
		}
	}
	if whole {
		var two partners
		for _, base := range decoders {
			for _, d := range base.others {
				for _, e := range inTurn(&two, encoders) {
					for _, a := range inTurn(&two, attentions) {
						pair(e, d, a, outputs[0])
					}
				}
			}
		}
		for _, base := range attentions {
			for _, a := range base.others {
				for _, d := range decoders {
					pair(encoders[0], d, a, outputs[0])
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
