package autodiff

import (
	"reflect"
	"unsafe"
)

// arena hands out memory that is taken back all at once. Its chunks hold no Go
// pointers. After a reset the chunks of the last step become one, so a steady
// step touches one contiguous block.
type arena struct {
	chunks [][]uint64
	used   int // words used of the last chunk
	poison bool
}

const (
	firstChunk = 1 << 16 // words of 8 bytes
	alignWords = 8       // 64 bytes: a cache line
)

// take returns bytes of uninitialised memory, aligned to a cache line.
func (a *arena) take(bytes int) unsafe.Pointer {
	words := (bytes + 63) / 64 * alignWords
	if len(a.chunks) == 0 || a.used+words > len(a.chunks[len(a.chunks)-1]) {
		size := firstChunk
		for _, c := range a.chunks {
			size = max(size, 2*len(c))
		}
		a.grow(max(size, words))
	}
	chunk := a.chunks[len(a.chunks)-1]
	p := unsafe.Pointer(unsafe.SliceData(chunk[a.used:]))
	a.used += words
	return p
}

func (a *arena) grow(words int) {
	chunk := make([]uint64, words+alignWords)
	skew := (64 - int(uintptr(unsafe.Pointer(unsafe.SliceData(chunk)))%64)) % 64 / 8
	chunk = chunk[skew : skew+words]
	if a.poison {
		fillNaN(chunk)
	}
	a.chunks = append(a.chunks, chunk)
	a.used = 0
}

func (a *arena) reset() {
	if len(a.chunks) > 1 {
		total := 0
		for _, c := range a.chunks {
			total += len(c)
		}
		a.chunks = a.chunks[:0]
		a.grow(total)
	}
	a.used = 0
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
	block, at := s.used/slabBlock, s.used%slabBlock
	if block == len(s.blocks) {
		s.blocks = append(s.blocks, make([]T, slabBlock))
	}
	s.used++
	p := &s.blocks[block][at]
	var zero T
	*p = zero
	return p
}

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
