package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAdditiveScoresValues(t *testing.T) {
	q, k, v := []float64{0.5, -1}, []float64{0.25, 2, -0.5, 0}, []float64{3, -2}
	scores := []float64{9, 9, 9}
	AdditiveScores(1, 2, 2, q, k, v, scores, 3)
	want := []float64{3*math.Tanh(0.75) - 2*math.Tanh(1), -2 * math.Tanh(-1), 9}
	for i := range want {
		if !near(scores[i], want[i], 1e-15) {
			t.Errorf("score %d is %g, want %g", i, scores[i], want[i])
		}
	}
}

func TestAdditiveGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	const nq, nk, a, ld = 2, 3, 19, 3
	q, k, v := randomSlice[float64](rng, nq*a), randomSlice[float64](rng, nk*a), randomSlice[float64](rng, a)
	dScores, scores := randomSlice[float64](rng, nq*ld), make([]float64, nq*ld)
	dScores[4] = 0
	loss := func() float64 {
		AdditiveScores(nq, nk, a, q, k, v, scores, ld)
		return weighted(scores, dScores)
	}
	dq, dk, dv := make([]float64, nq*a), make([]float64, nk*a), make([]float64, a)
	AdditiveScoresBackward(nq, nk, a, q, k, v, dScores, ld, dq, dk, dv)
	AdditiveScoresBackward(nq, nk, a, q, k, v, dScores, ld, dq, dk, dv) // accumulates
	for _, g := range [][]float64{dq, dk, dv} {
		for i := range g {
			g[i] /= 2
		}
	}
	checkGradient(t, "q", loss, q, dq)
	checkGradient(t, "k", loss, k, dk)
	checkGradient(t, "v", loss, v, dv)
}

func TestAdditiveEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, a int) {
		nq, nk := rng.IntN(4), rng.IntN(4)
		ld := nk + rng.IntN(3)
		q, k, v := wide(rng, nq*a), awkward(rng, nk*a), awkward(rng, a)
		if rng.IntN(4) == 0 { // products that underflow, to zeros of both signs
			for i := range v {
				v[i] *= 1e-45
			}
		}
		scores := awkward(rng, nq*ld+1)
		want := slices.Clone(scores)
		AdditiveScores(nq, nk, a, q, k, v, scores, ld)
		additiveScoresReference(nq, nk, a, q, k, v, want, ld)
		same(t, "AdditiveScores", a, scores, want)

		dScores := awkward(rng, nq*ld)
		if len(dScores) > 0 {
			dScores[rng.IntN(len(dScores))] = 0
		}
		dq, dk, dv := awkward(rng, nq*a+1), awkward(rng, nk*a+1), awkward(rng, a+1)
		wantQ, wantK, wantV := slices.Clone(dq), slices.Clone(dk), slices.Clone(dv)
		AdditiveScoresBackward(nq, nk, a, q, k, v, dScores, ld, dq, dk, dv)
		additiveScoresBackwardReference(nq, nk, a, q, k, v, dScores, ld, wantQ, wantK, wantV)
		same(t, "AdditiveScoresBackward: dq", a, dq, wantQ)
		same(t, "AdditiveScoresBackward: dk", a, dk, wantK)
		same(t, "AdditiveScoresBackward: dv", a, dv, wantV)
	})
}

func BenchmarkAdditive(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []struct{ t, s, a int }{{1, 20, 128}, {20, 20, 128}, {50, 50, 256}} {
		q, k, v := randomSlice[float32](rng, s.t*s.a), randomSlice[float32](rng, s.s*s.a), randomSlice[float32](rng, s.a)
		scores, dScores := make([]float32, s.t*s.s), randomSlice[float32](rng, s.t*s.s)
		dq, dk, dv := make([]float32, len(q)), make([]float32, len(k)), make([]float32, len(v))
		for _, f := range []struct {
			name string
			call func()
		}{
			{"Scores", func() { AdditiveScores(s.t, s.s, s.a, q, k, v, scores, s.s) }},
			{"ScoresBackward", func() { AdditiveScoresBackward(s.t, s.s, s.a, q, k, v, dScores, s.s, dq, dk, dv) }},
		} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", f.name, s.t, s.s, s.a), func(b *testing.B) {
				for b.Loop() {
					f.call()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.t*s.s*s.a), "ns/tanh")
			})
		}
	}
}
