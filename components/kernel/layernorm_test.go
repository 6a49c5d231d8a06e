package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLayerNormEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, d int) {
		rows, eps := 1+rng.IntN(4), float32(1e-5)
		x, gain, bias, dy := awkward(rng, rows*d), awkward(rng, d), awkward(rng, d), awkward(rng, rows*d)
		got, mean, rstd := awkward(rng, rows*d+1), make([]float32, rows), make([]float32, rows)
		want, wantMean, wantRstd := slices.Clone(got), make([]float32, rows), make([]float32, rows)
		LayerNorm(rows, d, got, x, gain, bias, eps, mean, rstd)
		if d > 0 {
			layerNormReference(rows, d, want, x, gain, bias, eps, wantMean, wantRstd)
		}
		same(t, "LayerNorm", d, got, want)
		same(t, "mean of LayerNorm", d, mean, wantMean)
		same(t, "rstd of LayerNorm", d, rstd, wantRstd)
		inPlace := slices.Clone(x)
		LayerNorm(rows, d, inPlace, inPlace, gain, bias, eps, mean, rstd)
		same(t, "LayerNorm in place", d, inPlace, want[:rows*d])

		dx, dGain, dBias := awkward(rng, rows*d+1), awkward(rng, d+1), awkward(rng, d+1)
		wantX, wantGain, wantBias := slices.Clone(dx), slices.Clone(dGain), slices.Clone(dBias)
		LayerNormBackward(rows, d, dx, dGain, dBias, dy, x, gain, mean, rstd)
		if d > 0 {
			layerNormBackwardReference(rows, d, wantX, wantGain, wantBias, dy, x, gain, mean, rstd)
		}
		same(t, "dx of LayerNormBackward", d, dx, wantX)
		same(t, "dGain of LayerNormBackward", d, dGain, wantGain)
		same(t, "dBias of LayerNormBackward", d, dBias, wantBias)
	})
}

func TestLayerNormPyTorch(t *testing.T) {
	g := readGolden(t, "layer_norm")
	data := func(name string) []float32 { return g.Tensors[name].Data }
	d := int(g.Config["size"].(float64))
	rows := len(data("input")) / d
	y, mean, rstd := make([]float32, rows*d), make([]float32, rows), make([]float32, rows)
	LayerNorm(rows, d, y, data("input"), data("param.weight"), data("param.bias"), float32(g.Config["eps"].(float64)), mean, rstd)
	closeTo(t, "output", y, data("output"), 2e-5, 2e-6)
	dx, dGain, dBias := make([]float32, rows*d), make([]float32, d), make([]float32, d)
	LayerNormBackward(rows, d, dx, dGain, dBias, data("grad_output"), data("input"), data("param.weight"), mean, rstd)
	closeTo(t, "dx", dx, data("grad.input"), 1e-4, 1e-5)
	closeTo(t, "dGain", dGain, data("grad.param.weight"), 1e-4, 1e-5)
	closeTo(t, "dBias", dBias, data("grad.param.bias"), 1e-4, 1e-5)
}

func TestLayerNormValues(t *testing.T) {
	x := []float64{1, 3, 5, 5}
	gain, bias := []float64{1, 2}, []float64{0, 10}
	y, mean, rstd := make([]float64, 4), make([]float64, 2), make([]float64, 2)
	LayerNorm(2, 2, y, x, gain, bias, 0.25, mean, rstd)
	s := 1 / math.Sqrt(1.25)
	for i, want := range []float64{-s, 10 + 2*s, 0, 10} {
		if !(math.Abs(y[i]-want) < 1e-15*10) {
			t.Errorf("element %d is %g, want %g", i, y[i], want)
		}
	}
	if mean[0] != 2 || mean[1] != 5 || rstd[0] != s || rstd[1] != 2 {
		t.Errorf("mean is %v, rstd is %v", mean, rstd)
	}
}

// The backward pass against central differences of a weighting of the output.
func TestLayerNormBackwardDifferences(t *testing.T) {
	const rows, d, step = 3, 5, 6e-6
	value := func(i int) float64 { return math.Sin(float64(i*i) + 1) }
	values := func(n, from int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = value(from + i)
		}
		return x
	}
	x, gain, bias, dy := values(rows*d, 0), values(d, 50), values(d, 60), values(rows*d, 70)
	y, mean, rstd := make([]float64, rows*d), make([]float64, rows), make([]float64, rows)
	loss := func() (sum float64) {
		LayerNorm(rows, d, y, x, gain, bias, 1e-5, mean, rstd)
		for i := range y {
			sum += y[i] * dy[i]
		}
		return sum
	}
	loss()
	dx, dGain, dBias := values(rows*d, 100), values(d, 200), values(d, 300) // accumulated in
	LayerNormBackward(rows, d, dx, dGain, dBias, dy, x, gain, mean, rstd)
	for _, c := range []struct {
		name    string
		x, dx   []float64
		already int
	}{{"x", x, dx, 100}, {"gain", gain, dGain, 200}, {"bias", bias, dBias, 300}} {
		for i := range c.x {
			v := c.x[i]
			c.x[i] = v + step
			up := loss()
			c.x[i] = v - step
			down := loss()
			c.x[i] = v
			got, want := c.dx[i]-value(c.already+i), (up-down)/(2*step)
			if !(math.Abs(got-want) <= 1e-6*max(1, math.Abs(want))) {
				t.Errorf("gradient of %s[%d] is %g, want %g", c.name, i, got, want)
			}
		}
	}
}

func BenchmarkLayerNorm(b *testing.B) {
	for _, s := range []struct{ rows, d int }{{1280, 64}, {1280, 256}, {1280, 512}} {
		size := s.rows * s.d
		x, y, dx, dy := make([]float32, size), make([]float32, size), make([]float32, size), make([]float32, size)
		gain, bias, dGain, dBias := make([]float32, s.d), make([]float32, s.d), make([]float32, s.d), make([]float32, s.d)
		mean, rstd := make([]float32, s.rows), make([]float32, s.rows)
		b.Run(fmt.Sprintf("forward/%dx%d", s.rows, s.d), func(b *testing.B) {
			for b.Loop() {
				LayerNorm(s.rows, s.d, y, x, gain, bias, 1e-5, mean, rstd)
			}
			perElement(b, size, 8*size)
		})
		b.Run(fmt.Sprintf("backward/%dx%d", s.rows, s.d), func(b *testing.B) {
			for b.Loop() {
				LayerNormBackward(s.rows, s.d, dx, dGain, dBias, dy, x, gain, mean, rstd)
			}
			perElement(b, size, 16*size)
		})
	}
}
