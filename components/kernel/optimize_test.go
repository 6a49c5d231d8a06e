package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every optimizer, with and without what it can do without, gives the bits of its
// plain loop.
func TestOptimizersEqualReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		decay, scale := []float32{0, 0.02}[rng.IntN(2)], rng.Float32()
		nilUnless := func(x []float32, is bool) []float32 {
			if is {
				return x
			}
			return nil
		}
		adam := Adam[float32]{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Correction1: rng.Float32(), Correction2: rng.Float32(),
			GradScale: scale, Decay: decay, Shrink: decay / 10}
		steps := map[string]func(w, g, a, b, c []float32) (finite bool){
			"AdamStep": func(w, g, a, b, _ []float32) bool { return AdamStep(w[:n], g, a, b, adam) },
			"AdagradStep": func(w, g, a, _, _ []float32) bool {
				return AdagradStep(w[:n], g, a, Adagrad[float32]{LR: 0.01, Epsilon: 1e-10, GradScale: scale, Decay: decay})
			},
			"Clamp": func(w, _, _, _, _ []float32) bool { Clamp(w[:n], 1.5); return allFiniteReference(w[:n]) },
		}
		for i := range 4 {
			steps[fmt.Sprintf("SGDStep %d", i)] = func(w, g, a, _, _ []float32) bool {
				return SGDStep(w[:n], g, nilUnless(a, i > 1), SGD[float32]{LR: 0.01, Momentum: 0.9, Nesterov: i == 3, GradScale: scale, Decay: decay})
			}
			steps[fmt.Sprintf("RMSPropStep %d", i)] = func(w, g, a, b, c []float32) bool {
				return RMSPropStep(w[:n], g, a, nilUnless(b, i&1 != 0), nilUnless(c, i&2 != 0),
					RMSProp[float32]{LR: 0.01, Keep: 0.99, Gain: 0.01, Epsilon: 1e-8, Momentum: 0.9, GradScale: scale, Decay: decay})
			}
		}
		for name, step := range steps {
			g, start := awkward(rng, n), [4][]float32{awkward(rng, n+1), awkward(rng, n+1), awkward(rng, n+1), awkward(rng, n+1)}
			if rng.IntN(2) == 0 { // squares
				for i := range n {
					start[1][i], start[2][i] = max(start[1][i], -start[1][i]), max(start[2][i], -start[2][i])
				}
			}
			got, want := start, start
			for i := range start {
				got[i], want[i] = slices.Clone(start[i]), slices.Clone(start[i])
			}
			finite := step(got[0], g, got[1], got[2], got[3])
			before := active
			setPath(pathReference)
			step(want[0], g, want[1], want[2], want[3])
			setPath(before)
			for i := range got {
				same(t, fmt.Sprintf("slice %d of %s", i, name), n, got[i], want[i])
			}
			if finite != allFiniteReference(want[0][:n]) {
				t.Fatalf("%s of %d reports that the weights are finite: %v", name, n, finite)
			}
		}
	})
}

func TestAdamStepValues(t *testing.T) {
	// By hand, step 1: m = 0.1*g, v = 0.001*g^2, both corrections undo the decay.
	w, g, m, v := []float64{1, 2}, []float64{4, -4}, make([]float64, 2), make([]float64, 2)
	AdamStep(w, g, m, v, Adam[float64]{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Correction1: 0.1, Correction2: 0.001, GradScale: 0.5})
	for i, want := range []float64{0.9, 2.1} {
		if !(math.Abs(w[i]-want) < 1e-12) {
			t.Errorf("weight %d is %g, want %g", i, w[i], want)
		}
	}
	if !(math.Abs(m[1]+0.2) < 1e-12) || !(math.Abs(v[1]-0.004) < 1e-12) {
		t.Errorf("mean and mean square are %g and %g, want -0.2 and 0.004", m[1], v[1])
	}
}

func TestSubnormalMeansCountAsZero(t *testing.T) {
	const least = 0x1p-126
	for _, path := range available {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			state := func() []float32 { return []float32{math.Nextafter32(least, 0), 2 * least, 0x1p-149} }
			w, g := make([]float32, 3), make([]float32, 3)
			a, b, c := state(), state(), state()
			check := func(name string, states ...[]float32) {
				t.Helper()
				for _, s := range states {
					if s[0] != 0 || s[1] == 0 || s[2] != 0 {
						t.Errorf("%s without a gradient leaves %g of %g", name, s, state())
					}
				}
			}
			AdamStep(w, g, a, b, Adam[float32]{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Correction1: 0.5, Correction2: 0.5, GradScale: 1})
			check("AdamStep", a, b)
			a = state()
			SGDStep(w, g, a, SGD[float32]{LR: 0.01, Momentum: 0.9, GradScale: 1})
			check("SGDStep", a)
			a, b = state(), state()
			RMSPropStep(w, g, a, b, c, RMSProp[float32]{LR: 0.01, Keep: 0.99, Gain: 0.01, Epsilon: 1e-8, Momentum: 0.9, GradScale: 1})
			check("RMSPropStep", a, b, c)
		})
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
				SGDStep(w, g, velocity, SGD[float64]{LR: 0.5, Momentum: c.momentum, Nesterov: c.nesterov, GradScale: 0.5})
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
				AdamStep(w, g, m, v, Adam[float32]{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Correction1: 0.5, Correction2: 0.1, GradScale: 1})
			}
			perElement(b, n, 28*n)
		})
		// Most of its time is not the update's where that is as it should be.
		b.Run(fmt.Sprintf("Adam subnormal/%d", n), func(b *testing.B) {
			none, sub, m, v := make([]float32, n), slices.Repeat([]float32{1e-40}, n), make([]float32, n), make([]float32, n)
			for b.Loop() {
				copy(m, sub)
				copy(v, sub)
				AdamStep(w, none, m, v, Adam[float32]{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Correction1: 0.5, Correction2: 0.1, GradScale: 1})
			}
			perElement(b, n, 28*n)
		})
		b.Run(fmt.Sprintf("SGD/%d", n), func(b *testing.B) {
			for b.Loop() {
				SGDStep(w, g, m, SGD[float32]{LR: 1e-3, Momentum: 0.9, Nesterov: true, GradScale: 1})
			}
			perElement(b, n, 20*n)
		})
		b.Run(fmt.Sprintf("Adagrad/%d", n), func(b *testing.B) {
			for b.Loop() {
				AdagradStep(w, g, v, Adagrad[float32]{LR: 1e-3, Epsilon: 1e-10, GradScale: 1})
			}
			perElement(b, n, 20*n)
		})
		b.Run(fmt.Sprintf("RMSProp/%d", n), func(b *testing.B) {
			for b.Loop() {
				RMSPropStep(w, g, v, nil, m, RMSProp[float32]{LR: 1e-3, Keep: 0.99, Gain: 0.01, Epsilon: 1e-8, Momentum: 0.9, GradScale: 1})
			}
			perElement(b, n, 28*n)
		})
	}
}
