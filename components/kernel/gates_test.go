package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLSTMForwardValues(t *testing.T) {
	// One unit: i, f, o = σ(0, 1, -1), g = tanh(0.5).
	gates, c, h := []float64{0, 1, 0.5, -1}, []float64{2}, make([]float64, 1)
	LSTMForward(1, 1, gates, 4, c, c, h)
	sigma := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	want := []float64{0.5, sigma(1), math.Tanh(0.5), sigma(-1)}
	for i := range want {
		if !near(gates[i], want[i], 1e-15) {
			t.Errorf("gate %d is %g, want %g", i, gates[i], want[i])
		}
	}
	if cell := 2*sigma(1) + 0.5*math.Tanh(0.5); !near(c[0], cell, 1e-15) || !near(h[0], sigma(-1)*math.Tanh(cell), 1e-15) {
		t.Errorf("c, h are %g, %g, want %g, %g", c[0], h[0], cell, sigma(-1)*math.Tanh(cell))
	}
}

func TestLSTMGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	const rows, h = 2, 3
	pre, cPrev := randomSlice[float64](rng, rows*4*h), randomSlice[float64](rng, rows*h)
	dh, dcOut := randomSlice[float64](rng, rows*h), randomSlice[float64](rng, rows*h)
	gates, c, hOut := make([]float64, rows*4*h), make([]float64, rows*h), make([]float64, rows*h)
	loss := func() float64 {
		copy(gates, pre)
		LSTMForward(rows, h, gates, 4*h, cPrev, c, hOut)
		return weighted(hOut, dh) + weighted(c, dcOut)
	}
	loss()
	dc, dGates := slices.Clone(dcOut), slices.Clone(gates)
	LSTMBackward(rows, h, dGates, 4*h, cPrev, c, dh, dc)
	checkGradient(t, "gates", loss, pre, dGates)
	checkGradient(t, "cPrev", loss, cPrev, dc)
}

func TestGRUForwardValues(t *testing.T) {
	// One unit, r and z with their parts from both products.
	gi, gh, h := []float64{0.5, -1, 0.25}, []float64{0.5, 2, -0.75}, []float64{3}
	GRUForward(1, 1, gi, gh, h, h)
	sigma := 1 / (1 + math.Exp(-1))
	n := math.Tanh(0.25 + sigma*-0.75)
	want := []float64{sigma, sigma, n}
	for i := range want {
		if !near(gi[i], want[i], 1e-15) {
			t.Errorf("gate %d is %g, want %g", i, gi[i], want[i])
		}
	}
	if want := (1-sigma)*n + sigma*3; !near(h[0], want, 1e-15) {
		t.Errorf("h is %g, want %g", h[0], want)
	}
}

func TestGRUGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	const rows, h = 2, 3
	gi, gh, hPrev := randomSlice[float64](rng, rows*3*h), randomSlice[float64](rng, rows*3*h), randomSlice[float64](rng, rows*h)
	dh := randomSlice[float64](rng, rows*h)
	act, hOut := make([]float64, rows*3*h), make([]float64, rows*h)
	loss := func() float64 {
		copy(act, gi)
		GRUForward(rows, h, act, gh, hPrev, hOut)
		return weighted(hOut, dh)
	}
	loss()
	dgi, dgh, dhPrev := slices.Clone(act), slices.Clone(gh), slices.Clone(dh)
	GRUBackward(rows, h, dgi, dgh, hPrev, dhPrev, dhPrev)
	checkGradient(t, "gi", loss, gi, dgi)
	checkGradient(t, "gh", loss, gh, dgh)
	checkGradient(t, "hPrev", loss, hPrev, dhPrev)
}

func TestLayerGrads(t *testing.T) {
	dh, h := []float64{3, 4, -5}, []float64{0.5, 0, -0.25}
	dg := make([]float64, 3)
	TanhGrad(dg, dh, h)
	if want := []float64{2.25, 4, -4.6875}; !slices.Equal(dg, want) {
		t.Errorf("TanhGrad is %v, want %v", dg, want)
	}
	ReluGrad(dg, dh, h)
	if want := []float64{3, 0, 0}; !slices.Equal(dg, want) {
		t.Errorf("ReluGrad is %v, want %v", dg, want)
	}
}

func TestVanishedGradientsCountAsZero(t *testing.T) {
	const h = 3 // the units' gradients: just below, at and above what counts
	gradient := []float32{math.Nextafter32(-vanished, 0), -vanished, 1}
	half := func(n int) []float32 { return slices.Repeat([]float32{0.5}, n) }
	for _, path := range available {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			check := func(name string, got []float32) {
				t.Helper()
				for i, g := range got {
					if (g == 0) != (i%h == 0) {
						t.Errorf("%s: element %d is %g", name, i, g)
					}
				}
			}
			dg, dc := half(4*h), make([]float32, h)
			LSTMBackward(1, h, dg, 4*h, half(h), half(h), gradient, dc)
			check("LSTMBackward of dh: dGates", dg)
			check("LSTMBackward of dh: dc", dc)
			dc, dg = slices.Clone(gradient), half(4*h)
			LSTMBackward(1, h, dg, 4*h, half(h), half(h), make([]float32, h), dc)
			check("LSTMBackward of dc: dGates", dg[:3*h]) // o's is dh's alone
			check("LSTMBackward of dc: dc", dc)
			gi, gh, dhPrev := half(3*h), half(3*h), make([]float32, h)
			GRUBackward(1, h, gi, gh, make([]float32, h), gradient, dhPrev)
			check("GRUBackward: gi", gi)
			check("GRUBackward: gh", gh)
			check("GRUBackward: dhPrev", dhPrev)
			TanhGrad(dg[:h], gradient, half(h))
			check("TanhGrad", dg[:h])
			ReluGrad(dg[:h], gradient, half(h))
			check("ReluGrad", dg[:h])
		})
	}
}

func TestGatesEqualReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, h int) {
		rows := rng.IntN(4)
		n := rows * h
		ld := 4*h + rng.IntN(20)
		gates, cPrev := wide(rng, rows*ld+1), awkward(rng, n)
		c, hOut := awkward(rng, n+1), awkward(rng, n+1)
		wantGates, wantC, wantH := slices.Clone(gates), slices.Clone(c), slices.Clone(hOut)
		LSTMForward(rows, h, gates, ld, cPrev, c, hOut)
		lstmForwardReference(rows, h, wantGates, ld, cPrev, wantC, wantH)
		same(t, "LSTMForward: gates", h, gates, wantGates)
		same(t, "LSTMForward: c", h, c, wantC)
		same(t, "LSTMForward: h", h, hOut, wantH)

		dh, dc := awkward(rng, n), awkward(rng, n+1)
		wantDC := slices.Clone(dc)
		LSTMBackward(rows, h, gates, ld, cPrev, c, dh, dc)
		lstmBackwardReference(rows, h, wantGates, ld, cPrev, c, dh, wantDC)
		same(t, "LSTMBackward: dc", h, dc, wantDC)
		same(t, "LSTMBackward: gates", h, gates, wantGates)

		gi, gh, hPrev := wide(rng, 3*n+1), wide(rng, 3*n), awkward(rng, n+1)
		wantGI, wantH := slices.Clone(gi), slices.Clone(hPrev) // in place
		GRUForward(rows, h, gi, gh, hPrev, hOut)
		gruForwardReference(rows, h, wantGI, gh, wantH, wantH)
		same(t, "GRUForward: gi", h, gi, wantGI)
		same(t, "GRUForward: h", h, hOut[:n], wantH[:n])

		dhPrev := awkward(rng, n+1)
		wantGH, wantDH := slices.Clone(gh), slices.Clone(dhPrev) // in place
		GRUBackward(rows, h, gi, gh, hPrev, dhPrev, dhPrev)
		gruBackwardReference(rows, h, wantGI, wantGH, hPrev, wantDH, wantDH)
		same(t, "GRUBackward: gi", h, gi, wantGI)
		same(t, "GRUBackward: gh", h, gh, wantGH)
		same(t, "GRUBackward: dhPrev", h, dhPrev, wantDH)

		got, y := awkward(rng, h+1), awkward(rng, h)
		want := slices.Clone(got)
		TanhGrad(got[:h], got, y)
		tanhGradReference(want[:h], want, y)
		same(t, "TanhGrad", h, got, want)
		ReluGrad(got[:h], got, y)
		reluGradReference(want[:h], want, y)
		same(t, "ReluGrad", h, got, want)
	})
}

func BenchmarkGates(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows = 64
	for _, h := range []int{64, 128, 256, 512} {
		x, gh := randomSlice[float32](rng, rows*4*h), randomSlice[float32](rng, rows*3*h)
		act, hiddens := slices.Clone(x), slices.Clone(gh)
		c, state, dh, dc := randomSlice[float32](rng, rows*h), randomSlice[float32](rng, rows*h), randomSlice[float32](rng, rows*h), make([]float32, rows*h)
		out := make([]float32, rows*h)
		for _, f := range []struct {
			name string
			call func()
		}{
			{"LSTMForward", func() { LSTMForward(rows, h, act, 4*h, c, out, state) }},
			{"LSTMBackward", func() { // with a copy of what it overwrites
				copy(act, x)
				LSTMBackward(rows, h, act, 4*h, c, out, dh, dc)
			}},
			{"GRUForward", func() { GRUForward(rows, h, act, gh, state, out) }},
			{"GRUBackward", func() { // with copies
				copy(act, x)
				copy(hiddens, gh)
				GRUBackward(rows, h, act, hiddens, state, dh, out)
			}},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, h), func(b *testing.B) {
				for b.Loop() {
					f.call()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows*h), "ns/unit")
			})
		}
	}
}
