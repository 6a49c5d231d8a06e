package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// near reports |got - want| <= tol * max(1, |want|), false for a NaN.
func near(got, want, tol float64) bool {
	return math.Abs(got-want) <= tol*max(1, math.Abs(want))
}

// checkGradient compares dx, the gradient of loss with respect to x, to central
// differences.
func checkGradient(t *testing.T, name string, loss func() float64, x, dx []float64) {
	t.Helper()
	const step = 6e-6
	for i := range x {
		at := x[i]
		x[i] = at + step
		up := loss()
		x[i] = at - step
		down := loss()
		x[i] = at
		if want := (up - down) / (2 * step); !near(dx[i], want, 1e-7) {
			t.Errorf("%s: gradient of element %d is %g, differences give %g", name, i, dx[i], want)
		}
	}
}

// weighted is the sum of y, each element times its weight.
func weighted(y, weight []float64) float64 {
	sum := 0.0
	for i := range y {
		sum += y[i] * weight[i]
	}
	return sum
}

func TestActivationValues(t *testing.T) {
	src := []float64{-3, -0.5, 0, 0.25, 2}
	for _, c := range []struct {
		name string
		call func(dst, src []float64)
		want []float64
	}{
		{"Exp", Exp[float64], []float64{0.049787068367863944, 0.60653065971263342, 1, 1.2840254166877414, 7.3890560989306504}},
		{"Tanh", Tanh[float64], []float64{-0.99505475368673046, -0.46211715726000973, 0, 0.24491866240370913, 0.96402758007581688}},
		{"Sigmoid", Sigmoid[float64], []float64{0.047425873177566781, 0.37754066879814541, 0.5, 0.56217650088579807, 0.88079707797788231}},
		{"Relu", Relu[float64], []float64{0, 0, 0, 0.25, 2}},
		{"Gelu", Gelu[float64], []float64{-0.0040496940948902867, -0.15426876936299345, 0, 0.14967658142073091, 1.9544997361036416}},
	} {
		got := slices.Clone(src)
		c.call(got, got)
		for i := range got {
			if !near(got[i], c.want[i], 1e-15) {
				t.Errorf("%s(%g) = %.17g, want %.17g", c.name, src[i], got[i], c.want[i])
			}
		}
	}
}

func TestActivationGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	const n = 20
	x, dy, y := randomSlice[float64](rng, n), randomSlice[float64](rng, n), make([]float64, n)
	for _, c := range []struct {
		name     string
		forward  func(dst, src []float64)
		backward func(dx, dy, from []float64)
		from     []float64 // what backward wants beside dy
	}{
		{"Tanh", Tanh[float64], TanhBackward[float64], y},
		{"Sigmoid", Sigmoid[float64], SigmoidBackward[float64], y},
		{"Relu", Relu[float64], ReluBackward[float64], y},
		{"Gelu", Gelu[float64], GeluBackward[float64], x},
	} {
		c.forward(y, x)
		dx := slices.Repeat([]float64{100}, n) // what is there stays
		c.backward(dx, dy, c.from)
		for i := range dx {
			dx[i] -= 100
		}
		checkGradient(t, c.name, func() float64 {
			c.forward(y, x)
			return weighted(y, dy)
		}, x, dx)
	}
}

// wide is awkward with values up to several, tens or hundreds.
func wide(rng *rand.Rand, n int) []float32 {
	x := awkward(rng, n)
	for i, scale := 0, []float32{1, 8, 60}[rng.IntN(3)]; i < n; i++ {
		x[i] *= scale
	}
	return x
}

func TestActivationsEqualReference(t *testing.T) {
	type slice = []float32
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, n int) {
		for _, f := range []struct {
			name            string
			call, reference func(dst, src slice)
		}{
			{"Exp", Exp[float32], expReference[float32]},
			{"Tanh", Tanh[float32], tanhReference[float32]},
			{"Sigmoid", Sigmoid[float32], sigmoidReference[float32]},
			{"AdditiveTerms", AdditiveTerms[float32], additiveTermsReference[float32]},
			{"Relu", Relu[float32], reluReference[float32]},
			{"Gelu", Gelu[float32], geluReference[float32]},
		} {
			src, got := wide(rng, n+rng.IntN(3)), awkward(rng, n+1)
			want := slices.Clone(got)
			f.call(got[:n], src)
			f.reference(want[:n], src)
			same(t, f.name, n, got, want)
			got = slices.Clone(src)
			f.call(got[:n], got)
			copy(src, want[:n])
			same(t, f.name+" in place", n, got, src)
		}
		for _, f := range []struct {
			name            string
			call, reference func(dx, dy, y slice)
		}{
			{"TanhBackward", TanhBackward[float32], tanhBackwardReference[float32]},
			{"SigmoidBackward", SigmoidBackward[float32], sigmoidBackwardReference[float32]},
			{"ReluBackward", ReluBackward[float32], reluBackwardReference[float32]},
			{"GeluBackward", GeluBackward[float32], geluBackwardReference[float32]},
		} {
			got, dy, y := awkward(rng, n+1), awkward(rng, n), wide(rng, n+rng.IntN(3))
			want := slices.Clone(got)
			f.call(got[:n], dy, y)
			f.reference(want[:n], dy, y)
			same(t, f.name, n, got, want)
			f.call(got[:n], got, got)
			f.reference(want[:n], want, want)
			same(t, f.name+" in place", n, got, want)
		}
	})
}

func TestActivationSpecialValues(t *testing.T) {
	inf, nan, negZero, tiny := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1)), float32(math.SmallestNonzeroFloat32)
	for _, path := range available {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			for _, c := range []struct {
				name      string
				call      func(dst, src []float32)
				src, want []float32
			}{
				{"Exp", Exp[float32], []float32{inf, -inf, nan, 0, negZero, tiny, 88.72283, 88.72284, -86.98, -86.995, -1e30, 1e30},
					[]float32{inf, 0, nan, 1, 1, 1, 0x1.ffff08p+127, inf, 0x1.6daa5cp-126, 0, 0, inf}},
				{"Tanh", Tanh[float32], []float32{inf, -inf, nan, 0, negZero, tiny, -tiny, 1e-20, 9.2, -1e30}, []float32{1, -1, nan, 0, negZero, tiny, -tiny, 1e-20, 1, -1}},
				{"Sigmoid", Sigmoid[float32], []float32{inf, -inf, nan, 0, negZero, tiny, 20, -89}, []float32{1, 0, nan, 0.5, 0.5, 0.5, 1, 0}},
				{"AdditiveTerms", AdditiveTerms[float32], []float32{inf, 43, -inf, -43, nan, 0, negZero}, []float32{0x1.0d0edap+124, 0x1.0d0edap+124, 0x1.e726c4p-125, 0x1.e726c4p-125, nan, 1, 1}},
				{"Relu", Relu[float32], []float32{inf, -inf, nan, 0, negZero, tiny, -tiny, 3}, []float32{inf, 0, nan, 0, negZero, tiny, 0, 3}},
				{"Gelu", Gelu[float32], []float32{inf, -inf, nan, 0, 1e30, -1e30, 14, -14}, []float32{inf, 0, nan, 0, 1e30, 0, 14, 0}},
			} {
				got := make([]float32, len(c.src))
				c.call(got, c.src)
				for i := range got {
					if !sameFloat(got[i], c.want[i]) {
						t.Errorf("%s(%g) = %x, want %x", c.name, c.src[i], got[i], c.want[i])
					}
				}
			}
		})
	}
}

// TestAccuracy measures the error of the float32 functions in units in the last
// place of the exact result, against float64, over every float32 of a range
// whose bits are a multiple of some number.
func TestAccuracy(t *testing.T) {
	normalRange := func(y float64) bool { return math.Abs(y) >= 0x1p-125 && math.Abs(y) <= math.MaxFloat32 }
	for _, f := range []struct {
		name     string
		call     func(dst, src []float32)
		exact    func(x float64) float64
		from, to float32 // of |x|
		most     float64 // error
	}{
		{"Exp", Exp[float32], math.Exp, 0x1p-30, 88.73, 0.9},
		{"Tanh", Tanh[float32], math.Tanh, 0x1p-100, 11, 2.5},
		{"Sigmoid", Sigmoid[float32], sigmoid[float64], 0x1p-30, 88, 2.4},
		{"Gelu", Gelu[float32], gelu[float64], 0x1p-100, 4, 4},
		{"Gelu far out", Gelu[float32], gelu[float64], 4, 14, 5},
		{"GeluBackward", func(dst, src []float32) {
			clear(dst)
			ones := slices.Repeat([]float32{1}, len(src))
			GeluBackward(dst, ones, src)
		}, geluSlope[float64], 0x1p-30, 14, math.Inf(1)},
		{"log", func(dst, src []float32) {
			for i, x := range src {
				dst[i] = log(max(x, 1/x, -x, -1/x))
			}
		}, func(x float64) float64 { return math.Log(max(math.Abs(x), 1/math.Abs(float64(x)))) }, 1, 1e9, 0.51},
	} {
		const step = 127 // four million values and more from 0x1p-30 to 88
		src := make([]float32, 0, 1<<12)
		dst := make([]float32, 1<<12)
		worst, worstAt, absolute := 0.0, float32(0), 0.0
		flush := func() {
			f.call(dst[:len(src)], src)
			for i, x := range src {
				want := f.exact(float64(x))
				if !normalRange(want) {
					continue
				}
				diff := math.Abs(float64(dst[i]) - want)
				absolute = max(absolute, diff/max(1, math.Abs(want)))
				_, exponent := math.Frexp(want)
				if ulps := math.Ldexp(diff, 24-exponent); !(ulps <= worst) {
					worst, worstAt = ulps, x
				}
			}
			src = src[:0]
		}
		for bits := math.Float32bits(f.from); bits <= math.Float32bits(f.to); bits += step {
			x := math.Float32frombits(bits)
			src = append(src, x, -x)
			if len(src) == cap(src) {
				flush()
			}
		}
		flush()
		t.Logf("%s: at most %.3f ulp, at %g; %.3g of max(1, |result|)", f.name, worst, worstAt, absolute)
		if !(absolute <= 2e-7) {
			t.Errorf("%s is off by %g of max(1, |result|)", f.name, absolute)
		}
		if !(worst <= f.most) {
			t.Errorf("%s(%g) is off by %g ulp, at most %g is allowed", f.name, worstAt, worst, f.most)
		}
	}
}

func BenchmarkActivation(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{64, 16 << 10} {
		dst, x, y := make([]float32, n), randomSlice[float32](rng, n), randomSlice[float32](rng, n)
		for _, f := range []struct {
			name string
			call func()
		}{
			{"Exp", func() { Exp(dst, x) }},
			{"Tanh", func() { Tanh(dst, x) }},
			{"Sigmoid", func() { Sigmoid(dst, x) }},
			{"Relu", func() { Relu(dst, x) }},
			{"Gelu", func() { Gelu(dst, x) }},
			{"TanhBackward", func() { TanhBackward(dst, x, y) }},
			{"GeluBackward", func() { GeluBackward(dst, x, y) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, n), func(b *testing.B) {
				for b.Loop() {
					f.call()
				}
				perElement(b, n, 8*n)
			})
		}
	}
}

// What the activations and the fused operations refuse.
func TestFusedSizesPanic(t *testing.T) {
	x, ids := make([]float32, 23), []int32{0, 3}
	for _, c := range []struct {
		want string
		call func()
	}{
		{"Tanh: src has 22 elements; want at least 23", func() { Tanh(x, x[:22]) }},
		{"GeluBackward: x has 1 elements", func() { GeluBackward(x, x, x[:1]) }},
		{"LSTMForward: gates is stored [2 12] with leading dimension 12 in 23 elements", func() { LSTMForward(2, 3, x, 12, x, x, x) }},
		{"LSTMBackward: -1 rows", func() { LSTMBackward(-1, 3, x, 12, x, x, x, x) }},
		{"GRUForward: gh has 17 elements; want at least 18", func() { GRUForward(2, 3, x, x[:17], x, x) }},
		{"GRUBackward: dhPrev has 5 elements", func() { GRUBackward(2, 3, x, x, x, x, x[:5]) }},
		{"ReluGrad: h has 0 elements", func() { ReluGrad(x, x, nil) }},
		{"SoftmaxRows: valid[1] is 3 for rows of 2 elements", func() { SoftmaxRows(2, 2, x, 2, ids) }},
		{"SoftmaxRows: x is stored [4 6]", func() { SoftmaxRows(4, 6, x, 6, nil) }},
		{"SoftmaxRowsBackward: y is stored [2 3] with leading dimension 3 in 5 elements", func() { SoftmaxRowsBackward(2, 3, x, x[:5], x, 3, 1) }},
		{"LogSoftmaxRows: dst has 5 elements", func() { LogSoftmaxRows(2, 3, x[:5], x) }},
		{"ArgmaxRows: 2 rows of 0 elements", func() { ArgmaxRows(2, 0, x, ids) }},
		{"CrossEntropy: targets[1] is 3; want 0 to 2, or -1 to ignore", func() { CrossEntropy(2, 3, x, 3, ids, -1, 0, 1, nil, nil) }},
		{"AdditiveScores: scores is stored [2 5]", func() { AdditiveScores(2, 5, 1, x, x, x, x, 20) }},
		{"AdditiveScoresBackward: dk has 5 elements", func() { AdditiveScoresBackward(1, 2, 3, x, x, x, x, 2, x, x[:5], x) }},
		{"AdditiveAttention: sequence 0 is {Query:0 Queries:-1", func() { AdditiveAttention(1, 1, []AttentionRows{{0, -1, 0, 1}}, x, x, x, x, x, x) }},
		{"AdditiveAttention: w has 3 elements; want at least 4", func() { AdditiveAttention(1, 1, []AttentionRows{{0, 2, 0, 2}}, x, x, x, x, x[:3], x) }},
		{"AdditiveAttentionBackward: dvalues has 1 elements", func() {
			AdditiveAttentionBackward(1, 1, []AttentionRows{{0, 2, 0, 2}}, x, x, x, x, nil, x, x, nil, nil, nil, nil, x[:1])
		}},
		{"AdditiveAttentionBackward: transposed has 1 elements; want at least 2", func() {
			AdditiveAttentionBackward(1, 1, []AttentionRows{{0, 2, 0, 2}}, x, x, x, x, x[:1], x, x, nil, nil, nil, nil, nil)
		}},
		{"Transpose: dst is stored [3 2] with leading dimension 1", func() { Transpose(2, 3, x, 3, x, 1) }},
	} {
		t.Run(c.want, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("got panic %q, want it to contain %q", got, c.want)
				}
			}()
			c.call()
		})
	}
}

func TestFusedAllocateNothing(t *testing.T) {
	const n = 20
	x, y, ids, rows := make([]float32, 4*n), make([]float32, 4*n), []int32{1}, []AttentionRows{{0, 1, 0, 1}}
	for _, path := range available {
		usePath(t, path)
		if allocs := testing.AllocsPerRun(20, func() {
			Gelu(y, x)
			GeluBackward(y, x, x)
			LSTMForward(1, n, y, 4*n, x, x, x)
			LSTMBackward(1, n, y, 4*n, x, x, x, x)
			GRUForward(1, n, y, x, x, x)
			GRUBackward(1, n, y, x, x, x, x)
			SoftmaxRows(1, n, x, n, ids)
			SoftmaxRowsBackward(1, n, x, x, x, n, 1)
			LogSoftmaxRows(1, n, x, x)
			ArgmaxRows(1, n, x, ids)
			CrossEntropy(1, n, x, n, ids, -1, 0.1, 1, y, y)
			AdditiveScores(1, 1, n, x, x, x, y, 1)
			AdditiveScoresBackward(1, 1, n, x, x, x, x, 1, y, y[n:], y[2*n:])
			AdditiveAttention(n, 1, rows, x, x, x, x, y, nil)
			Transpose(1, n, x, n, y, 1)
			AdditiveAttentionBackward(n, 1, rows, x, x, x, x, x, x, x, y[3*n:], y, y[n:], y[2*n:], nil)
		}); allocs != 0 {
			t.Errorf("%v: %g allocations", path, allocs)
		}
	}
}
