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
	AdditiveScores(1, 2, 2, terms(q), terms(k), v, scores, 3)
	want := []float64{3*math.Tanh(0.75) - 2*math.Tanh(1), -2 * math.Tanh(-1), 9}
	for i := range want {
		if !near(scores[i], want[i], 1e-15) {
			t.Errorf("score %d is %g, want %g", i, scores[i], want[i])
		}
	}
}

// terms is AdditiveTerms of x.
func terms[F Float](x []F) []F {
	y := make([]F, len(x))
	AdditiveTerms(y, x)
	return y
}

// On every path a score of one element is a tanh times a weight, whatever the sizes of
// query and key.
func TestAdditiveAccuracy(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		q, k, sum, v := make([]float32, n), make([]float32, n), make([]float64, n), []float32{1}
		for i := range q {
			// Their sum is exact in float64.
			x, y := math.Ldexp(rng.Float64()-0.5, rng.IntN(8)-1), math.Ldexp(rng.Float64()-0.5, rng.IntN(8)-1)
			q[i], k[i] = float32(max(-43, min(x, 43))), float32(max(-43, min(y, 43)))
			sum[i] = float64(q[i]) + float64(k[i])
		}
		q, k = terms(q), terms(k)
		for i := range q {
			var score [1]float32
			AdditiveScores(1, 1, 1, q[i:], k[i:], v, score[:], 1)
			if off := math.Abs(float64(score[0]) - math.Tanh(sum[i])); !(off <= 5e-7) {
				t.Errorf("tanh(%g) is off by %g", sum[i], off)
			}
		}
	})
}

// The reciprocal of every mantissa, which AVX-512 computes without a division, is
// that of a division.
func TestAdditiveReciprocal(t *testing.T) {
	const block = 1 << 12
	q, one, got := make([]float32, block), []float32{1}, make([]float32, block)
	for _, path := range nativePaths {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			for m := uint32(0); m < 1<<23; m += block {
				for i := range q { // 1 + q is from 1 to 2
					q[i] = math.Float32frombits(0x3f800000|m+uint32(i)) - 1
				}
				AdditiveScores(block, 1, 1, q, one, one, got, 1)
				for i, x := range q {
					if want := 1 - 2*half(x, 1); got[i] != want {
						t.Fatalf("1 - 2/(1+%g) is %g, want %g", x, got[i], want)
					}
				}
			}
		})
	}
}

func TestAdditiveGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	const nq, nk, a, ld = 2, 3, 19, 3
	q, k, v := randomSlice[float64](rng, nq*a), randomSlice[float64](rng, nk*a), randomSlice[float64](rng, a)
	dScores, scores := randomSlice[float64](rng, nq*ld), make([]float64, nq*ld)
	dScores[4] = 0
	loss := func() float64 {
		AdditiveScores(nq, nk, a, terms(q), terms(k), v, scores, ld)
		return weighted(scores, dScores)
	}
	dq, dk, dv := make([]float64, nq*a), make([]float64, nk*a), make([]float64, a)
	for range 2 { // accumulates
		AdditiveScoresBackward(nq, nk, a, terms(q), terms(k), v, dScores, ld, dq, dk, dv)
	}
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
		q, k, v := terms(wide(rng, nq*a)), terms(awkward(rng, nk*a)), awkward(rng, a)
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

// additiveSequences is two or three sequences, one perhaps without queries or
// keys, and how many queries, keys and scores there are.
func additiveSequences(rng *rand.Rand) (sequences []AttentionRows, queries, keys, scores int) {
	for range 2 + rng.IntN(2) {
		r := AttentionRows{int32(queries), int32(rng.IntN(4)), int32(keys), int32(rng.IntN(20))}
		sequences = append(sequences, r)
		queries, keys, scores = queries+int(r.Queries), keys+int(r.Keys), scores+int(r.Queries*r.Keys)
	}
	return sequences, queries, keys, scores
}

func TestAdditiveAttentionEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, a int) {
		sequences, queries, keys, scores := additiveSequences(rng)
		d := rng.IntN(40)
		q, k, v, values := terms(wide(rng, queries*a)), terms(awkward(rng, keys*a)), awkward(rng, a), awkward(rng, keys*d)
		dy, dq, dk, dv, dvalues := awkward(rng, queries*d), awkward(rng, queries*a), awkward(rng, keys*a), awkward(rng, a), awkward(rng, keys*d)
		transposed, turned := make([]float32, len(values)), 0
		for _, r := range sequences {
			Transpose(int(r.Keys), d, values[int(r.Key)*d:], d, transposed[turned:], int(r.Keys))
			turned += int(r.Keys) * d
		}
		backward := func(w, transposed []float32) [][]float32 {
			ds, dq, dk, dv, dvalues := make([]float32, scores), slices.Clone(dq), slices.Clone(dk), slices.Clone(dv), slices.Clone(dvalues)
			AdditiveAttentionBackward(a, d, sequences, q, k, v, values, transposed, w, dy, ds, dq, dk, dv, dvalues)
			return [][]float32{dq, dk, dv, dvalues}
		}
		results := func() [][]float32 {
			w, y := make([]float32, scores), make([]float32, queries*d)
			AdditiveAttention(a, d, sequences, q, k, v, values, w, y)
			alone := slices.Clone(values)
			AdditiveAttentionBackward(a, d, sequences, q, k, v, values, nil, w, dy, nil, nil, nil, nil, alone)
			again := make([]float32, scores)
			AdditiveAttention(a, d, sequences, q, k, v, values, again, nil)
			return slices.Concat([][]float32{w, y, alone, again}, backward(w, nil), backward(w, transposed))
		}
		got := results()
		native := active
		setPath(pathReference)
		want := results()
		setPath(native)
		for i, name := range []string{"w", "y", "dvalues alone", "w again", "dq", "dk", "dv", "dvalues"} {
			same(t, "AdditiveAttention: "+name, a, got[i], want[i])
		}
		for i, name := range []string{"dq", "dk", "dv", "dvalues"} {
			same(t, "AdditiveAttention of values transposed: "+name, a, got[8+i], want[4+i])
		}
	})
}

func TestAdditiveAttentionGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	sequences := []AttentionRows{{0, 2, 0, 3}, {2, 1, 3, 0}, {3, 1, 3, 2}}
	const queries, keys, scores, a, d = 4, 5, 8, 5, 3
	q, k, v, values := randomSlice[float64](rng, queries*a), randomSlice[float64](rng, keys*a), randomSlice[float64](rng, a), randomSlice[float64](rng, keys*d)
	w, y, ds, dy := make([]float64, scores), make([]float64, queries*d), make([]float64, scores), randomSlice[float64](rng, queries*d)
	loss := func() float64 {
		AdditiveAttention(a, d, sequences, terms(q), terms(k), v, values, w, y)
		return weighted(y, dy)
	}
	loss()
	dq, dk, dv, dvalues := make([]float64, len(q)), make([]float64, len(k)), make([]float64, a), make([]float64, len(values))
	AdditiveAttentionBackward(a, d, sequences, terms(q), terms(k), v, values, nil, w, dy, ds, dq, dk, dv, dvalues)
	checkGradient(t, "q", loss, q, dq)
	checkGradient(t, "k", loss, k, dk)
	checkGradient(t, "v", loss, v, dv)
	checkGradient(t, "values", loss, values, dvalues)
}

func BenchmarkAdditive(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []struct{ t, s, a int }{{1, 20, 128}, {20, 20, 128}, {50, 50, 256}} {
		q, k, v := terms(randomSlice[float32](rng, s.t*s.a)), terms(randomSlice[float32](rng, s.s*s.a)), randomSlice[float32](rng, s.a)
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
