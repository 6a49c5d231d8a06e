package kernel

import "fmt"

// Gemm is C = op(A) op(B), or with accumulate C += op(A) op(B), where op(A) is
// [M,K] and op(B) is [K,N]: for i < m, j < n
//
//	sum := accumulate ? c[i][j] : bias != nil ? bias[j] : 0
//	for p := 0; p < k; p++ {
//		sum = fma(op(a)[i][p], op(b)[p][j], sum)
//	}
//	c[i][j] = sum
//
// A is stored [M,K], or [K,M] with transA; B is stored [K,N], or [N,K] with
// transB; C is stored [M,N]. bias is [N] or nil, and nil with accumulate. c must
// not overlap a, b or bias.
func Gemm[F Float](transA, transB bool, m, n, k int, a []F, lda int, b []F, ldb int, c []F, ldc int, bias []F, accumulate bool) {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("kernel: Gemm: sizes M=%d N=%d K=%d must not be negative", m, n, k))
	}
	checkBias("Gemm", bias, n, accumulate)
	checkMatrix("Gemm", "A", transA, m, k, lda, len(a))
	checkMatrix("Gemm", "B", transB, k, n, ldb, len(b))
	checkMatrix("Gemm", "C", false, m, n, ldc, len(c))
	if m == 0 || n == 0 {
		return
	}
	count(m, n, k)
	if native[F]() {
		gemmNative(transA, transB, m, n, k, ptr(a), lda, ptr(b), ldb, ptr(c), ldc, ptr(bias), accumulate)
		return
	}
	gemmReference(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, bias, accumulate)
}

// Product is one of a batch: its sizes, and where its operands begin.
type Product struct{ M, N, K, A, B, C int64 }

// GemmBatch is [Gemm] of one product after the other, with operands in the same memory
// and of the same leading dimensions. Without accumulate no two may have elements of C
// in common.
func GemmBatch[F Float](transA, transB bool, products []Product, a []F, lda int, b []F, ldb int, c []F, ldc int, accumulate bool) {
	work := 0
	for _, p := range products {
		m, n, k := p.sizes()
		if min(m, n, k) < 0 || p.A < 0 || p.B < 0 || p.C < 0 {
			panic(fmt.Sprintf("kernel: GemmBatch: %+v: no number must be negative", p))
		}
		checkMatrix("GemmBatch", "A", transA, m, k, lda, len(a)-int(p.A))
		checkMatrix("GemmBatch", "B", transB, k, n, ldb, len(b)-int(p.B))
		checkMatrix("GemmBatch", "C", false, m, n, ldc, len(c)-int(p.C))
		work += m * n * k
	}
	if nanoseconds := work / multiplyAddsPerNanosecond; native[F]() && nanoseconds < smallProduct*len(products) {
		count(work, 1, 1)
		gemmBatchNative(transA, transB, products, nanoseconds, ptr(a), lda, ptr(b), ldb, ptr(c), ldc, accumulate)
		return
	}
	for _, p := range products {
		m, n, k := p.sizes()
		Gemm(transA, transB, m, n, k, from(a, p.A), lda, from(b, p.B), ldb, from(c, p.C), ldc, nil, accumulate)
	}
}

func (p Product) sizes() (m, n, k int) { return int(p.M), int(p.N), int(p.K) }

// from is x from element at on, nothing where there is none.
func from[F Float](x []F, at int64) []F { return x[min(int(at), len(x)):] }

// Packed is a [K,N] matrix laid out for the inner loop of products that have it
// on their right: panels of 16 columns, the last filled up with zeros, each
// panel holding its K rows one after the other. The zero value is empty.
type Packed[F Float] struct {
	K, N  int
	panel int // rows of a panel: K, or of the whole that it is the last rows of
	data  []F // [ceil(N/16), panel, 16], starting at a cache line
}

// PackedSize is how many elements a packed [K,N] matrix takes.
func PackedSize(k, n int) int { return units(n, panelSize) * panelSize * k }

// NewPacked returns a [K,N] matrix in memory of [PackedSize] elements, of which no
// row is there yet.
func NewPacked[F Float](k, n int, memory []F) Packed[F] {
	checkLength("NewPacked", "memory", len(memory), PackedSize(k, n))
	return Packed[F]{k, n, k, memory}
}

// Pack copies the [K,N] matrix b into p, reusing p's memory. With trans, b is
// stored [N,K].
func (p *Packed[F]) Pack(trans bool, k, n int, b []F, ldb int) {
	if n < 0 || k < 0 {
		panic(fmt.Sprintf("kernel: Pack: sizes K=%d N=%d must not be negative", k, n))
	}
	checkMatrix("Pack", "B", trans, k, n, ldb, len(b))
	p.K, p.N, p.panel = k, n, k
	p.data = grow(p.data, PackedSize(k, n))
	p.pack(trans, 0, k, b, ldb)
}

// PackRows copies the rows b [rows, N] into p, from row from on.
func (p *Packed[F]) PackRows(from, rows int, b []F, ldb int) {
	if from < 0 || rows < 0 || from+rows > p.K {
		panic(fmt.Sprintf("kernel: PackRows: rows %d to %d of K=%d", from, from+rows, p.K))
	}
	checkMatrix("PackRows", "B", false, rows, p.N, ldb, len(b))
	p.pack(false, from, rows, b, ldb)
}

func (p *Packed[F]) pack(trans bool, from, rows int, b []F, ldb int) {
	if rows == 0 || p.N == 0 {
		return
	}
	if dst := p.data[from*panelSize:]; native[F]() {
		packNative(trans, rows, p.N, ptr(b), ldb, ptr(dst), p.panel)
	} else {
		packReference(trans, rows, p.N, b, ldb, dst, p.panel)
	}
}

// From is the rows of p from row from on, in the same memory.
func (p *Packed[F]) From(from int) Packed[F] {
	return Packed[F]{p.K - from, p.N, p.panel, p.data[min(from*panelSize, len(p.data)):]}
}

// GemmPacked is C = op(A) B, where B is packed, op(A) is [M,K], stored so or with
// transA [K,M], and C is stored [M,N]: for i < m, j < b.N
//
//	sum := accumulate ? c[i][j] : bias != nil ? bias[j] : 0
//	for p := 0; p < b.K; p++ {
//		sum = fma(op(a)[i][p], b[p][j], sum)
//	}
//	c[i][j] = sum
//
// bias is [N] or nil, and nil with accumulate. c must not overlap a or bias.
func GemmPacked[F Float](transA bool, m int, a []F, lda int, b *Packed[F], c []F, ldc int, bias []F, accumulate bool) {
	if m < 0 {
		panic(fmt.Sprintf("kernel: GemmPacked: size M=%d must not be negative", m))
	}
	checkBias("GemmPacked", bias, b.N, accumulate)
	checkMatrix("GemmPacked", "A", transA, m, b.K, lda, len(a))
	checkMatrix("GemmPacked", "C", false, m, b.N, ldc, len(c))
	if m == 0 || b.N == 0 {
		return
	}
	count(m, b.N, b.K)
	if native[F]() {
		gemmPackedNative(transA, m, b.N, b.K, ptr(a), lda, ptr(b.data), b.panel, ptr(c), ldc, ptr(bias), accumulate)
		return
	}
	gemmPackedReference(transA, m, a, lda, b, c, ldc, bias, accumulate)
}

// Stride is how far apart rows of n elements are best for products that have them in
// any place: at whole cache lines, and not where rows fall into one set of the cache.
func Stride(n int) int {
	n = units(n, panelSize) * panelSize
	if n > 0 && n%aliasing == 0 {
		n += panelSize
	}
	return n
}

func checkBias[F Float](op string, bias []F, n int, accumulate bool) {
	if bias != nil && (accumulate || len(bias) < n) {
		panic(fmt.Sprintf("kernel: %s: bias has %d elements for N=%d, accumulate is %v; want N, without accumulate", op, len(bias), n, accumulate))
	}
}

// checkMatrix panics unless a matrix op(X) of rows by cols, stored transposed
// if trans, fits in length elements with leading dimension ld.
func checkMatrix(op, role string, trans bool, rows, cols, ld, length int) {
	if trans {
		rows, cols = cols, rows
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols || (rows-1)*ld+cols > length {
		panic(fmt.Sprintf("kernel: %s: %s is stored [%d %d] with leading dimension %d in %d elements; want a leading dimension of at least %d and %d elements",
			op, role, rows, cols, ld, length, cols, (rows-1)*max(ld, cols)+cols))
	}
}

// grow is n elements that start at a cache line, in old's memory if it is large
// enough.
func grow[F Float](old []F, n int) []F {
	if n <= cap(old) {
		return old[:n]
	}
	return Memory[F](n)
}
