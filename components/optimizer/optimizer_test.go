package optimizer

import (
	"math"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

// parameter returns a set of one parameter with these values and gradients.
func parameter(values, grads []float32) (*autodiff.Params, *autodiff.Var) {
	params := autodiff.NewParams(autodiff.Float32, 1)
	p := params.New("p", nn.Zeros(), len(values))
	copy(autodiff.Values[float32](p), values)
	copy(autodiff.Grad[float32](p), grads)
	return params, p
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

// With a constant gradient, both corrected means are exact from the first step:
// each update is lr, whatever the gradient's size.
func TestAdamWithAConstantGradient(t *testing.T) {
	params, p := parameter([]float32{0, 0}, []float32{3, -1e-3})
	o, err := NewAdam(AdamOptions{LR: 0.5, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-12}, components.OptimizerDeps{Params: params})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 20; n++ {
		o.Step(n, o.LearningRate(), 1)
		w := autodiff.Values[float32](p)
		if want := -0.5 * float64(n); !near(float64(w[0]), want, 1e-6*float64(n)) || !near(float64(w[1]), -want, 1e-6*float64(n)) {
			t.Errorf("after step %d: %v, want %v and %v", n, w, want, -want)
		}
	}
}

func TestSGD(t *testing.T) {
	tests := map[string]struct {
		o    SGDOptions
		want []float64 // after each step, from 1 with gradient 2
	}{
		"plain":    {SGDOptions{LR: 0.1}, []float64{0.8, 0.6, 0.4}},
		"momentum": {SGDOptions{LR: 0.1, Momentum: 0.5}, []float64{0.8, 0.5, 0.15}},                    // velocity 2, 3, 3.5
		"nesterov": {SGDOptions{LR: 0.1, Momentum: 0.5, Nesterov: true}, []float64{0.7, 0.35, -0.025}}, // 2+1, 2+1.5, 2+1.75
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			params, p := parameter([]float32{1}, []float32{4})
			o, err := NewSGD(test.o, components.OptimizerDeps{Params: params})
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range test.want {
				o.Step(i+1, o.LearningRate(), 0.5) // scaled to 2
				if got := float64(autodiff.Values[float32](p)[0]); !near(got, want, 1e-6) {
					t.Errorf("after step %d: %v, want %v", i+1, got, want)
				}
			}
		})
	}
}

// An optimizer whose state was written back goes on to the same bits.
func TestStateIsAllThereIs(t *testing.T) {
	makers := map[string]func(*autodiff.Params) (components.Optimizer, error){
		"adam": func(p *autodiff.Params) (components.Optimizer, error) {
			return NewAdam(AdamOptions{LR: 0.1, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}, components.OptimizerDeps{Params: p})
		},
		"sgd": func(p *autodiff.Params) (components.Optimizer, error) {
			return NewSGD(SGDOptions{LR: 0.1, Momentum: 0.9}, components.OptimizerDeps{Params: p})
		},
	}
	for name, make := range makers {
		t.Run(name, func(t *testing.T) {
			start, grads := []float32{1, -2, 3}, []float32{0.3, 0.1, -0.7}
			params, p := parameter(start, grads)
			first, err := make(params)
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= 3; n++ {
				first.Step(n, 0.1, 1)
			}
			otherParams, q := parameter(p.Float32s(), grads)
			second, err := make(otherParams)
			if err != nil {
				t.Fatal(err)
			}
			state := second.State()
			for key, values := range first.State() {
				if copy(state[key], values) != len(start) {
					t.Fatalf("state %q has %d elements, want %d", key, len(state[key]), len(start))
				}
			}
			first.Step(4, 0.1, 1)
			second.Step(4, 0.1, 1)
			for i, want := range p.Float32s() {
				if got := q.Float32s()[i]; got != want {
					t.Errorf("element %d: %v, want %v", i, got, want)
				}
			}
		})
	}
}

func TestGradNormAndClipScale(t *testing.T) {
	params, _ := parameter([]float32{0, 0}, []float32{3, 0})
	q := params.New("q", nn.Zeros(), 1)
	autodiff.Grad[float32](q)[0] = -4
	if got := GradNorm(params); got != 5 {
		t.Errorf("norm of 3, 0 and -4 is %v, want 5", got)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		autodiff.Grad[float32](q)[0] = float32(bad)
		if got := GradNorm(params); !(math.IsNaN(got) || math.IsInf(got, 1)) {
			t.Errorf("norm with a gradient of %v is %v", bad, got)
		}
	}
	for _, test := range []struct{ norm, limit, want float64 }{
		{5, 0, 1}, {5, 5, 1}, {4.9, 5, 1}, {0, 5, 1}, {10, 5, 0.5},
	} {
		if got := ClipScale(test.norm, test.limit); !near(got, test.want, 1e-6) || got > 1 {
			t.Errorf("norm %v, limit %v: scale is %v, want %v", test.norm, test.limit, got, test.want)
		}
	}
}

func TestLinearSchedule(t *testing.T) {
	for _, test := range []struct {
		steps  int
		warmup float64
		want   map[int]float64
	}{
		{100, 0.1, map[int]float64{1: 0.1, 5: 0.5, 10: 1, 11: 90. / 91, 100: 1. / 91}},
		{100, 0, map[int]float64{1: 100. / 101, 50: 51. / 101, 100: 1. / 101}},
		{1, 0.05, map[int]float64{1: 1 / 1.95}},
		{3, 0.5, map[int]float64{1: 1 / 1.5, 2: 2 / 2.5, 3: 1 / 2.5}},
	} {
		s, err := NewLinear(LinearOptions{Warmup: test.warmup}, components.ScheduleDeps{Steps: test.steps})
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range test.want {
			if got := s.Factor(n); !near(got, want, 1e-12) {
				t.Errorf("%d steps, warmup %v: factor of update %d is %v, want %v", test.steps, test.warmup, n, got, want)
			}
		}
		for n := 1; n <= test.steps; n++ {
			if got := s.Factor(n); !(got > 0 && got <= 1) {
				t.Errorf("%d steps, warmup %v: factor of update %d is %v, not in (0, 1]", test.steps, test.warmup, n, got)
			}
		}
	}
}

func TestConstantSchedule(t *testing.T) {
	s, err := NewConstant(ConstantOptions{}, components.ScheduleDeps{Steps: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 5, 10} {
		if got := s.Factor(n); got != 1 {
			t.Errorf("factor of update %d is %v, want 1", n, got)
		}
	}
}

func TestValidate(t *testing.T) {
	adam := AdamOptions{LR: 1, Beta1: 0.9, Beta2: 0.9, Epsilon: 1}
	for want, o := range map[string]interface{ Validate() error }{
		"":         adam,
		"lr":       SGDOptions{},
		"momentum": SGDOptions{LR: 1, Momentum: 1},
		"nesterov": SGDOptions{LR: 1, Nesterov: true},
		"beta1":    AdamOptions{LR: 1, Beta1: 1, Beta2: 0.9, Epsilon: 1},
		"beta2":    AdamOptions{LR: 1, Beta1: 0.9, Beta2: -0.1, Epsilon: 1},
		"epsilon":  AdamOptions{LR: 1, Beta1: 0.9, Beta2: 0.9},
		"warmup":   LinearOptions{Warmup: 1},
	} {
		err := o.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want+":")) {
			t.Errorf("%+v: error is %v, want one of %q", o, err, want)
		}
	}
}
