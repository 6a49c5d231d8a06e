package recurrent

import (
	"exp/components/autodiff"
	"exp/components/kernel"
	"exp/components/nn"
)

// cell is a kind of recurrent layer.
type cell struct {
	kind       kind
	relu       bool    // of an rnn
	forgetBias float64 // of an lstm
}

type kind int

const (
	rnn kind = iota
	lstm
	gru
)

// gates is how many vectors of the hidden size a step computes.
func (c cell) gates() int { return [...]int{rnn: 1, lstm: 4, gru: 3}[c.kind] }

// layer is one direction of one recurrent layer. Its weights are PyTorch's: the
// gates lie one above the other, i f g o for an LSTM and r z n for a GRU.
//
//	rnn    h' = tanh(W x + b + U h + c), or max(0, ·)                (Elman 1990)
//	lstm   i, f, o = σ(·), g = tanh(·), each · = W x + b + U h + c
//	       c' = f c + i g;  h' = o tanh(c')                          (Hochreiter & Schmidhuber 1997, Gers et al. 2000)
//	gru    r, z = σ(W x + b + U h + c)
//	       n = tanh(W x + b + r (U h + c));  h' = (1-z) n + z h      (Cho et al. 2014, with r after the product, as cuDNN)
type layer struct {
	cell
	reverse          bool
	weightIH, biasIH *autodiff.Var // W [gates·H, in], b [gates·H]
	weightHH, biasHH *autodiff.Var // U [gates·H, H],  c [gates·H]
}

// newLayer adds a layer: Xavier input weights, orthogonal recurrent weights
// (Saxe et al. 2014), zero biases but for the forget gate's.
func newLayer(p *autodiff.Params, c cell, in, hidden int, reverse bool) *layer {
	gates := c.gates()
	biasIH := nn.Zeros()
	if c.kind == lstm {
		biasIH = nn.ConstantBlock(c.forgetBias, 1, gates)
	}
	return &layer{
		cell: c, reverse: reverse,
		weightIH: p.New("weight_ih", nn.Xavier(gates), gates*hidden, in),
		weightHH: p.New("weight_hh", nn.Orthogonal(gates), gates*hidden, hidden),
		biasIH:   p.New("bias_ih", biasIH, gates*hidden),
		biasHH:   p.New("bias_hh", nn.Zeros(), gates*hidden),
	}
}

func (l *layer) hidden() int { return l.weightHH.Dim(1) }

// state is a layer's hidden state h [B, H] and, of an LSTM, cell state c [B, H].
// A nil h is zero.
type state struct{ h, c *autodiff.Var }

// forward unrolls the layer over the sequences in x [Σ lengths, in] from the
// state s: y [Σ lengths, H], and the state after each sequence's last step. One of
// length 0 ends with a zero state.
func (l *layer) forward(t *autodiff.Tape, x *autodiff.Var, p *packing, s state) (y *autodiff.Var, end state) {
	if t.DType() == autodiff.Float32 {
		return unroll[float32](t, l, x, p, s)
	}
	return unroll[float64](t, l, x, p, s)
}

type unrollOp[F kernel.Float] struct {
	*layer
	*packing
	tape       *autodiff.Tape
	x, y       *autodiff.Var
	start, end state
	inputs     []F // [total, in]
	acts       []F // [total, gates·H]: the activations of the gates
	hiddens    []F // gru [total, 3H]: U h + c
	h, c       []F // [total, H]
	h0, c0     []F // [B, H], longest row first; nil for zero
}

func unroll[F kernel.Float](t *autodiff.Tape, l *layer, x *autodiff.Var, p *packing, s state) (*autodiff.Var, state) {
	batch, in, hidden := len(p.order), x.Dim(1), l.hidden()
	width := l.gates() * hidden
	op := unrollOp[F]{layer: l, packing: p, tape: t, x: x, start: s}

	op.inputs = autodiff.Floats[F](t, p.total*in)
	kernel.GatherStrided(p.total, in, op.inputs, in, autodiff.Values[F](x), in, op.direction())
	bias := autodiff.Values[F](l.biasIH)
	if l.kind != gru { // whose r acts between the two biases
		both := autodiff.Floats[F](t, width)
		kernel.Add(both, bias, autodiff.Values[F](l.biasHH))
		bias = both
	}
	op.acts = autodiff.Floats[F](t, p.total*width)
	kernel.GemmPacked(p.total, op.inputs, in, autodiff.PackedFor[F](t, p.total, autodiff.Columns{Var: l.weightIH}, in, true), op.acts, width, bias, false)

	op.h = autodiff.Floats[F](t, p.total*hidden)
	op.h0 = sorted[F](t, s.h, p.order, hidden)
	if l.kind == lstm {
		op.c = autodiff.Floats[F](t, p.total*hidden)
		op.c0 = sorted[F](t, s.c, p.order, hidden)
	}
	if l.kind == gru {
		op.hiddens = autodiff.Floats[F](t, p.total*width)
	}
	weight := autodiff.PackedFor[F](t, p.total, autodiff.Columns{Var: l.weightHH}, hidden, true)
	zero := autodiff.Zeros[F](t, batch*hidden)
	for step := range p.counts {
		op.step(step, hidden, weight, zero)
	}

	y := t.Zero(p.total, hidden)
	kernel.ScatterStridedAdd(p.total, hidden, autodiff.Values[F](y), hidden, op.h, hidden, op.direction())
	end := state{h: t.New(batch, hidden)}
	kernel.GatherStrided(batch, hidden, autodiff.Values[F](end.h), hidden, op.h, hidden, p.last)
	if l.kind == lstm {
		end.c = t.New(batch, hidden)
		kernel.GatherStrided(batch, hidden, autodiff.Values[F](end.c), hidden, op.c, hidden, p.last)
	}
	op.y, op.end = y, end
	if t.Recording() {
		*autodiff.Record[unrollOp[F]](t) = op
	}
	return y, end
}

func (op *unrollOp[F]) direction() []int32 {
	if op.reverse {
		return op.index[1]
	}
	return op.index[0]
}

// sorted returns the rows of v [B, H] in order, nil for nil.
func sorted[F kernel.Float](t *autodiff.Tape, v *autodiff.Var, order []int32, size int) []F {
	if v == nil {
		return nil
	}
	s := autodiff.Floats[F](t, len(order)*size)
	kernel.GatherStrided(len(order), size, s, size, autodiff.Values[F](v), size, order)
	return s
}

// rows is step's rows among the packed steps, as offsets into [total, size].
func (p *packing) rows(step, size int) (from, to int) {
	from = int(p.starts[step]) * size
	return from, from + int(p.counts[step])*size
}

// before is the state that step's rows start from: the first rows of the step
// before, or of first.
func (p *packing) before(step, size int) (from, to int) {
	from = int(p.starts[step-1]) * size
	return from, from + int(p.counts[step])*size
}

func previous[F kernel.Float](p *packing, step, size int, all, first []F) []F {
	if step == 0 {
		if first == nil {
			return nil
		}
		return first[:int(p.counts[0])*size]
	}
	from, to := p.before(step, size)
	return all[from:to]
}

// step computes one step's activations and states.
func (op *unrollOp[F]) step(step, hidden int, weight *kernel.Packed[F], zero []F) {
	n, width := int(op.counts[step]), op.gates()*hidden
	from, to := op.rows(step, hidden)
	gates := op.acts[from/hidden*width : to/hidden*width]
	h := op.h[from:to]
	hPrev := previous(op.packing, step, hidden, op.h, op.h0)
	if op.kind != gru && hPrev != nil {
		kernel.GemmPacked(n, hPrev, hidden, weight, gates, width, nil, true)
	}
	if hPrev == nil {
		hPrev = zero[:n*hidden]
	}
	switch op.kind {
	case rnn:
		if op.relu {
			kernel.Relu(h, gates)
		} else {
			kernel.Tanh(h, gates)
		}
	case lstm:
		cPrev := previous(op.packing, step, hidden, op.c, op.c0)
		if cPrev == nil {
			cPrev = zero[:n*hidden]
		}
		kernel.LSTMForward(n, hidden, gates, cPrev, op.c[from:to], h)
	case gru:
		hiddens := op.hiddens[from/hidden*width : to/hidden*width]
		kernel.GemmPacked(n, hPrev, hidden, weight, hiddens, width, autodiff.Values[F](op.biasHH), false)
		kernel.GRUForward(n, hidden, gates, hiddens, hPrev, h)
	}
}

// Backward goes through the steps from the last. With da the gradient of the
// gates before their activation, [total, gates·H]: dh of the step before += da U,
// and at the end dW += daᵀ x, dU += daᵀ h, db += Σ da, dx += da W. A GRU has two
// of da, the one that reaches W x + b and the one that reaches U h + c.
func (op *unrollOp[F]) Backward() {
	if !op.y.HasGrad() && !op.end.h.HasGrad() && (op.end.c == nil || !op.end.c.HasGrad()) {
		return
	}
	t, hidden, total := op.tape, op.hidden(), op.total
	batch, in, width := len(op.order), op.x.Dim(1), op.gates()*hidden

	dh := autodiff.Zeros[F](t, total*hidden)
	if op.y.HasGrad() {
		kernel.GatherStrided(total, hidden, dh, hidden, autodiff.Grad[F](op.y), hidden, op.direction())
	}
	if op.end.h.HasGrad() {
		kernel.ScatterStridedAdd(batch, hidden, dh, hidden, autodiff.Grad[F](op.end.h), hidden, op.last)
	}
	var dc []F // [B, H], longest row first
	if op.kind == lstm {
		dc = autodiff.Zeros[F](t, batch*hidden)
		if op.end.c.HasGrad() {
			kernel.GatherStrided(batch, hidden, dc, hidden, autodiff.Grad[F](op.end.c), hidden, op.order)
		}
	}
	da := autodiff.Floats[F](t, total*width)
	dhiddens := da
	if op.kind == gru {
		dhiddens = autodiff.Floats[F](t, total*width)
	}
	dh0 := autodiff.Zeros[F](t, batch*hidden)
	zero := autodiff.Zeros[F](t, batch*hidden)
	scratch := autodiff.Floats[F](t, batch*hidden)
	weight := autodiff.PackedFor[F](t, total, autodiff.Columns{Var: op.weightHH}, hidden, false)
	for step := len(op.counts) - 1; step >= 0; step-- {
		op.stepBackward(step, hidden, weight, dh, dc, da, dhiddens, dh0, zero, scratch)
	}
	if op.start.h != nil && !op.start.h.Constant() {
		kernel.ScatterStridedAdd(batch, hidden, autodiff.Grad[F](op.start.h), hidden, dh0, hidden, op.order)
	}
	if op.start.c != nil && !op.start.c.Constant() {
		kernel.ScatterStridedAdd(batch, hidden, autodiff.Grad[F](op.start.c), hidden, dc, hidden, op.order)
	}

	kernel.Gemm(true, false, width, in, total, da, width, op.inputs, in, autodiff.Grad[F](op.weightIH), in, true)
	op.hiddenWeightBackward(dhiddens, width, hidden)
	kernel.SumRows(autodiff.Grad[F](op.biasIH), total, width, da, width)
	kernel.SumRows(autodiff.Grad[F](op.biasHH), total, width, dhiddens, width)
	if !op.x.Constant() {
		dx := autodiff.Floats[F](t, total*in)
		kernel.GemmPacked(total, da, width, autodiff.PackedFor[F](t, total, autodiff.Columns{Var: op.weightIH}, in, false), dx, in, nil, false)
		kernel.ScatterStridedAdd(total, in, autodiff.Grad[F](op.x), in, dx, in, op.direction())
	}
}

func (op *unrollOp[F]) stepBackward(step, hidden int, weight *kernel.Packed[F], dhAll, dc, da, dhiddens, dh0, zero, scratch []F) {
	n, width := int(op.counts[step]), op.gates()*hidden
	from, to := op.rows(step, hidden)
	wide := func(all []F) []F { return all[from/hidden*width : to/hidden*width] }
	gates, dgates, dh := wide(op.acts), wide(da), dhAll[from:to]
	hPrev := previous(op.packing, step, hidden, op.h, op.h0)
	dhPrev := previous(op.packing, step, hidden, dhAll, dh0)
	dh0Wanted := step > 0 || op.h0 != nil
	if hPrev == nil {
		hPrev = zero[:n*hidden]
	}
	switch op.kind {
	case rnn:
		if op.relu {
			kernel.ReluGrad(dgates, dh, op.h[from:to])
		} else {
			kernel.TanhGrad(dgates, dh, op.h[from:to])
		}
	case lstm:
		cPrev := previous(op.packing, step, hidden, op.c, op.c0)
		if cPrev == nil {
			cPrev = zero[:n*hidden]
		}
		kernel.LSTMBackward(n, hidden, gates, cPrev, op.c[from:to], dh, dc[:n*hidden], dgates)
	case gru:
		kernel.GRUBackward(n, hidden, gates, wide(op.hiddens), hPrev, dh, dgates, wide(dhiddens), scratch[:n*hidden])
		if dh0Wanted {
			kernel.AddTo(dhPrev, scratch[:n*hidden])
		}
	}
	if dh0Wanted {
		kernel.GemmPacked(n, wide(dhiddens), width, weight, dhPrev, hidden, nil, true)
	}
}

// hiddenWeightBackward: dU += daᵀ h, over the states that the steps started from.
func (op *unrollOp[F]) hiddenWeightBackward(da []F, width, hidden int) {
	if op.total == 0 {
		return
	}
	dU := autodiff.Grad[F](op.weightHH)
	first := int(op.counts[0])
	if op.h0 != nil {
		kernel.Gemm(true, false, width, hidden, first, da, width, op.h0, hidden, dU, hidden, true)
	}
	hPrev := op.h // where all rows have one length, the states lie as they are wanted
	if !op.even {
		hPrev = autodiff.Floats[F](op.tape, (op.total-first)*hidden)
		for step := 1; step < len(op.counts); step++ {
			from, to := op.rows(step, hidden)
			copy(hPrev[from-first*hidden:to-first*hidden], previous(op.packing, step, hidden, op.h, nil))
		}
	}
	kernel.Gemm(true, false, width, hidden, op.total-first, da[first*width:], width, hPrev, hidden, dU, hidden, true)
}
