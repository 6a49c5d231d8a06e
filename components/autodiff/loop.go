package autodiff

import (
	"unsafe"

	"exp/components/kernel"
)

// loop is what the tape knows of a stretch between [Tape.EnterLoop] and
// [Tape.LeaveLoop].
type loop struct {
	inside   bool
	storages int // taken before it
	sums     []collected
	values   []Op // a valuesSumOp each
}

// EnterLoop begins a stretch of the tape that applies the same linear maps step
// after step, such as a decoder whose step reads what the one before made. From
// here to [Tape.LeaveLoop] a linear map leaves only its input's gradient to each
// step: the rows of x and dy of all steps are collected, and the gradient of
// each weight is one product over them, after the backward pass has gone through
// the steps: no step may change what lay in x before it. The same holds for the values of
// before the loop that an additive attention weighs. Nothing that is called in between
// has to know of it.
func (t *Tape) EnterLoop() {
	if t.loop.inside {
		panic("autodiff: a loop in a loop")
	}
	t.loop.inside, t.loop.storages = true, t.storages.used
}

// LeaveLoop ends the stretch that EnterLoop began.
func (t *Tape) LeaveLoop() {
	t.loop.inside, t.loop.sums, t.loop.values = false, t.loop.sums[:0], t.loop.values[:0]
}

// collected is the entry that collects for a map.
type collected struct {
	w  Columns
	in int
	b  *Var
	op Op // a weightSumOp
}

// weightSumOp is dW += dyᵀ x and db += Σ dy of a linear map over the steps of a
// loop. Its entry comes before those of the map, so that its Backward runs after
// theirs have added their rows.
type weightSumOp[F kernel.Float] struct {
	tape        *Tape
	w           Columns
	b           *Var
	in          int
	total, rows int // of all steps; added so far, from the last

	// What the steps have of x and dy is read where it lies as long as it is of before
	// the loop, as the parts of a Var are, and each step's lies before the one after.
	xInPlace, dyInPlace bool
	x                   []F              // [rows, in], in place
	packed              kernel.Packed[F] // or [total, in], of which the last rows are there,
	memory              []F              // in this
	dy                  []F              // [rows, out], in place, or [total, out], of which the last rows are there
}

// sumInLoop returns the entry that collects the rows of the map of w and b from x to y,
// nil outside a loop, and has it expect these.
func sumInLoop[F kernel.Float](t *Tape, x *Var, w Columns, b, y *Var) *weightSumOp[F] {
	if !t.loop.inside {
		return nil
	}
	in := x.Dim(-1)
	before := func(v *Var) bool { return v.storage.number < t.loop.storages }
	for _, s := range t.loop.sums {
		if s.w == w && s.in == in && s.b == b {
			sum := s.op.(*weightSumOp[F])
			sum.total += y.Rows()
			sum.xInPlace, sum.dyInPlace = sum.xInPlace && before(x), sum.dyInPlace && before(y)
			return sum
		}
	}
	sum := Record[weightSumOp[F]](t)
	sum.tape, sum.w, sum.b, sum.in, sum.total, sum.xInPlace, sum.dyInPlace = t, w, b, in, y.Rows(), before(x), before(y)
	t.loop.sums = append(t.loop.sums, collected{w, in, b, sum})
	return sum
}

// add adds the rows of the step before those added so far.
func (op *weightSumOp[F]) add(rows int, x, dy []F) {
	out := op.w.Var.Dim(0)
	x, dy = x[:rows*op.in], dy[:rows*out]
	if op.xInPlace = op.xInPlace && (op.rows == 0 || lieBefore(x, op.x)); op.xInPlace {
		op.x = unsafe.Slice(unsafe.SliceData(x), len(op.x)+len(x))
	} else {
		op.packRows(rows, x)
	}
	if wasInPlace := op.dyInPlace; wasInPlace && (op.rows == 0 || lieBefore(dy, op.dy)) {
		op.dy = unsafe.Slice(unsafe.SliceData(dy), len(op.dy)+len(dy))
	} else {
		if op.dyInPlace = false; wasInPlace || op.dy == nil {
			all := kept[F](op.tape, op.total*out)
			copy(all[(op.total-op.rows)*out:], op.dy)
			op.dy = all
		}
		copy(op.dy[(op.total-op.rows-rows)*out:], dy)
	}
	op.rows += rows
}

// packRows packs the rows of a step, and those before it that were read in place.
func (op *weightSumOp[F]) packRows(rows int, x []F) {
	if op.memory == nil {
		op.memory = kept[F](op.tape, kernel.PackedSize(op.total, op.in))
		op.packed = kernel.NewPacked(op.total, op.in, op.memory)
		op.packed.PackRows(op.total-op.rows, op.rows, op.x, op.in)
	}
	op.packed.PackRows(op.total-op.rows-rows, rows, x, op.in)
}

// lieBefore says that b begins where a ends.
func lieBefore[F kernel.Float](a, b []F) bool {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(a)), len(a)*int(unsafe.Sizeof(*new(F)))) == unsafe.Pointer(unsafe.SliceData(b))
}

func (op *weightSumOp[F]) Backward() {
	if op.rows == 0 {
		return
	}
	dy, missing := op.dy, op.total-op.rows
	out := op.w.Var.Dim(0)
	if !op.dyInPlace {
		dy = dy[missing*out:]
	}
	dw, first := linearWeightGrad[F](op.w, op.in)
	if op.xInPlace {
		kernel.Gemm(true, false, out, op.in, op.rows, dy, out, op.x, op.in, dw, op.w.width(), nil, !first)
	} else {
		op.packed = op.packed.From(missing)
		kernel.GemmPacked(true, out, dy, out, &op.packed, dw, op.w.width(), nil, !first)
		giveBack(op.tape, op.memory)
	}
	if op.b != nil {
		kernel.SumRows(Grad[F](op.b), op.rows, out, dy, out)
	}
	if !op.dyInPlace {
		giveBack(op.tape, op.dy)
	}
}
