// Package kernel is float32 arithmetic at the machine's speed: matrix
// products, and the elementwise, fused and row-wise operations of a network's
// layers, on plain slices.
//
// [Gemm] multiplies matrices as they lie in memory. Where one right-hand side
// serves many products, as a recurrent layer's weights do over its time steps,
// it is laid out once as a [Packed] and multiplied by [GemmPacked].
//
// Every operation is generic over float32 and float64. For float32 it runs C:
// AVX-512 or AVX2 where the processor has them, NEON on arm64, else portable C.
// For float64 it runs the plain Go loop that the operation is defined by, its
// reference twin; float64 is for gradient checks, not for speed. [Path] names
// what float32 runs, and the environment variable EXP_KERNEL selects it: avx512,
// avx2, neon, portable, or reference, the twins. NEON is written out for products
// alone: of the rest, the compiler makes it where it can.
//
// All paths give the same bits. Every element of a product is one chain of
// fused multiply-adds in ascending order of the summed index, so neither block
// size, packing nor vector width can change it; functions such as exp are
// polynomials of this package's own, evaluated by the same chain everywhere;
// and reductions add into a fixed number of lanes, joined by a fixed tree. Only
// the sign and payload of a NaN are left open.
//
// Matrices are row-major. The leading dimension (lda, ldb, ...) of a matrix is
// the distance between the starts of its rows, in elements, and at least their
// length, so a block of columns is a matrix too. A slice may be longer than
// its matrix needs. Nothing is retained or allocated, and any number of
// goroutines may call at once on destinations that do not overlap.
//
// Sizes that do not fit their slices are a bug of the caller: every operation
// checks them before it touches memory and panics with their values.
package kernel
