package autodiff

import (
	"fmt"
	"unsafe"

	"gorgonia.org/tensor"

	"exp/components/kernel"
)

// Engine is gorgonia's standard engine with the matrix product replaced by the
// kernel's. The standard one ignores strides, so a column slice gives wrong
// results in silence; this one reads any row stride, and refuses what it cannot
// read.
type Engine struct{ tensor.StdEng }

var _ tensor.MatMuler = Engine{}

// MatMul computes prealloc = a b for matrices a [M,K], b [K,N].
func (Engine) MatMul(a, b, prealloc tensor.Tensor) error {
	x, err := operand("left", a)
	if err != nil {
		return err
	}
	y, err := operand("right", b)
	if err != nil {
		return err
	}
	c, err := operand("result", prealloc)
	if err != nil {
		return err
	}
	m, k, n := x.rows, x.cols, y.cols
	if y.rows != k || c.rows != m || c.cols != n || c.trans {
		return fmt.Errorf("matmul: [%d %d] times [%d %d] into [%d %d]", x.rows, x.cols, y.rows, y.cols, c.rows, c.cols)
	}
	switch {
	case x.f32 != nil && y.f32 != nil && c.f32 != nil:
		kernel.Gemm(x.trans, y.trans, m, n, k, x.f32, x.ld, y.f32, y.ld, c.f32, c.ld, nil, false)
	case x.f64 != nil && y.f64 != nil && c.f64 != nil:
		kernel.Gemm(x.trans, y.trans, m, n, k, x.f64, x.ld, y.f64, y.ld, c.f64, c.ld, nil, false)
	default:
		return fmt.Errorf("matmul: the operands must be all float32 or all float64, are %v, %v and %v", a.Dtype(), b.Dtype(), prealloc.Dtype())
	}
	return nil
}

type matrix struct {
	f32            []float32
	f64            []float64
	rows, cols, ld int
	trans          bool // stored [cols, rows]
}

func operand(role string, t tensor.Tensor) (matrix, error) {
	d, ok := t.(*tensor.Dense)
	if !ok {
		return matrix{}, fmt.Errorf("matmul: the %s operand is a %T, not a dense tensor", role, t)
	}
	if d.Dims() != 2 || len(d.Strides()) != 2 {
		return matrix{}, fmt.Errorf("matmul: the %s operand has shape %v, not two axes", role, d.Shape())
	}
	m := matrix{rows: d.Shape()[0], cols: d.Shape()[1]}
	switch s := d.Strides(); {
	case s[1] == 1 && (s[0] >= m.cols || m.rows <= 1):
		m.ld = max(s[0], m.cols)
	case s[0] == 1 && (s[1] >= m.rows || m.cols <= 1):
		m.ld, m.trans = max(s[1], m.rows), true
	default:
		return matrix{}, fmt.Errorf("matmul: the %s operand has strides %v, which no row-major or column-major matrix has", role, s)
	}
	switch d.Dtype() {
	case tensor.Float32:
		m.f32 = d.Float32s()
	case tensor.Float64:
		m.f64 = d.Float64s()
	}
	return m, nil
}

func newDense(d DType, p unsafe.Pointer, shape Shape) *tensor.Dense {
	var backing any
	if d == Float32 {
		backing = unsafe.Slice((*float32)(p), shape.Size())
	} else {
		backing = unsafe.Slice((*float64)(p), shape.Size())
	}
	return tensor.New(tensor.WithShape(shape.Dims()...), tensor.WithBacking(backing), tensor.WithEngine(Engine{}))
}
