package frontend

import (
	"math"
	"testing"

	"exp/components"
	"exp/components/autodiff"
)

// The convolution is what its equation says, frame by frame, of sequences of every
// length about the window's.
func TestConvolution(t *testing.T) {
	const f, e = 2, 3
	for _, o := range []ConvolutionOptions{
		{Channels: 4, NumLayers: 1, KernelSize: 3, Stride: 2}, {Channels: 4, NumLayers: 2, KernelSize: 3, Stride: 2},
		{Channels: 2, NumLayers: 1, KernelSize: 1, Stride: 1}, {Channels: 2, NumLayers: 1, KernelSize: 4, Stride: 3}, {Channels: 2, NumLayers: 1, KernelSize: 1, Stride: 2},
	} {
		params := autodiff.NewParams(autodiff.Float64, 1)
		front, err := NewConvolution(o, components.FrontEndDeps{Params: params, FrameSize: f, Size: e})
		if err != nil {
			t.Fatal(err)
		}
		c := front.(*convolution)
		var values []float32
		spans := autodiff.Spans{}
		rows := 0
		for _, length := range []int{3, 0, 1, 7, 4} {
			spans.Starts, spans.Lengths = append(spans.Starts, int32(rows)), append(spans.Lengths, int32(length))
			for range length * f {
				values = append(values, float32(math.Sin(float64(len(values)*len(values)))))
			}
			rows += length
		}
		tape := autodiff.NewTape(autodiff.Float64)
		tape.Reset(false, false)
		y, out := front.Forward(tape, tape.Constant(values, rows, f), spans)
		at := 0
		for b, length := range spans.Lengths {
			x := make([][]float64, length)
			for i := range x {
				x[i] = make([]float64, f)
				for j := range x[i] {
					x[i][j] = float64(values[(int(spans.Starts[b])+i)*f+j])
				}
			}
			for _, l := range c.layers {
				x = convolve(x, autodiff.Values[float64](l.Weight), autodiff.Values[float64](l.Bias), l.Weight.Dim(1)/o.KernelSize, o)
			}
			if int(out.Lengths[b]) != len(x) || front.Length(int(length)) != len(x) || int(out.Starts[b]) != at {
				t.Fatalf("%+v: a sequence of %d frames is %d vectors from %d on, %d by Length, want %d from %d", o, length, out.Lengths[b], out.Starts[b], front.Length(int(length)), len(x), at)
			}
			for _, h := range x {
				for i := range e {
					want := autodiff.Values[float64](c.out.Bias)[i]
					for j, v := range h {
						want += autodiff.Values[float64](c.out.Weight)[i*len(h)+j] * v
					}
					if got := autodiff.Values[float64](y)[at*e+i]; math.Abs(got-want) > 1e-12 {
						t.Fatalf("%+v: element %d of vector %d is %v, want %v", o, i, at, got, want)
					}
				}
				at++
			}
		}
		if y.Dim(0) != at {
			t.Errorf("%+v: %d vectors, want %d", o, y.Dim(0), at)
		}
	}
}

// convolve is a layer as its documentation has it.
func convolve(x [][]float64, w, bias []float64, in int, o ConvolutionOptions) [][]float64 {
	var y [][]float64
	for j := 0; j*o.Stride < len(x); j++ {
		row := make([]float64, o.Channels)
		for c := range row {
			row[c] = bias[c]
			for k := range o.KernelSize {
				if at := j*o.Stride + k - (o.KernelSize-1)/2; at >= 0 && at < len(x) {
					for i, v := range x[at] {
						row[c] += w[(c*o.KernelSize+k)*in+i] * v
					}
				}
			}
			row[c] = max(0, row[c])
		}
		y = append(y, row)
	}
	return y
}
