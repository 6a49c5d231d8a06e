package kernel

/*
#cgo noescape exp_index_rows
#cgo nocallback exp_index_rows
#include "gather.h"
*/
import "C"

import "fmt"

// Gather copies the rows of table [V,D] that ids [rows] names to dst [rows,D]:
// for r < rows
//
//	dst[r] = table[ids[r]]
//
// It panics at an id outside table. dst must not overlap table.
func Gather[F Float](rows, d int, dst, table []F, ids []int32) {
	const op = "Gather"
	checkSizes(op, rows, d)
	checkLength(op, "dst", len(dst), rows*d)
	checkIndex(op, "table", rows, d, d, len(table), ids, 0)
	indexRows(false, rows, d, dst, d, nil, table, d, ids[:rows])
}

// ScatterAdd accumulates the rows of src [rows,D] in those of table [V,D] that
// ids [rows] names: for r < rows, ascending
//
//	table[ids[r]] = table[ids[r]] + src[r]
//
// It panics at an id outside table. table must not overlap src.
func ScatterAdd[F Float](rows, d int, table, src []F, ids []int32) {
	const op = "ScatterAdd"
	checkSizes(op, rows, d)
	checkLength(op, "src", len(src), rows*d)
	checkIndex(op, "table", rows, d, d, len(table), ids, 0)
	indexRows(true, rows, d, table, d, ids[:rows], src, d, nil)
}

// GatherStrided copies the rows of src that index [rows] names to the rows of
// dst, of length D and at ldSrc and ldDst elements from one another: for r < rows
//
//	dst[r] = index[r] == -1 ? 0 : src[index[r]]
//
// It panics at any other index outside src. dst must not overlap src.
func GatherStrided[F Float](rows, d int, dst []F, ldDst int, src []F, ldSrc int, index []int32) {
	const op = "GatherStrided"
	checkSizes(op, rows, d)
	checkMatrix(op, "dst", false, rows, d, ldDst, len(dst))
	checkIndex(op, "src", rows, d, ldSrc, len(src), index, -1)
	indexRows(false, rows, d, dst, ldDst, nil, src, ldSrc, index[:rows])
}

// GatherStridedAdd accumulates the rows of src that index [rows] names in the rows
// of dst, of length D and at ldSrc and ldDst elements from one another: for r < rows
//
//	if index[r] != -1 {
//		dst[r] = dst[r] + src[index[r]]
//	}
//
// It panics at any other index outside src. dst must not overlap src.
func GatherStridedAdd[F Float](rows, d int, dst []F, ldDst int, src []F, ldSrc int, index []int32) {
	const op = "GatherStridedAdd"
	checkSizes(op, rows, d)
	checkMatrix(op, "dst", false, rows, d, ldDst, len(dst))
	checkIndex(op, "src", rows, d, ldSrc, len(src), index, -1)
	indexRows(true, rows, d, dst, ldDst, nil, src, ldSrc, index[:rows])
}

// ScatterStrided copies the rows of src to the rows of dst that index [rows] names,
// of length D and at ldSrc and ldDst elements from one another: for r < rows, ascending
//
//	if index[r] != -1 {
//		dst[index[r]] = src[r]
//	}
//
// It panics at any other index outside dst. dst must not overlap src.
func ScatterStrided[F Float](rows, d int, dst []F, ldDst int, src []F, ldSrc int, index []int32) {
	const op = "ScatterStrided"
	checkSizes(op, rows, d)
	checkMatrix(op, "src", false, rows, d, ldSrc, len(src))
	checkIndex(op, "dst", rows, d, ldDst, len(dst), index, -1)
	indexRows(false, rows, d, dst, ldDst, index[:rows], src, ldSrc, nil)
}

// ScatterStridedAdd accumulates the rows of src in the rows of dst that index
// [rows] names, of length D and at ldSrc and ldDst elements from one another:
// for r < rows, ascending
//
//	if index[r] != -1 {
//		dst[index[r]] = dst[index[r]] + src[r]
//	}
//
// It panics at any other index outside dst. dst must not overlap src.
func ScatterStridedAdd[F Float](rows, d int, dst []F, ldDst int, src []F, ldSrc int, index []int32) {
	const op = "ScatterStridedAdd"
	checkSizes(op, rows, d)
	checkMatrix(op, "src", false, rows, d, ldSrc, len(src))
	checkIndex(op, "dst", rows, d, ldDst, len(dst), index, -1)
	indexRows(true, rows, d, dst, ldDst, index[:rows], src, ldSrc, nil)
}

// indexRows is dst[to[r]] = src[from[r]], or with add +=, for r < rows, in sizes that fit.
// A nil index names row r; -1 in it none, or where a copy is made from it zeros.
func indexRows[F Float](add bool, rows, d int, dst []F, ldDst int, to []int32, src []F, ldSrc int, from []int32) {
	if d == 0 {
		return
	}
	if native[F]() {
		indexedCalls.parallel(units(d, unitColumns), rows*d/4, indexed{add, rows, d, ptr(dst), ldDst, intPtr(to), ptr(src), ldSrc, intPtr(from)})
		return
	}
	indexRowsReference(add, rows, d, dst, ldDst, to, src, ldSrc, from)
}

var indexedCalls calls[indexed]

// indexed is a call of indexRows.
type indexed struct {
	add     bool
	rows, d int
	dst     *C.float
	ldDst   int
	to      *C.int32_t
	src     *C.float
	ldSrc   int
	from    *C.int32_t
}

// Range does units of columns.
func (x indexed) Range(from, to int) {
	from, to = from*unitColumns, min(to*unitColumns, x.d)
	C.exp_index_rows(cBool(x.add), C.int64_t(x.rows), C.int64_t(to-from), at(x.dst, from), C.int64_t(x.ldDst), x.to, at(x.src, from), C.int64_t(x.ldSrc), x.from)
}

func indexRowsReference[F Float](add bool, rows, d int, dst []F, ldDst int, to []int32, src []F, ldSrc int, from []int32) {
	for r := range rows {
		i, j := r, r
		if to != nil {
			i = int(to[r])
		}
		if from != nil {
			j = int(from[r])
		}
		if i < 0 {
			continue
		}
		switch row := dst[i*ldDst : i*ldDst+d]; {
		case j >= 0 && add:
			addReference(row, row, src[j*ldSrc:])
		case j >= 0:
			copy(row, src[j*ldSrc:])
		case !add:
			clear(row)
		}
	}
}

// checkIndex panics unless index has rows elements, each of them at least least
// and the number of a whole row of d elements in the slice in role, of length
// elements in rows ld apart.
func checkIndex(op, role string, rows, d, ld, length int, index []int32, least int32) {
	checkLength(op, "index", len(index), rows)
	if rows == 0 || d == 0 {
		return
	}
	if ld < d {
		panic(fmt.Sprintf("kernel: %s: %s has rows of %d elements with leading dimension %d", op, role, d, ld))
	}
	last := (length - d) / ld
	if length < d {
		last = -1
	}
	for r, i := range index[:rows] {
		if i < least || int(i) > last {
			panic(fmt.Sprintf("kernel: %s: index %d is %d; want %d to %d, the rows of %s in %d elements", op, r, i, least, last, role, length))
		}
	}
}
