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
// the steps. The same holds for the values of before the loop that an additive
// attention weighs, which no step may change. Nothing that is called in between
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
	total, rows int              // of all steps; added so far, from the last
	x           kernel.Packed[F] // [total, in], and
	dy          []F              // [total, out], of which the last rows are there
	memory      []F              // of x

	// inPlace says that the results of all steps are of before the loop, such as
	// the parts of one, and so are their gradients when this entry runs backward:
	// dy is [rows, out] where they lie, as long as each lies before the one after.
	inPlace bool
}

// sumInLoop returns the entry that collects the rows of the map of w and b to y,
// nil outside a loop, and has it expect those of y.
func sumInLoop[F kernel.Float](t *Tape, w Columns, in int, b, y *Var) *weightSumOp[F] {
	if !t.loop.inside {
		return nil
	}
	for _, s := range t.loop.sums {
		if s.w == w && s.in == in && s.b == b {
			sum := s.op.(*weightSumOp[F])
			sum.total += y.Rows()
			sum.inPlace = sum.inPlace && y.storage.number < t.loop.storages
			return sum
		}
	}
	sum := Record[weightSumOp[F]](t)
	sum.tape, sum.w, sum.b, sum.in, sum.total, sum.inPlace = t, w, b, in, y.Rows(), y.storage.number < t.loop.storages
	t.loop.sums = append(t.loop.sums, collected{w, in, b, sum})
	return sum
}

// add adds the rows of the step before those added so far.
func (op *weightSumOp[F]) add(rows int, x, dy []F) {
	out := op.w.Var.Dim(0)
	at := op.total - op.rows - rows
	if op.memory == nil {
		op.memory = kept[F](op.tape, kernel.PackedSize(op.total, op.in))
		op.x = kernel.NewPacked(op.total, op.in, op.memory)
	}
	op.x.PackRows(at, rows, x, op.in)
	dy = dy[:rows*out]
	switch {
	case op.inPlace && (op.rows == 0 || lieBefore(dy, op.dy)):
		op.dy = unsafe.Slice(unsafe.SliceData(dy), (op.rows+rows)*out)
	case op.inPlace || op.dy == nil:
		all := kept[F](op.tape, op.total*out)
		copy(all[(op.total-op.rows)*out:], op.dy)
		op.dy, op.inPlace = all, false
		fallthrough
	default:
		copy(op.dy[at*out:], dy)
	}
	op.rows += rows
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
	if !op.inPlace {
		dy = dy[missing*out:]
	}
	op.x = op.x.From(missing)
	dw, first := linearWeightGrad[F](op.w, op.in)
	kernel.GemmPacked(true, out, dy, out, &op.x, dw, op.w.width(), nil, !first)
	if op.b != nil {
		kernel.SumRows(Grad[F](op.b), op.rows, out, dy, out)
	}
	giveBack(op.tape, op.memory)
	if !op.inPlace {
		giveBack(op.tape, op.dy)
	}
}
