package recurrent

import (
	"exp/components/autodiff"
	"exp/components/kernel"
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
	batch, steps, embedding := len(p.order), len(p.counts), x.Dim(1)
	memory, longest, single := &s.prepared, s.prepared.Spans.Longest(), autodiff.SingleRows(t, batch)
	if !p.even {
		*memory = memory.Select(t, p.order)
		for i := range s.layers {
			s.layers[i] = s.layers[i].rows(t, p.order)
		}
	}
	d.bias = d.bias[:0]
	for _, l := range d.layers {
		d.bias = append(d.bias, l.bias(t))
	}
	lowest := d.layers[0].weightIH
	all := autodiff.LinearColumns(t, autodiff.Rows(t, x, p.index[0]), autodiff.Columns{Var: lowest}, d.bias[0])
	states = t.Zero(p.total, d.OutputSize())
	if memory.WeightsTakeGradient {
		contexts = t.Zero(p.total, d.attention.ContextSize())
	}

	t.EnterLoop()
	for step := range steps {
		n := int(p.counts[step])
		gates := all.Part(int(p.starts[step]), n)
		if s.fed != nil {
			autodiff.AddLinear(t, gates, s.fed.Part(0, n), autodiff.Columns{Var: lowest, From: embedding})
		}
		var top *autodiff.Var
		for i, l := range d.layers {
			if i > 0 {
				gates = autodiff.Linear(t, autodiff.Dropout(t, top, d.dropout), l.weightIH, d.bias[i])
			}
			s.layers[i] = l.step(t, gates, s.layers[i].first(n))
			top = s.layers[i].h
		}
		var context, w *autodiff.Var
		*memory = memory.First(n)
		s.fed, context, w = d.attend(t, top, single.First(n), memory)
		index := p.index[0][p.starts[step]:][:n]
		autodiff.Scatter(t, states, s.fed, index)
		if contexts != nil {
			autodiff.Scatter(t, contexts, context, index)
		}
		if w == nil {
			continue
		}
		if step == 0 {
			weights = t.Zero(batch, w.Dim(1), steps, longest)
		}
		autodiff.PlaceWeights(t, weights, w, p.order, step)
	}
	t.LeaveLoop()
	return states, contexts, weights
}

// rows returns the state of some rows of the batch.
func (s state) rows(t *autodiff.Tape, index []int32) state {
	if s.h != nil {
		s.h = autodiff.Select(t, s.h, index)
	}
	if s.c != nil {
		s.c = autodiff.Select(t, s.c, index)
	}
	return s
}

// first returns the state of the first n rows of the batch.
func (s state) first(n int) state {
	s.h = s.h.Part(0, n)
	if s.c != nil {
		s.c = s.c.Part(0, n)
	}
	return s
}

// bias is what is added to W x: b, and c too where nothing stands between them.
func (l *layer) bias(t *autodiff.Tape) *autodiff.Var {
	if l.kind == gru {
		return l.biasIH
	}
	return autodiff.Add(t, l.biasIH, l.biasHH)
}

// step computes one step of the layer by itself: gates [n, gates·H] is W x and
// [layer.bias], and is overwritten; s is the state before.
func (l *layer) step(t *autodiff.Tape, gates *autodiff.Var, s state) state {
	var hiddens *autodiff.Var
	if l.kind == gru {
		hiddens = autodiff.Linear(t, s.h, l.weightHH, l.biasHH)
	} else {
		autodiff.AddLinear(t, gates, s.h, autodiff.Columns{Var: l.weightHH})
	}
	switch {
	case l.kind == rnn && l.relu:
		return state{h: autodiff.ReLU(t, gates)}
	case l.kind == rnn:
		return state{h: autodiff.Tanh(t, gates)}
	case t.DType() == autodiff.Float32:
		return gate[float32](t, l.kind, gates, hiddens, s)
	default:
		return gate[float64](t, l.kind, gates, hiddens, s)
	}
}

// gateOp is what a step of an LSTM or a GRU does after its products.
type gateOp[F kernel.Float] struct {
	kind           kind
	tape           *autodiff.Tape
	gates, hiddens *autodiff.Var // hiddens: U h + c of a GRU
	before, after  state
}

func gate[F kernel.Float](t *autodiff.Tape, k kind, gates, hiddens *autodiff.Var, before state) state {
	n, hidden := before.h.Dim(0), before.h.Dim(1)
	after := state{h: t.New(n, hidden)}
	if k == lstm {
		after.c = t.New(n, hidden)
		kernel.LSTMForward(n, hidden, autodiff.Values[F](gates), cellBefore[F](t, before), autodiff.Values[F](after.c), autodiff.Values[F](after.h))
	} else {
		kernel.GRUForward(n, hidden, autodiff.Values[F](gates), autodiff.Values[F](hiddens), autodiff.Values[F](before.h), autodiff.Values[F](after.h))
	}
	if t.Recording() {
		op := autodiff.Record[gateOp[F]](t)
		op.kind, op.tape, op.gates, op.hiddens, op.before, op.after = k, t, gates, hiddens, before, after
	}
	return after
}

func cellBefore[F kernel.Float](t *autodiff.Tape, s state) []F {
	if s.c == nil {
		return autodiff.Zeros[F](t, s.h.Size())
	}
	return autodiff.Values[F](s.c)
}

// Backward writes the gradient of the gates before their activation, which
// nothing else has.
func (op *gateOp[F]) Backward() {
	t, n, hidden := op.tape, op.before.h.Dim(0), op.before.h.Dim(1)
	gates, dgates, dh := autodiff.Values[F](op.gates), autodiff.Grad[F](op.gates), autodiff.Grad[F](op.after.h)
	if op.kind == gru {
		dhBefore := autodiff.Floats[F](t, n*hidden)
		kernel.GRUBackward(n, hidden, gates, autodiff.Values[F](op.hiddens), autodiff.Values[F](op.before.h), dh, dgates, autodiff.Grad[F](op.hiddens), dhBefore)
		addTo(op.before.h, dhBefore)
		return
	}
	dc := autodiff.Floats[F](t, n*hidden)
	copy(dc, autodiff.Grad[F](op.after.c))
	kernel.LSTMBackward(n, hidden, gates, cellBefore[F](t, op.before), autodiff.Values[F](op.after.c), dh, dc, dgates)
	if op.before.c != nil {
		addTo(op.before.c, dc)
	}
}

func addTo[F kernel.Float](v *autodiff.Var, gradient []F) {
	if !v.Constant() {
		kernel.AddTo(autodiff.Grad[F](v), gradient)
	}
}
