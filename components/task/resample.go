package task

import "math"

// A resampler changes the rate of sounds by band-limited interpolation (Smith &
// Gossett 1984): sample n of the result is
//
//	y_n = Σ_k x_k h(n·in/out - k),  h(t) = c sinc(c t) kaiser(c t / zeroCrossings),
//
// with sinc(t) = sin(πt)/(πt), t in samples of the source, and c = cutoff·min(1,
// out/in). Where the rate falls, what is above half the new one is suppressed by 70
// dB before it can alias; frequencies up to 0.86 of the lower half are as they were.
// h is read out of a table, with straight lines between its points, once for each
// place between two samples of the source that the rates lead to, where these are
// not too many.
type resampler struct {
	in, out int
	c       float64
	table   []float64 // c·sinc·kaiser at points a tablePoints-th of a zero crossing apart
	reach   int       // samples of the source on each side of a place that h is not 0 for
	common  int       // divisor of in and out
	phases  [][]float64
}

const (
	zeroCrossings = 32   // of the sinc on each side
	tablePoints   = 1024 // a zero crossing

	maxPhases = 1 << 21 // weights that are kept

	// By Kaiser's formulas, β = 0.1102 (A - 8.7) for A = 70 dB, and the band between
	// what passes and what does not is (A - 8) / (2.285 · 2 · 32 π) of half the rate:
	// 0.135, around the cutoff.
	kaiserBeta = 6.755
	cutoff     = 1 - 0.135/2
)

func newResampler(in, out int) *resampler {
	r := &resampler{in: in, out: out, c: cutoff * min(1, float64(out)/float64(in)), table: make([]float64, zeroCrossings*tablePoints+2)}
	for i := range r.table {
		t := float64(i) / tablePoints
		share := t / zeroCrossings
		if share >= 1 {
			continue
		}
		sinc := 1.0
		if i > 0 {
			sinc = math.Sin(math.Pi*t) / (math.Pi * t)
		}
		r.table[i] = r.c * sinc * besselI0(kaiserBeta*math.Sqrt(1-share*share)) / besselI0(kaiserBeta)
	}
	r.reach = int(math.Ceil(zeroCrossings / r.c))
	r.common = in
	for rest := out; rest > 0; {
		r.common, rest = rest, r.common%rest
	}
	if n := out / r.common; n*2*r.reach <= maxPhases {
		r.phases = make([][]float64, n)
		for i := range r.phases {
			r.phases[i] = r.weights(i*r.common, make([]float64, 2*r.reach))
		}
	}
	return r
}

// weights writes h for a place that is phase/out of a sample beyond one of the
// source: for those from reach-1 samples before it on.
func (r *resampler) weights(phase int, w []float64) []float64 {
	for i := range w {
		place := math.Abs(float64(phase)/float64(r.out)-float64(i-r.reach+1)) * r.c * tablePoints
		j := int(place)
		if j >= len(r.table)-1 {
			w[i] = 0
			continue
		}
		w[i] = r.table[j] + float64((place-float64(j))*(r.table[j+1]-r.table[j]))
	}
	return w
}

// besselI0 is the modified Bessel function of the first kind of order 0.
func besselI0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-17*sum; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

// resample returns the sound at the new rate, ⌈len(x)·out/in⌉ samples.
func (r *resampler) resample(x []float64) []float64 {
	y := make([]float64, (len(x)*r.out+r.in-1)/r.in)
	own := make([]float64, 2*r.reach)
	for n := range y {
		before, phase := n*r.in/r.out, n*r.in%r.out
		var w []float64
		if r.phases != nil {
			w = r.phases[phase/r.common]
		} else {
			w = r.weights(phase, own)
		}
		from, to := max(0, before-r.reach+1), min(len(x), before+r.reach+1)
		w = w[from-(before-r.reach+1):]
		sum := 0.0
		for i, x := range x[from:to] {
			sum += float64(x * w[i])
		}
		y[n] = sum
	}
	return y
}
