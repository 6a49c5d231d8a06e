package autodiff

import (
	"cmp"
	"reflect"
	"slices"
	"unsafe"

	"exp/components/kernel"
)

// arena hands out memory that is taken back all at once, or piece by piece as a
// backward pass goes, for what comes after it. Its chunks hold no Go pointers and
// stay where they are: a step like the one before finds the same places. Nothing is
// written to a chunk before it is handed out, so the system gives it no memory either.
type arena struct {
	chunks []piece
	free   []piece // by address; no two touch
	pieces []piece // handed out by takePiece
	used   int     // words handed out
	peak   int     // the most that were at once
	keep   bool    // takePiece is take
	poison bool
}

// piece is so many words of memory.
type piece struct {
	at    unsafe.Pointer
	words int
}

func (p piece) end() unsafe.Pointer { return unsafe.Add(p.at, 8*p.words) }

const (
	firstChunk = 1 << 16 // words of 8 bytes
	alignWords = 8       // 64 bytes: a cache line
)

// wordsOf is the words that are taken for so many bytes: whole cache lines.
func wordsOf(bytes int) int { return (bytes + 63) / 64 * alignWords }

// take returns bytes of uninitialised memory, aligned to a cache line: the first
// that is free, so that what was in use before is used again.
func (a *arena) take(bytes int) unsafe.Pointer {
	words := wordsOf(bytes)
	i := slices.IndexFunc(a.free, func(p piece) bool { return p.words >= words })
	if i < 0 {
		a.grow(words)
		return a.take(bytes)
	}
	p := &a.free[i]
	at := p.at
	if p.words -= words; p.words == 0 {
		a.free = slices.Delete(a.free, i, i+1)
	} else {
		p.at = unsafe.Add(at, 8*words)
	}
	a.used += words
	a.peak = max(a.peak, a.used)
	return at
}

// takePiece is take of what [arena.giveBack] is to take back.
func (a *arena) takePiece(bytes int) unsafe.Pointer {
	p := a.take(bytes)
	if !a.keep {
		a.pieces = append(a.pieces, piece{p, wordsOf(bytes)})
	}
	return p
}

// giveBack makes a piece free to be taken again, together with what is free
// beside it.
func (a *arena) giveBack(p piece) {
	if p.words == 0 {
		return
	}
	if a.poison {
		fillNaN(p)
	}
	a.used -= p.words
	i, _ := slices.BinarySearchFunc(a.free, uintptr(p.at), func(f piece, at uintptr) int { return cmp.Compare(uintptr(f.at), at) })
	before, after := i > 0 && a.free[i-1].end() == p.at, i < len(a.free) && p.end() == a.free[i].at
	switch {
	case before && after:
		a.free[i-1].words += p.words + a.free[i].words
		a.free = slices.Delete(a.free, i, i+1)
	case before:
		a.free[i-1].words += p.words
	case after:
		a.free[i] = piece{p.at, p.words + a.free[i].words}
	default:
		a.free = slices.Insert(a.free, i, p)
	}
}

// grow adds a chunk of at least so many words, and as many as there are: pieces
// do not reach from one into the next, so there should be few.
func (a *arena) grow(words int) {
	held := firstChunk
	for _, c := range a.chunks {
		held += c.words
	}
	c := newChunk(max(words, held))
	if a.poison {
		fillNaN(c)
	}
	a.chunks = append(a.chunks, c)
	slices.SortFunc(a.chunks, func(a, b piece) int { return cmp.Compare(uintptr(a.at), uintptr(b.at)) })
	a.used += c.words
	a.giveBack(c)
}

// newChunk returns zeroed memory. No two chunks touch.
func newChunk(words int) piece {
	return piece{unsafe.Pointer(unsafe.SliceData(kernel.Memory[uint64](words))), words}
}

func (a *arena) reset() {
	a.pieces, a.used = a.pieces[:0], 0
	a.free = append(a.free[:0], a.chunks...)
	if a.poison {
		for _, c := range a.chunks {
			fillNaN(c)
		}
	}
}

// fillNaN makes every word two float32 NaNs, which are one float64 NaN too: all
// bits set but the signs.
func fillNaN(p piece) {
	const nan = 0x7fffffff
	words := unsafe.Slice((*uint64)(p.at), p.words)
	for i := range words {
		words[i] = nan<<32 | nan
	}
}

// A slab hands out values of one Go type, taken back all at once.
type slab[T any] struct {
	blocks [][]T
	used   int
}

const slabBlock = 64

func (s *slab[T]) take() *T {
	if s.used == len(s.blocks)*slabBlock {
		s.blocks = append(s.blocks, make([]T, slabBlock))
	}
	p := s.at(s.used)
	s.used++
	*p = *new(T)
	return p
}

// at is the n-th value taken since the reset.
func (s *slab[T]) at(n int) *T { return &s.blocks[n/slabBlock][n%slabBlock] }

func (s *slab[T]) reset() { s.used = 0 }

// slabs keeps one slab a type.
type slabs map[reflect.Type]interface{ reset() }

func take[T any](s slabs) *T {
	key := reflect.TypeFor[T]()
	if found, ok := s[key].(*slab[T]); ok {
		return found.take()
	}
	made := &slab[T]{}
	s[key] = made
	return made.take()
}
