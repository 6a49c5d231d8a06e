package generate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
)

// Of size 1, the beam is greedy decoding.
func TestBeamOfOne(t *testing.T) {
	for _, architecture := range architectures {
		t.Run(strings.Join(architecture[:], "/"), func(t *testing.T) {
			for seed := range uint64(4) {
				m, tape := model(t, architecture, vocabulary, seed), autodiff.NewTape(autodiff.Float32)
				tape.Poison()
				got, want := Beam(m, tape, batch(sources), 20, 1, 0), Greedy(m, tape, batch(sources), 20)
				for row := range sources {
					if len(got[row]) != 1 || !slices.Equal(got[row][0].Tokens, want[row]) {
						t.Errorf("seed %d, row %d: %v, want %v", seed, row, got[row], want[row])
					}
				}
			}
		})
	}
}

// continuation is a token and its log-probability.
type continuation struct {
	token int32
	p     float64
}

// continuations returns every token after said, by reading the whole target again.
func continuations(m *components.Model, source, said []int32) []continuation {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(false, false)
	var b components.Batch
	b.Fill([]components.Pair{{Source: source, Target: said}})
	decoded, x := m.Decode(tape, m.Encode(tape, b.Source), &b)
	v := m.Output.Logits(tape, decoded, x)
	logits := v.Float32s()[v.Size()-v.Dim(1):]
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x))
	}
	out := make([]continuation, len(logits))
	for column, l := range logits {
		out[column] = continuation{x.Token(0, int32(column)), float64(l) - math.Log(sum)}
	}
	return out
}

// every returns all hypotheses of at most maxLength tokens that begin with said.
func every(m *components.Model, source, said []int32, sum float64, maxLength int, alpha float64) []Hypothesis {
	if len(said) == maxLength {
		return []Hypothesis{{said, score(sum, len(said), alpha)}}
	}
	var all []Hypothesis
	for _, next := range continuations(m, source, said) {
		if next.token == components.Eos {
			all = append(all, Hypothesis{said, score(sum+next.p, len(said)+1, alpha)})
		} else {
			all = append(all, every(m, source, append(slices.Clip(said), next.token), sum+next.p, maxLength, alpha)...)
		}
	}
	return all
}

// slowBeam is the search by its definition, for one source.
func slowBeam(m *components.Model, source []int32, maxLength, size int, alpha float64) []Hypothesis {
	type prefix struct {
		tokens []int32
		sum    float64
		ended  bool
	}
	var found []Hypothesis
	beam := []prefix{{}}
	for range maxLength {
		var next []prefix
		for _, p := range beam {
			for _, c := range continuations(m, source, p.tokens) {
				if c.token == components.Eos {
					next = append(next, prefix{p.tokens, p.sum + c.p, true})
				} else {
					next = append(next, prefix{append(slices.Clip(p.tokens), c.token), p.sum + c.p, false})
				}
			}
		}
		slices.SortStableFunc(next, func(a, b prefix) int { return cmp.Compare(b.sum, a.sum) })
		beam = nil
		for _, p := range next[:min(len(next), size-len(found))] {
			if !p.ended {
				beam = append(beam, p)
			}
		}
		for _, p := range next[:min(len(next), size-len(found))] {
			if p.ended {
				found = append(found, Hypothesis{p.tokens, score(p.sum, len(p.tokens)+1, alpha)})
			}
		}
	}
	for _, p := range beam {
		found = append(found, Hypothesis{p.tokens, score(p.sum, len(p.tokens), alpha)})
	}
	return found
}

func sameHypotheses(t *testing.T, what string, got, want []Hypothesis) {
	t.Helper()
	byScore := func(a, b Hypothesis) int { return cmp.Compare(b.Score, a.Score) }
	if !slices.IsSortedFunc(got, byScore) {
		t.Errorf("%s: not the best first: %v", what, got)
	}
	slices.SortStableFunc(want, byScore)
	if len(got) != len(want) {
		t.Fatalf("%s: %d hypotheses, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i].Tokens, want[i].Tokens) || !(math.Abs(got[i].Score-want[i].Score) <= 1e-4) {
			t.Errorf("%s: hypothesis %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// A beam that has a place for everything finds everything, and a smaller one
// what its definition says, for any source of any batch.
func TestBeam(t *testing.T) {
	const tiny = int(components.NumSpecial) + 1
	for _, architecture := range architectures {
		t.Run(strings.Join(architecture[:], "/"), func(t *testing.T) {
			m, tape := model(t, architecture, tiny, 2), autodiff.NewTape(autodiff.Float32)
			tape.Poison()
			for _, alpha := range []float64{0, 0.7} {
				all := Beam(m, tape, batch(sources), 3, 1000, alpha)
				some := Beam(m, tape, batch(sources), 6, 4, alpha)
				for row, source := range sources {
					what := fmt.Sprintf("row %d, alpha %v", row, alpha)
					sameHypotheses(t, what+", all", all[row], every(m, source, nil, 0, 3, alpha))
					sameHypotheses(t, what, some[row], slowBeam(m, source, 6, 4, alpha))
					alone := Beam(m, tape, batch(sources[row:row+1]), 6, 4, alpha)
					for i, h := range alone[0] {
						if !slices.Equal(h.Tokens, some[row][i].Tokens) || h.Score != some[row][i].Score {
							t.Errorf("%s, alone: %v, want %v", what, h, some[row][i])
						}
					}
				}
			}
		})
	}
}

// Of equals, the lower beam and the lower token come first.
func TestBeamTies(t *testing.T) {
	p := predictions{logits: []float32{1, 2, 2, 1, 2, 1}, normaliser: []float64{0, 0}, columns: 3}
	var got []candidate
	for row := range 2 {
		got = p.best(got, 0, row, 3)
	}
	if want := []candidate{{0, 1, 2}, {0, 2, 2}, {1, 1, 2}}; !slices.Equal(got, want) {
		t.Errorf("best are %v, want %v", got, want)
	}
}

func TestBeamOfNothing(t *testing.T) {
	m, tape := model(t, [3]string{"gru", "gru", "dot"}, vocabulary, 1), autodiff.NewTape(autodiff.Float32)
	for row, found := range Beam(m, tape, batch(sources), 0, 3, 1) {
		if len(found) != 1 || len(found[0].Tokens) != 0 || found[0].Score != 0 {
			t.Errorf("row %d: %v, want one hypothesis without a token", row, found)
		}
	}
	if found := Beam(m, tape, batch(nil), 5, 3, 0); len(found) != 0 {
		t.Errorf("%d results of no source", len(found))
	}
}
