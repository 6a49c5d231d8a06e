package kernel

/*
#cgo noescape exp_gemm
#cgo nocallback exp_gemm
#cgo noescape exp_gemm_batch
#cgo nocallback exp_gemm_batch
#cgo noescape exp_pack
#cgo nocallback exp_pack
#include "gemm.h"
*/
import "C"

import (
	"sync"
	"unsafe"
)

// panelSize is the number of columns of a panel of Packed.
const panelSize = C.EXP_PANEL

// scratchPool holds what products pack their operands into, *scratch.
var scratchPool = sync.Pool{New: func() any { return (*scratch)(Memory[C.float](scratchSize)) }}

const scratchSize = C.EXP_SCRATCH

type scratch [scratchSize]C.float

// directB is the number of rows of C up to which reading B where it lies beats
// packing it first.
const directB = 24

// directStride is the leading dimension up to which the same holds for any B,
// and for a transposed A, whose columns a product walks along: at more, and
// worst at a power of two, they fall into few sets of the cache. Where lost lines
// are far (exp_far) only those of B that are aliasing are packed.
const directStride = 256

// directA is the number of rows of C up to which reading A where it lies beats
// packing it, whatever its leading dimension.
const directA = C.EXP_THIN_AVX512

// aliasing divides the leading dimensions at which the rows that a tile reads of A
// fall into one set of the cache, which holds no more than a few of them, and
// fewer yet where the core is shared: they are packed. Where lost lines are far the
// first block, which nobody packs on the way, costs too much to be worth it for one
// block of rows, or for the few that a thread takes at a time.
const aliasing = C.EXP_ALIASING

// multiplyAddsPerNanosecond is what one core does in products, about.
const multiplyAddsPerNanosecond = 64

// Products are split by columns of C where it is wider than tall, else by rows,
// and in units of so many: rows that fill the registers' tiles on all paths, two
// panels of columns. Where each part packs the B that all parts share, a unit has
// enough rows for that to cost it little; a transposed A is packed by ranges that have
// enough columns.
const (
	unitRows    = 28
	unitColumns = 2 * panelSize
	unitPacking = 4 * unitColumns // rows or columns
)

// gemm is a product in units.
type gemm struct {
	transA, transB, accumulate bool
	m, n, k                    int
	a, b, c, bias              *C.float
	lda, ldb, ldc              int
	howA, howB                 C.int
	byRows                     bool // that the units are of
	unit                       int
}

var (
	gemms   calls[gemm]
	batches calls[gemmBatch]
	packs   calls[pack]
	copies  calls[rowCopy]
)

func gemmNative(transA, transB bool, m, n, k int, a *C.float, lda int, b *C.float, ldb int, c *C.float, ldc int, bias *C.float, accumulate bool) {
	g := gemm{
		transA: transA, transB: transB, accumulate: accumulate, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb, c: c, ldc: ldc, bias: bias,
	}
	if transB || m > directB && ldb > directStride && (C.exp_far == 0 || ldb%aliasing == 0) {
		g.howB = C.EXP_B_PACK
	}
	if m >= n && g.howB == C.EXP_B_PACK && m >= 2*unitPacking && Threads() > 1 {
		all := packedPool.Get().(*Packed[float32])
		defer packedPool.Put(all)
		all.data = grow(all.data, PackedSize(k, n))
		packNative(transB, k, n, b, ldb, ptr(all.data), k)
		g.b, g.ldb, g.howB = ptr(all.data), k, C.EXP_B_PACKED
	}
	g.multiply()
}

func gemmPackedNative(transA bool, m, n, k int, a *C.float, lda int, b *C.float, panel int, c *C.float, ldc int, bias *C.float, accumulate bool) {
	g := gemm{
		transA: transA, accumulate: accumulate, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: panel, c: c, ldc: ldc, bias: bias, howB: C.EXP_B_PACKED,
	}
	g.multiply()
}

// multiply multiplies in units, with B where howB says.
func (g gemm) multiply() {
	g.byRows = g.m >= g.n
	packA := g.lda > directStride
	if !g.transA {
		worth := g.m > directA
		if C.exp_far != 0 {
			worth = g.m > C.EXP_BLOCK_M && Threads() == 1
		}
		packA = worth && g.lda%aliasing == 0 && g.n >= unitPacking
	}
	size := g.n
	g.unit = unitColumns
	if g.byRows {
		size, g.unit = g.m, unitRows
	}
	if g.byRows && g.howB == C.EXP_B_PACK || !g.byRows && packA { // each part would pack all of one operand
		switch {
		case Threads() == 1:
			g.unit = size
		case g.byRows:
			g.unit = max(unitPacking, units(size/(2*Threads()), unitColumns)*unitColumns)
		case !g.transA:
			all := packedPool.Get().(*Packed[float32])
			defer packedPool.Put(all)
			lda := g.k + panelSize
			all.data = grow(all.data, g.m*lda)
			copies.parallel(g.m, g.m*g.k/packedPerNanosecond, rowCopy{g.k, g.a, g.lda, ptr(all.data), lda})
			g.a, g.lda, packA = ptr(all.data), lda, false
		}
	}
	if packA {
		g.howA = C.EXP_A_PACK
	}
	gemms.parallel(units(size, g.unit), g.m*g.n*g.k/multiplyAddsPerNanosecond, g)
}

// packedPool holds what all parts of a product share of a packed B, *Packed[float32].
var packedPool = sync.Pool{New: func() any { return new(Packed[float32]) }}

// even is the size of the fewest parts of n of at most limit, at least 1.
func even(n, limit int) int { return max(1, units(n, max(1, units(n, limit)))) }

func units(n, unit int) int { return (n + unit - 1) / unit }

// Range multiplies units of rows or columns of C.
func (g gemm) Range(from, to int) {
	if g.byRows {
		from, to = from*g.unit, min(to*g.unit, g.m)
		step := g.lda
		if g.transA {
			step = 1
		}
		g.a, g.c, g.m = at(g.a, from*step), at(g.c, from*g.ldc), to-from
	} else {
		from, to = from*g.unit, min(to*g.unit, g.n)
		step := 1
		if g.transB || g.howB == C.EXP_B_PACKED {
			step = g.ldb
		}
		g.b, g.c, g.n = at(g.b, from*step), at(g.c, from), to-from
		g.bias = at(g.bias, from)
		if g.n < unitPacking { // too few to pack A for
			g.howA = C.EXP_A_STORED
		}
	}
	var space *C.float
	if g.howA == C.EXP_A_PACK || g.howB == C.EXP_B_PACK {
		s := scratchPool.Get().(*scratch)
		defer scratchPool.Put(s)
		space = &s[0]
	}
	// A block of the summed indices and, where an operand is packed on the way, of
	// columns is a call, so that a call is short.
	blockN, blockK := g.n, even(g.k, C.EXP_BLOCK_K)
	if space != nil {
		blockN = C.EXP_BLOCK_N
	}
	for j := 0; j < g.n; j += blockN {
		for p := 0; p == 0 || p < g.k; p += blockK {
			if j > 0 || p > 0 {
				yield(g.m * min(blockN, g.n-j) * blockK / multiplyAddsPerNanosecond)
			}
			g.block(j, min(blockN, g.n-j), p, min(blockK, g.k-p), space)
		}
	}
}

// block multiplies n columns of B, from column j on, over k of the summed indices,
// from p on; how A is read then is for the next block.
func (g *gemm) block(j, n, p, k int, space *C.float) {
	fromA, fromB, bias := p, p*g.ldb+j, g.bias
	if g.transA {
		fromA = p * g.lda
	}
	switch {
	case g.howB == C.EXP_B_PACKED:
		fromB = j*g.ldb + p*panelSize
	case g.transB:
		fromB = j*g.ldb + p
	}
	if p > 0 {
		bias = nil
	}
	g.howA = C.exp_gemm(cBool(g.transA), cBool(g.transB), C.int64_t(g.m), C.int64_t(n), C.int64_t(k), at(g.a, fromA), C.int64_t(g.lda), at(g.b, fromB), C.int64_t(g.ldb),
		at(g.c, j), C.int64_t(g.ldc), at(bias, j), cBool(g.accumulate || p > 0), g.howA, g.howB, C.int64_t(g.k-p-k), space)
}

// smallProduct is the nanoseconds up to which a product of a batch is left to one thread.
const smallProduct = 20_000

// gemmBatch is products of a batch.
type gemmBatch struct {
	transA, transB, accumulate bool
	products                   []Product
	a, b, c                    *C.float
	lda, ldb, ldc              int
}

func gemmBatchNative(transA, transB bool, products []Product, nanoseconds int, a *C.float, lda int, b *C.float, ldb int, c *C.float, ldc int, accumulate bool) {
	g := gemmBatch{transA, transB, accumulate, products, a, b, c, lda, ldb, ldc}
	if accumulate { // perhaps several to the same elements
		alone(len(products), nanoseconds, g)
	} else {
		batches.parallel(len(products), nanoseconds, g)
	}
}

// Range multiplies some of them.
func (g gemmBatch) Range(from, to int) {
	s := scratchPool.Get().(*scratch)
	defer scratchPool.Put(s)
	products := (*C.struct_exp_product)(unsafe.Pointer(unsafe.SliceData(g.products[from:to])))
	C.exp_gemm_batch(cBool(g.transA), cBool(g.transB), C.int64_t(to-from), products, g.a, C.int64_t(g.lda), g.b, C.int64_t(g.ldb),
		g.c, C.int64_t(g.ldc), cBool(g.accumulate), &s[0])
}

// pack is Pack in units of panels.
type pack struct {
	trans      bool
	k, n       int
	b, dst     *C.float
	ldb, panel int
}

// packedPerNanosecond is how many elements one core packs, about.
const packedPerNanosecond = 1

func packNative(trans bool, k, n int, b *C.float, ldb int, dst *C.float, panel int) {
	packs.parallel(units(n, panelSize), k*n/packedPerNanosecond, pack{trans, k, n, b, dst, ldb, panel})
}

// Range packs panels.
func (p pack) Range(from, to int) {
	from, to = from*panelSize, min(to*panelSize, p.n)
	step := 1
	if p.trans {
		step = p.ldb
	}
	C.exp_pack(cBool(p.trans), C.int64_t(p.k), C.int64_t(to-from), at(p.b, from*step), C.int64_t(p.ldb), at(p.dst, from*p.panel), C.int64_t(p.panel))
}

// rowCopy copies rows of n elements.
type rowCopy struct {
	n     int
	src   *C.float
	ldSrc int
	dst   *C.float
	ldDst int
}

// Range copies rows.
func (c rowCopy) Range(from, to int) {
	for r := from; r < to; r++ {
		copy(unsafe.Slice(at(c.dst, r*c.ldDst), c.n), unsafe.Slice(at(c.src, r*c.ldSrc), c.n))
	}
}

func cBool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
