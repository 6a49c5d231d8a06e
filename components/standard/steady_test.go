package standard_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"exp/components"
)

// Training on sentences of mixed length, another batch at every step, comes to
// take no more memory: of the runtime, and of the process where Linux says so.
// With EXP_LONG=1 it takes 10,000 steps.
func TestSteady(t *testing.T) {
	warmUp, steps, size := 150, 300, 16
	if os.Getenv("EXP_LONG") == "1" {
		warmUp, steps, size = 500, 10_000, 64
	}
	for name, parts := range map[string]components.Parts{
		"lstm": lstmGeneral(t, size), "transformer": transformerParts(t, size),
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			var stock []components.Pair
			for range 20 {
				for _, l := range sentences {
					stock = append(stock, draw(rng, l[0], l[1]))
				}
			}
			update, pairs := newUpdate(t, parts), make([]components.Pair, 32)
			train := func(n int) {
				for range n {
					for i := range pairs {
						pairs[i] = stock[rng.IntN(len(stock))]
					}
					update(pairs)
				}
			}
			train(warmUp)
			before, residentBefore := memory(), resident(t)
			train(steps)
			after, residentAfter := memory(), resident(t)
			t.Logf("%d steps: %d allocations, the heap grew by %d bytes to %d, the process by %d to %d",
				steps, after.Mallocs-before.Mallocs, int64(after.HeapAlloc)-int64(before.HeapAlloc), after.HeapAlloc, residentAfter-residentBefore, residentAfter)
			// A batch of more tokens than any before it still takes memory, a chunk or two.
			const allowed = 10 << 20
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > allowed {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			if grown := residentAfter - residentBefore; grown > allowed {
				t.Errorf("the process grew by %d bytes", grown)
			}
			if n := after.Mallocs - before.Mallocs; n > uint64(steps) {
				t.Errorf("%d allocations in %d steps", n, steps)
			}
		})
	}
}

func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// resident is the process's memory in bytes, 0 where /proc does not say.
func resident(t *testing.T) int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
