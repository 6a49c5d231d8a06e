package standard_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/kernel"
	"exp/components/standard"
)

// A model trains to the same bits on 1, 2 and 3 threads, and no operation that is
// split allocates.
func TestThreadsTrainTheSame(t *testing.T) {
	const hidden = 128 // large enough for a step's products to be split
	c := standard.Catalog()
	recurrent := func(kind, attention string, options map[string]any) components.Parts {
		sizes := map[string]any{"embedding_size": hidden, "hidden_size": hidden}
		encoder := componenttest.Build(t, &c.Encoders, kind, sizes)
		for key, value := range options {
			sizes[key] = value
		}
		return components.Parts{
			Encoder: encoder, Decoder: componenttest.Build(t, &c.Decoders, kind, sizes), Attention: componenttest.Build(t, &c.Attentions, attention, nil),
		}
	}
	for _, model := range []struct {
		name  string
		parts components.Parts
	}{
		{"rnn", recurrent("rnn", "dot", nil)},
		{"gru", recurrent("gru", "general", nil)},
		{"lstm", recurrent("lstm", "additive", map[string]any{"input_feeding": true})},
		{"transformer", transformerParts(t, hidden)},
	} {
		t.Run(model.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			var batches [2][]components.Pair
			for i := range batches {
				for range 24 {
					batches[i] = append(batches[i], draw(rng, 5+rng.IntN(8), 5+rng.IntN(8)))
				}
			}
			var want [][]float32
			for threads := 1; threads <= 3; threads++ {
				stop := lend(t, threads-1)
				params, update := newTraining(t, model.parts)
				for i := range 20 {
					update(batches[i%2])
				}
				trained := make([][]float32, len(params.All()))
				for i, p := range params.All() {
					trained[i] = slices.Clone(p.Float32s())
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for i := range 20 {
					update(batches[i%2])
				}
				runtime.ReadMemStats(&after)
				// A goroutine that parks may take a record of the runtime, which keeps at
				// most 128 of them a core (sudogcache). 20 steps split thousands of operations.
				if got := after.Mallocs - before.Mallocs; threads > 1 && got > uint64(128*runtime.GOMAXPROCS(0)) {
					t.Errorf("%d threads allocate %d times in 20 steps", threads, got)
				}
				stop()
				if threads == 1 {
					want = trained
				}
				for i, p := range params.All() {
					for at, got := range trained[i] {
						if math.Float32bits(got) != math.Float32bits(want[i][at]) {
							t.Fatalf("%s[%d] is %x on %d threads, %x on one", p.Name(), at, got, threads, want[i][at])
						}
					}
				}
			}
		})
	}
}

// lend lends n goroutines, until it is told to stop.
func lend(t *testing.T, n int) (stop func()) {
	procs := runtime.GOMAXPROCS(max(n+1, runtime.NumCPU()))
	done := make(chan struct{})
	var helpers sync.WaitGroup
	for range n {
		helpers.Go(func() { kernel.Lend(done) })
	}
	for deadline := time.Now().Add(10 * time.Second); kernel.Threads() < n+1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no helpers after 10 s")
		}
	}
	return func() {
		close(done)
		helpers.Wait()
		runtime.GOMAXPROCS(procs)
	}
}
