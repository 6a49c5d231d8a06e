package recurrent

import "exp/components/autodiff"

// packing is the order in which the steps of a batch of sequences are
// computed: step after step, in each the rows that are long enough, the longest
// row first. So the rows of a step are the first rows of the step before.
type packing struct {
	order  []int32    // [B]: the rows, longest first
	counts []int32    // [T]: rows at each step; those are order[:counts[t]]
	starts []int32    // [T]: where each step begins among the packed steps
	total  int        // Σ lengths
	last   []int32    // [B]: where each row's last step is, -1 for an empty row
	index  [2][]int32 // [total]: the row of each packed step in the batch, read forwards and backwards
	even   bool       // all rows have the same length
}

// pack lays out the steps of sequences. Its memory is t's.
func pack(t *autodiff.Tape, spans autodiff.Spans) *packing {
	batch, steps, lengths := spans.Batch(), spans.Longest(), spans.Lengths
	p := autodiff.Alloc[packing](t)
	p.order, p.last = autodiff.Ints(t, batch), autodiff.Ints(t, batch)
	p.counts, p.starts = autodiff.Ints(t, steps), autodiff.Ints(t, steps)
	p.even = true
	clear(p.counts)
	for _, length := range lengths {
		p.total += int(length)
		p.even = p.even && int(length) == steps
		for step := range length {
			p.counts[step]++
		}
	}
	next := 0
	for length := int32(steps); length >= 0; length-- {
		for b, l := range lengths {
			if l == length {
				p.order[next] = int32(b)
				next++
			}
		}
	}
	at := int32(0)
	for step := range steps {
		p.starts[step] = at
		at += p.counts[step]
	}
	for direction := range p.index {
		p.index[direction] = autodiff.Ints(t, p.total)
	}
	for step := range steps {
		for r, b := range p.order[:p.counts[step]] {
			at := int(p.starts[step]) + r
			p.index[0][at] = spans.Starts[b] + int32(step)
			p.index[1][at] = spans.Starts[b] + lengths[b] - 1 - int32(step)
		}
	}
	for r, b := range p.order {
		p.last[b] = -1
		if lengths[b] > 0 {
			p.last[b] = p.starts[lengths[b]-1] + int32(r)
		}
	}
	return p
}

// direction is the row of each packed step in the batch.
func (p *packing) direction(reverse bool) []int32 {
	if reverse {
		return p.index[1]
	}
	return p.index[0]
}
