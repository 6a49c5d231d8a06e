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
// h is read out of a table, with straight lines between its points.
type resampler struct {
	in, out int
	c       float64
	table   []float64 // c·sinc·kaiser at points a tablePoints-th of a zero crossing apart
}

const (
	zeroCrossings = 32   // of the sinc on each side
	tablePoints   = 1024 // a zero crossing

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
	return r
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
	reach := zeroCrossings / r.c // in samples of x
	for n := range y {
		at := float64(n) * float64(r.in) / float64(r.out)
		sum := 0.0
		for k := max(0, int(math.Ceil(at-reach))); k < len(x) && float64(k) <= at+reach; k++ {
			place := math.Abs(at-float64(k)) * r.c * tablePoints
			i := int(place)
			low := r.table[i]
			h := low + float64((place-float64(i))*(r.table[i+1]-low))
			sum += float64(x[k] * h)
		}
		y[n] = sum
	}
	return y
}
