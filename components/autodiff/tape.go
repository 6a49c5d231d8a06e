package autodiff

import (
	"slices"
	"unsafe"

	"exp/components/kernel"
)

// DType is the element type of a tape and of a parameter set.
type DType uint8

const (
	Float32 DType = iota // trains, through the kernels
	Float64              // checks gradients, through the plain-loop twins
)

func (d DType) size() int {
	if d == Float64 {
		return 8
	}
	return 4
}

// An Op is one entry of a tape. Backward adds to the gradients of its inputs
// what the gradients of its results imply.
type Op interface{ Backward() }

// Tape records operations. The zero value is not usable; call [NewTape].
type Tape struct {
	dtype     DType
	recording bool
	training  bool
	arena     arena
	storages  slab[storage]
	slabs     slabs
	packed32  kernel.Packed[float32] // of the last product of many rows
	packed64  kernel.Packed[float64]
	ops       []Op
	marks     []mark // where each entry's memory ends
	loop      loop
	turns     turns
	key       uint64 // of this step's dropout masks
	drawn     uint64 // dropout decisions taken this step
	profile   *Profile
	watch     *watch
	observer  Observer

	keepWeights bool
}

// mark is what a tape has handed out up to some entry. Memory that is taken
// between two entries belongs to the second: nothing but that entry and those
// after it uses it, so once its backward pass is done it is free.
type mark struct{ pieces, storages int }

// NewTape returns an empty tape that records.
func NewTape(d DType) *Tape {
	return &Tape{dtype: d, recording: true, slabs: slabs{}}
}

// Reset empties the tape for the next step and takes back all its memory:
// every Var made on it becomes invalid. training says whether dropout is
// active; record whether a backward pass will follow.
func (t *Tape) Reset(training, record bool) {
	clear(t.ops)
	t.ops, t.marks = t.ops[:0], t.marks[:0]
	t.arena.reset()
	t.storages.reset()
	for _, s := range t.slabs {
		s.reset()
	}
	t.LeaveLoop()
	t.turns = turns{}
	t.training, t.recording = training, record
	t.key, t.drawn = 0, 0
}

// Poison makes the tape fill its memory with NaN at every Reset and whenever it
// is given back, so that a test finds an operation that reads what nobody wrote,
// or what is gone.
func (t *Tape) Poison() { t.arena.poison = true }

// Seed sets the key from which this step's dropout masks are drawn.
func (t *Tape) Seed(key uint64) { t.key, t.drawn = key, 0 }

// DType returns the tape's element type.
func (t *Tape) DType() DType { return t.dtype }

// Training says whether dropout is active.
func (t *Tape) Training() bool { return t.training }

// Recording says whether a backward pass will follow.
func (t *Tape) Recording() bool { return t.recording }

// Record enters a new, zeroed Op of type T into the tape and returns it to be
// filled in. Call it only while [Tape.Recording], and after all memory that the
// Op keeps has been taken: the tape gives that back once Backward is done.
func Record[T any, P interface {
	*T
	Op
}](t *Tape) P {
	op := P(take[T](t.slabs))
	t.ops = append(t.ops, op)
	t.marks = append(t.marks, mark{len(t.arena.pieces), t.storages.used})
	if t.profile != nil {
		t.profile.forward(op)
	}
	if t.watch != nil {
		t.watch.forward(t, op)
	}
	return op
}

// Backward runs the tape in reverse from loss, a Var of one element.
func (t *Tape) Backward(loss *Var) {
	if loss.Size() != 1 {
		panic("autodiff: backward from a value of shape " + loss.shape.String() + ", not a scalar")
	}
	if t.dtype == Float32 {
		Grad[float32](loss)[0] = 1
	} else {
		Grad[float64](loss)[0] = 1
	}
	t.Unwind()
}

// Unwind runs the tape in reverse from whatever gradients have been set, for
// callers that seed the gradients of several results themselves. It takes back
// the memory of each entry as it goes: after it, values of the tape but for its
// inputs and losses, and their gradients, are invalid.
func (t *Tape) Unwind() {
	forward := len(t.arena.pieces)
	for i := len(t.ops) - 1; i >= 0; i-- {
		t.ops[i].Backward()
		if t.profile != nil {
			t.profile.backward(t.ops[i])
		}
		if t.watch != nil {
			t.watch.backward(t.ops[i])
		}
		before := mark{}
		if i > 0 {
			before = t.marks[i-1]
		}
		t.giveBack(forward, len(t.arena.pieces)) // what Backward took
		t.arena.pieces = t.arena.pieces[:forward]
		t.giveBack(before.pieces, t.marks[i].pieces)
		for n := before.storages; n < t.marks[i].storages; n++ {
			s := t.storages.at(n)
			if s.grad != nil && s.ownsGrad && s.grad != s.value {
				t.arena.giveBack(piece{s.grad, wordsOf(s.bytes())})
			}
			s.giveBackValue()
		}
	}
}

// turns is where, in the arena's pieces, those of the step before begin and those of
// this step.
type turns struct {
	begun        bool
	before, this int
}

// Turn begins a step of decoding: what the last but one made is gone, and its memory
// is this one's, so that long sequences take no more than short ones and the steps
// stay in the cache. What was made before the first Turn stays, and so does what is
// made in [Tape.Keep]. The tape must not record.
func (t *Tape) Turn() {
	if t.recording {
		panic("autodiff: turn of a tape that records")
	}
	s, made := &t.turns, len(t.arena.pieces)
	if !s.begun {
		*s = turns{true, made, made}
		return
	}
	t.giveBack(s.before, s.this)
	t.arena.pieces = slices.Delete(t.arena.pieces, s.before, s.this)
	s.this = len(t.arena.pieces)
}

// Keep calls f, and what it makes lives until the Reset, or on a tape that records as
// long as what else is made.
func (t *Tape) Keep(f func()) {
	if t.recording {
		f()
		return
	}
	before := t.arena.keep
	t.arena.keep = true
	f()
	t.arena.keep = before
}

func (t *Tape) giveBack(from, to int) {
	for _, p := range t.arena.pieces[from:to] {
		t.arena.giveBack(p)
	}
}

// Floats returns n uninitialised elements of the tape's memory.
func Floats[F kernel.Float](t *Tape, n int) []F {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*F)(t.arena.takePiece(n*int(unsafe.Sizeof(*new(F))))), n)
}

// kept is Floats for what an entry's backward pass hands to that of another, who
// gives it back.
func kept[F kernel.Float](t *Tape, n int) []F {
	return unsafe.Slice((*F)(t.arena.take(n*int(unsafe.Sizeof(*new(F))))), n)
}

func giveBack[F kernel.Float](t *Tape, x []F) {
	t.arena.giveBack(piece{unsafe.Pointer(unsafe.SliceData(x)), wordsOf(len(x) * int(unsafe.Sizeof(*new(F))))})
}

// Zeros returns n zeroed elements of the tape's memory.
func Zeros[F kernel.Float](t *Tape, n int) []F {
	s := Floats[F](t, n)
	clear(s)
	return s
}

// Ints returns n uninitialised integers of the tape's memory.
func Ints(t *Tape, n int) []int32 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(t.arena.takePiece(4*n)), n)
}

// Mem returns the most bytes of the tape's memory that were in use at once.
func (t *Tape) Mem() int { return 8 * t.arena.peak }

// Alloc returns a zeroed T of the tape's slabs, for what an operation keeps.
func Alloc[T any](t *Tape) *T { return take[T](t.slabs) }
