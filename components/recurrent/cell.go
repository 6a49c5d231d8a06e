package recurrent

import (
	"math"

	"exp/components/autodiff"
	"exp/components/nn"
)

// cell is a kind of recurrent layer with its options.
type cell struct {
	kind        kind
	relu        bool    // of an rnn
	forgetBias  float64 // of an lstm
	resetBefore bool    // of a gru
	CellOptions
}

type kind int

const (
	rnn kind = iota
	lstm
	gru
)

// gates is how many vectors of the hidden size a step computes.
func (c cell) gates() int { return [...]int{rnn: 1, lstm: 4, gru: 3}[c.kind] }

// recurrentInit is the initialiser of a stack of square recurrent matrices.
func (c cell) recurrentInit(blocks, hidden int) autodiff.Init {
	switch c.Init {
	case Xavier:
		return nn.Xavier(blocks)
	case Uniform:
		return nn.Uniform(1 / math.Sqrt(float64(hidden)))
	}
	return nn.Orthogonal(blocks)
}

// layer is one direction of one recurrent layer. Its weights are PyTorch's: the
// gates lie one above the other, i f g o for an LSTM and r z n for a GRU. With
// a = W x + b and u = U h + c
//
//	rnn    h' = tanh(a + u), or max(0, ·)                            (Elman 1990)
//	lstm   i, f, o = σ(a + u), g = tanh(a + u)
//	       c' = f c + i g;  h' = o tanh(c')                          (Hochreiter & Schmidhuber 1997, Gers et al. 2000)
//	gru    r, z = σ(a + u);  n = tanh(a + r u);  h' = (1-z) n + z h  (Cho et al. 2014, with r after the product, as cuDNN)
//	       with reset = "before", as in the paper, u of the candidate n is U (r h) + c
//
// With layer_norm, a = γ N(W x) + b and u = γ' N(U h) + c, where N brings a vector
// of all gates together to mean 0 and variance 1 (before the candidate's reset, the
// gates r and z together, and the candidate apart), and an LSTM's output is
// h' = o tanh(LN(c')), while c' itself goes on as it is (Ba et al. 2016, equations
// 20 to 22; they normalise the sum W x + U h of an rnn, and a GRU's r and z apart
// from n).
//
// With recurrent dropout, h is m h / (1-p) in U h alone, where the mask m is that of
// the sequence at all its steps and for all gates (Gal & Ghahramani 2016, with tied
// weights).
type layer struct {
	cell
	reverse          bool
	weightIH, biasIH *autodiff.Var // W [gates·H, in], b [gates·H]
	weightHH, biasHH *autodiff.Var // U [gates·H, H],  c [gates·H]; with the reset before, those of r and z
	weightHN, biasHN *autodiff.Var // [H, H], [H]: the candidate's where the reset is before, else nil

	gainIH, gainHH, gainHN *autodiff.Var // γ and γ', nil without layer_norm
	cellNorm               nn.LayerNorm  // of an LSTM
}

// newLayer adds a layer: Xavier input weights, zero biases but for the forget
// gate's, gains of one.
func newLayer(p *autodiff.Params, c cell, in, hidden int, reverse bool) *layer {
	gates := c.gates()
	recurrent := gates
	if c.resetBefore {
		recurrent = 2
	}
	biasIH := nn.Zeros()
	if c.kind == lstm {
		biasIH = nn.ConstantBlock(c.forgetBias, 1, gates)
	}
	l := &layer{
		cell: c, reverse: reverse,
		weightIH: p.New("weight_ih", nn.Xavier(gates), gates*hidden, in),
		weightHH: p.New("weight_hh", c.recurrentInit(recurrent, hidden), recurrent*hidden, hidden),
		biasIH:   p.New("bias_ih", biasIH, gates*hidden),
		biasHH:   p.New("bias_hh", nn.Zeros(), recurrent*hidden),
	}
	if c.resetBefore {
		l.weightHN = p.New("weight_hn", c.recurrentInit(1, hidden), hidden, hidden)
		l.biasHN = p.New("bias_hn", nn.Zeros(), hidden)
	}
	if !c.LayerNorm {
		return l
	}
	l.gainIH = p.New("gain_ih", nn.Constant(1), gates*hidden)
	l.gainHH = p.New("gain_hh", nn.Constant(1), recurrent*hidden)
	if c.resetBefore {
		l.gainHN = p.New("gain_hn", nn.Constant(1), hidden)
	}
	if c.kind == lstm {
		l.cellNorm = nn.NewLayerNorm(p, "norm_c", hidden)
	}
	return l
}

func (l *layer) hidden() int { return l.weightHH.Dim(1) }

// state is a layer's hidden state h [B, H] and, of an LSTM, cell state c [B, H].
// A nil h or c is zero.
type state struct{ h, c *autodiff.Var }

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

// forward unrolls the layer over the sequences in x [Σ lengths, in] from the
// state s: y [Σ lengths, H], and the state after each sequence's last step. One of
// length 0 ends with a zero state. It is one entry of the tape, but for a reset
// before the product and recurrent dropout, which go step by step.
func (l *layer) forward(t *autodiff.Tape, x *autodiff.Var, p *packing, s state) (y *autodiff.Var, end state) {
	switch {
	case l.resetBefore || t.Training() && l.RecurrentDropout > 0:
		return l.unrollSteps(t, x, p, s)
	case t.DType() == autodiff.Float32:
		return unroll[float32](t, l, x, p, s)
	}
	return unroll[float64](t, l, x, p, s)
}

// unrollSteps is forward of any cell, a step after the other.
func (l *layer) unrollSteps(t *autodiff.Tape, x *autodiff.Var, p *packing, s state) (y *autodiff.Var, end state) {
	index := p.direction(l.reverse)
	inputs := autodiff.LinearColumns(t, autodiff.Rows(t, x, index), autodiff.Columns{Var: l.weightIH}, l.inputBias(t))
	run := l.begin(t, p, s)
	y = t.New(p.total, l.hidden())
	if l.kind == lstm {
		end.c = t.New(p.total, l.hidden())
	}
	t.EnterLoop()
	for step, rows := range p.counts {
		n, at := int(rows), int(p.starts[step])
		run.step(t, inputs.Part(at, n), n)
		if !l.reverse {
			autodiff.ObserveState(t, l.name(), run.h, index[at:at+n], p.total)
		}
		autodiff.Scatter(t, y, run.h, index[at:at+n])
		if l.kind == lstm {
			autodiff.Scatter(t, end.c, run.c, index[at:at+n])
		}
	}
	t.LeaveLoop()

	last := autodiff.Ints(t, len(p.last))
	for b, at := range p.last {
		last[b] = -1
		if at >= 0 {
			last[b] = index[at]
		}
	}
	end.h = autodiff.Rows(t, y, last)
	if l.kind == lstm {
		end.c = autodiff.Rows(t, end.c, last)
	}
	return y, end
}

// steps is a layer on its way through packed steps.
type steps struct {
	*layer
	state                   // longest row first
	recurrent autodiff.Mask // of h

	all     *autodiff.Var // of the hidden states, nil unless they are kept together
	written int           // rows of it
}

// begin starts a layer at the state s of the batch.
func (l *layer) begin(t *autodiff.Tape, p *packing, s state) steps {
	if !p.even {
		s = s.rows(t, p.order)
	}
	if s.h == nil {
		s.h = t.Zero(len(p.order), l.hidden())
	}
	return steps{layer: l, state: s, recurrent: autodiff.NewMask(t, s.h.Size(), l.RecurrentDropout)}
}

// keepTogether has the hidden states of before the first step and of after each lie one
// after the other, [B+total, H], so that the gradients of weights that multiply them need
// no copy: all of those that read a step's whole state, and the others too where no row
// ends before the rest.
func (s *steps) keepTogether(t *autodiff.Tape, total int) {
	if s.kind == rnn || s.resetBefore || s.kind == lstm && s.LayerNorm {
		return // not made by gate
	}
	batch, first := s.h.Dim(0), s.h
	s.all = t.New(batch+total, s.hidden())
	s.h = s.next(t, batch)
	rows := autodiff.Ints(t, batch)
	for i := range rows {
		rows[i] = int32(i)
	}
	autodiff.Scatter(t, s.h, first, rows)
}

// next is where the hidden states of n rows go.
func (s *steps) next(t *autodiff.Tape, n int) *autodiff.Var {
	if s.all == nil {
		return t.New(n, s.hidden())
	}
	s.written += n
	return s.all.Part(s.written-n, n)
}

// step moves on the first n rows: inputs [n, gates·H] is W x and
// [layer.inputBias], and is overwritten.
func (s *steps) step(t *autodiff.Tape, inputs *autodiff.Var, n int) {
	before, gates := s.first(n), inputs
	if s.LayerNorm {
		gates = norm(t, inputs, s.gainIH, s.biasIH)
	}
	h := autodiff.Drop(t, before.h, s.recurrent)
	var hiddens *autodiff.Var
	switch {
	case s.LayerNorm:
		hiddens = norm(t, autodiff.Linear(t, h, s.weightHH, nil), s.gainHH, s.biasHH)
	case s.kind == gru:
		hiddens = autodiff.Linear(t, h, s.weightHH, s.biasHH)
	default:
		autodiff.AddLinear(t, gates, h, autodiff.Columns{Var: s.weightHH})
	}
	if s.kind != gru && hiddens != nil {
		autodiff.AddTo(t, gates, hiddens)
	}
	switch {
	case s.kind == rnn && s.relu:
		s.state = state{h: autodiff.ReLU(t, gates)}
	case s.kind == rnn:
		s.state = state{h: autodiff.Tanh(t, gates)}
	case s.kind == lstm && s.LayerNorm:
		s.state = s.normedCell(t, gates, before)
	case s.resetBefore:
		s.state = state{h: s.resetStep(t, gates, hiddens, before.h, h)}
	default:
		s.state = gate(t, s.kind, gates, hiddens, before, s.next(t, n))
	}
	if t.Observer() != nil && t.DType() == autodiff.Float32 && !s.resetBefore {
		s.observe(t, autodiff.Values[float32](gates), gates.Dim(1), autodiff.Values[float32](s.h))
	}
}

// norm is γ N(x) + b.
func norm(t *autodiff.Tape, x, gain, bias *autodiff.Var) *autodiff.Var {
	return nn.LayerNorm{Gain: gain, Bias: bias}.Forward(t, x)
}

// normedCell is what an LSTM does after its products where its output is
// o tanh(LN(c')). The output gate is computed apart: the output that comes with
// the cell state is not wanted.
func (l *layer) normedCell(t *autodiff.Tape, gates *autodiff.Var, before state) state {
	hidden := l.hidden()
	o := autodiff.Sigmoid(t, autodiff.Slice(t, autodiff.Columns{Var: gates, From: 3 * hidden}, hidden))
	after := gate(t, lstm, gates, nil, before, t.New(before.h.Dim(0), hidden))
	after.h = autodiff.Mul(t, o, autodiff.Tanh(t, l.cellNorm.Forward(t, after.c)))
	return after
}

// resetStep is what a GRU does after its first product where the reset is before
// the candidate's: gates is a, hiddens u of r and z, dropped what U h reads of h.
func (l *layer) resetStep(t *autodiff.Tape, gates, hiddens, h, dropped *autodiff.Var) *autodiff.Var {
	hidden := l.hidden()
	part := func(v *autodiff.Var, from, size int) *autodiff.Var {
		return autodiff.Slice(t, autodiff.Columns{Var: v, From: from * hidden}, size*hidden)
	}
	rz := autodiff.Sigmoid(t, autodiff.Add(t, part(gates, 0, 2), hiddens))
	r, z, n := part(rz, 0, 1), part(rz, 1, 1), part(gates, 2, 1)
	reset := autodiff.Mul(t, r, dropped)
	if l.LayerNorm {
		autodiff.AddTo(t, n, norm(t, autodiff.Linear(t, reset, l.weightHN, nil), l.gainHN, l.biasHN))
	} else {
		autodiff.AddTo(t, n, autodiff.Linear(t, reset, l.weightHN, l.biasHN))
	}
	n = autodiff.Tanh(t, n)
	if t.Observer() != nil && t.DType() == autodiff.Float32 {
		for i, gate := range []string{"r", "z"} {
			l.observeGate(t, gate, true, autodiff.Values[float32](rz), 2*hidden, i)
		}
		l.observeGate(t, "n", false, autodiff.Values[float32](n), hidden, 0)
	}
	return autodiff.Add(t, n, autodiff.Mul(t, z, autodiff.Add(t, h, autodiff.Scale(t, n, -1))))
}

// inputBias is what is added to W x by itself: b, and c too where nothing stands
// between them; nil with layer_norm, which stands before both.
func (l *layer) inputBias(t *autodiff.Tape) *autodiff.Var {
	switch {
	case l.LayerNorm:
		return nil
	case l.kind == gru:
		return l.biasIH
	}
	return autodiff.Add(t, l.biasIH, l.biasHH)
}
