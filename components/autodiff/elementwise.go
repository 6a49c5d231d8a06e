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
	if dx, first := gradToWrite[F](op.x); first {
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

// AddToRows adds a [B, D] to every time step of x [B, T, D].
func AddToRows(t *Tape, x, a *Var) *Var {
	if x.shape.rank != 3 || a.shape.rank != 2 || x.Dim(0) != a.Dim(0) || x.Dim(2) != a.Dim(1) {
		panic(fmt.Sprintf("autodiff: add to rows: x is %v, a is %v", x.shape, a.shape))
	}
	if t.dtype == Float32 {
		return addToRows[float32](t, x, a)
	}
	return addToRows[float64](t, x, a)
}

type addToRowsOp[F kernel.Float] struct{ x, a, y *Var }

func addToRows[F kernel.Float](t *Tape, x, a *Var) *Var {
	b, n, d := x.Dim(0), x.Dim(1), x.Dim(2)
	y := t.NewVar(x.shape)
	copy(Values[F](y), Values[F](x))
	for i := range b {
		kernel.AddRows(Values[F](y)[i*n*d:(i+1)*n*d], n, d, Values[F](a)[i*d:(i+1)*d])
	}
	if t.recording {
		op := Record[addToRowsOp[F]](t)
		op.x, op.a, op.y = x, a, y
	}
	return y
}

func (op *addToRowsOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	b, n, d := op.x.Dim(0), op.x.Dim(1), op.x.Dim(2)
	dy := Grad[F](op.y)
	if !op.x.Constant() {
		kernel.AddTo(Grad[F](op.x), dy)
	}
	if !op.a.Constant() {
		for i := range b {
			kernel.SumRows(Grad[F](op.a)[i*d:(i+1)*d], n, d, dy[i*n*d:(i+1)*n*d], d)
		}
	}
}

// AddSteps adds row from+t of table [P, D] to every step t of x [B, T, D].
func AddSteps(t *Tape, x, table *Var, from int) *Var {
	if x.shape.rank != 3 || x.Dim(2) != table.Dim(1) || from+x.Dim(1) > table.Dim(0) {
		panic(fmt.Sprintf("autodiff: add steps: x is %v, table is %v, from row %d", x.shape, table.shape, from))
	}
	if t.dtype == Float32 {
		return addSteps[float32](t, x, table, from)
	}
	return addSteps[float64](t, x, table, from)
}

type addStepsOp[F kernel.Float] struct {
	x, table, y *Var
	from        int
}

func addSteps[F kernel.Float](t *Tape, x, table *Var, from int) *Var {
	b, n, d := x.Dim(0), x.Dim(1), x.Dim(2)
	y := t.NewVar(x.shape)
	added := Values[F](table)[from*d : (from+n)*d]
	for i := range b {
		at := i * n * d
		kernel.Add(Values[F](y)[at:at+n*d], Values[F](x)[at:at+n*d], added)
	}
	if t.recording {
		op := Record[addStepsOp[F]](t)
		op.x, op.table, op.y, op.from = x, table, y, from
	}
	return y
}

func (op *addStepsOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	b, n, d := op.x.Dim(0), op.x.Dim(1), op.x.Dim(2)
	dy := Grad[F](op.y)
	if !op.x.Constant() {
		kernel.AddTo(Grad[F](op.x), dy)
	}
	if !op.table.Constant() {
		added := Grad[F](op.table)[op.from*d : (op.from+n)*d]
		for i := range b {
			kernel.AddTo(added, dy[i*n*d:(i+1)*n*d])
		}
	}
}
