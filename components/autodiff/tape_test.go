package autodiff_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"exp/components/autodiff"
	"exp/components/nn"
)

// panics returns what f panics with, "" if it does not.
func panics(f func()) (message string) {
	defer func() {
		if r := recover(); r != nil {
			message, _ = r.(string)
			if message == "" {
				message = "not a string"
			}
		}
	}()
	f()
	return ""
}

func ones(n int) []float32 { return slices.Repeat([]float32{1}, n) }

// Gradients of a value that is used twice add up, through views too.
func TestBackwardAddsUp(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	params := autodiff.NewParams(autodiff.Float32, 1)
	w := params.New("w", nn.Constant(10), 1, 2)
	x := tape.Input([]float32{3, -2}, 2)
	y := autodiff.Mul(tape, x, x.Reshape(1, 2).Reshape(2))
	tape.Backward(autodiff.Linear(tape, y, w, nil))
	if got, want := x.GradFloat32s(), []float32{60, -40}; !slices.Equal(got, want) {
		t.Errorf("gradient of 10 x² is %v, want %v", got, want)
	}
	if message := panics(func() { tape.Backward(y) }); message != "autodiff: backward from a value of shape [2], not a scalar" {
		t.Errorf("backward from a vector: %q", message)
	}
}

func TestDropout(t *testing.T) {
	const n = 4096
	tape := autodiff.NewTape(autodiff.Float32)
	masks := func(seed uint64, training bool) (first, second []float32) {
		tape.Reset(training, true)
		tape.Seed(seed)
		x := tape.Input(ones(n), n)
		return autodiff.Dropout(tape, x, 0.25).Float32s(), autodiff.Dropout(tape, x, 0.25).Float32s()
	}
	a, b := masks(1, true)
	kept := 0
	for _, v := range a {
		if v != 0 {
			kept++
			if v != float32(1/0.75) {
				t.Fatalf("what is kept is multiplied by %v, want 4/3", v)
			}
		}
	}
	if want := 0.75 * n; math.Abs(float64(kept)-want) > 4*math.Sqrt(n*0.75*0.25) {
		t.Errorf("%d of %d are kept, want about %v", kept, n, want)
	}
	if slices.Equal(a, b) {
		t.Error("two dropouts of one step draw the same mask")
	}
	if c, d := masks(1, true); !slices.Equal(a, c) || !slices.Equal(b, d) {
		t.Error("the same seed draws other masks")
	}
	if c, _ := masks(2, true); slices.Equal(a, c) {
		t.Error("another seed draws the same mask")
	}
	if c, _ := masks(1, false); !slices.Equal(c, ones(n)) {
		t.Error("dropout is active in evaluation")
	}
}

// A mask that is kept drops the same elements again, and in sequences the same
// columns of every row of one.
func TestMask(t *testing.T) {
	const rows, d = 12, 32
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(true, true)
	tape.Seed(5)
	x := tape.Input(ones(rows*d), rows, d)
	mask := autodiff.NewMask(tape, 2*d, 0.5)
	first := autodiff.Drop(tape, x.Part(0, 2), mask).Float32s()
	if again := autodiff.Drop(tape, x.Part(0, 1), mask).Float32s(); !slices.Equal(again, first[:d]) || slices.Equal(again, first[d:]) {
		t.Errorf("a mask drops %v, then %v", first, again)
	}
	y := autodiff.DropoutSequences(tape, x, autodiff.Spans{Starts: []int32{7, 0}, Lengths: []int32{5, 7}}, 0.5).Float32s()
	for row := range rows {
		at := 0
		if row >= 7 {
			at = 7
		}
		if got, want := y[row*d:(row+1)*d], y[at*d:(at+1)*d]; !slices.Equal(got, want) {
			t.Errorf("row %d is %v, the first of its sequence %v", row, got, want)
		}
	}
	if slices.Equal(y[:d], y[7*d:8*d]) || slices.Equal(y[:d], first[:d]) {
		t.Error("two sequences, or two masks, drop the same")
	}
}

// The gradient goes where the value went.
func TestDropoutBackward(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(true, true)
	tape.Seed(5)
	x := tape.Input(ones(100), 100)
	y := autodiff.Dropout(tape, x, 0.5)
	copy(autodiff.Grad[float32](y), ones(100))
	tape.Unwind()
	if got, want := x.GradFloat32s(), y.Float32s(); !slices.Equal(got, want) {
		t.Errorf("gradient %v, want %v", got, want)
	}
}

// Memory is aligned to cache lines, is not shared, and is the same block again
// from the third step on.
func TestArena(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	var first []unsafe.Pointer
	for step := range 4 {
		tape.Reset(true, true)
		var now []unsafe.Pointer
		var all [][]float32
		for _, n := range []int{1, 17, 300_000, 0, 5} {
			v := autodiff.Values[float32](tape.New(n))
			if n == 0 {
				continue
			}
			now = append(now, unsafe.Pointer(&v[0]))
			if uintptr(now[len(now)-1])%64 != 0 {
				t.Errorf("step %d: %d elements are not aligned", step, n)
			}
			for i := range v {
				v[i] = float32(n)
			}
			all = append(all, v)
		}
		for _, v := range all {
			if v[0] != float32(len(v)) || v[len(v)-1] != float32(len(v)) {
				t.Errorf("step %d: %d elements were written over", step, len(v))
			}
		}
		if step == 2 {
			first = now
		}
		if step == 3 && !slices.Equal(first, now) {
			t.Error("a steady step moves its memory")
		}
	}
	if tape.Mem() < 4*300_000 {
		t.Errorf("the tape says that it holds %d bytes", tape.Mem())
	}
}

func TestPoison(t *testing.T) {
	for _, dtype := range []autodiff.DType{autodiff.Float32, autodiff.Float64} {
		tape := autodiff.NewTape(dtype)
		tape.Poison()
		for range 2 {
			tape.Reset(true, true)
			v := tape.New(1000)
			for i, x := range v.Float32s() {
				if x == x {
					t.Fatalf("element %d of new memory is %v, want NaN", i, x)
				}
			}
			for i := range v.Size() {
				if dtype == autodiff.Float32 {
					autodiff.Values[float32](v)[i] = 1
				} else {
					autodiff.Values[float64](v)[i] = 1
				}
			}
		}
	}
}

// A tape that does not record keeps no entry, and its values take no gradient.
func TestNotRecording(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(false, false)
	y := autodiff.Tanh(tape, tape.Input([]float32{1}, 1))
	if n := len(autodiff.Ops(tape)); n != 0 || !y.Constant() {
		t.Errorf("%d entries, constant %v; want 0, true", n, y.Constant())
	}
	if message := panics(func() { autodiff.Grad[float32](y) }); message != "autodiff: gradient of a constant" {
		t.Errorf("asking for a gradient: %q", message)
	}
}

// Bugs of a caller are told with shapes.
func TestPanics(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	v := func(dims ...int) *autodiff.Var { return tape.New(dims...) }
	for want, f := range map[string]func(){
		"autodiff: add: a is [2 3], b is [3 2]":                                       func() { autodiff.Add(tape, v(2, 3), v(3, 2)) },
		"autodiff: mul: a is [2], b is [3]":                                           func() { autodiff.Mul(tape, v(2), v(3)) },
		"autodiff: linear: x is [2 3], W is [out=4 in=5]":                             func() { autodiff.Linear(tape, v(2, 3), v(4, 5), nil) },
		"autodiff: concat: a is [2 3], b is [3 3]":                                    func() { autodiff.Concat(tape, v(2, 3), v(3, 3)) },
		"autodiff: slice: columns 2 to 4 of [2 3]":                                    func() { autodiff.Slice(tape, autodiff.Columns{Var: v(2, 3), From: 2}, 2) },
		"autodiff: add to rows: x is [6 4] of 2 sequences, a is [2 3]":                func() { autodiff.AddToRows(tape, v(6, 4), v(2, 3), inTurn(4, 2)) },
		"autodiff: add steps: x is [6 4] of up to 3 rows, table is [4 4], from row 2": func() { autodiff.AddSteps(tape, v(6, 4), v(4, 4), inTurn(3, 3), 2) },
		"autodiff: reshape of [2 3] to [4]":                                           func() { v(2, 3).Reshape(4) },
		"autodiff: axis 2 of a value of shape [2 3]":                                  func() { v(2, 3).Dim(2) },
		"autodiff: 3 values for shape [2 2]":                                          func() { tape.Input(ones(3), 2, 2) },
		"autodiff: a value of 4-byte elements read as 8-byte ones":                    func() { autodiff.Values[float64](v(1)) },
		"autodiff: a shape of 5 axes; at most 4 are supported":                        func() { v(1, 1, 1, 1, 1) },
		"autodiff: additive attention: q is [2 3] of 1 sequences, k [2 4] of 1, v [3], values [2 5]": func() {
			autodiff.AdditiveAttention(tape, v(2, 3), v(2, 4), v(3), v(2, 5), inTurn(2), inTurn(2))
		},
		"autodiff: the values of a parameter that was only declared": func() { autodiff.Values[float32](autodiff.Declare().New("x", nil, 2)) },
		"autodiff: Packed of a value that is not a parameter":        func() { autodiff.PackedColumns[float32](autodiff.Columns{Var: v(2, 2)}, 2, false) },
		"autodiff: attention: query is [2 3] of 1 sequences, key [2 3], value [4 3] of 1": func() {
			at := func(x *autodiff.Var) autodiff.Columns { return autodiff.Columns{Var: x} }
			autodiff.ScaledDotProduct(tape, at(v(2, 3)), at(v(2, 3)), at(v(4, 3)), inTurn(2), inTurn(4), autodiff.Heads{Num: 1, KeySize: 3, ValueSize: 3})
		},
	} {
		if got := panics(f); got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}
}

// A cache grows past its first capacity without losing a step.
func TestCache(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.Reset(false, false)
	var cache autodiff.Cache
	const steps = 40
	for step := range steps {
		s := float32(step)
		x := tape.Input([]float32{-1, s, 10 + s, -1, -1, 100 + s, 200 + s, -1}, 2, 1, 4)
		cache.Append(tape, autodiff.Columns{Var: x, From: 1}, 2)
	}
	all, capacity := cache.Values.Float32s(), cache.Values.Dim(1)
	if cache.Lengths[0] != steps || cache.Lengths[1] != steps || capacity < steps {
		t.Fatalf("lengths %v, capacity %d; want %d", cache.Lengths, capacity, steps)
	}
	for step := range steps {
		s := float32(step)
		for row, want := range [][]float32{{s, 10 + s}, {100 + s, 200 + s}} {
			if got := all[(row*capacity+step)*2:][:2]; !slices.Equal(got, want) {
				t.Errorf("row %d, step %d: %v, want %v", row, step, got, want)
			}
		}
	}
}

// A loop has one entry a map for the weight gradients of all its steps; a map
// outside has none.
func TestLoop(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float32, 1)
	w, b := params.New("w", nn.Zeros(), 3, 3), params.New("b", nn.Zeros(), 3)
	tape := autodiff.NewTape(autodiff.Float32)
	sums := func(steps int, inside bool) int {
		tape.Reset(true, true)
		x := tape.Input(make([]float32, 6), 2, 3)
		if inside {
			tape.EnterLoop()
		}
		for range steps {
			x = autodiff.Linear(tape, x, w, b)
			autodiff.AddLinear(tape, x, autodiff.Scale(tape, x, 1), autodiff.Columns{Var: w})
		}
		n := 0
		for _, op := range autodiff.Ops(tape) {
			if op == "weightSumOp" {
				n++
			}
		}
		return n
	}
	if got := sums(4, true); got != 2 {
		t.Errorf("%d entries for weight gradients, want 2", got)
	}
	if got := sums(4, false); got != 0 { // after a Reset inside a loop
		t.Errorf("outside a loop, %d entries for weight gradients", got)
	}
	tape.EnterLoop()
	if got := panics(tape.EnterLoop); got != "autodiff: a loop in a loop" {
		t.Errorf("a loop in a loop: %q", got)
	}
}

// The values that the steps of a loop attend to get the same gradient, to the bit,
// as they do step after step, whichever contexts a gradient reaches.
func TestAttentionInLoop(t *testing.T) {
	const A, D, steps = 20, 19, 6
	keys := autodiff.Spans{Starts: []int32{5, 0, 22, 22}, Lengths: []int32{17, 5, 0, 3}}
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	run := func(inside bool, reached []bool) (gradients [][]float32, sums int) {
		rng := rand.New(rand.NewPCG(5, 6))
		tape.Reset(true, true)
		random := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = rng.Float32() - 0.5
			}
			return x
		}
		q, k, v, memory := tape.Input(random(steps*4*A), steps*4, A), tape.Input(random(25*A), 25, A), tape.Input(random(A), A), tape.Input(random(25*D), 25, D)
		values := autodiff.Scale(tape, memory, 1.5)
		queries, keyTerms := terms(tape, autodiff.Scale(tape, q, 3)), terms(tape, k)
		if inside {
			tape.EnterLoop()
		}
		for step := range steps {
			n := 4 - step/2
			y, _ := autodiff.AdditiveAttention(tape, queries.Part(4*step, n), keyTerms, v, values, autodiff.SingleRows(tape, n), keys.First(n))
			if dy := random(n * D); reached[step] {
				copy(autodiff.Grad[float32](y), dy)
			}
		}
		if inside {
			tape.LeaveLoop()
		}
		for _, op := range autodiff.Ops(tape) {
			if op == "valuesSumOp" {
				sums++
			}
		}
		tape.Unwind()
		for _, x := range []*autodiff.Var{k, v, memory} {
			gradients = append(gradients, x.GradFloat32s())
		}
		return gradients, sums
	}
	for _, reached := range [][]bool{{true, true, true, true, true, true}, {true, false, true, true, false, false}, {true, false, false, false, false, false}} {
		want, none := run(false, reached)
		got, one := run(true, reached)
		if none != 0 || one != 1 {
			t.Errorf("%d entries for the values outside a loop, %d inside", none, one)
		}
		for i, name := range []string{"keys", "v", "values"} {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("steps %v: the gradient of the %s is %v, want %v", reached, name, got[i], want[i])
			}
		}
	}
}

// The backward pass takes place in the memory of the forward pass: a chain of
// operations needs no more than its values and a few gradients.
func TestUnwindGivesBack(t *testing.T) {
	const size, length = 500_000, 20
	tape := autodiff.NewTape(autodiff.Float32)
	for range 2 {
		tape.Reset(true, true)
		x := tape.Input(make([]float32, size), 1, size)
		y := x
		for range length {
			y = autodiff.Scale(tape, y, 2)
		}
		loss := autodiff.Linear(tape, y, ones32(size), nil)
		forward := tape.Mem()
		tape.Backward(loss)
		if got, want := x.GradFloat32s()[size-1], float32(1<<length); got != want {
			t.Errorf("gradient %v, want %v", got, want)
		}
		if more := tape.Mem() - forward; more > 8*4*size {
			t.Errorf("the backward pass took %d bytes more than the forward pass, whose values have %d", more, 4*size)
		}
	}
}

// The gradients of the parameters lie where the values of the layers above were.
func TestGradientsTakeThePlaceOfValues(t *testing.T) {
	const size, rows, layers = 128, 300, 12
	params := autodiff.NewParams(autodiff.Float32, 1)
	var weights []*autodiff.Var
	for i := range layers {
		weights = append(weights, params.New(fmt.Sprint(i), nn.Constant(0.01), size, size))
	}
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(true, true)
	params.ZeroGrad(tape)
	y := tape.Input(make([]float32, rows*size), rows, size)
	for _, w := range weights {
		y = autodiff.Linear(tape, y, w, nil)
	}
	loss := autodiff.CrossEntropy(tape, y, make([]int32, rows), 0)
	forward := tape.Mem()
	tape.Backward(loss)
	for i, w := range weights {
		if !w.HasGrad() {
			t.Errorf("no gradient has reached layer %d", i)
		}
	}
	if more := tape.Mem() - forward; more > 4*size*(3*rows+2*size) {
		t.Errorf("the backward pass took %d bytes more than the forward pass; the gradients have %d", more, 4*size*size*layers)
	}
}

// What is forgotten makes room, and is there again when it is read.
func TestForget(t *testing.T) {
	const rows, size = 500, 200
	params := autodiff.NewParams(autodiff.Float32, 1)
	gain, bias := params.New("gain", nn.Normal(1), size), params.New("bias", nn.Normal(1), size)
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.Reset(true, true)
	x := tape.Input(make([]float32, rows*size), rows, size)
	y := autodiff.LayerNorm(tape, x, gain, bias, 1e-5)
	was, held := y.Float32s(), tape.Mem()
	tape.Forget(y)
	tape.Forget(x) // nothing can make it again
	tape.New(rows, size)
	if got := tape.Mem(); got != held {
		t.Errorf("%d bytes after a result was forgotten and another made, want %d", got, held)
	}
	if !slices.Equal(autodiff.Values[float32](y), was) {
		t.Error("what was forgotten is something else")
	}
}

// A step of decoding takes the memory of the last but one, and what is kept stays.
func TestTurn(t *testing.T) {
	const size = 10_000
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.Reset(false, false)
	number := func(x float32) *autodiff.Var {
		v := tape.New(size)
		for i := range autodiff.Values[float32](v) {
			autodiff.Values[float32](v)[i] = x
		}
		return v
	}
	is := func(v *autodiff.Var, want float32) bool {
		return v.Float32s()[0] == want && v.Float32s()[size-1] == want
	}
	start := number(-1)
	var kept, before *autodiff.Var
	held := 0
	for step := range 20 {
		tape.Turn()
		now := number(float32(step))
		if before != nil && !is(before, float32(step-1)) {
			t.Fatalf("step %d: the one before made %v", step, before.Float32s()[0])
		}
		if step == 1 {
			tape.Keep(func() { kept = number(100) })
		}
		before = now
		if step == 3 {
			held = tape.Mem()
		}
	}
	if !is(start, -1) || !is(kept, 100) {
		t.Errorf("what was made before the first turn is %v, what was kept %v", start.Float32s()[0], kept.Float32s()[0])
	}
	if tape.Mem() != held {
		t.Errorf("20 steps took %d bytes, 4 took %d", tape.Mem(), held)
	}
}

// ones32 is a parameter [1, n] of ones.
func ones32(n int) *autodiff.Var {
	return autodiff.NewParams(autodiff.Float32, 1).New("w", nn.Constant(1), 1, n)
}

// The mixture by its definition: a column that is generated and copied by two
// heads, by two keys, one that is only copied, and a row without a key.
func TestPointer(t *testing.T) {
	const V, smoothing = 4, 0.3
	tape := autodiff.NewTape(autodiff.Float64)
	tape.Reset(false, false)
	logits := []float32{0.3, -1, 2, 0.5, 1, 0, -2, 0.1, 0.7, 0.2, 0.4, -0.6}
	gates := []float32{0.4, -1.5, 2}
	weights := []float32{0.2, 0.3, 0.5, 0.6, 0.4, 0, 0.5, 0.25, 0.25, 0.1, 0.1, 0.8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	columns, width := []int32{4, 1, 4}, 5
	p := autodiff.Pointer{
		Logits: tape.Input(logits, 3, V), Gate: tape.Input(gates, 3, 1), Weights: tape.Input(weights, 2, 2, 2, 3),
		Queries: inTurn(2, 1), Keys: inTurn(3, 0), Columns: columns, Width: width,
	}
	var want [][]float64
	for row := range 3 {
		sum, mixed := 0.0, make([]float64, width)
		for _, x := range logits[row*V:][:V] {
			sum += math.Exp(float64(x))
		}
		g := 1 / (1 + math.Exp(-float64(gates[row])))
		if row == 2 {
			g = 1
		}
		for c, x := range logits[row*V:][:V] {
			mixed[c] = g * math.Exp(float64(x)) / sum
		}
		for j, c := range columns {
			if row < 2 {
				mixed[c] += (1 - g) * float64(weights[row*3+j]+weights[6+row*3+j]) / 2
			}
		}
		want = append(want, mixed)
	}
	got := autodiff.Values[float64](autodiff.PointerLogits(tape, p))
	targets, loss, smooth := []int32{4, 1, 2}, 0.0, 0.0
	for row, mixed := range want {
		for c, w := range mixed {
			if math.Abs(math.Exp(got[row*width+c])-w) > 1e-7 {
				t.Errorf("row %d: the probability of column %d is %v, want %v", row, c, math.Exp(got[row*width+c]), w)
			}
			if c < V {
				smooth -= smoothing / V * math.Log(w) / 3
			}
		}
		loss -= math.Log(mixed[targets[row]]) / 3
	}
	if l := autodiff.PointerCrossEntropy(tape, p, targets, 0).Scalar(); math.Abs(l-loss) > 1e-7 {
		t.Errorf("the loss is %v, want %v", l, loss)
	}
	if l, want := autodiff.PointerCrossEntropy(tape, p, targets, smoothing).Scalar(), (1-smoothing)*loss+smooth; math.Abs(l-want) > 1e-7 {
		t.Errorf("the smoothed loss is %v, want %v", l, want)
	}
}

// Parts share the gradient of the whole, whichever is reached first, and what
// nothing has reached is zero. A gradient that takes the place of the value leaves it
// there until it is written.
func TestGradientOfParts(t *testing.T) {
	const whole = 3 // as a part
	for _, c := range []struct {
		reached []int  // parts of two rows, in order
		first   []bool // nothing had reached it
		has     []bool // a gradient, in the end
	}{
		{[]int{2, 1, 0}, []bool{true, true, true}, []bool{true, true, true, true}},
		{[]int{0, 1, 2}, []bool{true, true, true}, []bool{true, true, true, true}},
		{[]int{2, 2, 1}, []bool{true, false, true}, []bool{false, true, true, true}},
		{[]int{0, 2, 1}, []bool{true, false, false}, []bool{true, true, true, true}},
		{[]int{1}, []bool{true}, []bool{false, true, false, true}},
		{[]int{1, whole, 0}, []bool{true, false, false}, []bool{true, true, true, true}},
		{[]int{whole, 2}, []bool{true, false}, []bool{true, true, true, true}},
	} {
		for _, over := range []bool{false, true} {
			tape := autodiff.NewTape(autodiff.Float32)
			tape.Poison()
			tape.Reset(true, true)
			x := tape.New(6, 2)
			parts := []*autodiff.Var{x.Part(0, 2), x.Part(1, 5).Part(1, 2), x.Part(4, 2), x}
			values := autodiff.Values[float32](x)
			for i := range values {
				values[i] = float32(100 + i)
			}
			if over {
				autodiff.GradOverValue(parts[1])
			}
			if over && slices.Equal(c.reached, []int{0, 2, 1}) {
				autodiff.GradToWrite[float32](parts[0])
				if got := panics(func() { autodiff.GradToWrite[float32](parts[2]) }); !strings.Contains(got, "not reached part by part") {
					t.Errorf("%v: over the value, the gradient of part 2 panics with %q", c.reached, got)
				}
				continue
			}
			want, untouched := make([]float32, 12), true
			for i, n := range c.reached {
				grad, first := autodiff.GradToWrite[float32](parts[n])
				if first != c.first[i] {
					t.Errorf("%v: part %d is reached first: %v", c.reached, n, first)
				}
				if part := autodiff.Values[float32](parts[n]); n == whole {
					untouched = false
				} else if untouched && !slices.Contains(c.reached[:i], n) && (part[0] != float32(100+4*n) || part[3] != float32(103+4*n)) {
					t.Errorf("%v: the values of part %d are %v before its gradient is written", c.reached, n, part)
				}
				for j := range grad {
					if first {
						grad[j] = 0
					}
					grad[j] += float32(n + 1)
					want[n%whole*4+j] += float32(n + 1)
				}
			}
			if contiguous := !slices.Contains(c.first, false); over && contiguous && &autodiff.Grad[float32](parts[c.reached[0]])[0] != &autodiff.Values[float32](parts[c.reached[0]])[0] {
				t.Errorf("%v: the gradient has memory of its own", c.reached)
			}
			for n, part := range parts {
				if part.HasGrad() != c.has[n] {
					t.Errorf("%v: part %d has a gradient: %v", c.reached, n, part.HasGrad())
				}
			}
			if got := x.GradFloat32s(); !slices.Equal(got, want) {
				t.Errorf("%v: the gradient is %v, want %v", c.reached, got, want)
			}
			if got := parts[1].GradFloat32s(); !slices.Equal(got, want[4:8]) {
				t.Errorf("%v: that of the second part is %v, want %v", c.reached, got, want[4:8])
			}
		}
	}
}
