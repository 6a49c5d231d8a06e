package kernel

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Ranged is an operation over units of its result, such as rows or columns, that
// do not depend on each other: how they are parted cannot change a bit.
type Ranged interface {
	// Range computes the units from to to-1, beside other ranges.
	Range(from, to int)
}

// Parallel computes the units 0 to n-1 of r, which take about so many
// nanoseconds on one core together, with the help of goroutines that [Lend] has
// put to its disposal and that are idle. Without one, or where there is too
// little to do, it computes them all itself. It retains and allocates nothing; r is
// to be in memory already, or it is allocated where the caller makes it an interface.
//
// A panic in a part is raised again on the caller's goroutine, as a [*Panic],
// when all parts have ended.
func Parallel(n, nanoseconds int, r Ranged) {
	helpers := lent.helpers.Load()
	if helpers == nil || nanoseconds < 2*grain || n < 2 {
		alone(n, nanoseconds, r)
		return
	}
	j := lent.jobs.take()
	if j == nil {
		j = &job{done: make(chan struct{}, 1)}
	}
	j.deal(n, nanoseconds, len(*helpers)+1, r)
	for _, h := range *helpers {
		if len(j.offered) < j.parts-1 && h.take(j) {
			j.offered = append(j.offered, h)
		}
	}
	if len(j.offered) == 0 { // all are at work
		j.ranged = nil
		lent.jobs.give(j)
		alone(n, nanoseconds, r)
		return
	}
	j.run(0)
	j.wait()
	failure := j.failure.Swap(nil)
	j.ranged, j.offered = nil, j.offered[:0]
	lent.jobs.give(j)
	if failure != nil {
		panic(failure)
	}
}

// alone is r.Range(0, n), in parts.
func alone[R Ranged](n, nanoseconds int, r R) {
	parts := partsOf(n, nanoseconds, 1)
	for i := range parts {
		yield(nanoseconds / parts)
		r.Range(i*n/parts, (i+1)*n/parts)
	}
}

// partsOf is in how many parts so many threads compute n units.
func partsOf(n, nanoseconds, threads int) int {
	if threads == 1 {
		return max(1, min(n, nanoseconds/longPart))
	}
	parts := min(n, nanoseconds/grain, max(partsThread*threads, nanoseconds/finePart))
	return units(n, units(n, parts)) // of near equal size
}

// grain is the nanoseconds of work from which on a part pays for its hand-over.
var grain = 5_000

// Threads is on how many goroutines an operation is computed at most, at present.
func Threads() int {
	if helpers := lent.helpers.Load(); helpers != nil {
		return len(*helpers) + 1
	}
	return 1
}

const (
	// Parts are many, so that a thread that is held up (on a machine of others it is a
	// thousand times a second, for some 30 µs) leaves its last ones to others.
	partsThread = 4         // a thread at least, where they are not less than the grain
	finePart    = 20_000    // ns, which are short enough
	longPart    = 2_000_000 // ns of a thread between two calls of yield

	// spinTime is how long who waits looks for a change before it parks. Parking and
	// being woken takes 50 µs, but costs more: what the system finds in place of the
	// thread may keep it from its core for a millisecond.
	spinTime = time.Millisecond
	spins    = 1000 // looks between two at the clock
)

// turnTime is less than the 10 ms after which Go's monitor wants a processor back, by
// as much as a part may take longer than it is said to.
const turnTime = 8 * time.Millisecond

// yield lets the scheduler run before work of so many nanoseconds that would keep it
// from running for turnTime. From a goroutine that does not let it, the monitor takes
// the processor as soon as it sees it in C, and as it then sleeps until C returns, it
// is woken to do so a thousand times a second: on two cores, where it holds up who
// computes, this cost a step up to 15 %.
func yield(nanoseconds int) {
	if nanoseconds < shortest {
		return
	}
	t, now := turns.Get().(*turn), time.Since(started)
	over := now+time.Duration(nanoseconds) > t.began+turnTime
	if over {
		t.began = now
	}
	turns.Put(t)
	if over {
		runtime.Gosched()
	}
}

// shortest is the nanoseconds of work from which on the monitor may see it in C.
const shortest = 1000

// A turn is what a processor of Go's has computed since the scheduler last ran there:
// a [sync.Pool] keeps one for each.
type turn struct{ began time.Duration } // after started

var (
	turns   = sync.Pool{New: func() any { return &turn{-turnTime} }}
	started = time.Now()
)

// Panic is a panic in a part of an operation.
type Panic struct {
	Value any
	Stack []byte // of the goroutine that computed the part
}

func (p *Panic) Error() string { return fmt.Sprint(p.Value) }

// Unwrap is the value, where it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// lent is what there is of helpers, and jobs for which there is no work.
var lent crew

type crew struct {
	helpers atomic.Pointer[[]*helper] // nil of none; a new slice at each change

	mu   sync.Mutex // of changes
	jobs freeList[job]
}

// change replaces the helpers by what f makes of them.
func (c *crew) change(f func([]*helper) []*helper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var old []*helper
	if p := c.helpers.Load(); p != nil {
		old = *p
	}
	if changed := f(old); len(changed) > 0 {
		c.helpers.Store(&changed)
	} else {
		c.helpers.Store(nil)
	}
}

// A job is an operation under way, in parts that whoever comes first takes.
type job struct {
	ranged      Ranged
	n, parts    int
	nanoseconds int    // of a part
	shares      []span // of the threads, in order
	offered     []*helper
	failure     atomic.Pointer[Panic]

	// out is how many helpers have to leave yet: the caller adds those that have
	// accepted, and each takes one off, perhaps before. parked is added while the
	// caller waits at done, where the last helper sends.
	out  atomic.Int64
	done chan struct{}
}

const parked = 1 << 32

// deal parts an operation, and the parts among threads.
func (j *job) deal(n, nanoseconds, threads int, r Ranged) {
	j.ranged, j.n = r, n
	j.parts = partsOf(n, nanoseconds, threads)
	j.nanoseconds = nanoseconds / j.parts
	if len(j.shares) != threads {
		j.shares = make([]span, threads)
	}
	for i := range j.shares {
		j.shares[i].store(i*j.parts/threads, (i+1)*j.parts/threads)
	}
}

// run computes parts until none is left: those of a thread's number first, which
// are the same whenever an operation is repeated and so find their operands in this
// core's cache, and then what others have left. It takes half of what is left at a
// time, so that ranges are long (a product reads one of its operands once for each)
// and yet the last ones short.
func (j *job) run(number int) {
	defer func() {
		if p := recover(); p != nil {
			j.failure.CompareAndSwap(nil, &Panic{p, debug.Stack()})
			for i := range j.shares {
				j.shares[i].store(0, 0)
			}
		}
	}()
	most := max(1, longPart/j.nanoseconds)
	for i := range j.shares {
		share := &j.shares[(number+i)%len(j.shares)]
		for from, to := share.half(i > 0, most); from < to; from, to = share.half(i > 0, most) {
			yield((to - from) * j.nanoseconds)
			j.ranged.Range(from*j.n/j.parts, to*j.n/j.parts)
		}
	}
}

// A span is the parts of a share that nobody has taken, from one to before another.
type span struct{ ends atomic.Uint64 }

func (s *span) store(from, to int) { s.ends.Store(uint64(from)<<32 | uint64(to)) }

// half takes half of the parts, at most so many and at least one: the last ones, or
// the first, as their thread does. It returns two equal numbers where none is left.
func (s *span) half(last bool, most int) (from, to int) {
	for {
		ends := s.ends.Load()
		from, to = int(ends>>32), int(ends&math.MaxUint32)
		n := min((to-from+1)/2, most)
		left, right := from+n, to
		if last {
			left, right = from, to-n
		}
		if n == 0 || s.ends.CompareAndSwap(ends, uint64(left)<<32|uint64(right)) {
			if last {
				return right, to
			}
			return from, left
		}
	}
}

// wait takes back what nobody accepted, and waits for the others to leave.
func (j *job) wait() {
	accepted := int64(0)
	for _, h := range j.offered {
		if !h.offer.CompareAndSwap(j, nil) {
			accepted++
		}
	}
	if accepted == 0 || j.out.Add(accepted) == 0 {
		return
	}
	for start := time.Now(); time.Since(start) < spinTime; {
		for range spins {
			if j.out.Load() == 0 {
				return
			}
		}
	}
	for out := j.out.Load(); out > 0; out = j.out.Load() {
		if j.out.CompareAndSwap(out, out+parked) {
			<-j.done
			j.out.Store(0)
		}
	}
}

// leave says that a helper is through with j.
func (j *job) leave() {
	if j.out.Add(-1) == parked {
		j.done <- struct{}{}
	}
}

// A helper is a goroutine that computes parts of others' operations.
type helper struct {
	number int                 // from 1 on
	offer  atomic.Pointer[job] // what it is to help with: nil while it is idle, working while it does
	parked atomic.Bool         // it has to be woken
	wake   chan struct{}
}

// working is the offer of a helper that takes none.
var working = new(job)

// Lend puts the calling goroutine at the disposal of the operations of others
// until stop is closed: each then computes on one more core, where it is large
// enough. More helpers than GOMAXPROCS-1 are not of use, and only wait for stop.
//
// A helper without work looks out for some for a millisecond before it parks: an
// operation soon after the last gets it in less than a microsecond, and a trial
// that has nothing to share does not keep a core busy.
func Lend(stop <-chan struct{}) {
	h := &helper{wake: make(chan struct{}, 1)}
	most := runtime.GOMAXPROCS(0) - 1
	lent.change(func(old []*helper) []*helper {
		if len(old) >= most {
			return old
		}
		h.number = len(old) + 1
		return append(old[:len(old):len(old)], h)
	})
	if h.number == 0 {
		<-stop
		return
	}
	for j := h.await(stop); j != nil; j = h.await(stop) {
		j.run(h.number)
		h.offer.Store(nil) // before the caller goes on: it may offer the next job at once
		j.leave()
	}
	lent.change(func(old []*helper) []*helper {
		var others []*helper
		for _, o := range old {
			if o != h {
				others = append(others, o)
			}
		}
		return others
	})
	for !h.offer.CompareAndSwap(nil, working) {
		if j := h.offer.Load(); j != nil && h.offer.CompareAndSwap(j, working) {
			j.leave()
			return
		}
	}
}

// take offers j, and reports whether h was idle. What it has not accepted can be
// taken back.
func (h *helper) take(j *job) bool {
	if h.offer.Load() != nil || !h.offer.CompareAndSwap(nil, j) {
		return false
	}
	if h.parked.Load() {
		select {
		case h.wake <- struct{}{}:
		default: // it is being woken
		}
	}
	return true
}

// await accepts the next offer; it returns nil when stop is closed.
func (h *helper) await(stop <-chan struct{}) *job {
	for {
		for start := time.Now(); time.Since(start) < spinTime; {
			for range spins {
				if j := h.offer.Load(); j != nil && h.offer.CompareAndSwap(j, working) {
					return j
				}
			}
		}
		h.parked.Store(true)
		if h.offer.Load() == nil {
			select {
			case <-h.wake:
			case <-stop:
				return nil
			}
		}
		h.parked.Store(false)
	}
}

// calls keeps the arguments of operations of one kind where helpers can see
// them. The zero value is ready.
type calls[R Ranged] struct{ free freeList[R] }

// parallel is [Parallel] of r, which it copies if there is somebody to share it
// with.
func (c *calls[R]) parallel(n, nanoseconds int, r R) {
	if lent.helpers.Load() == nil || nanoseconds < 2*grain || n < 2 {
		alone(n, nanoseconds, r)
		return
	}
	p := c.free.take()
	if p == nil {
		p = new(R)
	}
	*p = r
	defer func() {
		*p = *new(R) // it must keep no memory alive
		c.free.give(p)
	}()
	Parallel(n, nanoseconds, any(p).(Ranged))
}

// A freeList keeps what is used again and again, by any goroutine. The zero value
// is empty.
type freeList[T any] struct {
	mu   sync.Mutex
	idle []*T
}

// take returns one, nil where there is none.
func (l *freeList[T]) take() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.idle)
	if n == 0 {
		return nil
	}
	x := l.idle[n-1]
	l.idle = l.idle[:n-1]
	return x
}

func (l *freeList[T]) give(x *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, x)
}
