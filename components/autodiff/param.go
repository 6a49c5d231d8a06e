package autodiff

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"gorgonia.org/tensor"

	"exp/components/kernel"
)

// leaf is what a parameter has and a value on a tape has not.
type leaf struct {
	set    *paramSet
	name   string
	shape  Shape
	dense  *tensor.Dense
	packed []*packing
	frozen bool
}

// packing is columns of a matrix in the kernel's layout, or in that of its
// transpose, and the version of the parameters it was made of. A training step
// wants one in its forward and the other in its backward pass, so they share
// memory.
type packing struct {
	from, columns int
	transposed    bool
	version       uint64
	f32           kernel.Packed[float32]
	f64           kernel.Packed[float64]
}

// Params names, initialises and keeps the parameters of a model. A Params made
// by [Params.Scope] adds to the same set under a longer prefix.
type Params struct {
	set    *paramSet
	prefix string
}

type paramSet struct {
	dtype     DType
	seed      uint64
	declared  bool // shapes only
	version   uint64
	list      []*Var
	gradients *Tape // in whose memory they lie; nil: in their own
	byName    map[string]*Var
	drawn     []float64 // what draws returns
}

// draws returns n zeros for an Init to fill. All parameters share them: left to
// the collector, those of a model would be twice its weights.
func (s *paramSet) draws(n int) []float64 {
	s.drawn = slices.Grow(s.drawn[:0], n)[:n]
	clear(s.drawn)
	return s.drawn
}

// An Init fills the values of a new parameter of the given shape.
type Init func(rng *rand.Rand, shape Shape, values []float64)

// NewParams returns an empty set whose parameters are initialised from seed,
// each from a generator derived from its own name: a parameter more or less
// does not change the others.
func NewParams(d DType, seed uint64) *Params {
	return &Params{set: &paramSet{dtype: d, seed: seed, version: 1, byName: map[string]*Var{}}}
}

// Declare returns an empty set whose parameters have a name and a shape and no
// memory: enough to check that the parts of a model fit, and to count.
func Declare() *Params {
	p := NewParams(Float32, 0)
	p.set.declared = true
	return p
}

// Scope returns the set seen under prefix.name.
func (p *Params) Scope(name string) *Params {
	return &Params{set: p.set, prefix: p.prefix + name + "."}
}

// New adds a parameter. It panics if the name is taken.
func (p *Params) New(name string, init Init, dims ...int) *Var {
	set := p.set
	full := p.prefix + name
	if _, taken := set.byName[full]; taken {
		panic("autodiff: parameter " + full + " declared twice")
	}
	shape := NewShape(dims...)
	v := &Var{shape: shape, storage: &storage{size: shape.Size(), dtype: set.dtype}}
	v.storage.leaf = &leaf{set: set, name: full, shape: shape}
	if !set.declared {
		v.allocate()
		drawn := set.draws(shape.Size())
		init(rand.New(rand.NewPCG(set.seed, hash(full))), shape, drawn)
		if set.dtype == Float32 {
			for i, x := range drawn {
				Values[float32](v)[i] = float32(x)
			}
		} else {
			copy(Values[float64](v), drawn)
		}
	}
	set.byName[full] = v
	set.list = append(set.list, v)
	return v
}

func (v *Var) allocate() {
	s := v.storage
	s.value = newChunk(wordsOf(s.bytes())).at
	s.leaf.dense = newDense(s.dtype, s.value, v.shape)
}

func hash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// DType is the element type of the parameters.
func (p *Params) DType() DType { return p.set.dtype }

// All returns the parameters in the order in which they were added.
func (p *Params) All() []*Var { return p.set.list }

// Lookup returns the parameter of that full name, nil where there is none.
func (p *Params) Lookup(name string) *Var { return p.set.byName[name] }

// Count is the number of elements of all parameters.
func (p *Params) Count() int {
	n := 0
	for _, v := range p.set.list {
		n += v.Size()
	}
	return n
}

// ZeroGrad makes every gradient zero. Until the next Reset of t, they lie in its
// memory: what the backward pass has no more use for makes room for them.
func (p *Params) ZeroGrad(t *Tape) {
	p.set.gradients = t
	for _, v := range p.set.list {
		v.storage.grad = nil
	}
}

// Changed must be called after parameters have been written to: what was
// derived from their values is stale from then on.
func (p *Params) Changed() {
	p.set.version++
	p.set.drawn = nil // the parameters are all there
}

// Set copies values into v, a parameter.
func (p *Params) Set(v *Var, values []float32) error {
	if len(values) != v.Size() {
		return fmt.Errorf("parameter %s has %d elements, not %d", v.Name(), v.Size(), len(values))
	}
	v.assign(values)
	p.Changed()
	return nil
}

// Name is a parameter's full name, empty for a value of a tape.
func (v *Var) Name() string {
	if v.storage.leaf == nil {
		return ""
	}
	return v.storage.leaf.name
}

// Packed returns the matrix v, [rows, cols] as stored, in the kernel's layout;
// transposed asks for [cols, rows]. v must be a parameter. The result is valid
// until it is asked for the other way; it is packed again only then and after
// [Params.Changed].
func Packed[F kernel.Float](v *Var, transposed bool) *kernel.Packed[F] {
	return PackedColumns[F](Columns{Var: v}, v.Dim(1), transposed)
}

// PackedColumns is Packed of the block of columns of c.Var from c.From on.
func PackedColumns[F kernel.Float](c Columns, columns int, transposed bool) *kernel.Packed[F] {
	l := c.Var.storage.leaf
	if l == nil {
		panic("autodiff: Packed of a value that is not a parameter")
	}
	p := l.packing(c.From, columns)
	var out *kernel.Packed[F]
	switch any(out).(type) {
	case *kernel.Packed[float32]:
		out = any(&p.f32).(*kernel.Packed[F])
	case *kernel.Packed[float64]:
		out = any(&p.f64).(*kernel.Packed[F])
	}
	if p.version != l.set.version || p.transposed != transposed {
		packColumns(out, c, columns, transposed)
		p.version, p.transposed = l.set.version, transposed
	}
	return out
}

// manyRows is how many rows a product must have for packing its weight to cost
// it next to nothing.
const manyRows = 256

// Multiply is y = x C + bias, or with accumulate y += x C, where C is the block of
// columns of c.Var from c.From on, [Dim(0), columns], or with transposed its
// transpose, and x has so many rows, ldx apart, and those of y are ldy apart. bias
// may be nil. A weight that multiplies many rows does so but once an update: the
// product packs what it must as it goes, and else the weight is kept packed, see
// [PackedColumns].
func Multiply[F kernel.Float](rows int, x []F, ldx int, c Columns, columns int, transposed bool, y []F, ldy int, bias []F, accumulate bool) {
	if rows < manyRows {
		kernel.GemmPacked(false, rows, x, ldx, PackedColumns[F](c, columns, transposed), y, ldy, bias, accumulate)
		return
	}
	in, out := c.Var.Dim(0), columns
	if transposed {
		in, out = out, in
	}
	kernel.Gemm(false, transposed, rows, out, in, x, ldx, Values[F](c.Var)[c.From:], c.width(), y, ldy, bias, accumulate)
}

// PackedFor is [PackedColumns] for products of so many rows together, valid until
// the next call: a weight that is used for many rows, and so for one run of
// products an update, is packed for each, and takes no memory beside its own.
func PackedFor[F kernel.Float](t *Tape, rows int, c Columns, columns int, transposed bool) *kernel.Packed[F] {
	if rows < manyRows {
		return PackedColumns[F](c, columns, transposed)
	}
	var out *kernel.Packed[F]
	switch p := any(&out).(type) {
	case **kernel.Packed[float32]:
		*p = &t.packed32
	case **kernel.Packed[float64]:
		*p = &t.packed64
	}
	packColumns(out, c, columns, transposed)
	return out
}

func packColumns[F kernel.Float](p *kernel.Packed[F], c Columns, columns int, transposed bool) {
	rows, width, values := c.Var.Dim(0), c.Var.Dim(1), Values[F](c.Var)[c.From:]
	if transposed {
		p.Pack(true, columns, rows, values, width)
	} else {
		p.Pack(false, rows, columns, values, width)
	}
}

func (l *leaf) packing(from, columns int) *packing {
	for _, p := range l.packed {
		if p.from == from && p.columns == columns {
			return p
		}
	}
	p := &packing{from: from, columns: columns}
	l.packed = append(l.packed, p)
	return p
}
