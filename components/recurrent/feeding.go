package recurrent

import (
	"exp/components/autodiff"
)

// feed runs the stack with input feeding (Luong et al. 2015, section 3.3) over
// the embedding x [Σ lengths, E]: at step t the lowest layer reads
// [x_t; attentional state of t-1], a zero state at first. It returns the
// attentional states [Σ lengths, H], the contexts [Σ lengths, C] where the output
// points, and the weights [B, N, T, S] of the longest, zero past the lengths.
//
// The batch is packed, so a step has the rows that are long enough, and they are
// the first rows of the step before. The embedding's part of the lowest layer's
// input product is one product over all steps; the others are a step's, and each
// weight's gradient again one product over all steps (see
// [autodiff.Tape.EnterLoop]).
func (d *decoder) feed(t *autodiff.Tape, s *decoderState, x *autodiff.Var, p *packing) (states, contexts, weights *autodiff.Var) {
	batch, embedding := len(p.order), x.Dim(1)
	memory, longest, single := &s.prepared, s.prepared.Spans.Longest(), autodiff.SingleRows(t, batch)
	if !p.even {
		*memory = memory.Select(t, p.order)
	}
	d.fed = d.fed[:0]
	for i := range d.stack {
		l := d.stack[i].directions[0]
		f := fedLayer{steps: l.begin(t, p, s.layers[i]), bias: l.inputBias(t)}
		if t.Recording() {
			f.keepTogether(t, p.total)
		}
		if i > 0 {
			f.mask = autodiff.NewMask(t, batch*l.weightIH.Dim(1), d.stack[i-1].dropout.sequence)
		}
		d.fed = append(d.fed, f)
	}
	lowest := d.stack[0].directions[0].weightIH
	all := autodiff.LinearColumns(t, autodiff.Rows(t, x, p.index[0]), autodiff.Columns{Var: lowest}, d.fed[0].bias)
	states = t.New(p.total, d.OutputSize())
	attentional := t.New(p.total, d.OutputSize()) // step after step
	if memory.WeightsTakeGradient {
		contexts = t.New(p.total, d.attention.ContextSize())
	}

	t.EnterLoop()
	for step := range p.counts {
		n := int(p.counts[step])
		inputs := all.Part(int(p.starts[step]), n)
		if s.fed != nil {
			autodiff.AddLinear(t, inputs, s.fed.Part(0, n), autodiff.Columns{Var: lowest, From: embedding})
		}
		var top *autodiff.Var
		for i := range d.fed {
			l := &d.fed[i]
			if i > 0 {
				top = autodiff.Drop(t, autodiff.Dropout(t, top, d.stack[i-1].dropout.step), l.mask)
				inputs = autodiff.Linear(t, top, l.weightIH, l.bias)
			}
			l.step(t, inputs, n)
			if d.stack[i].residual {
				top = autodiff.Add(t, l.h, top)
			} else {
				top = l.h
			}
		}
		var context, w *autodiff.Var
		*memory = memory.First(n)
		at := int(p.starts[step])
		s.fed, context, w = d.attend(t, top, single.First(n), memory, attentional.Part(at, n))
		index := p.index[0][at:][:n]
		autodiff.Scatter(t, states, s.fed, index)
		if contexts != nil {
			autodiff.Scatter(t, contexts, context, index)
		}
		if w == nil {
			continue
		}
		if step == 0 {
			weights = t.Zero(batch, w.Dim(1), len(p.counts), longest)
		}
		autodiff.PlaceWeights(t, weights, w, p.order, step)
	}
	t.LeaveLoop()
	for i := range d.fed {
		s.layers[i] = d.fed[i].state
	}
	return states, contexts, weights
}

// fedLayer is a layer on its way, with what it adds to W x, and above the lowest
// with the mask of what it reads.
type fedLayer struct {
	steps
	bias *autodiff.Var
	mask autodiff.Mask
}
