package train

import (
	"slices"
	"time"

	"exp/components"
	"exp/runner/generate"
)

// decoding is how fast hypotheses were made.
type decoding struct {
	tokens int             // of all hypotheses, without their ends
	took   []time.Duration // each batch
}

// tokensPerSecond is the throughput over all batches.
func (d decoding) tokensPerSecond() float64 {
	var all time.Duration
	for _, took := range d.took {
		all += took
	}
	return float64(d.tokens) / all.Seconds()
}

// What latency decodes: so many sources, spread over the split, or those that this
// time is enough for.
const (
	latencySources = 20
	latencyTime    = time.Second
)

// latency is the median time in which one source is decoded greedily on its own.
func (t *trial) latency(split components.Split) time.Duration {
	some := sample{split, min(split.Len(), latencySources)}
	var batch components.Batch
	var took []time.Duration
	for begun := time.Now(); len(took) < some.Len() && (len(took) == 0 || time.Since(begun) < latencyTime); {
		t.model.Fill(&batch, []components.Pair{some.Pair(len(took))})
		started := time.Now()
		generate.Greedy(t.model, t.tape, batch.Source, t.Evaluation.MaxLength)
		took = append(took, time.Since(started))
	}
	return median(slices.Sorted(slices.Values(took)))
}
