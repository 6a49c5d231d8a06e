package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// Embed returns the rows of table [V, E] that ids name: [len(ids), E]. ids must
// live as long as the tape.
func Embed(t *Tape, table *Var, ids []int32) *Var {
	if t.dtype == Float32 {
		return embed[float32](t, table, ids)
	}
	return embed[float64](t, table, ids)
}

type embedOp[F kernel.Float] struct {
	table, y *Var
	ids      []int32
}

func embed[F kernel.Float](t *Tape, table *Var, ids []int32) *Var {
	size := table.Dim(1)
	y := t.New(len(ids), size)
	kernel.Gather(len(ids), size, Values[F](y), Values[F](table), ids)
	if t.recording && !table.Frozen() {
		op := Record[embedOp[F]](t)
		op.table, op.y, op.ids = table, y, ids
	}
	return y
}

func (op *embedOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	kernel.ScatterAdd(len(op.ids), op.table.Dim(1), Grad[F](op.table), Grad[F](op.y), op.ids)
}

// Rows returns the rows of x [..., D], counted over all leading axes, that
// index names: [len(index), D]. An index of -1 gives a row of zeros. index must
// live as long as the tape.
func Rows(t *Tape, x *Var, index []int32) *Var {
	if t.dtype == Float32 {
		return rows[float32](t, x, index)
	}
	return rows[float64](t, x, index)
}

type rowsOp[F kernel.Float] struct {
	x, y  *Var
	index []int32
}

func rows[F kernel.Float](t *Tape, x *Var, index []int32) *Var {
	d := x.Dim(-1)
	y := t.New(len(index), d)
	kernel.GatherStrided(len(index), d, Values[F](y), d, Values[F](x), d, index)
	if t.recording {
		op := Record[rowsOp[F]](t)
		op.x, op.y, op.index = x, y, index
	}
	return y
}

func (op *rowsOp[F]) Backward() {
	if op.y.HasGrad() && !op.x.Constant() {
		d := op.x.Dim(-1)
		kernel.ScatterStridedAdd(len(op.index), d, Grad[F](op.x), d, Grad[F](op.y), d, op.index)
	}
}

// Select returns the rows of x [B, ...] along its first axis that index names:
// [len(index), ...]. index must live as long as the tape.
func Select(t *Tape, x *Var, index []int32) *Var {
	shape := x.shape
	size := 1
	for _, d := range shape.dims[1:shape.rank] {
		size *= d
	}
	y := Rows(t, x.Reshape(shape.dims[0], size), index)
	shape.dims[0] = len(index)
	y.shape = shape
	return y
}

// Scatter copies the rows of x [n, D] to the rows of y [..., D], counted over all
// leading axes, that index [n] names, in place. Nothing has been there before. index
// must live as long as the tape.
func Scatter(t *Tape, y, x *Var, index []int32) {
	if t.dtype == Float32 {
		scatter[float32](t, y, x, index)
	} else {
		scatter[float64](t, y, x, index)
	}
}

type scatterOp[F kernel.Float] struct {
	x, y  *Var
	index []int32
}

func scatter[F kernel.Float](t *Tape, y, x *Var, index []int32) {
	d := x.Dim(-1)
	kernel.ScatterStrided(len(index), d, Values[F](y), d, Values[F](x), d, index)
	if t.recording {
		op := Record[scatterOp[F]](t)
		op.x, op.y, op.index = x, y, index
	}
}

func (op *scatterOp[F]) Backward() {
	if !op.y.HasGrad() || op.x.Constant() {
		return
	}
	d, dy := op.x.Dim(-1), Grad[F](op.y)
	if dx, first := GradToWrite[F](op.x); first {
		kernel.GatherStrided(len(op.index), d, dx, d, dy, d, op.index)
	} else {
		kernel.GatherStridedAdd(len(op.index), d, dx, d, dy, d, op.index)
	}
}

// Concat joins a [..., M] and b [..., N] along the last axis: [..., M+N].
func Concat(t *Tape, a, b *Var) *Var {
	if a.Rows() != b.Rows() || a.shape.withLast(1) != b.shape.withLast(1) {
		panic(fmt.Sprintf("autodiff: concat: a is %v, b is %v", a.shape, b.shape))
	}
	if t.dtype == Float32 {
		return concat[float32](t, a, b)
	}
	return concat[float64](t, a, b)
}

type concatOp[F kernel.Float] struct{ a, b, y *Var }

func concat[F kernel.Float](t *Tape, a, b *Var) *Var {
	m, n := a.Dim(-1), b.Dim(-1)
	y := t.NewVar(a.shape.withLast(m + n))
	va, vb, vy := Values[F](a), Values[F](b), Values[F](y)
	for r := range a.Rows() {
		row := vy[r*(m+n) : (r+1)*(m+n)]
		copy(row[:m], va[r*m:(r+1)*m])
		copy(row[m:], vb[r*n:(r+1)*n])
	}
	if t.recording {
		op := Record[concatOp[F]](t)
		op.a, op.b, op.y = a, b, y
	}
	return y
}

func (op *concatOp[F]) Backward() {
	if !op.y.HasGrad() {
		return
	}
	m, n := op.a.Dim(-1), op.b.Dim(-1)
	concatBackward(op.a, Grad[F](op.y), m, m+n)
	concatBackward(op.b, Grad[F](op.y)[min(m, op.y.Size()):], n, m+n)
}

// concatBackward adds to the gradient of x the first d columns of dy, whose rows
// are ld apart.
func concatBackward[F kernel.Float](x *Var, dy []F, d, ld int) {
	if x.Constant() || d == 0 {
		return
	}
	dx, first := GradToWrite[F](x)
	for r := range x.Rows() {
		if row := dx[r*d : (r+1)*d]; first {
			copy(row, dy[r*ld:])
		} else {
			kernel.AddTo(row, dy[r*ld:])
		}
	}
}

// Slice returns a copy of n columns of x.Var [..., W], from x.From on: [..., n].
func Slice(t *Tape, x Columns, n int) *Var {
	if x.From < 0 || x.From+n > x.width() {
		panic(fmt.Sprintf("autodiff: slice: columns %d to %d of %v", x.From, x.From+n, x.Var.shape))
	}
	if t.dtype == Float32 {
		return slice[float32](t, x, n)
	}
	return slice[float64](t, x, n)
}

type sliceOp[F kernel.Float] struct {
	x Columns
	y *Var
}

func slice[F kernel.Float](t *Tape, x Columns, n int) *Var {
	y := t.NewVar(x.Var.shape.withLast(n))
	from, to := Values[F](x.Var), Values[F](y)
	for r := range x.Var.Rows() {
		copy(to[r*n:(r+1)*n], from[r*x.width()+x.From:])
	}
	if t.recording {
		op := Record[sliceOp[F]](t)
		op.x, op.y = x, y
	}
	return y
}

func (op *sliceOp[F]) Backward() {
	if !op.y.HasGrad() || op.x.Var.Constant() {
		return
	}
	n, dx, dy := op.y.Dim(-1), Grad[F](op.x.Var), Grad[F](op.y)
	for r := range op.x.Var.Rows() {
		kernel.AddTo(dx[r*op.x.width()+op.x.From:][:n], dy[r*n:])
	}
}

// MeanRows returns the mean over the rows of every sequence in x [rows, D]:
// [B, D]. One of length 0 gives zeros.
func MeanRows(t *Tape, x *Var, spans Spans) *Var {
	if t.dtype == Float32 {
		return meanRows[float32](t, x, spans)
	}
	return meanRows[float64](t, x, spans)
}

type meanRowsOp[F kernel.Float] struct {
	x, y  *Var
	spans Spans
}

func meanRows[F kernel.Float](t *Tape, x *Var, spans Spans) *Var {
	d := x.Dim(-1)
	y := t.Zero(spans.Batch(), d)
	vx, vy := Values[F](x), Values[F](y)
	for b := range spans.Batch() {
		row := vy[b*d : (b+1)*d]
		if start, n := spans.At(b); n > 0 {
			kernel.SumRows(row, n, d, vx[start*d:(start+n)*d], d)
			kernel.Scale(row, 1/F(n), row)
		}
	}
	if t.recording {
		op := Record[meanRowsOp[F]](t)
		op.x, op.y, op.spans = x, y, spans
	}
	return y
}

func (op *meanRowsOp[F]) Backward() {
	if !op.y.HasGrad() || op.x.Constant() {
		return
	}
	d := op.x.Dim(-1)
	dx, dy := Grad[F](op.x), Grad[F](op.y)
	for b := range op.spans.Batch() {
		start, n := op.spans.At(b)
		for row := start; row < start+n; row++ {
			kernel.Axpy(dx[row*d:(row+1)*d], 1/F(n), dy[b*d:(b+1)*d])
		}
	}
}

// Argmax writes to dst the index of the largest element of each row of x
// [..., V], the first of equals.
func Argmax(x *Var, dst []int32) {
	if x.DType() == Float32 {
		kernel.ArgmaxRows(x.Rows(), x.Dim(-1), Values[float32](x), dst)
	} else {
		kernel.ArgmaxRows(x.Rows(), x.Dim(-1), Values[float64](x), dst)
	}
}
