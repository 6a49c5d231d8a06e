package train

import (
	"fmt"
	"testing"
	"time"

	"exp/components"
)

// Batches that are fetched ahead are those of the order, over the ends of epochs,
// and each stays as it is until the next is asked for.
func TestPrefetch(t *testing.T) {
	pairs := numbered(100)
	want := newOrder(pairs, components.Training{BatchSize: 8}, 7)
	p := newPrefetch(newOrder(pairs, components.Training{BatchSize: 8}, 7), (*components.Batch).Fill)
	defer p.close()
	var expected components.Batch
	for i := range 60 {
		expected.Fill(want.batch())
		got := p.next()
		if i%7 == 0 {
			time.Sleep(time.Millisecond) // in which what is ahead is filled
		}
		if fmt.Sprint(*got) != fmt.Sprint(expected) {
			t.Fatalf("batch %d is %v, want %v", i, *got, expected)
		}
	}
}

// What the filling panics with comes out where the batch is asked for, and closing
// does not wait for it.
func TestPrefetchPanics(t *testing.T) {
	n := 0
	p := newPrefetch(newOrder(numbered(100), components.Training{BatchSize: 8}, 7), func(*components.Batch, []components.Pair) {
		if n++; n == 3 {
			panic("third")
		}
	})
	defer p.close()
	defer func() {
		if r := recover(); r != "third" || n != 3 {
			t.Errorf("panicked with %v after %d batches", r, n)
		}
	}()
	for range 3 {
		p.next()
	}
	t.Error("did not panic")
}

// resampled is a split whose pairs say the epoch.
type resampled struct{ components.Pairs }

func (r resampled) Epoch(seed uint64, epoch int) components.Split {
	pairs := make(components.Pairs, len(r.Pairs))
	for i := range pairs {
		pairs[i].Source = []int32{int32(epoch)}
	}
	return pairs
}

// Each epoch has the pairs of that epoch, after skipping too.
func TestOrderResamples(t *testing.T) {
	for _, skipped := range []int{0, 1, 4, 7} {
		o := newOrder(resampled{numbered(20)}, components.Training{BatchSize: 5}, 7)
		o.skip(skipped)
		for i := skipped; i < 12; i++ {
			for _, p := range o.batch() {
				if got := int(p.Source[0]); got != i/4 {
					t.Fatalf("batch %d is of epoch %d", i, got)
				}
			}
		}
	}
}

// A step does not wait for data: while 200 steps of half a millisecond are done,
// batches over many epochs are there when they are asked for.
func BenchmarkPrefetchWait(b *testing.B) {
	o := newOrder(numbered(29_000), components.Training{BatchSize: 64}, 7)
	p := newPrefetch(o, (*components.Batch).Fill)
	defer p.close()
	p.next()
	p.waited = 0
	for b.Loop() {
		time.Sleep(2 * time.Millisecond)
		p.next()
	}
	b.ReportMetric(float64(p.waited.Nanoseconds())/float64(b.N), "ns-waited/step")
}
