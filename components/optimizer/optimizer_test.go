package optimizer

import (
	"math"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

// oneParameter returns a set of one parameter with these values and gradients.
func oneParameter(values, grads []float32) (*autodiff.Params, *autodiff.Var) {
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
	params, p := oneParameter([]float32{0, 0}, []float32{3, -1e-3})
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
			params, p := oneParameter([]float32{1}, []float32{4})
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

// recipe is an optimizer in float64, as PyTorch's documentation has it: one step
// from the weight, the gradient and the state, which starts at zero.
type recipe struct {
	build func(components.OptimizerDeps) (components.Optimizer, error)
	step  func(n int, w, g float64, state *[3]float64) float64
}

func recipes() map[string]recipe {
	all := map[string]recipe{}
	for name, o := range map[string]SGDOptions{
		"plain":    {LR: 0.1},
		"decay":    {LR: 0.1, WeightDecay: 0.3},
		"momentum": {LR: 0.05, Momentum: 0.7, WeightDecay: 0.1},
		"nesterov": {LR: 0.05, Momentum: 0.95, Nesterov: true, WeightDecay: 0.1},
	} {
		all["sgd/"+name] = recipe{
			func(d components.OptimizerDeps) (components.Optimizer, error) { return NewSGD(o, d) },
			func(_ int, w, g float64, s *[3]float64) float64 {
				g += o.WeightDecay * w
				s[0] = o.Momentum*s[0] + g
				if o.Nesterov {
					return w - o.LR*(g+o.Momentum*s[0])
				}
				return w - o.LR*s[0]
			},
		}
	}
	for name, o := range map[string]AdagradOptions{
		"plain":   {LR: 0.2, Epsilon: 1e-10},
		"options": {LR: 0.2, LRDecay: 0.1, InitialValue: 0.5, Epsilon: 0.01, WeightDecay: 0.2},
	} {
		all["adagrad/"+name] = recipe{
			func(d components.OptimizerDeps) (components.Optimizer, error) { return NewAdagrad(o, d) },
			func(n int, w, g float64, s *[3]float64) float64 {
				if n == 1 {
					s[0] = o.InitialValue
				}
				g += o.WeightDecay * w
				s[0] += g * g
				return w - o.LR/(1+float64(n-1)*o.LRDecay)*g/(math.Sqrt(s[0])+o.Epsilon)
			},
		}
	}
	for name, o := range map[string]RMSPropOptions{
		"plain":    {LR: 0.01, Alpha: 0.99, Epsilon: 1e-8},
		"long":     {LR: 0.001, Alpha: 0.9999, Epsilon: 1e-8},
		"centered": {LR: 0.01, Alpha: 0.9, Epsilon: 1e-3, Centered: true},
		"momentum": {LR: 0.01, Alpha: 0.95, Epsilon: 1e-6, Momentum: 0.8, WeightDecay: 0.1},
		"all":      {LR: 0.01, Alpha: 0.8, Epsilon: 1e-2, Momentum: 0.5, Centered: true, WeightDecay: 0.1},
	} {
		all["rmsprop/"+name] = recipe{
			func(d components.OptimizerDeps) (components.Optimizer, error) { return NewRMSProp(o, d) },
			func(_ int, w, g float64, s *[3]float64) float64 {
				g += o.WeightDecay * w
				s[0] = o.Alpha*s[0] + (1-o.Alpha)*g*g
				variance := s[0]
				if o.Centered {
					s[1] = o.Alpha*s[1] + (1-o.Alpha)*g
					variance -= s[1] * s[1]
				}
				s[2] = o.Momentum*s[2] + g/(math.Sqrt(variance)+o.Epsilon)
				return w - o.LR*s[2]
			},
		}
	}
	for name, o := range map[string]AdamOptions{
		"plain": {LR: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8},
		"betas": {LR: 0.02, Beta1: 0.5, Beta2: 0.98, Epsilon: 1e-9},
		"none":  {LR: 0.02, Beta2: 0.5, Epsilon: 1e-4},
		"decay": {LR: 0.01, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-5, WeightDecay: 0.3},
	} {
		means := func(n int, g float64, s *[3]float64) float64 {
			s[0] = o.Beta1*s[0] + (1-o.Beta1)*g
			s[1] = o.Beta2*s[1] + (1-o.Beta2)*g*g
			mean, square := s[0]/(1-math.Pow(o.Beta1, float64(n))), s[1]/(1-math.Pow(o.Beta2, float64(n)))
			return mean / (math.Sqrt(square) + o.Epsilon)
		}
		all["adam/"+name] = recipe{
			func(d components.OptimizerDeps) (components.Optimizer, error) { return NewAdam(o, d) },
			func(n int, w, g float64, s *[3]float64) float64 { return w - o.LR*means(n, g+o.WeightDecay*w, s) },
		}
		all["adamw/"+name] = recipe{
			func(d components.OptimizerDeps) (components.Optimizer, error) { return NewAdamW(AdamWOptions{o}, d) },
			func(n int, w, g float64, s *[3]float64) float64 {
				return w - o.LR*o.WeightDecay*w - o.LR*means(n, g, s)
			},
		}
	}
	return all
}

// Every optimizer follows its equations, whatever its options, on gradients that
// change sign, scaled as by clipping. Half of it is done by one whose state was
// copied from the first, to the same bits.
func TestEquations(t *testing.T) {
	for name, r := range recipes() {
		t.Run(name, func(t *testing.T) {
			params, p := oneParameter([]float32{1, -2, 3}, make([]float32, 3))
			o, err := r.build(components.OptimizerDeps{Params: params})
			if err != nil {
				t.Fatal(err)
			}
			want, states := []float64{1, -2, 3}, make([][3]float64, 3)
			for n := 1; n <= 30; n++ {
				var gradient [3]float32
				for i := range want {
					gradient[i] = float32(math.Sin(float64(3*n+i))) + float32(i)/4
					want[i] = r.step(n, want[i], float64(gradient[i])/2, &states[i])
				}
				if n%10 == 0 { // goes on elsewhere
					other, q := oneParameter(p.Float32s(), nil)
					next, err := r.build(components.OptimizerDeps{Params: other})
					if err != nil {
						t.Fatal(err)
					}
					state := next.State()
					for key, values := range o.State() {
						if copy(state[key], values) != len(want) {
							t.Fatalf("state %q has %d elements, want %d", key, len(state[key]), len(want))
						}
					}
					copy(autodiff.Grad[float32](q), gradient[:])
					next.Step(n, next.LearningRate(), 0.5)
					copy(autodiff.Grad[float32](p), gradient[:])
					o.Step(n, o.LearningRate(), 0.5)
					for i, x := range p.Float32s() {
						if y := q.Float32s()[i]; x != y {
							t.Errorf("after step %d with a copied state, element %d is %v, want %v", n, i, y, x)
						}
					}
					p, o = q, next
				} else {
					copy(autodiff.Grad[float32](p), gradient[:])
					o.Step(n, o.LearningRate(), 0.5)
				}
				for i, got := range p.Float32s() {
					if !near(float64(got), want[i], 2e-5*math.Abs(want[i])+2e-6) {
						t.Fatalf("after step %d, element %d is %v, want %v", n, i, got, want[i])
					}
				}
			}
		})
	}
}

// The parameters of a group follow the learning rate and the weight decay of its
// own; of two groups the first counts, and what is frozen stays.
func TestGroups(t *testing.T) {
	groups := components.Groups{{Parameters: "a.*", LR: 0.5, WeightDecay: 0}, {Parameters: "*.x", LR: 3, WeightDecay: 2}, {Parameters: "c", Frozen: true}}
	build := func(params *autodiff.Params, groups components.Groups) components.Optimizer {
		o, err := NewAdamW(AdamWOptions{AdamOptions{LR: 0.1, Beta1: 0.9, Beta2: 0.9, Epsilon: 1e-8, WeightDecay: 0.2}}, components.OptimizerDeps{Params: params, Groups: groups})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	params := autodiff.NewParams(autodiff.Float32, 1)
	for _, name := range []string{"a.x", "b.x", "b.y", "c"} {
		p := params.New(name, nn.Zeros(), 1)
		autodiff.Values[float32](p)[0], autodiff.Grad[float32](p)[0] = 1, 2
	}
	if err := groups.Freeze(params); err != nil {
		t.Fatal(err)
	}
	build(params, groups).Step(1, 0.1, 1)
	for name, want := range map[string]float64{"a.x": 1 - 0.05, "b.x": 1 - 0.3*0.4 - 0.3, "b.y": 1 - 0.1*0.2 - 0.1, "c": 1} {
		if got := params.Lookup(name).Float32s()[0]; !near(float64(got), want, 1e-6) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	err := append(groups, components.Group{Parameters: "b.z"}).Freeze(params)
	if err == nil || !strings.HasPrefix(err.Error(), `groups[3].parameters: "b.z" fits no parameter`) {
		t.Errorf("error is %v", err)
	}
	err = append(groups, groups[0]).Freeze(params)
	if err == nil || !strings.HasPrefix(err.Error(), `groups[3].parameters: "a.*" fits no parameter that is not in a group before it`) {
		t.Errorf("of a group twice, the error is %v", err)
	}
	if err := (components.Groups{{Parameters: "*", Frozen: true}}).Freeze(params); err == nil || err.Error() != "groups: freeze every parameter" {
		t.Errorf("error is %v", err)
	}
}

func TestClipValues(t *testing.T) {
	params, p := oneParameter([]float32{0, 0, 0, 0}, []float32{-3, 0.5, 2, -1})
	ClipValues(params, 1)
	for i, want := range []float32{-1, 0.5, 1, -1} {
		if got := autodiff.Grad[float32](p)[i]; got != want {
			t.Errorf("gradient %d is %v, want %v", i, got, want)
		}
	}
}

func TestGradNormAndClipScale(t *testing.T) {
	params, _ := oneParameter([]float32{0, 0}, []float32{3, 0})
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
		s, err := NewLinear(LinearOptions{Warmup{Share: test.warmup}}, components.ScheduleDeps{Steps: test.steps})
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

// The other schedules, at updates before, at and after the warmup.
func TestSchedules(t *testing.T) {
	known := components.ScheduleDeps{Steps: 100}
	ten := Warmup{Steps: 10}
	for name, test := range map[string]struct {
		build func() (components.Schedule, error)
		want  map[int]float64
	}{
		"constant":        {func() (components.Schedule, error) { return NewConstant(ConstantOptions{}, components.ScheduleDeps{}) }, map[int]float64{1: 1, 5: 1, 100: 1}},
		"constant, warm":  {func() (components.Schedule, error) { return NewConstant(ConstantOptions{ten}, known) }, map[int]float64{1: 0.1, 9: 0.9, 10: 1, 100: 1}},
		"constant, share": {func() (components.Schedule, error) { return NewConstant(ConstantOptions{Warmup{Share: 0.2}}, known) }, map[int]float64{1: 0.05, 20: 1}},
		"step":            {func() (components.Schedule, error) { return NewStep(StepOptions{Every: 20, Gamma: 0.5}, known) }, map[int]float64{1: 1, 20: 1, 21: 0.5, 41: 0.25}},
		"step, warm":      {func() (components.Schedule, error) { return NewStep(StepOptions{ten, 20, 0.5}, known) }, map[int]float64{5: 0.5, 10: 1, 29: 1, 30: 0.5, 50: 0.25}},
		"exponential":     {func() (components.Schedule, error) { return NewExponential(ExponentialOptions{ten, 20, 0.25}, known) }, map[int]float64{5: 0.5, 10: 1, 20: 0.5, 30: 0.25}},
		"cosine": {func() (components.Schedule, error) {
			return NewCosine(CosineOptions{ten, 0.2}, components.ScheduleDeps{Steps: 29})
		},
			map[int]float64{5: 0.5, 10: 1, 20: 0.6, 15: 0.2 + 0.4*(1+math.Sqrt(0.5))}},
		"inverse_sqrt": {func() (components.Schedule, error) {
			return NewInverseSqrt(InverseSqrtOptions{ten}, components.ScheduleDeps{})
		},
			map[int]float64{1: 0.1, 10: 1, 40: 0.5, 1000: 0.1}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := test.build()
			if err != nil {
				t.Fatal(err)
			}
			for n, want := range test.want {
				if got := s.Factor(n); !near(got, want, 1e-12) {
					t.Errorf("factor of update %d is %v, want %v", n, got, want)
				}
			}
		})
	}
	// Vaswani et al. 2017, equation 3, with lr what they give the end of the warmup.
	const size, warmup = 512.0, 4000
	s, err := NewInverseSqrt(InverseSqrtOptions{Warmup{Steps: warmup}}, known)
	if err != nil {
		t.Fatal(err)
	}
	lr := math.Pow(size*warmup, -0.5)
	for _, n := range []int{1, 100, 4000, 4001, 100_000} {
		paper := math.Pow(size, -0.5) * min(math.Pow(float64(n), -0.5), float64(n)*math.Pow(warmup, -1.5))
		if got := lr * s.Factor(n); !near(got, paper, 1e-15) {
			t.Errorf("rate of update %d is %v, the paper has %v", n, got, paper)
		}
	}
}

// Without an end there is no share of the training, nor a way to it.
func TestUnknownLength(t *testing.T) {
	_, linear := NewLinear(LinearOptions{}, components.ScheduleDeps{})
	_, cosine := NewCosine(CosineOptions{}, components.ScheduleDeps{})
	_, share := NewStep(StepOptions{Warmup: Warmup{Share: 0.1}, Every: 1, Gamma: 1}, components.ScheduleDeps{})
	for want, err := range map[string]error{"type: needs": linear, "type: needs to": cosine, "warmup: needs": share} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// The rate falls after more evaluations without improvement than patience, not
// within the cooldown, and not below the floor; the state is all there is.
func TestPlateau(t *testing.T) {
	o := PlateauOptions{Metric: "loss", Gamma: 0.5, Patience: 1, Threshold: 0.1, Cooldown: 1, Floor: 0.2}
	build := func() *plateau {
		s, err := NewPlateau(o, components.ScheduleDeps{})
		if err != nil {
			t.Fatal(err)
		}
		return s.(*plateau)
	}
	p := build()
	for i, e := range []struct{ loss, factor float64 }{
		{10, 1}, {9.5, 1}, {9.2, 0.5}, // two that are no tenth better
		{9.2, 0.5}, {9.2, 0.5}, {9.2, 0.25}, // one that cools down, then two
		{8, 0.25}, {7.9, 0.25}, {7.9, 0.2}, // to the floor; 8 is better
	} {
		q := build()
		copy(q.State(), p.State())
		p.Evaluated(e.loss, false)
		q.Evaluated(-e.loss, false) // goes elsewhere
		if got := p.Factor(5); got != e.factor {
			t.Errorf("after evaluation %d the factor is %v, want %v", i+1, got, e.factor)
		}
	}
	up := build()
	for _, accuracy := range []float64{0.5, 0.6, 0.7, 0.8} {
		if up.Evaluated(accuracy, true); up.Factor(1) != 1 {
			t.Errorf("an accuracy that rises to %v lowers the rate", accuracy)
		}
	}
}

// The decays of Bengio et al. 2015, section 2.4.
func TestForcings(t *testing.T) {
	linear, _ := NewLinearForcing(LinearForcingOptions{Start: 0.9, Slope: 0.01, End: 0.2}, components.ScheduleDeps{})
	exponential, _ := NewExponentialForcing(ExponentialForcingOptions{K: 0.99}, components.ScheduleDeps{})
	sigmoid, _ := NewInverseSigmoid(InverseSigmoidOptions{K: 50}, components.ScheduleDeps{})
	always, _ := NewAlways(AlwaysOptions{}, components.ScheduleDeps{})
	for i := range 400 {
		x := float64(i)
		for _, test := range []struct {
			s    components.Schedule
			want float64
		}{
			{linear, max(0.2, 0.9-0.01*x)}, {exponential, math.Pow(0.99, x)}, {sigmoid, 50 / (50 + math.Exp(x/50))}, {always, 1},
		} {
			if got := test.s.Factor(i + 1); !near(got, test.want, 1e-12) {
				t.Errorf("%T at %d is %v, want %v", test.s, i, got, test.want)
			}
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
		"warmup":   LinearOptions{Warmup{Share: 1}},

		"weight_decay": AdamWOptions{AdamOptions{LR: 1, Beta1: 0.9, Beta2: 0.9, Epsilon: 1, WeightDecay: -1}},
		"gamma":        StepOptions{Every: 1, Gamma: 2},
		"every":        ExponentialOptions{Gamma: 1},
		"warmup_steps": InverseSqrtOptions{},
		"final":        CosineOptions{Final: 1},
		"patience":     PlateauOptions{Gamma: 1, Patience: -1},
		"start":        LinearForcingOptions{Start: 2},
		"k":            InverseSigmoidOptions{K: 0.5},
		"lr_decay":     AdagradOptions{LR: 1, Epsilon: 1, LRDecay: -1},
		"alpha":        RMSPropOptions{LR: 1, Epsilon: 1, Alpha: 1},
	} {
		err := o.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want+":")) {
			t.Errorf("%+v: error is %v, want one of %q", o, err, want)
		}
	}
}
