package standard_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exp/components/autodiff"
)

// kinds is what a case's kind asks for. Each builds what the case describes,
// returning an error if that is not possible, and compares.
var kinds = map[string]func(*reference) error{
	"attention":                 (*reference).attention,
	"cross_entropy":             (*reference).crossEntropy,
	"layer_norm":                (*reference).layerNorm,
	"multihead":                 (*reference).multihead,
	"optimizer":                 (*reference).optimizer,
	"recurrent":                 (*reference).recurrent,
	"training":                  (*reference).training,
	"transformer_decoder_layer": (*reference).decoderLayer,
	"transformer_encoder_layer": (*reference).encoderLayer,
}

// TestGolden compares with values that PyTorch computed, a case a file of the
// folder that EXP_GOLDEN_DIR names. Every tensor and every key of the
// configuration of a case must have been used at its end.
func TestGolden(t *testing.T) {
	folder := os.Getenv("EXP_GOLDEN_DIR")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "golden") // beside the project's root
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("no reference values: %v; EXP_GOLDEN_DIR names their folder", err)
	}
	if len(files) == 0 {
		t.Fatalf("%s has no case: no file *.json.gz", folder)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json.gz")
		t.Run(name, func(t *testing.T) {
			c, err := readCase(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Run("float32", func(t *testing.T) { c.run(t, autodiff.Float32) })
			if c.Kind != "optimizer" && c.Kind != "training" { // which update float32 parameters only
				t.Run("float64", func(t *testing.T) { c.run(t, autodiff.Float64) })
			}
		})
	}
}

func (c *reference) run(t *testing.T, dtype autodiff.DType) {
	run, ok := kinds[c.Kind]
	if !ok {
		t.Fatalf("kind %q is unknown", c.Kind)
	}
	c.t, c.dtype, c.used, c.worst = t, dtype, map[string]bool{}, 0
	c.tape, c.params = autodiff.NewTape(dtype), autodiff.NewParams(dtype, 1)
	c.tape.KeepWeights()
	c.tape.Poison()
	err := run(c)
	if err != nil {
		t.Fatalf("cannot build it: %v", err)
	}
	for name := range c.Tensors {
		if !c.used[name] {
			t.Errorf("tensor %s was not used", name)
		}
	}
	for key := range c.Config {
		if !c.used[key] {
			t.Errorf("%s of the configuration was not used", key)
		}
	}
	t.Logf("largest error: %.2g of what is allowed (%s)", c.worst, c.worstAt)
}

// reference is one case.
type reference struct {
	Name, Kind string
	Config     map[string]any
	Tensors    map[string]tensor
	Values     struct {
		Loss       any
		GradNorm   []float64 `json:"grad_norm_before_clip"`
		Parameters int
	}

	t       *testing.T
	dtype   autodiff.DType
	tape    *autodiff.Tape
	params  *autodiff.Params
	used    map[string]bool // tensors and keys of the configuration
	worst   float64         // of the errors, in parts of what was allowed
	worstAt string
}

type tensor struct {
	Shape []int
	Data  []float64
}

func readCase(file string) (*reference, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	c := &reference{}
	if err := json.NewDecoder(z).Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// config returns a value of the configuration.
func config[T any](c *reference, key string) T {
	c.used[key] = true
	v, ok := c.Config[key].(T)
	if !ok {
		c.t.Fatalf("%s of the configuration is %v, not a %T", key, c.Config[key], v)
	}
	return v
}

func (c *reference) text(key string) string { return config[string](c, key) }
func (c *reference) flag(key string) bool   { return config[bool](c, key) }
func (c *reference) size(key string) int    { return int(config[float64](c, key)) }

// tensor returns a tensor of the case.
func (c *reference) tensor(name string) tensor {
	c.used[name] = true
	v, ok := c.Tensors[name]
	if !ok {
		c.t.Fatalf("there is no tensor %s", name)
	}
	return v
}

func (v tensor) float32s() []float32 {
	out := make([]float32, len(v.Data))
	for i, x := range v.Data {
		out[i] = float32(x)
	}
	return out
}

func (v tensor) int32s() []int32 {
	out := make([]int32, len(v.Data))
	for i, x := range v.Data {
		out[i] = int32(x)
	}
	return out
}

// input puts a tensor on the tape, as a value that takes a gradient.
func (c *reference) input(name string) *autodiff.Var {
	v := c.tensor(name)
	return c.tape.Input(v.float32s(), v.Shape...)
}

// place is where a parameter of ours is in the reference: some of the three
// blocks of rows of a tensor.
type place struct {
	name     string
	from, to int
}

func whole(name string) place { return place{name, 0, 3} }

func (p place) of(v tensor) []float64 {
	n := len(v.Data)
	return v.Data[n*p.from/3 : n*p.to/3]
}

// load fills the parameters from the places that name finds for them, and
// compares their number where the case says it.
func (c *reference) load(find func(string) place) {
	if got, want := c.params.Count(), c.Values.Parameters; want != 0 && got != want {
		c.t.Errorf("%d parameters, want %d", got, want)
	}
	for _, v := range c.params.All() {
		p := find(v.Name())
		values := tensor{Data: p.of(c.tensor("param." + p.name))}
		if err := c.params.Set(v, values.float32s()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// backward runs the tape from grad_output, the gradient of output, and compares
// the gradients of all parameters and inputs.
func (c *reference) backward(output *autodiff.Var, find func(string) place, inputs map[string]*autodiff.Var) {
	c.seed(output, "grad_output")
	c.params.ZeroGrad(c.tape)
	c.tape.Unwind()
	for _, v := range c.params.All() {
		p := find(v.Name())
		c.compare("gradient of "+v.Name(), grads(v), p.of(c.tensor("grad.param."+p.name)), c.ofGradients())
	}
	for name, v := range inputs {
		c.compare("gradient of "+name, grads(v), c.tensor("grad."+name).Data, c.ofGradients())
	}
}

func (c *reference) seed(output *autodiff.Var, name string) {
	for i, g := range c.tensor(name).Data {
		if c.dtype == autodiff.Float32 {
			autodiff.Grad[float32](output)[i] = float32(g)
		} else {
			autodiff.Grad[float64](output)[i] = g
		}
	}
}

// tolerance allows an error of relative times the wanted value plus absolute.
type tolerance struct{ relative, absolute float64 }

// The reference's own float32 rounding is all that the float64 path has to be
// allowed, so its tolerances are tighter by a factor.
const tighter = 10

func (c *reference) ofOutputs() tolerance   { return c.tolerance(2e-5, 2e-6) }
func (c *reference) ofGradients() tolerance { return c.tolerance(1e-4, 1e-5) }

func (c *reference) tolerance(relative, absolute float64) tolerance {
	if c.dtype == autodiff.Float64 {
		return tolerance{relative / tighter, absolute / tighter}
	}
	return tolerance{relative, absolute}
}

// compare fails on the first element that differs by more than is allowed.
func (c *reference) compare(what string, got, want []float64, allowed tolerance) {
	c.t.Helper()
	if len(got) != len(want) {
		c.t.Errorf("%s: %d elements, want %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		part := math.Abs(got[i]-w) / (allowed.relative*math.Abs(w) + allowed.absolute)
		if !(part <= 1) { // so that NaN fails
			c.t.Errorf("%s, element %d: %.9g, want %.9g: %.3g times what is allowed", what, i, got[i], w, part)
			return
		}
		if part > c.worst {
			c.worst, c.worstAt = part, what
		}
	}
}

func values(v *autodiff.Var) []float64 {
	if v.DType() == autodiff.Float64 {
		return slices.Clone(autodiff.Values[float64](v))
	}
	return wide(autodiff.Values[float32](v))
}

func grads(v *autodiff.Var) []float64 {
	if v.DType() == autodiff.Float64 {
		return slices.Clone(autodiff.Grad[float64](v))
	}
	return wide(autodiff.Grad[float32](v))
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
