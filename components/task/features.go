package task

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/dsp/window"
)

// features makes frames of sounds of one rate. It is safe for several goroutines,
// each of which has an [extractor].
type features struct {
	rate        int
	preEmphasis float64
	window      []float64 // [W]
	hop         int       // samples
	bank        []melFilter
	deltas      int
}

// melFilter is a triangle over the frequencies of a spectrum: the weights of from,
// from+1 and so on.
type melFilter struct {
	from    int
	weights []float64
}

// newFeatures makes what the options say. An error is of a filter that no frequency
// falls in.
func newFeatures(o SpeechOptions) (*features, error) {
	f := &features{rate: o.SampleRate, preEmphasis: o.PreEmphasis, hop: o.samples(o.HopMS), deltas: o.Deltas}
	f.window = make([]float64, o.samples(o.WindowMS))
	for i := range f.window {
		f.window[i] = 1
	}
	switch o.Window {
	case Hann:
		window.Hann(f.window)
	case Hamming:
		window.Hamming(f.window)
	}
	var err error
	f.bank, err = melBank(o.NumMel, f.transform(), f.rate, o.LowHz, o.highHz())
	return f, err
}

// transform is the size of the Fourier transform, the power of two at or above W.
func (f *features) transform() int {
	n := 2
	for n < len(f.window) {
		n *= 2
	}
	return n
}

// mel is the pitch of a frequency (O'Shaughnessy 1987), and hertz its inverse.
func mel(hz float64) float64    { return 2595 * math.Log10(1+hz/700) }
func hertz(mel float64) float64 { return 700 * (math.Pow(10, mel/2595) - 1) }

// melBank returns n triangles for the power spectra of a transform of size
// samples: filter i rises from 0 at frequency f_i to 1 at f_{i+1} and falls to 0 at
// f_{i+2}, along straight lines in hertz, with f_0 to f_{n+1} evenly apart in mel
// from low to high.
func melBank(n, size, rate int, low, high float64) ([]melFilter, error) {
	point := func(i int) float64 {
		return hertz(mel(low) + float64(i)*(mel(high)-mel(low))/float64(n+1))
	}
	bank := make([]melFilter, n)
	for i := range bank {
		left, centre, right := point(i), point(i+1), point(i+2)
		for k := range size/2 + 1 {
			hz := float64(k) * float64(rate) / float64(size)
			if w := min((hz-left)/(centre-left), (right-hz)/(right-centre)); w > 0 {
				if len(bank[i].weights) == 0 {
					bank[i].from = k
				}
				bank[i].weights = append(bank[i].weights, w)
			}
		}
		if len(bank[i].weights) == 0 {
			return nil, fmt.Errorf("filter %d of %d is from %.0f to %.0f Hz, and the spectrum of a window has values %.0f Hz apart, none of them there; take fewer filters, a longer window or a higher low_hz", i+1, n, left, right, float64(rate)/float64(size))
		}
	}
	return bank, nil
}

// size is F, numbers a frame.
func (f *features) size() int { return len(f.bank) * (1 + f.deltas) }

// extractor is features with memory to work in.
type extractor struct {
	*features
	fft      *fourier.FFT
	windowed []float64    // [transform]
	spectrum []complex128 // [transform/2+1]
	power    []float64    // [transform/2+1]
}

func newExtractor(f *features) *extractor {
	n := f.transform()
	return &extractor{f, fourier.NewFFT(n), make([]float64, n), make([]complex128, n/2+1), make([]float64, n/2+1)}
}

// energyFloor is what the energy of a filter is taken for at least, so that its
// logarithm is there: 10⁻¹⁰, with samples whose full scale is 1.
const energyFloor = 1e-10

// frames returns the frames of samples at the features' rate, [T, F] with T = 1 +
// ⌊(samples - W) / hop⌋: windows are whole, and what is left at the end is not
// looked at. It returns nil where there is not one window.
//
// A frame is the n values log max(10⁻¹⁰, Σ_k w_k |X_k|²), with X the Fourier
// transform of the window times the samples x'_t = x_t - a x_{t-1}, a being the
// pre-emphasis; then their deltas, and the deltas of these.
func (e *extractor) frames(samples []float64) []float32 {
	if len(samples) < len(e.window) {
		return nil
	}
	n, size := len(e.bank), e.size()
	steps := 1 + (len(samples)-len(e.window))/e.hop
	out := make([]float32, steps*size)
	for t := range steps {
		for i, w := range e.window {
			at := t*e.hop + i
			x := samples[at]
			if at > 0 {
				x -= float64(e.preEmphasis * samples[at-1])
			}
			e.windowed[i] = w * x
		}
		e.fft.Coefficients(e.spectrum, e.windowed)
		for k, x := range e.spectrum {
			e.power[k] = float64(real(x)*real(x)) + float64(imag(x)*imag(x))
		}
		for i, filter := range e.bank {
			energy := 0.0
			for k, w := range filter.weights {
				energy += float64(w * e.power[filter.from+k])
			}
			out[t*size+i] = float32(math.Log(max(energyFloor, energy)))
		}
	}
	for order := range e.deltas {
		delta(out, size, order*n, n)
	}
	return out
}

// deltaReach is Θ, the frames on each side that a delta sees, as in HTK.
const deltaReach = 2

// delta writes, beside the n values from column from on of frames [T, size], how
// they change: the slope of a regression line,
//
//	d_t = Σ_θ θ (c_{t+θ} - c_{t-θ}) / (2 Σ_θ θ²),  θ from 1 to Θ = 2,
//
// with the first and last frame repeated outside (Young et al. 2006, section 5.9).
func delta(frames []float32, size, from, n int) {
	steps, norm := len(frames)/size, 0.0
	for theta := 1; theta <= deltaReach; theta++ {
		norm += float64(2 * theta * theta)
	}
	for t := range steps {
		for i := from; i < from+n; i++ {
			sum := 0.0
			for theta := 1; theta <= deltaReach; theta++ {
				after, before := frames[min(t+theta, steps-1)*size+i], frames[max(t-theta, 0)*size+i]
				sum += float64(float64(theta) * (float64(after) - float64(before)))
			}
			frames[t*size+i+n] = float32(sum / norm)
		}
	}
}

// moments are what the mean and the variance of each feature follow from.
type moments struct {
	n            int
	sum, squares []float64
}

// add enters frames.
func (m *moments) add(frames []float32, size int) {
	if m.sum == nil {
		m.sum, m.squares = make([]float64, size), make([]float64, size)
	}
	for i := 0; i < len(frames); i += size {
		m.n++
		for j, x := range frames[i : i+size] {
			m.sum[j] += float64(x)
			m.squares[j] += float64(float64(x) * float64(x))
		}
	}
}

// leastDeviation is what a standard deviation is taken for at least: a feature that
// does not change stays near 0.
const leastDeviation = 1e-3

// normalize gives the frames' features mean 0 and variance 1, by the moments.
func (m *moments) normalize(frames []float32) {
	size := len(m.sum)
	for j := range size {
		mean := m.sum[j] / float64(m.n)
		variance := m.squares[j]/float64(m.n) - float64(mean*mean)
		deviation := math.Sqrt(max(variance, leastDeviation*leastDeviation))
		for i := j; i < len(frames); i += size {
			frames[i] = float32((float64(frames[i]) - mean) / deviation)
		}
	}
}
