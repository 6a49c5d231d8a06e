package autodiff_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"exp/components/autodiff"
	"exp/components/componenttest"
)

// A parameter's first values depend on the seed and on its own name only.
func TestInitialisation(t *testing.T) {
	values := func(seed uint64, names ...string) []float32 {
		params := autodiff.NewParams(autodiff.Float32, seed)
		for _, name := range names {
			params.Scope("model").New(name, componenttest.Normal, 2, 3)
		}
		return params.Lookup("model.x").Float32s()
	}
	want := values(1, "x")
	if got := values(1, "y", "x", "z"); !slices.Equal(got, want) {
		t.Error("other parameters change the first values")
	}
	if slices.Equal(values(2, "x"), want) {
		t.Error("another seed gives the same first values")
	}
	params := autodiff.NewParams(autodiff.Float32, 1)
	if x, y := params.New("x", componenttest.Normal, 6), params.New("y", componenttest.Normal, 6); slices.Equal(x.Float32s(), y.Float32s()) {
		t.Error("two parameters have the same first values")
	}
	if got := panics(func() { params.New("x", componenttest.Normal, 6) }); got != "autodiff: parameter x declared twice" {
		t.Errorf("a name twice: %q", got)
	}
}

func TestDeclare(t *testing.T) {
	params := autodiff.Declare()
	fail := func(*rand.Rand, autodiff.Shape, []float64) { t.Error("a declared parameter is initialised") }
	params.Scope("a").New("x", fail, 1000, 1000, 1000)
	params.New("y", fail, 5)
	if got := params.Count(); got != 1_000_000_005 {
		t.Errorf("%d elements, want 1000000005", got)
	}
	if got := params.All()[0].Name(); got != "a.x" {
		t.Errorf("the first parameter is %q, want a.x", got)
	}
}

func TestSet(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float64, 1)
	x := params.New("x", componenttest.Normal, 2)
	if err := params.Set(x, []float32{1, 2, 3}); err == nil || err.Error() != "parameter x has 2 elements, not 3" {
		t.Errorf("error is %v", err)
	}
	if err := params.Set(x, []float32{1, 2}); err != nil || !slices.Equal(x.Float32s(), []float32{1, 2}) {
		t.Errorf("x is %v, %v", x.Float32s(), err)
	}
	autodiff.Grad[float64](x)[1] = 3
	params.ZeroGrad(autodiff.NewTape(autodiff.Float64))
	if x.HasGrad() {
		t.Errorf("gradient is %v after ZeroGrad", x.GradFloat32s())
	}
	if got := autodiff.Grad[float64](x); !slices.Equal(got, []float64{0, 0}) {
		t.Errorf("gradient is %v after ZeroGrad", got)
	}
}

// A product uses the weights as they are after Changed.
func TestChangedWeightsArePackedAgain(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float32, 1)
	w := params.New("w", componenttest.Normal, 1, 1)
	tape := autodiff.NewTape(autodiff.Float32)
	for _, value := range []float32{2, 3, -4} {
		autodiff.Values[float32](w)[0] = value
		params.Changed()
		tape.Reset(true, true)
		x := tape.Input([]float32{10}, 1, 1)
		y := autodiff.Linear(tape, x, w, nil)
		tape.Backward(y)
		if got := y.Float32s()[0]; got != 10*value || x.GradFloat32s()[0] != value {
			t.Errorf("with weight %v: 10 gives %v, gradient %v", value, got, x.GradFloat32s()[0])
		}
	}
}

// A gorgonia tensor shows the same memory, and multiplies by the kernel, views
// included.
func TestDense(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float32, 1)
	w := params.New("w", componenttest.Normal, 3, 4)
	for i := range 12 {
		w.Dense().Float32s()[i] = float32(i)
	}
	if got := autodiff.Values[float32](w)[7]; got != 7 {
		t.Errorf("element 7 is %v, want what was written to the tensor", got)
	}
	if first, second := w.Dense(), w.Dense(); first != second {
		t.Error("a parameter's tensor is made twice")
	}
	tape := autodiff.NewTape(autodiff.Float32)
	x := tape.Input([]float32{1, 0, 0, 1, 1, 1}, 2, 3) // picks row 0; sums all
	product, err := tensor.MatMul(x.Dense(), w.Dense())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := product.(*tensor.Dense).Float32s(), []float32{0, 1, 2, 3, 12, 15, 18, 21}; !slices.Equal(got, want) {
		t.Errorf("product is %v, want %v", got, want)
	}
	columns, err := w.Dense().Slice(nil, tensor.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	product, err = tensor.MatMul(x.Dense(), columns)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := product.(*tensor.Dense).Float32s(), []float32{1, 2, 15, 18}; !slices.Equal(got, want) {
		t.Errorf("product with two of the columns is %v, want %v", got, want)
	}
	if _, err := tensor.MatMul(x.Dense(), autodiff.NewParams(autodiff.Float64, 1).New("v", componenttest.Normal, 3, 1).Dense()); err == nil {
		t.Error("a product of float32 and float64 is no error")
	}
}
