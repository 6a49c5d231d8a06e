// Package frontend has the front ends, which make of real-valued frames the
// vectors that an encoder reads in the place of token embeddings.
package frontend

import (
	"errors"
	"fmt"
	"strconv"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Register enters this package's front ends.
func Register(c *components.Catalog) {
	registry.Add(&c.FrontEnds, "none", NoneOptions{}, NewNone)
	registry.Add(&c.FrontEnds, "linear", LinearOptions{}, NewLinear)
	registry.Add(&c.FrontEnds, "convolution", ConvolutionOptions{Channels: 128, NumLayers: 2, KernelSize: 3, Stride: 2}, NewConvolution)
}

// NoneOptions configures the front end none.
type NoneOptions struct{}

// Doc describes the component.
func (NoneOptions) Doc() string {
	return "The frames as they are, to an encoder that asks for vectors of their size."
}

// Validate finds nothing.
func (NoneOptions) Validate() error { return nil }

type none struct{}

// NewNone builds the front end none.
func NewNone(_ NoneOptions, d components.FrontEndDeps) (components.FrontEnd, error) {
	if d.Size != d.FrameSize {
		return nil, registry.Fault{Key: "type", Problem: fmt.Sprintf("none gives frames of %d numbers as they are, and the encoder's embedding has a size of %d; they must be equal", d.FrameSize, d.Size)}
	}
	return none{}, nil
}

// Forward copies x [Σ lengths, F]: an encoder may write over what it reads, and
// what it adds takes a gradient.
func (none) Forward(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) (*autodiff.Var, autodiff.Spans) {
	return autodiff.Scale(t, x, 1), spans
}

// Length is the same.
func (none) Length(frames int) int { return frames }

// LinearOptions configures the linear front end.
type LinearOptions struct{}

// Doc describes the component.
func (LinearOptions) Doc() string {
	return "A linear map of each frame: y = W x + b, of the size that the encoder asks for."
}

// Validate finds nothing.
func (LinearOptions) Validate() error { return nil }

type linear struct{ nn.Linear }

// NewLinear builds the linear front end.
func NewLinear(_ LinearOptions, d components.FrontEndDeps) (components.FrontEnd, error) {
	return linear{nn.NewLinear(d.Params, "linear", d.FrameSize, d.Size)}, nil
}

// Forward maps x [Σ lengths, F] to [Σ lengths, E].
func (l linear) Forward(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) (*autodiff.Var, autodiff.Spans) {
	return l.Linear.Forward(t, x), spans
}

// Length is the same.
func (l linear) Length(frames int) int { return frames }

// ConvolutionOptions configures the convolution front end.
type ConvolutionOptions struct {
	Channels   int `toml:"channels" doc:"size C of what each layer gives"`
	NumLayers  int `toml:"num_layers" doc:"layers, one on the other"`
	KernelSize int `toml:"kernel_size" doc:"steps K that a layer sees at once"`
	Stride     int `toml:"stride" doc:"steps s from one window of a layer to the next; each layer makes a length L ⌈L/s⌉"`
}

// Doc describes the component.
func (ConvolutionOptions) Doc() string {
	return "Convolutional subsampling over time, as before speech encoders (Synnaeve et al. 2020, Wang et al. 2020, there with gated linear units): " +
		"each layer y_j = max(0, b + Σ_k W_k x_{js+k-⌊(K-1)/2⌋}) for k from 0 to K-1, with x zero outside the sequence; then a linear map to the size that the encoder asks for. " +
		"W is kept as [C, K·F], the window's frames one after the other."
}

// Validate reports every value out of range.
func (o ConvolutionOptions) Validate() error {
	return errors.Join(
		registry.AtLeast("channels", o.Channels, 1),
		registry.AtLeast("num_layers", o.NumLayers, 1),
		registry.AtLeast("kernel_size", o.KernelSize, 1),
		registry.AtLeast("stride", o.Stride, 1),
	)
}

type convolution struct {
	layers         []nn.Linear // [C, K·F]
	kernel, stride int
	out            nn.Linear // [E, C]
}

// NewConvolution builds the convolution front end.
func NewConvolution(o ConvolutionOptions, d components.FrontEndDeps) (components.FrontEnd, error) {
	c := &convolution{kernel: o.KernelSize, stride: o.Stride}
	in := d.FrameSize
	for i := range o.NumLayers {
		c.layers = append(c.layers, nn.NewLinear(d.Params, "layer"+strconv.Itoa(i), o.KernelSize*in, o.Channels))
		in = o.Channels
	}
	c.out = nn.NewLinear(d.Params, "linear", in, d.Size)
	return c, nil
}

// Forward maps x [Σ lengths, F] to [Σ lengths', E].
func (c *convolution) Forward(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) (*autodiff.Var, autodiff.Spans) {
	for _, l := range c.layers {
		var windows []int32
		windows, spans = c.windows(t, spans)
		x = autodiff.Rows(t, x, windows)
		x = l.Forward(t, x.Reshape(len(windows)/c.kernel, c.kernel*x.Dim(1)))
		autodiff.ActivateInPlace(t, x, autodiff.ReLUActivation)
	}
	return c.out.Forward(t, x), spans
}

// windows returns the rows that each window of each sequence sees, [Σ lengths',
// K], -1 outside the sequence, and where the sequences of windows lie.
func (c *convolution) windows(t *autodiff.Tape, spans autodiff.Spans) ([]int32, autodiff.Spans) {
	out := autodiff.Spans{Starts: autodiff.Ints(t, spans.Batch()), Lengths: autodiff.Ints(t, spans.Batch())}
	total := 0
	for b, length := range spans.Lengths {
		n := c.shorter(int(length))
		out.Starts[b], out.Lengths[b] = int32(total), int32(n)
		total += n
	}
	windows := autodiff.Ints(t, total*c.kernel)
	at := 0
	for b := range spans.Batch() {
		start, length := spans.At(b)
		for j := range int(out.Lengths[b]) {
			for k := range c.kernel {
				row := j*c.stride + k - (c.kernel-1)/2
				windows[at] = -1
				if row >= 0 && row < length {
					windows[at] = int32(start + row)
				}
				at++
			}
		}
	}
	return windows, out
}

// shorter is ⌈length/s⌉.
func (c *convolution) shorter(length int) int { return (length + c.stride - 1) / c.stride }

// Length is what all layers leave.
func (c *convolution) Length(frames int) int {
	for range c.layers {
		frames = c.shorter(frames)
	}
	return frames
}
