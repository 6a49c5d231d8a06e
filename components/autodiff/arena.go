package autodiff

import (
	"math/bits"
	"reflect"
	"unsafe"
)

// arena hands out memory that is taken back all at once, or piece by piece as a
// backward pass goes, for what comes after it. Its chunks hold no Go pointers and
// stay where they are: a step like the one before finds the same places.
type arena struct {
	chunks [][]uint64
	chunk  int // in use
	used   int // words used of it
	pieces []piece
	free   map[int][]unsafe.Pointer // given back, by size in words
	poison bool
}

// piece is memory handed out.
type piece struct {
	at    unsafe.Pointer
	words int
}

const (
	chunkWords = 1 << 19 // of 8 bytes, but for the first chunk and larger pieces
	firstChunk = 1 << 16
	alignWords = 8   // 64 bytes: a cache line
	worthwhile = 512 // words from which on a piece is given back
)

// wordsOf is the words that are taken for so many bytes: whole cache lines, and
// for what is given back one of 16 sizes an octave, so that batches of ever other
// numbers of tokens take each other's pieces.
func wordsOf(bytes int) int {
	words := (bytes + 63) / 64 * alignWords
	if words < worthwhile {
		return words
	}
	apart := 1 << (bits.Len(uint(words-1)) - 5)
	return (words + apart - 1) / apart * apart
}

// take returns bytes of uninitialised memory, aligned to a cache line.
func (a *arena) take(bytes int) unsafe.Pointer {
	words := wordsOf(bytes)
	if free := a.free[words]; len(free) > 0 {
		p := free[len(free)-1]
		a.free[words] = free[:len(free)-1]
		return p
	}
	for a.chunk < len(a.chunks) && a.used+words > len(a.chunks[a.chunk]) {
		a.chunk, a.used = a.chunk+1, 0
	}
	if a.chunk == len(a.chunks) {
		size := chunkWords
		if a.chunk == 0 {
			size = firstChunk
		}
		a.chunks = append(a.chunks, a.newChunk(max(size, words)))
	}
	p := unsafe.Pointer(unsafe.SliceData(a.chunks[a.chunk][a.used:]))
	a.used += words
	return p
}

// takePiece is take of what [arena.giveBack] is to take back.
func (a *arena) takePiece(bytes int) unsafe.Pointer {
	p := a.take(bytes)
	a.pieces = append(a.pieces, piece{p, wordsOf(bytes)})
	return p
}

// giveBack makes a piece free to be taken again.
func (a *arena) giveBack(p piece) {
	if p.words < worthwhile {
		return
	}
	if a.poison {
		fillNaN(unsafe.Slice((*uint64)(p.at), p.words))
	}
	if a.free == nil {
		a.free = map[int][]unsafe.Pointer{}
	}
	a.free[p.words] = append(a.free[p.words], p.at)
}

func (a *arena) newChunk(words int) []uint64 {
	chunk := make([]uint64, words+alignWords)
	skew := (64 - int(uintptr(unsafe.Pointer(unsafe.SliceData(chunk)))%64)) % 64 / 8
	chunk = chunk[skew : skew+words]
	if a.poison {
		fillNaN(chunk)
	}
	return chunk
}

func (a *arena) reset() {
	a.chunk, a.used, a.pieces = 0, 0, a.pieces[:0]
	for words, free := range a.free {
		a.free[words] = free[:0]
	}
	if a.poison {
		for _, c := range a.chunks {
			fillNaN(c)
		}
	}
}

// fillNaN makes every word two float32 NaNs, which are one float64 NaN too: all
// bits set but the signs.
func fillNaN(words []uint64) {
	const nan = 0x7fffffff
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
