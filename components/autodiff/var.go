package autodiff

import (
	"fmt"
	"strings"
	"unsafe"

	"gorgonia.org/tensor"

	"exp/components/kernel"
)

// MaxRank is the largest number of axes of a Var.
const MaxRank = 4

// Shape is the sizes of up to [MaxRank] axes, row-major.
type Shape struct {
	dims [MaxRank]int
	rank int
}

// NewShape returns the shape with these sizes.
func NewShape(dims ...int) Shape {
	if len(dims) > MaxRank {
		panic(fmt.Sprintf("autodiff: a shape of %d axes; at most %d are supported", len(dims), MaxRank))
	}
	var s Shape
	s.rank = copy(s.dims[:], dims)
	return s
}

// Rank is the number of axes.
func (s Shape) Rank() int { return s.rank }

// Dim is the size of axis i; negative i counts from the last axis.
func (s Shape) Dim(i int) int {
	if i < 0 {
		i += s.rank
	}
	if i < 0 || i >= s.rank {
		panic(fmt.Sprintf("autodiff: axis %d of a value of shape %v", i, s))
	}
	return s.dims[i]
}

// Size is the number of elements.
func (s Shape) Size() int {
	n := 1
	for _, d := range s.dims[:s.rank] {
		n *= d
	}
	return n
}

// Dims returns a copy of the sizes.
func (s Shape) Dims() []int { return append([]int(nil), s.dims[:s.rank]...) }

// withLast is s with its last axis resized to n.
func (s Shape) withLast(n int) Shape {
	s.dims[s.rank-1] = n
	return s
}

func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range s.dims[:s.rank] {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, d)
	}
	b.WriteByte(']')
	return b.String()
}

// A Var is a value on a tape, or a parameter, and its gradient.
type Var struct {
	shape   Shape
	storage *storage
}

// storage is shared by a Var and its reshaped views.
type storage struct {
	tape      *Tape          // nil: a parameter
	value     unsafe.Pointer // nil: a parameter that is only declared
	grad      unsafe.Pointer // nil: nothing has reached it yet, or it is a part
	reached   extent         // of grad: the rest is not written yet
	whole     *storage       // of which it is a part, from element at on; nil: none
	at        int
	size      int
	number    int // of the tape's storages taken before; a part has that of the whole
	dtype     DType
	constant  bool     // takes no gradient
	ownsGrad  bool     // grad is a piece of the arena, to be given back
	ownsValue bool     // value too, with the storage and not with the pieces
	over      bool     // grad takes the place of value
	again     computer // what can compute a value that was forgotten; nil: nothing
	leaf      *leaf
}

// extent is the elements from from to to-1.
type extent struct{ from, to int }

// bytes is the size of the value, and of the gradient: at least one element.
func (s *storage) bytes() int { return max(1, s.size) * s.dtype.size() }

// NewVar returns an uninitialised Var of the tape. A result of an operation.
func (t *Tape) NewVar(shape Shape) *Var {
	v := t.declare(shape)
	v.storage.value = t.arena.takePiece(v.storage.bytes())
	v.storage.ownsGrad = true
	return v
}

// declare is NewVar without the memory.
func (t *Tape) declare(shape Shape) *Var {
	s := t.storages.take()
	s.tape, s.size, s.number, s.dtype = t, shape.Size(), t.storages.used-1, t.dtype
	s.constant = !t.recording
	v := take[Var](t.slabs)
	v.shape, v.storage = shape, s
	return v
}

// New is NewVar with the sizes spelt out.
func (t *Tape) New(dims ...int) *Var { return t.NewVar(NewShape(dims...)) }

// Zero is New with every element zero.
func (t *Tape) Zero(dims ...int) *Var {
	v := t.New(dims...)
	clear(unsafe.Slice((*byte)(v.storage.value), v.Size()*t.dtype.size()))
	return v
}

// computer is an operation that can compute its result again.
type computer interface{ compute() }

// takeValue gives v memory of its own for the value of one that is declared.
func (s *storage) takeValue() {
	s.value = s.tape.arena.take(s.bytes())
	s.ownsValue, s.ownsGrad = true, true
}

// giveBackValue gives that memory back.
func (s *storage) giveBackValue() {
	if s.ownsValue && s.value != nil {
		s.tape.arena.giveBack(piece{s.value, wordsOf(s.bytes())})
		s.value = nil
	}
}

// Forget gives back the memory of v's value, if the operation that made it can
// make it again: the backward pass has that done where it wants to read it. It is
// for what costs little to compute and is wide, once the forward pass has read it
// for the last time. No other Var may share the memory.
func (t *Tape) Forget(v *Var) {
	if v.storage.again != nil {
		v.storage.giveBackValue()
	}
}

// Constant returns a Var that holds values, converted to the tape's element
// type, and takes no gradient.
func (t *Tape) Constant(values []float32, dims ...int) *Var {
	v := t.Input(values, dims...)
	v.storage.constant = true
	return v
}

// Input returns a Var that holds values, converted to the tape's element type,
// and does take a gradient, which is kept until the Reset.
func (t *Tape) Input(values []float32, dims ...int) *Var {
	v := t.declare(NewShape(dims...))
	v.storage.value = t.arena.take(v.storage.bytes())
	if len(values) != v.Size() {
		panic(fmt.Sprintf("autodiff: %d values for shape %v", len(values), v.shape))
	}
	v.assign(values)
	return v
}

func (v *Var) assign(values []float32) {
	if v.storage.dtype == Float32 {
		copy(Values[float32](v), values)
		return
	}
	dst := Values[float64](v)
	for i, x := range values {
		dst[i] = float64(x)
	}
}

// Shape returns the sizes of v's axes.
func (v *Var) Shape() Shape { return v.shape }

// Dim is the size of axis i; negative i counts from the last.
func (v *Var) Dim(i int) int { return v.shape.Dim(i) }

// Size is the number of elements.
func (v *Var) Size() int { return v.storage.size }

// Rows is the number of vectors along the last axis.
func (v *Var) Rows() int {
	if last := v.shape.Dim(-1); last > 0 {
		return v.storage.size / last
	}
	return 0
}

// Constant says that v takes no gradient.
func (v *Var) Constant() bool { return v.storage.constant }

// HasGrad says whether any gradient has reached v.
func (v *Var) HasGrad() bool {
	s := v.storage
	if w := s.whole; w != nil {
		return w.grad != nil && s.at < w.reached.to && w.reached.from < s.at+s.size
	}
	return s.grad != nil
}

// Reshape returns the same memory, value and gradient, under another shape.
func (v *Var) Reshape(dims ...int) *Var {
	shape := NewShape(dims...)
	if shape.Size() != v.storage.size {
		panic(fmt.Sprintf("autodiff: reshape of %v to %v", v.shape, shape))
	}
	if v.storage.tape == nil {
		return &Var{shape: shape, storage: v.storage}
	}
	r := take[Var](v.storage.tape.slabs)
	r.shape, r.storage = shape, v.storage
	return r
}

// Part returns n rows of v along its first axis, from row from on: the same
// memory, value and gradient. v is not a parameter.
func (v *Var) Part(from, n int) *Var {
	s := v.storage
	row := 0
	if v.shape.dims[0] > 0 {
		row = s.size / v.shape.dims[0]
	}
	if from < 0 || n < 0 || from+n > v.shape.dims[0] {
		panic(fmt.Sprintf("autodiff: rows %d to %d of %v", from, from+n, v.shape))
	}
	if n == v.shape.dims[0] {
		return v
	}
	r, part := take[Var](s.tape.slabs), s.tape.storages.take()
	*part = *s
	part.size, part.at, part.ownsGrad, part.ownsValue = n*row, s.at+from*row, false, false
	if s.whole == nil {
		part.whole, part.grad = s, nil
	}
	if n > 0 {
		part.value = unsafe.Add(s.value, from*row*s.dtype.size())
	}
	r.shape, r.storage = v.shape, part
	r.shape.dims[0] = n
	return r
}

// Values returns v's elements, row-major. F must be the tape's element type.
func Values[F kernel.Float](v *Var) []F {
	v.check(unsafe.Sizeof(*new(F)))
	if s := v.storage; s.value == nil && s.again != nil {
		s.takeValue()
		s.again.compute()
	}
	return unsafe.Slice((*F)(v.storage.value), v.storage.size)
}

// Grad returns v's gradient, made zero when it is asked for the first time.
// It panics if v is constant.
func Grad[F kernel.Float](v *Var) []F {
	grad, first := GradToWrite[F](v)
	if first {
		clear(grad)
	}
	return grad
}

// GradToWrite is Grad for an operation that adds to all of it: where nothing has
// reached v yet the memory is not made zero, and first says that the operation
// must write instead of add.
func GradToWrite[F kernel.Float](v *Var) (grad []F, first bool) {
	s := v.storage
	v.check(unsafe.Sizeof(*new(F)))
	if s.constant {
		panic("autodiff: gradient of a constant")
	}
	at, first := s.reach()
	return unsafe.Slice((*F)(at), s.size), first
}

// reach returns where the gradient of s lies. With first it is to be written there.
func (s *storage) reach() (grad unsafe.Pointer, first bool) {
	w := s
	if s.whole != nil {
		w = s.whole
	}
	from, to := s.at, s.at+s.size
	if w.grad == nil {
		w.takeGrad()
		w.reached = extent{from, from}
	}
	switch r := &w.reached; {
	case r.from <= from && to <= r.to:
	case to == r.from: // as a loop's backward pass comes by the parts
		r.from, first = from, true
	case from == r.to:
		r.to, first = to, true
	default:
		if w.over && s != w {
			panic("autodiff: a gradient over a value that is not reached part by part: the values of parts in between would be lost")
		}
		w.clearGrad(0, r.from)
		w.clearGrad(r.to, w.size)
		*r = extent{0, w.size}
	}
	return unsafe.Add(w.grad, from*s.dtype.size()), first
}

func (s *storage) clearGrad(from, to int) {
	size := s.dtype.size()
	clear(unsafe.Slice((*byte)(unsafe.Add(s.grad, from*size)), (to-from)*size))
}

// takeGrad gives s's gradient memory.
func (s *storage) takeGrad() {
	if s.over {
		s.grad = s.value
		return
	}
	t := s.tape
	if s.leaf != nil {
		t = s.leaf.set.gradients
	}
	if t == nil {
		s.grad = newChunk(wordsOf(s.bytes())).at
		return
	}
	s.grad = t.arena.take(s.bytes())
}

// GradOverValue lets the gradient of v, and of all that v is a part of, take the place
// of the value. It is for an operation whose backward pass is the last to read the value
// and the first to write the gradient: [GradToWrite] gives it the value to overwrite. Of
// parts each must be reached beside one that was, as a loop's backward pass does.
func GradOverValue(v *Var) {
	s := v.storage
	if s.whole != nil {
		s = s.whole
	}
	s.over = true
}

// gradOrScratch is Grad, or where v is constant memory for a kernel that wants a
// gradient to write to.
func gradOrScratch[F kernel.Float](v *Var) []F {
	if v.Constant() {
		return Floats[F](v.storage.tape, v.Size())
	}
	return Grad[F](v)
}

func (v *Var) check(elem uintptr) {
	if int(elem) != v.storage.dtype.size() {
		panic(fmt.Sprintf("autodiff: a value of %d-byte elements read as %d-byte ones", v.storage.dtype.size(), elem))
	}
	if v.storage.value == nil && v.storage.again == nil {
		panic("autodiff: the values of a parameter that was only declared")
	}
}

// Float32s returns a copy of v's values as float32.
func (v *Var) Float32s() []float32 { return toFloat32(v, v.storage.value) }

// GradFloat32s returns a copy of v's gradient as float32, nil where none has
// reached it.
func (v *Var) GradFloat32s() []float32 {
	if !v.HasGrad() {
		return nil
	}
	grad, _ := v.storage.reach()
	return toFloat32(v, grad)
}

func toFloat32(v *Var, p unsafe.Pointer) []float32 {
	out := make([]float32, v.storage.size)
	if v.storage.dtype == Float32 {
		copy(out, unsafe.Slice((*float32)(p), len(out)))
		return out
	}
	for i, x := range unsafe.Slice((*float64)(p), len(out)) {
		out[i] = float32(x)
	}
	return out
}

// Scalar returns the value of a Var of one element.
func (v *Var) Scalar() float64 {
	if v.storage.dtype == Float32 {
		return float64(Values[float32](v)[0])
	}
	return Values[float64](v)[0]
}

// Dense shows v's values as a gorgonia tensor over the same memory, with an
// engine whose matrix product is the kernel's. It is made anew for a Var of a
// tape, and lives no longer than it; a parameter's is made once.
func (v *Var) Dense() *tensor.Dense {
	if l := v.storage.leaf; l != nil && l.dense != nil && v.shape == l.shape {
		return l.dense
	}
	return newDense(v.storage.dtype, v.storage.value, v.shape)
}

// DType is the type of v's elements.
func (v *Var) DType() DType { return v.storage.dtype }
