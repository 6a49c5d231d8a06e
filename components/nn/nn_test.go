package nn

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"exp/components/autodiff"
)

func draw(init autodiff.Init, dims ...int) []float64 {
	shape := autodiff.NewShape(dims...)
	values := make([]float64, shape.Size())
	init(rand.New(rand.NewPCG(1, 2)), shape, values)
	return values
}

func TestOrthogonal(t *testing.T) {
	const n, blocks = 33, 3
	m := draw(Orthogonal(blocks), blocks*n, n)
	for b := range blocks {
		block := m[b*n*n : (b+1)*n*n]
		for i := range n {
			for j := range i + 1 {
				want := 0.0
				if i == j {
					want = 1
				}
				if got := dot(block[i*n:(i+1)*n], block[j*n:(j+1)*n]); math.Abs(got-want) > 1e-14 {
					t.Fatalf("block %d, rows %d and %d: product %v, want %v", b, i, j, got, want)
				}
			}
		}
	}
}

// moments returns the mean and the mean square.
func moments(x []float64) (mean, square float64) {
	for _, v := range x {
		mean += v / float64(len(x))
		square += v * v / float64(len(x))
	}
	return mean, square
}

func TestInitialisers(t *testing.T) {
	for name, test := range map[string]struct {
		values    []float64
		deviation float64
		bound     float64 // 0: none
	}{
		"uniform":           {draw(Uniform(0.5), 200, 100), 0.5 / math.Sqrt(3), 0.5},
		"normal":            {draw(Normal(0.2), 200, 100), 0.2, 0},
		"xavier":            {draw(Xavier(1), 200, 100), math.Sqrt(2. / 300), math.Sqrt(6. / 300)},
		"xavier of 4 gates": {draw(Xavier(4), 400, 100), math.Sqrt(2. / 200), math.Sqrt(6. / 200)},
	} {
		mean, square := moments(test.values)
		if math.Abs(mean) > 0.03*test.deviation || math.Abs(math.Sqrt(square)-test.deviation) > 0.02*test.deviation {
			t.Errorf("%s: mean %v and deviation %v, want 0 and %v", name, mean, math.Sqrt(square), test.deviation)
		}
		for _, v := range test.values {
			if test.bound > 0 && math.Abs(v) > test.bound {
				t.Fatalf("%s: %v is outside ±%v", name, v, test.bound)
			}
		}
	}
	for i, v := range draw(ConstantBlock(2, 1, 4), 12) {
		if want := map[bool]float64{true: 2}[i >= 3 && i < 6]; v != want {
			t.Errorf("constant block: element %d is %v, want %v", i, v, want)
		}
	}
}

func TestSinusoid(t *testing.T) {
	for _, test := range []struct {
		pos, i, size int
		want         float64
	}{
		{0, 0, 8, 0}, {0, 1, 8, 1}, {3, 0, 8, math.Sin(3)}, {3, 1, 8, math.Cos(3)},
		{5, 4, 8, math.Sin(5. / 100)}, {5, 5, 8, math.Cos(5. / 100)}, {7, 2, 3, math.Sin(7 / math.Pow(10000, 2./3))},
	} {
		if got := Sinusoid(test.pos, test.i, test.size); math.Abs(got-test.want) > 1e-15 {
			t.Errorf("position %d, dimension %d of %d: %v, want %v", test.pos, test.i, test.size, got, test.want)
		}
	}
}

// A position has the same vector wherever the sequence that it is in begins.
func TestPositions(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float32, 1)
	one := func(length int32) autodiff.Spans {
		return autodiff.Spans{Starts: []int32{0}, Lengths: []int32{length}}
	}
	for name, p := range map[string]*Positions{"sinusoids": {Sinusoids: NewSinusoids(4)}, "learned": NewLearnedPositions(params, 9, 4)} {
		tape := autodiff.NewTape(autodiff.Float32)
		tape.Reset(false, false)
		at := func(from, n int) []float32 {
			x := tape.Zero(n, 4)
			p.Add(tape, x, one(int32(n)), from)
			return x.Float32s()
		}
		late := at(6, 2) // before the table is as long
		all := at(0, 9)
		for i, v := range late {
			if v != all[6*4+i] {
				t.Errorf("%s: element %d of positions 6 and 7 is %v, from 0 on it is %v", name, i, v, all[6*4+i])
			}
		}
	}
}

func TestCheckHeads(t *testing.T) {
	for _, test := range []struct {
		heads, size int
		want        string
	}{
		{4, 128, ""}, {1, 7, ""}, {7, 7, ""},
		{0, 8, "must be at least 1"}, {-2, 8, "must be at least 1"},
		{3, 128, "nearest: 2, 4"}, {5, 12, "nearest: 4, 6"}, {9, 8, "at most 8 can"}, {6, 7, "nearest: 1, 7"},
	} {
		err := CheckHeads(test.heads, test.size)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%d heads, size %d: error is %v, want %q", test.heads, test.size, err, test.want)
		}
	}
}

// selfAttention is one of size 4 and two heads whose queries, keys and values are
// random, and its input.
func selfAttention(t *testing.T, params *autodiff.Params) (a SelfAttention, tape *autodiff.Tape, x *autodiff.Var) {
	t.Helper()
	a = NewSelfAttention(params, "self", 4, 2)
	tape = autodiff.NewTape(autodiff.Float64)
	tape.KeepWeights()
	tape.Reset(false, false)
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 5*4)
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	return a, tape, tape.Input(values, 5, 4)
}

func oneSequence(n int) autodiff.Spans {
	return autodiff.Spans{Starts: []int32{0}, Lengths: []int32{int32(n)}}
}

// Turned queries and keys: the scores by hand for the second pair of positions,
// and equal inputs a distance apart look at each other alike wherever they are.
func TestRotary(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float64, 1)
	a, tape, _ := selfAttention(t, params)
	a.Rotary = NewSinusoids(2)
	x := tape.Input([]float32{1, -2, 0.5, 1, 1, -2, 0.5, 1, 1, -2, 0.5, 1}, 3, 4)
	all := autodiff.Values[float64](a.Input.Forward(tape, x))
	_, weights := a.Forward(tape, x, oneSequence(3), oneSequence(3), false)
	w := autodiff.Values[float64](weights)
	for head := range 2 {
		q, k := all[2*head:][:2], all[4+2*head:][:2]
		score := func(i, j int) float64 { // of q turned by i and k turned by j: q · (k turned by j-i)
			sin, cos := math.Sincos(float64(j - i))
			return (q[0]*(k[0]*cos-k[1]*sin) + q[1]*(k[0]*sin+k[1]*cos)) / math.Sqrt2
		}
		at := func(i, j int) float64 { return w[(head*3+i)*3+j] }
		for i := range 3 {
			for j := range 3 {
				if got, want := math.Log(at(i, j)/at(i, i)), score(i, j)-score(i, i); math.Abs(got-want) > 1e-6 {
					t.Errorf("head %d: position %d looks at %d with a score %v above its own, want %v", head, i, j, got, want)
				}
			}
		}
	}
}

// Relative keys and values by hand, clipped at a distance of 1.
func TestRelative(t *testing.T) {
	for _, causal := range []bool{false, true} {
		params := autodiff.NewParams(autodiff.Float64, 1)
		a, tape, x := selfAttention(t, params)
		a.Relative = NewRelative(params, 1, 2, causal)
		params.Changed()
		all := autodiff.Values[float64](a.Input.Forward(tape, x))
		relKeys, relValues := autodiff.Values[float64](a.Relative.Keys), autodiff.Values[float64](a.Relative.Values)
		context := tape.Zero(5, 4)
		for i := range 5 {
			for head := range 2 {
				seen := 5
				if causal {
					seen = i + 1
				}
				e, sum := make([]float64, seen), 0.0
				row := func(j int) int { return max(-1, min(1, j-i)) + 1 }
				for j := range e {
					score := 0.0
					for p := range 2 {
						score += all[i*12+head*2+p] * (all[j*12+4+head*2+p] + relKeys[row(j)*2+p])
					}
					e[j] = math.Exp(score / math.Sqrt2)
					sum += e[j]
				}
				for j := range e {
					for p := range 2 {
						autodiff.Values[float64](context)[i*4+head*2+p] += e[j] / sum * (all[j*12+8+head*2+p] + relValues[row(j)*2+p])
					}
				}
			}
		}
		want := autodiff.Values[float64](a.Output.Forward(tape, context))
		y, _ := a.Forward(tape, x, oneSequence(5), oneSequence(5), causal)
		for i, got := range autodiff.Values[float64](y) {
			if math.Abs(got-want[i]) > 1e-12 {
				t.Errorf("causal %v: element %d is %v, want %v", causal, i, got, want[i])
			}
		}
	}
}
