package autodiff

import "exp/components/kernel"

// loop is what the tape knows of a stretch between [Tape.EnterLoop] and
// [Tape.LeaveLoop].
type loop struct {
	inside bool
	sums   []collected
}

// EnterLoop begins a stretch of the tape that applies the same linear maps step
// after step, such as a decoder whose step reads what the one before made. From
// here to [Tape.LeaveLoop] a linear map leaves only its input's gradient to each
// step: the rows of x and dy of all steps are collected, and the gradient of
// each weight is one product over them, after the backward pass has gone through
// the steps. Nothing that is called in between has to know of it.
func (t *Tape) EnterLoop() {
	if t.loop.inside {
		panic("autodiff: a loop in a loop")
	}
	t.loop.inside = true
}

// LeaveLoop ends the stretch that EnterLoop began.
func (t *Tape) LeaveLoop() { t.loop.inside, t.loop.sums = false, t.loop.sums[:0] }

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
	total, rows int // of all steps; added so far
	x, dy       []F // [total, in], [total, out]
}

// sumInLoop returns the entry that collects the rows of the map of w and b, nil
// outside a loop, and has it expect rows more.
func sumInLoop[F kernel.Float](t *Tape, w Columns, in int, b *Var, rows int) *weightSumOp[F] {
	if !t.loop.inside {
		return nil
	}
	for _, s := range t.loop.sums {
		if s.w == w && s.in == in && s.b == b {
			sum := s.op.(*weightSumOp[F])
			sum.total += rows
			return sum
		}
	}
	sum := Record[weightSumOp[F]](t)
	sum.tape, sum.w, sum.b, sum.in, sum.total = t, w, b, in, rows
	t.loop.sums = append(t.loop.sums, collected{w, in, b, sum})
	return sum
}

func (op *weightSumOp[F]) add(rows int, x, dy []F) {
	out := op.w.Var.Dim(0)
	if op.x == nil {
		op.x, op.dy = kept[F](op.tape, op.total*op.in), kept[F](op.tape, op.total*out)
	}
	copy(op.x[op.rows*op.in:], x[:rows*op.in])
	copy(op.dy[op.rows*out:], dy[:rows*out])
	op.rows += rows
}

func (op *weightSumOp[F]) Backward() {
	if op.rows > 0 {
		linearWeightBackward(op.w, op.b, op.rows, op.in, op.x, op.dy)
		giveBack(op.tape, op.x)
		giveBack(op.tape, op.dy)
	}
}
