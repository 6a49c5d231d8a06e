package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
)

// numbered returns n pairs of many lengths, of which the first source token is
// the pair's number.
func numbered(n int) components.Pairs {
	rng := rand.New(rand.NewPCG(1, 2))
	pairs := make(components.Pairs, n)
	for i := range pairs {
		pairs[i].Source = make([]int32, 1+rng.IntN(20))
		pairs[i].Source[0] = int32(i)
		pairs[i].Target = make([]int32, rng.IntN(30))
	}
	return pairs
}

// numbers returns the next n batches, as the numbers of their pairs.
func numbers(o *order, n int) [][]int32 {
	var batches [][]int32
	for range n {
		var batch []int32
		for _, p := range o.batch() {
			batch = append(batch, p.Source[0])
		}
		batches = append(batches, batch)
	}
	return batches
}

var orders = map[string]components.Training{
	"by size":            {BatchSize: 8},
	"by size, one":       {BatchSize: 1},
	"by size, all":       {BatchSize: 5000},
	"by tokens":          {BatchTokens: 100},
	"by tokens, few":     {BatchTokens: 5}, // fewer than most targets have
	"by tokens, at once": {BatchTokens: 1_000_000},
	"by both":            {BatchTokens: 100, BucketBy: components.ByBoth},
	"by both, by size":   {BatchSize: 8, BucketBy: components.ByBoth},
}

func TestOrder(t *testing.T) {
	const n = 1234
	for name, training := range orders {
		t.Run(name, func(t *testing.T) {
			o := newOrder(numbered(n), training, 7)
			var epochs [][][]int32
			for range 3 {
				epochs = append(epochs, numbers(o, len(o.batches)))
				seen := slices.Sorted(slices.Values(slices.Concat(epochs[len(epochs)-1]...)))
				if len(seen) != n || len(slices.Compact(seen)) != n {
					t.Fatalf("an epoch of %d pairs; want each of %d once", len(seen), n)
				}
				o.batch() // deals the next epoch
				o.next = 0
			}
			if fmt.Sprint(epochs[0]) == fmt.Sprint(epochs[1]) && training.BatchSize != 5000 && training.BatchTokens != 1_000_000 {
				t.Error("two epochs have one order")
			}
			again := newOrder(numbered(n), training, 7)
			if got := numbers(again, len(epochs[0])); fmt.Sprint(got) != fmt.Sprint(epochs[0]) {
				t.Error("the same seed gives another order")
			}
			if other := newOrder(numbered(n), training, 8); fmt.Sprint(numbers(other, len(epochs[0]))) == fmt.Sprint(epochs[0]) && len(epochs[0]) > 1 {
				t.Error("another seed gives the same order")
			}
		})
	}
}

func TestBatchSizes(t *testing.T) {
	pairs := numbered(1234)
	for name, training := range orders {
		t.Run(name, func(t *testing.T) {
			o := newOrder(pairs, training, 7)
			spread := 0
			for range o.batches {
				batch := o.batch()
				target, shortest, longest := 0, 1000, 0
				for _, p := range batch {
					target = max(target, len(p.Target)+1)
					shortest, longest = min(shortest, len(p.Source)), max(longest, len(p.Source))
				}
				if training.BatchSize > 0 && len(batch) > training.BatchSize {
					t.Fatalf("a batch of %d pairs", len(batch))
				}
				if training.BatchTokens > 0 && len(batch) > 1 && len(batch)*target > training.BatchTokens {
					t.Fatalf("a batch of %d pairs of up to %d tokens", len(batch), target)
				}
				spread = max(spread, longest-shortest)
			}
			if training.BatchSize == 8 && spread > 2 {
				t.Errorf("sources of one batch differ by up to %d tokens", spread)
			}
		})
	}
}

// What padding there would be.
func TestPadding(t *testing.T) {
	pair := func(source, target int) components.Pair {
		return components.Pair{Source: make([]int32, source), Target: make([]int32, target)}
	}
	o := newOrder(components.Pairs{pair(1, 1), pair(3, 0), pair(3, 2), pair(4, 4)}, components.Training{BatchSize: 2}, 7)
	if source, target := o.padding(); math.Abs(source-3./14) > 1e-12 || math.Abs(target-3./14) > 1e-12 {
		t.Errorf("%v of the sources and %v of the targets, want 3/14 of both", source, target)
	}
	o = newOrder(numbered(5000), components.Training{BatchTokens: 1000}, 7)
	_, bySource := o.padding()
	o = newOrder(numbered(5000), components.Training{BatchTokens: 1000, BucketBy: components.ByBoth}, 7)
	if source, target := o.padding(); !(source < 0.1 && target < bySource/2) {
		t.Errorf("%v of the sources and %v of the targets by both, %v of the targets by the source", source, target, bySource)
	}
}

// multi30k loads the data, in words; where it is not, the test is skipped.
func multi30k(t testing.TB) *components.Data {
	t.Helper()
	dir := os.Getenv("EXP_DATA_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data") // beside the project's root
	}
	files := func(split string) []any {
		path := filepath.Join(dir, "multi30k", "tok", split+".lc.norm.tok.")
		return []any{path + "de.gz", path + "en.gz"}
	}
	if _, err := os.Stat(files("train")[0].(string)); err != nil {
		t.Skipf("no Multi30k: %v; EXP_DATA_DIR names the folder of the data", err)
	}
	c := standard.Catalog()
	task, err := componenttest.Build(t, &c.Tasks, "parallel", map[string]any{"train_files": files("train"), "valid_files": files("val"), "test_files": files("test2016")})(components.TaskDeps{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := task.Load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Token batches of Multi30k, bucketed by both lengths, would have less than a tenth
// of padding on either side, were they padded.
func TestPaddingOfMulti30k(t *testing.T) {
	d := multi30k(t)
	for _, tokens := range []int{1024, 2048, 4096} {
		o := newOrder(d.Train, components.Training{BatchTokens: tokens, BucketBy: components.ByBoth}, 1)
		source, target := o.padding()
		t.Logf("batch_tokens = %d: %.1f %% of the sources, %.1f %% of the targets, %d batches", tokens, 100*source, 100*target, len(o.batches))
		if !(source <= 0.1 && target <= 0.1) {
			t.Errorf("batch_tokens = %d: %v of the sources and %v of the targets", tokens, source, target)
		}
	}
}

// From the files of Multi30k to the batches of an epoch.
func BenchmarkMulti30kToBatches(b *testing.B) {
	for b.Loop() {
		o := newOrder(multi30k(b).Train, components.Training{BatchTokens: 2048, BucketBy: components.ByBoth}, 1)
		var batch components.Batch
		for range o.batches {
			batch.Fill(o.batch())
		}
	}
}

func TestSkip(t *testing.T) {
	for name, training := range orders {
		t.Run(name, func(t *testing.T) {
			pairs := numbered(300)
			epoch := len(newOrder(pairs, training, 7).batches)
			want := numbers(newOrder(pairs, training, 7), 2*epoch+4)
			for _, n := range []int{0, 1, epoch - 1, epoch, epoch + 1, 2 * epoch, 2*epoch + 3} {
				o := newOrder(pairs, training, 7)
				o.skip(n)
				if got := numbers(o, 1); fmt.Sprint(got[0]) != fmt.Sprint(want[n]) {
					t.Errorf("after skip(%d) comes %v, want %v", n, got[0], want[n])
				}
			}
		})
	}
}
