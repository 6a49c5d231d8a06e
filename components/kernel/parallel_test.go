package kernel

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lendThreads has operations computed by so many threads, in parts however small
// they are where grain says so, to the end of the test.
func lendThreads(t testing.TB, threads, grainNanoseconds int) {
	oldProcs, oldGrain := runtime.GOMAXPROCS(max(threads, runtime.NumCPU())), grain
	grain = grainNanoseconds
	stop := make(chan struct{})
	var helpers sync.WaitGroup
	for range threads - 1 {
		helpers.Go(func() { Lend(stop) })
	}
	for deadline := time.Now().Add(10 * time.Second); Threads() < threads; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no helpers after 10 s")
		}
	}
	t.Cleanup(func() {
		close(stop)
		helpers.Wait()
		grain = oldGrain
		runtime.GOMAXPROCS(oldProcs)
		if n := Threads(); n != 1 {
			t.Errorf("%d helpers stay", n-1)
		}
	})
}

// recorded calls f for each range and counts how often each unit was computed.
type recorded struct {
	units []atomic.Int32
	calls atomic.Int32
	f     func(from, to int)
}

func (r *recorded) Range(from, to int) {
	r.calls.Add(1)
	for i := from; i < to; i++ {
		r.units[i].Add(1)
	}
	if r.f != nil {
		r.f(from, to)
	}
}

func TestParallelComputesEveryUnitOnce(t *testing.T) {
	for threads := 1; threads <= 4; threads++ {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			lendThreads(t, threads, 1)
			for n := range 300 {
				r := &recorded{units: make([]atomic.Int32, n)}
				Parallel(n, 1000, r)
				for i := range r.units {
					if got := r.units[i].Load(); got != 1 {
						t.Fatalf("unit %d of %d was computed %d times", i, n, got)
					}
				}
				if n > 0 && int(r.calls.Load()) > min(n, partsThread*threads) {
					t.Fatalf("%d units were computed in %d parts by %d threads", n, r.calls.Load(), threads)
				}
			}
		})
	}
}

// Ranges are half of what is left, so that the first is long and the last short, but no
// longer than a thread may go without a call of yield.
func TestParallelRangesShrink(t *testing.T) {
	lendThreads(t, 2, 1)
	for _, c := range []struct{ nanoseconds, longest int }{{64 * finePart, 16}, {64 * longPart / 6, 6}, {64 * longPart, 1}} {
		var longest, shortest atomic.Int64
		shortest.Store(math.MaxInt64)
		Parallel(64, c.nanoseconds, &recorded{units: make([]atomic.Int32, 64), f: func(from, to int) {
			n := int64(to - from)
			for l := longest.Load(); n > l && !longest.CompareAndSwap(l, n); l = longest.Load() {
			}
			for l := shortest.Load(); n < l && !shortest.CompareAndSwap(l, n); l = shortest.Load() {
			}
		}})
		if longest.Load() != int64(c.longest) || shortest.Load() != 1 {
			t.Errorf("64 units of %d ns were computed in ranges of %d to %d, want 1 to %d", c.nanoseconds/64, shortest.Load(), longest.Load(), c.longest)
		}
	}
}

// Each part waits for all others to begin, which one thread less would not do.
func TestParallelComputesAtOnce(t *testing.T) {
	for threads := 2; threads <= 4; threads++ {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			lendThreads(t, threads, 1)
			for i := range 20 {
				var began atomic.Int32
				Parallel(threads, 1000, &recorded{units: make([]atomic.Int32, threads), f: func(int, int) {
					began.Add(1)
					for deadline := time.Now().Add(10 * time.Second); int(began.Load()) < threads && time.Now().Before(deadline); {
						runtime.Gosched()
					}
				}})
				if int(began.Load()) != threads {
					t.Fatalf("%d of %d parts began", began.Load(), threads)
				}
				time.Sleep(time.Duration(i*10) * time.Microsecond) // helpers are parked after some
			}
		})
	}
}

// Trials share helpers that come and go.
func TestParallelConcurrently(t *testing.T) {
	lendThreads(t, 3, 1)
	var trials, passing sync.WaitGroup
	for range 4 {
		trials.Go(func() {
			for n := range 2000 {
				n %= 100
				r := &recorded{units: make([]atomic.Int32, n)}
				Parallel(n, 1000, r)
				for i := range r.units {
					if got := r.units[i].Load(); got != 1 {
						t.Errorf("unit %d of %d was computed %d times", i, n, got)
						return
					}
				}
			}
		})
	}
	ended := make(chan struct{})
	passing.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			stop := make(chan struct{})
			time.AfterFunc(100*time.Microsecond, func() { close(stop) })
			Lend(stop)
		}
	})
	trials.Wait()
	close(ended)
	passing.Wait()
}

func TestParallelRaisesPanics(t *testing.T) {
	cause := errors.New("cause")
	for threads := 2; threads <= 3; threads++ {
		for bad := range 12 {
			t.Run(fmt.Sprintf("%d threads, unit %d", threads, bad), func(t *testing.T) {
				lendThreads(t, threads, 1)
				r := &recorded{units: make([]atomic.Int32, 12)}
				r.f = func(from, to int) {
					if from <= bad && bad < to {
						failingPart(cause)
					}
				}
				for range 3 { // the helpers live on
					func() {
						defer func() {
							p, ok := recover().(*Panic)
							if !ok || !errors.Is(p, cause) || p.Error() != "cause" {
								t.Errorf("got panic %v, want one of the cause", p)
							} else if !strings.Contains(string(p.Stack), "failingPart") {
								t.Errorf("the stack is not that of the part:\n%s", p.Stack)
							}
						}()
						Parallel(12, 1000, r)
						t.Error("no panic")
					}()
				}
				r = &recorded{units: make([]atomic.Int32, 12)}
				Parallel(12, 1000, r)
				for i := range r.units {
					if got := r.units[i].Load(); got != 1 {
						t.Errorf("after the panics, unit %d was computed %d times", i, got)
					}
				}
			})
		}
	}
}

func failingPart(err error) { panic(err) }

// More helpers than cores add nothing, and go when they are told to.
func TestLendNoMoreThanCores(t *testing.T) {
	lendThreads(t, 2, 1)
	runtime.GOMAXPROCS(2)
	stop := make(chan struct{})
	var surplus sync.WaitGroup
	for range 3 {
		surplus.Go(func() { Lend(stop) })
	}
	time.Sleep(time.Millisecond)
	if got := Threads(); got != 2 {
		t.Errorf("%d threads on 2 cores, want 2", got)
	}
	close(stop)
	surplus.Wait()
}

func TestParallelAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget at random")
	}
	for threads := 1; threads <= 3; threads++ {
		t.Run(fmt.Sprint(threads), func(t *testing.T) { parallelAllocatesNothing(t, threads) })
	}
}

func parallelAllocatesNothing(t *testing.T, threads int) {
	lendThreads(t, threads, 1000)
	const m, n, k = 130, 150, 200
	a, b, c, bias := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n), make([]float32, n)
	var p Packed[float32]
	r := &recorded{units: make([]atomic.Int32, 10)}
	step := func() {
		p.Pack(true, k, n, b, k)
		GemmPacked(false, m, a, k, &p, c, n, bias, false)
		Gemm(true, true, m, n, k, a, m, b, k, c, n, nil, true)
		Parallel(10, 100_000, r)
	}
	step()
	// A goroutine that parks may take a record of the runtime, which keeps at most
	// 128 of them a core (sudogcache).
	if got := allocations(500, step); threads == 1 && got > 10 || got > uint64(128*runtime.GOMAXPROCS(0)) {
		t.Errorf("%d threads allocate %d times in 500 steps of 4 operations", threads, got)
	}
}

// Every operation that is split gives the same bits on 1, 2 and 3 threads, on
// both sides of the limits of its units.
func TestThreadsGiveTheSameBits(t *testing.T) {
	for _, path := range nativePaths {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			var want [][]float32
			for threads := 1; threads <= 3; threads++ {
				t.Run(fmt.Sprint(threads), func(t *testing.T) {
					lendThreads(t, threads, 1)
					for _, far := range []bool{false, true} {
						if far && path != pathAVX512 {
							continue
						}
						setPathFar(path, far)
						names, got := splitOperations()
						if want == nil {
							want = got
						}
						for i, name := range names {
							if at := firstDifference(got[i], want[i]); at >= 0 {
								t.Errorf("%s: element %d is %x on %d threads, %x on one; far: %v", name, at, got[i][at], threads, want[i][at], far)
							}
						}
					}
				})
			}
		})
	}
}

func oneIf(is bool) float32 {
	if is {
		return 1
	}
	return 0
}

// splitOperations runs the operations that are split, and returns what they were
// and what each wrote.
func splitOperations() (names []string, results [][]float32) {
	rng := rand.New(rand.NewPCG(9, 10))
	random := func(n int) []float32 { return randomSlice[float32](rng, n) }
	result := func(name string, written ...[]float32) {
		for i, w := range written {
			names, results = append(names, fmt.Sprintf("%s, result %d", name, i)), append(results, w)
		}
	}
	product := func(transA, transB bool, m, n, k int) {
		spare := rng.IntN(3)
		if k == aliasing {
			spare = 0
		}
		lda, ldb, ldc := k+spare, n+spare, n+spare
		if transA {
			lda = m + spare
		}
		if transB {
			ldb = k + spare
		}
		a, b, bias := random(max(m, k)*lda), random(max(n, k)*ldb), random(n)
		name := fmt.Sprintf("transA=%v transB=%v %dx%dx%d", transA, transB, m, n, k)
		for _, accumulate := range []bool{false, true} {
			c := random(m * ldc)
			Gemm(transA, transB, m, n, k, a, lda, b, ldb, c, ldc, nil, accumulate)
			result("Gemm "+name, c)
		}
		var p Packed[float32]
		p.Pack(transB, k, n, b, ldb)
		result("Pack "+name, p.data)
		c, d := random(m*ldc), random(m*ldc)
		GemmPacked(transA, m, a, lda, &p, c, ldc, bias, false)
		GemmPacked(transA, m, a, lda, &p, d, ldc, nil, true)
		result("GemmPacked "+name, c, d)
	}
	for _, s := range []struct{ m, n, k int }{
		{1, 33, 300}, {33, 1, 300}, {27, 31, 5}, {28, 32, 5}, {29, 33, 5}, {64, 200, 70}, {57, 56, 257}, {300, 60, 40}, {30, 600, 20}, {130, 129, 300}, {513, 40, 300}, {40, 1030, 7}, {40, 130, aliasing}, {150, 130, aliasing},
	} {
		for i := range 4 {
			product(i&1 != 0, i&2 != 0, s.m, s.n, s.k)
		}
	}
	for i := range 4 {
		const size = 40
		var products []Product
		for j := range int64(6) {
			products = append(products, Product{M: 30 + j, N: 35, K: 40 - j, A: j * size * size, B: j * size * size, C: j * size * size})
		}
		c, d := random(6*size*size), random(6*size*size)
		a, b := random(6*size*size), random(6*size*size)
		GemmBatch(i&1 != 0, i&2 != 0, products, a, size, b, size, c, size, false)
		GemmBatch(i&1 != 0, i&2 != 0, products, a, size, b, size, d, size, true)
		result(fmt.Sprintf("GemmBatch transA=%v transB=%v", i&1 != 0, i&2 != 0), c, d)
	}
	product(true, false, 300, 280, 40) // packs both
	product(true, false, 280, 300, 40)
	for _, s := range []struct{ t, s, a int }{{1, 5, 70}, {3, 4, 31}, {7, 2, 33}, {4, 6, 100}} {
		q, k, v, scores := terms(random(s.t*s.a)), terms(random(s.s*s.a)), random(s.a), random(s.t*s.s)
		dq, dk, dv := random(s.t*s.a), random(s.s*s.a), random(s.a)
		AdditiveScores(s.t, s.s, s.a, q, k, v, scores, s.s)
		AdditiveScoresBackward(s.t, s.s, s.a, q, k, v, scores, s.s, dq, dk, dv)
		result(fmt.Sprintf("AdditiveScores %v", s), scores, dq, dk, dv)
	}
	for _, sequences := range [][]AttentionRows{{{0, 3, 0, 4}, {3, 1, 4, 9}, {4, 0, 13, 2}, {4, 7, 15, 0}, {11, 2, 15, 5}}, {{0, 3, 0, 9}, {3, 2, 0, 9}}} {
		const queries, keys, a, d = 13, 20, 70, 33
		q, k, v, values, w := terms(random(queries*a)), terms(random(keys*a)), random(a), random(keys*d), make([]float32, ScoresOf(sequences))
		y, dq, dk, dv, dvalues := random(queries*d), random(queries*a), random(keys*a), random(a), random(keys*d)
		AdditiveAttention(a, d, sequences, q, k, v, values, w, y)
		for _, transposed := range [][]float32{nil, random(keysOf(sequences) * d)} {
			AdditiveAttentionBackward(a, d, sequences, q, k, v, values, transposed, w, random(queries*d), make([]float32, len(w)), dq, dk, dv, dvalues)
		}
		result(fmt.Sprintf("AdditiveAttention %v", sequences), w, y, dq, dk, dv, dvalues)
	}
	finite := random(100 * unitElements)
	for i := range 3 { // none that is not finite, one in the last unit, and one in the first
		result(fmt.Sprintf("AllFinite %d", i), []float32{oneIf(AllFinite(finite)), float32(i)})
		finite[[...]int{len(finite) - 1, 0, 0}[i]] = float32(math.Inf(1))
	}
	for i := range 3 { // the same of gradients
		const n = 3*unitElements + 5
		w, g, m, v := random(n), random(n), random(n), random(n)
		Mul(v, v, v)
		if i > 0 {
			g[[...]int{0, n - 1, 0}[i]] = float32(math.Inf(1))
		}
		finite := AdamStep(w, g, m, v, Adam[float32]{LR: 0.1, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Correction1: 0.3, Correction2: 0.2, GradScale: 2})
		result(fmt.Sprintf("AdamStep %d", i), w, m, v, []float32{oneIf(finite)})
	}
	for _, causal := range []bool{false, true} {
		shape := AttentionShape{Heads: 2, KeySize: 5, ValueSize: 7, LdQ: 10, LdK: 11, LdV: 14, LdY: 14, Scale: 0.4, Causal: causal, MaxKeys: 40}
		sequences := []AttentionRows{{0, 3, 0, 40}, {3, 30, 40, 31}, {33, 0, 71, 5}, {33, 1, 76, 0}, {34, 29, 76, 29}}
		const queries, keys = 63, 105
		q, k, v := random(queries*10), random(keys*11), random(keys*14)
		y, stats := random(queries*14), random(queries*2*2)
		dq, dk, dv := random(queries*10), random(keys*11), random(keys*14)
		Attention(&shape, sequences, q, k, v, y, stats, make([]float32, shape.Scratch(false)))
		AttentionBackward(&shape, sequences, q, k, v, random(queries*14), stats, dq, dk, dv, make([]float32, shape.Scratch(true)))
		result(fmt.Sprintf("Attention causal=%v", causal), y, stats, dq, dk, dv)
		sequences[1].Key, sequences[1].Keys = 0, 40 // that of the sequence before
		AttentionBackward(&shape, sequences, q, k, v, random(queries*14), stats, dq, dk, dv, make([]float32, shape.Scratch(true)))
		result(fmt.Sprintf("AttentionBackward of shared keys, causal=%v", causal), dq, dk, dv)
	}
	for _, s := range []struct{ rows, size int }{{1, 70}, {2, 1}, {3, 15}, {5, 16}, {7, 33}, {33, 100}, {64, 65}} {
		rows, d := s.rows, s.size
		n := rows * d
		name := func(operation string) string { return fmt.Sprintf("%s [%d %d]", operation, rows, d) }

		gates, c, h, dh, dc := random(4*n), random(n), random(n), random(n), random(n)
		LSTMForward(rows, d, gates, 4*d, random(n), c, h)
		result(name("LSTMForward"), gates, c, h)
		LSTMBackward(rows, d, gates, 4*d, random(n), c, dh, dc)
		result(name("LSTMBackward"), gates, dc)
		gi, gh, hPrev, dhPrev := random(3*n), random(3*n), random(n), random(n)
		GRUForward(rows, d, gi, gh, hPrev, h)
		result(name("GRUForward"), gi, h)
		GRUBackward(rows, d, gi, gh, hPrev, dh, dhPrev)
		result(name("GRUBackward"), gi, gh, dhPrev)

		targets := make([]int32, rows)
		for r := range targets {
			targets[r] = int32(rng.IntN(d+1)) - 1 // -1 is ignored
		}
		dLogits, losses := random(n), random(rows)
		CrossEntropy(rows, d, random(n), d, targets, -1, 0.1, 0.5, dLogits, losses)
		result(name("CrossEntropy"), dLogits, losses)
		CrossEntropy(rows, d, random(n), d, targets, -1, 0, 0.5, nil, losses)
		result(name("CrossEntropy without gradient"), losses)

		sum, table, ids := random(d), random(5*d), make([]int32, rows)
		SumRows(sum, rows, d, random(n), d)
		for r := range ids {
			ids[r] = int32(rng.IntN(5))
		}
		ScatterAdd(rows, d, table, random(n), ids)
		result(name("SumRows and ScatterAdd"), sum, table)
		gathered := random(n)
		GatherStridedAdd(rows, d, gathered, d, table, d, ids)
		result(name("GatherStridedAdd"), gathered)
		GatherStrided(rows, d, gathered, d, table, d, ids)
		ScatterStrided(rows, d, table, d, random(n), d, ids) // several rows to one: the last stays
		result(name("GatherStrided and ScatterStrided"), gathered, table)

		y, mean, rstd := random(n), random(rows), random(rows)
		LayerNorm(rows, d, y, random(n), random(d), random(d), 1e-5, mean, rstd)
		result(name("LayerNorm"), y, mean, rstd)

		w, m, v, dropped, dx := random(n), random(n), random(n), random(n), random(n)
		Mul(v, v, v)
		AdamStep(w, random(n), m, v, Adam[float32]{LR: 0.1, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Correction1: 0.3, Correction2: 0.2, GradScale: 2})
		result(name("AdamStep"), w, m, v)
		Dropout(dropped, random(n), 0.3, 5, 7)
		DropoutBackward(dx, random(n), 0.3, 5, 7)
		result(name("Dropout"), dropped, dx)
		tanh, sigmoid, gelu, dGelu := random(n), random(n), random(n), random(n)
		Tanh(tanh, random(n))
		Sigmoid(sigmoid, random(n))
		Gelu(gelu, random(n))
		GeluBackward(dGelu, random(n), random(n))
		result(name("activations"), tanh, sigmoid, gelu, dGelu)
	}
	return names, results
}

// allocations counts those of n calls of f, on all cores: [testing.AllocsPerRun]
// leaves one.
func allocations(n int, f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// The hand-over alone, and products of a recurrent step and of a weight gradient.
func BenchmarkParallel(b *testing.B) {
	for threads := 1; threads <= min(runtime.NumCPU(), 4); threads++ {
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(b *testing.B) {
				lendThreads(b, threads, grain)
				for b.Loop() {
					f()
				}
			})
		}
		r := &recorded{units: make([]atomic.Int32, 2)}
		run("empty", func() { Parallel(2, 2*grain, r) })
		for _, s := range []struct{ m, n, k int }{{64, 256, 64}, {64, 512, 128}, {64, 1024, 256}, {64, 2048, 512}, {64, 512, 2048}, {1280, 2048, 512}} {
			x, w, c := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
			var p Packed[float32]
			p.Pack(false, s.k, s.n, w, s.n)
			run(fmt.Sprintf("packed/%dx%dx%d", s.m, s.n, s.k), func() { GemmPacked(false, s.m, x, s.k, &p, c, s.n, nil, false) })
		}
		for _, s := range []struct{ m, n, k int }{{1024, 256, 1280}, {2048, 512, 1280}, {512, 2048, 1280}} {
			x, w, c := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
			run(fmt.Sprintf("gradient/%dx%dx%d", s.m, s.n, s.k), func() { Gemm(true, false, s.m, s.n, s.k, x, s.m, w, s.n, c, s.n, nil, true) })
		}
	}
}

// A long operation of one thread is several calls, between which it can yield.
func TestParallelAloneIsCut(t *testing.T) {
	r := &recorded{units: make([]atomic.Int32, 100)}
	Parallel(len(r.units), 7*longPart, r)
	for i := range r.units {
		if got := r.units[i].Load(); got != 1 {
			t.Fatalf("unit %d was computed %d times", i, got)
		}
	}
	if got := r.calls.Load(); got != 7 {
		t.Errorf("%d parts, want 7", got)
	}
}

// An operation that finds all helpers at work is not bound to the parts of a shared one.
func TestParallelBesideBusyHelpers(t *testing.T) {
	lendThreads(t, 2, 1)
	began, end := make(chan struct{}, 2), make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		Parallel(2, 1000, &recorded{units: make([]atomic.Int32, 2), f: func(int, int) { began <- struct{}{}; <-end }})
	})
	<-began
	<-began
	r := &recorded{units: make([]atomic.Int32, 200)}
	Parallel(len(r.units), 150*longPart, r)
	close(end)
	busy.Wait()
	for i := range r.units {
		if got := r.units[i].Load(); got != 1 {
			t.Fatalf("unit %d was computed %d times", i, got)
		}
	}
}

func TestYieldLetsTheSchedulerRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var ran atomic.Bool
	go ran.Store(true)
	// Every 61st turn the scheduler prefers who has just made way, and a collection may
	// take one.
	for range 10 {
		yield(int(turnTime) + 1)
		if ran.Load() {
			return
		}
	}
	t.Error("a goroutine that was ready did not run before the work of ten turns began")
}
