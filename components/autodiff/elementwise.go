package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

func sameShape(op string, a, b *Var) {
	if a.shape != b.shape {
		panic(fmt.Sprintf("autodiff: %s: a is %v, b is %v", op, a.shape, b.shape))
	}
}

// Add returns a + b, of one shape.
func Add(t *Tape, a, b *Var) *Var {
	sameShape("add", a, b)
	if t.dtype == Float32 {
		return add[float32](t, a, b)
	}
	return add[float64](t, a, b)
}

type addOp[F kernel.Float] struct{ a, b, y *Var }

func add[F kernel.Float](t *Tape, a, b *Var) *Var {
	y := t.NewVar(a.shape)
	kernel.Add(Values[F](y), Values[F](a), Values[F](b))
	if t.recording {
		op := Record[addOp[F]](t)
		op.a, op.b, op.y = a, b, y
	}
	return y
}

func (op *addOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	for _, v := range [...]*Var{op.a, op.b} {
		if !v.Constant() {
			kernel.AddTo(Grad[F](v), Grad[F](op.y))
		}
	}
}

// AddTo adds x to y in place, of one shape. No operation before may have y as an
// operand or a result whose value its backward pass reads. The gradient of both
// terms is that of y, so y stays one Var.
func AddTo(t *Tape, y, x *Var) {
	sameShape("add to", y, x)
	if t.recording && y.Constant() {
		panic("autodiff: add to a constant, which takes no gradient")
	}
	if t.dtype == Float32 {
		addTo[float32](t, y, x)
	} else {
		addTo[float64](t, y, x)
	}
}

type addToOp[F kernel.Float] struct{ x, y *Var }

func addTo[F kernel.Float](t *Tape, y, x *Var) {
	kernel.AddTo(Values[F](y), Values[F](x))
	if t.recording {
		op := Record[addToOp[F]](t)
		op.x, op.y = x, y
	}
}

func (op *addToOp[F]) Backward() {
	if !op.y.HasGrad() || op.x.Constant() {
		return
	}
	if dx, first := GradToWrite[F](op.x); first {
		copy(dx, Grad[F](op.y))
	} else {
		kernel.AddTo(dx, Grad[F](op.y))
	}
}

// Mul returns the elementwise product of a and b, of one shape.
func Mul(t *Tape, a, b *Var) *Var {
	sameShape("mul", a, b)
	if t.dtype == Float32 {
		return mul[float32](t, a, b)
	}
	return mul[float64](t, a, b)
}

type mulOp[F kernel.Float] struct{ a, b, y *Var }

func mul[F kernel.Float](t *Tape, a, b *Var) *Var {
	y := t.NewVar(a.shape)
	kernel.Mul(Values[F](y), Values[F](a), Values[F](b))
	if t.recording {
		op := Record[mulOp[F]](t)
		op.a, op.b, op.y = a, b, y
	}
	return y
}

func (op *mulOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	dy := Grad[F](op.y)
	if !op.a.Constant() {
		kernel.MulAdd(Grad[F](op.a), dy, Values[F](op.b))
	}
	if !op.b.Constant() {
		kernel.MulAdd(Grad[F](op.b), dy, Values[F](op.a))
	}
}

// Scale returns alpha x.
func Scale(t *Tape, x *Var, alpha float64) *Var {
	if t.dtype == Float32 {
		return scale[float32](t, x, alpha)
	}
	return scale[float64](t, x, alpha)
}

type scaleOp[F kernel.Float] struct {
	x, y  *Var
	alpha F
}

func scale[F kernel.Float](t *Tape, x *Var, alpha float64) *Var {
	y := t.NewVar(x.shape)
	kernel.Scale(Values[F](y), F(alpha), Values[F](x))
	if t.recording {
		op := Record[scaleOp[F]](t)
		op.x, op.y, op.alpha = x, y, F(alpha)
	}
	return y
}

func (op *scaleOp[F]) Backward() {
	if op.y.HasGrad() && !op.x.Constant() {
		kernel.Axpy(Grad[F](op.x), op.alpha, Grad[F](op.y))
	}
}

// ScaleInPlace multiplies x by alpha. No operation before may have x as an operand
// or a result whose value its backward pass reads.
func ScaleInPlace(t *Tape, x *Var, alpha float64) {
	if t.dtype == Float32 {
		scaleInPlace[float32](t, x, alpha)
	} else {
		scaleInPlace[float64](t, x, alpha)
	}
}

type scaleInPlaceOp[F kernel.Float] struct {
	x     *Var
	alpha F
}

func scaleInPlace[F kernel.Float](t *Tape, x *Var, alpha float64) {
	kernel.Scale(Values[F](x), F(alpha), Values[F](x))
	if t.recording {
		op := Record[scaleInPlaceOp[F]](t)
		op.x, op.alpha = x, F(alpha)
	}
}

// Backward makes the gradient of the result that of the operand, in place too.
func (op *scaleInPlaceOp[F]) Backward() {
	if op.x.HasGrad() {
		kernel.Scale(Grad[F](op.x), op.alpha, Grad[F](op.x))
	}
}

// AddToRows adds row b of a [B, D] to every row of sequence b in x [Σ lengths, D].
func AddToRows(t *Tape, x, a *Var, spans Spans) *Var {
	if a.shape.rank != 2 || a.Dim(0) != spans.Batch() || x.Dim(-1) != a.Dim(1) {
		panic(fmt.Sprintf("autodiff: add to rows: x is %v of %d sequences, a is %v", x.shape, spans.Batch(), a.shape))
	}
	if t.dtype == Float32 {
		return addToRows[float32](t, x, a, spans)
	}
	return addToRows[float64](t, x, a, spans)
}

type addToRowsOp[F kernel.Float] struct {
	x, a, y *Var
	spans   Spans
}

func addToRows[F kernel.Float](t *Tape, x, a *Var, spans Spans) *Var {
	d := x.Dim(-1)
	y := t.NewVar(x.shape)
	copy(Values[F](y), Values[F](x))
	for b := range spans.Batch() {
		start, n := spans.At(b)
		kernel.AddRows(Values[F](y)[start*d:(start+n)*d], n, d, Values[F](a)[b*d:(b+1)*d])
	}
	if t.recording {
		op := Record[addToRowsOp[F]](t)
		op.x, op.a, op.y, op.spans = x, a, y, spans
	}
	return y
}

func (op *addToRowsOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	d, dy := op.x.Dim(-1), Grad[F](op.y)
	if !op.x.Constant() {
		kernel.AddTo(Grad[F](op.x), dy)
	}
	if !op.a.Constant() {
		for b := range op.spans.Batch() {
			start, n := op.spans.At(b)
			kernel.SumRows(Grad[F](op.a)[b*d:(b+1)*d], n, d, dy[start*d:(start+n)*d], d)
		}
	}
}

// AddSteps adds row from+t of table [P, D] to row t of every sequence in x
// [Σ lengths, D], in place. No operation before may have x as an operand or a
// result whose value its backward pass reads.
func AddSteps(t *Tape, x, table *Var, spans Spans, from int) {
	if x.Dim(-1) != table.Dim(1) || from+spans.Longest() > table.Dim(0) {
		panic(fmt.Sprintf("autodiff: add steps: x is %v of up to %d rows, table is %v, from row %d", x.shape, spans.Longest(), table.shape, from))
	}
	if t.recording && x.Constant() && !table.Constant() {
		panic("autodiff: add steps to a constant, which takes no gradient")
	}
	if t.dtype == Float32 {
		addSteps[float32](t, x, table, spans, from)
	} else {
		addSteps[float64](t, x, table, spans, from)
	}
}

type addStepsOp[F kernel.Float] struct {
	x, table *Var
	spans    Spans
	from     int
}

func addSteps[F kernel.Float](t *Tape, x, table *Var, spans Spans, from int) {
	d := x.Dim(-1)
	added := Values[F](table)[from*d:]
	for b := range spans.Batch() {
		start, n := spans.At(b)
		kernel.AddTo(Values[F](x)[start*d:(start+n)*d], added[:n*d])
	}
	if t.recording {
		op := Record[addStepsOp[F]](t)
		op.x, op.table, op.spans, op.from = x, table, spans, from
	}
}

// Backward: the gradient of x stays what it is.
func (op *addStepsOp[F]) Backward() {
	if !op.x.HasGrad() || op.table.Constant() {
		return
	}
	d, dx := op.x.Dim(-1), Grad[F](op.x)
	added := Grad[F](op.table)[op.from*d:]
	for b := range op.spans.Batch() {
		start, n := op.spans.At(b)
		kernel.AddTo(added[:n*d], dx[start*d:(start+n)*d])
	}
}
