package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// Linear returns y = x Wᵀ + b for x [..., in], W [out, in] and b [out], which
// may be nil: y [..., out]. W and b are parameters.
func Linear(t *Tape, x, w, b *Var) *Var {
	if x.Dim(-1) != w.Dim(1) {
		panic(fmt.Sprintf("autodiff: linear: x is %v, W is [out=%d in=%d]", x.shape, w.Dim(0), w.Dim(1)))
	}
	return LinearColumns(t, x, Columns{Var: w}, b)
}

// LinearColumns is [Linear] with the in columns of a wider W, [out, W], from
// w.From on.
func LinearColumns(t *Tape, x *Var, w Columns, b *Var) *Var {
	y := t.NewVar(x.shape.withLast(w.Var.Dim(0)))
	WriteLinear(t, y, x, w, b)
	return y
}

// WriteLinear writes the result of [LinearColumns] to y, where nothing has been before.
func WriteLinear(t *Tape, y, x *Var, w Columns, b *Var) {
	checkLinear(x, w)
	checkResult(y, x, w)
	if t.dtype == Float32 {
		linear[float32](t, x, w, b, y, false)
	} else {
		linear[float64](t, x, w, b, y, false)
	}
}

// AddLinear adds x Wᵀ to y in place: x is [..., in], W the in columns of w
// [out, W] from w.From on, y [..., out]. No operation before may have y as an
// operand whose value its backward pass reads. The gradient of both terms is
// that of y, so y stays one Var.
func AddLinear(t *Tape, y, x *Var, w Columns) {
	checkLinear(x, w)
	checkResult(y, x, w)
	if t.dtype == Float32 {
		linear[float32](t, x, w, nil, y, true)
	} else {
		linear[float64](t, x, w, nil, y, true)
	}
}

func checkResult(y, x *Var, w Columns) {
	if y.shape != x.shape.withLast(w.Var.Dim(0)) {
		panic(fmt.Sprintf("autodiff: linear: y is %v, x %v, W has %d rows", y.shape, x.shape, w.Var.Dim(0)))
	}
}

func checkLinear(x *Var, w Columns) {
	if w.From+x.Dim(-1) > w.width() {
		panic(fmt.Sprintf("autodiff: linear: x is %v, W is %v from column %d", x.shape, w.Var.shape, w.From))
	}
}

type linearOp[F kernel.Float] struct {
	x, b, y *Var
	w       Columns
	sum     *weightSumOp[F] // in a loop
}

func linear[F kernel.Float](t *Tape, x *Var, w Columns, b, y *Var, accumulate bool) {
	in := x.Dim(-1)
	var bias []F
	if b != nil {
		bias = Values[F](b)
	}
	Multiply(x.Rows(), Values[F](x), in, w, in, true, Values[F](y), w.Var.Dim(0), bias, accumulate)
	if t.recording {
		sum := sumInLoop[F](t, x, w, b, y) // an entry before this one's
		op := Record[linearOp[F]](t)
		op.x, op.w, op.b, op.y, op.sum = x, w, b, y, sum
	}
}

// Backward: dW += dyᵀ x, db += Σ dy, dx += dy W.
func (op *linearOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	rows, in, out := op.x.Rows(), op.x.Dim(-1), op.w.Var.Dim(0)
	dy := Grad[F](op.y)
	if op.sum != nil {
		op.sum.add(rows, Values[F](op.x), dy)
	} else {
		linearWeightBackward(op.w, op.b, rows, in, Values[F](op.x), in, dy, out)
	}
	if !op.x.Constant() {
		dx, first := GradToWrite[F](op.x)
		Multiply(rows, dy, out, op.w, in, false, dx, in, nil, !first)
	}
}

// linearWeightBackward: dW += dyᵀ x, db += Σ dy, for x [rows, in] and dy [rows, out],
// whose rows are ldx and ldy apart.
func linearWeightBackward[F kernel.Float](w Columns, b *Var, rows, in int, x []F, ldx int, dy []F, ldy int) {
	out := w.Var.Dim(0)
	dw, first := linearWeightGrad[F](w, in)
	kernel.Gemm(true, false, out, in, rows, dy, ldy, x, ldx, dw, w.width(), nil, !first)
	if b != nil {
		kernel.SumRows(Grad[F](b), rows, out, dy, ldy)
	}
}

// linearWeightGrad is the gradient of in columns of W, to be written where it is the
// first; the other columns are zero then.
func linearWeightGrad[F kernel.Float](w Columns, in int) (dw []F, first bool) {
	dw, first = GradToWrite[F](w.Var)
	if width := w.width(); first && in < width {
		for row := 0; row < len(dw); row += width {
			clear(dw[row : row+w.From])
			clear(dw[row+w.From+in : row+width])
		}
	}
	return dw[w.From:], first
}
