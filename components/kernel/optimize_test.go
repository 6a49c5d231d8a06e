package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestOptimizersEqualReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		w, g, m, v := awkward(rng, n+1), awkward(rng, n), awkward(rng, n+1), awkward(rng, n+1)
		if rng.IntN(2) == 0 {
			for i := range v {
				v[i] = max(v[i], -v[i])
			}
		}
		clone := func() (a, b, c []float32) { return slices.Clone(w), slices.Clone(m), slices.Clone(v) }
		c1, c2, scale := rng.Float32(), rng.Float32(), rng.Float32()
		gotW, gotM, gotV := clone()
		AdamStep(gotW[:n], g, gotM, gotV, 0.01, 0.9, 0.999, 1e-8, c1, c2, scale)
		wantW, wantM, wantV := clone()
		before := active
		setPath(pathReference)
		AdamStep(wantW[:n], g, wantM, wantV, 0.01, 0.9, 0.999, 1e-8, c1, c2, scale)
		setPath(before)
		same(t, "w of AdamStep", n, gotW, wantW)
		same(t, "m of AdamStep", n, gotM, wantM)
		same(t, "v of AdamStep", n, gotV, wantV)

		for _, c := range []struct{ velocity, nesterov bool }{{false, false}, {true, false}, {true, true}} {
			gotW, gotV, _ := clone()
			wantW, wantV, _ := clone()
			if !c.velocity {
				gotV, wantV = nil, nil
			}
			SGDStep(gotW[:n], g, gotV, 0.01, 0.9, c.nesterov, scale)
			sgdStepReference(wantW[:n], g, wantV, 0.01, 0.9, c.nesterov, scale)
			same(t, fmt.Sprintf("w of SGDStep %+v", c), n, gotW, wantW)
			same(t, fmt.Sprintf("velocity of SGDStep %+v", c), n, gotV, wantV)
		}
	})
}

// The objective of the cases is p'Ap/2 - b'p.
func TestOptimizersPyTorch(t *testing.T) {
	for _, name := range []string{"opt_adam", "opt_adam_clip", "opt_sgd", "opt_sgd_momentum", "opt_sgd_nesterov"} {
		t.Run(name, func(t *testing.T) {
			c := readGolden(t, name)
			number := func(key string) float64 { x, _ := c.Config[key].(float64); return x }
			a, b, want := c.Tensors["A"].Data, c.Tensors["b"].Data, c.Tensors["path"]
			w := slices.Clone(c.Tensors["start"].Data)
			n := len(w)
			g, m, v := make([]float32, n), make([]float32, n), make([]float32, n)
			var velocity []float32
			if number("momentum") > 0 {
				velocity = make([]float32, n)
			}
			nesterov, _ := c.Config["nesterov"].(bool)
			for step := range want.Shape[0] {
				for i := range g {
					g[i] = Dot(a[i*n:(i+1)*n], w) - b[i]
				}
				scale := float32(1)
				if limit, norm := number("clip_global_norm"), math.Sqrt(SumSquares(g)); limit > 0 && norm > limit {
					scale = float32(limit / (norm + 1e-6))
				}
				if c.Config["type"] == "adam" {
					b1, b2 := float32(0.9), float32(0.999)
					c1, c2 := 1-math.Pow(float64(b1), float64(step+1)), 1-math.Pow(float64(b2), float64(step+1))
					AdamStep(w, g, m, v, float32(number("lr")), b1, b2, 1e-8, float32(c1), float32(c2), scale)
				} else {
					SGDStep(w, g, velocity, float32(number("lr")), float32(number("momentum")), nesterov, scale)
				}
				closeTo(t, fmt.Sprintf("weights after step %d", step+1), w, want.Data[step*n:(step+1)*n], 2e-5, 2e-6)
			}
		})
	}
}

func TestAdamStepValues(t *testing.T) {
	// By hand, step 1: m = 0.1*g, v = 0.001*g^2, both corrections undo the decay.
	w, g, m, v := []float64{1, 2}, []float64{4, -4}, make([]float64, 2), make([]float64, 2)
	AdamStep(w, g, m, v, 0.1, 0.9, 0.999, 0, 0.1, 0.001, 0.5)
	for i, want := range []float64{0.9, 2.1} {
		if !(math.Abs(w[i]-want) < 1e-12) {
			t.Errorf("weight %d is %g, want %g", i, w[i], want)
		}
	}
	if !(math.Abs(m[1]+0.2) < 1e-12) || !(math.Abs(v[1]-0.004) < 1e-12) {
		t.Errorf("mean and mean square are %g and %g, want -0.2 and 0.004", m[1], v[1])
	}
}

func TestSGDStepValues(t *testing.T) {
	for _, c := range []struct {
		name     string
		momentum float64
		nesterov bool
		want     float64 // after two steps with gradients 2 and 2
	}{
		{"plain", 0, false, 10 - 0.5*(2+2)},
		{"momentum", 0.5, false, 10 - 0.5*(2+3)},
		{"nesterov", 0.5, true, 10 - 0.5*(3+3.5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, g := []float64{10}, []float64{4}
			var velocity []float64
			if c.momentum > 0 {
				velocity = make([]float64, 1)
			}
			for range 2 {
				SGDStep(w, g, velocity, 0.5, c.momentum, c.nesterov, 0.5)
			}
			if w[0] != c.want {
				t.Errorf("weight is %g, want %g", w[0], c.want)
			}
		})
	}
}

func BenchmarkOptimize(b *testing.B) {
	for _, n := range []int{16 << 10, 1 << 20} {
		w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range g {
			g[i] = 1e-3 // zeros are faster to divide
		}
		b.Run(fmt.Sprintf("Adam/%d", n), func(b *testing.B) {
			for b.Loop() {
				AdamStep(w, g, m, v, 1e-3, 0.9, 0.999, 1e-8, 0.5, 0.1, 1)
			}
			perElement(b, n, 28*n)
		})
		b.Run(fmt.Sprintf("SGD/%d", n), func(b *testing.B) {
			for b.Loop() {
				SGDStep(w, g, m, 1e-3, 0.9, true, 1)
			}
			perElement(b, n, 20*n)
		})
	}
}
