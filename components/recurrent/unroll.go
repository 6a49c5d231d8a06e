package recurrent

import (
	"strings"

	"exp/components/autodiff"
	"exp/components/kernel"
	"exp/components/nn"
)

// unrollOp is all steps of a layer over a batch, in one entry.
type unrollOp[F kernel.Float] struct {
	*layer
	*packing
	tape       *autodiff.Tape
	x, y       *autodiff.Var
	start, end state
	inputs     []F // [total, in]
	acts       []F // [total, gates·H], rows ld apart: the activations of the gates, in the end their gradients
	ld         int
	hiddens    []F // gru [total, 3H]: U h + c, in the end their gradients
	h, c       []F // [total, H]
	h0, c0     []F // [B, H], longest row first; nil for zero

	// With layer_norm
	inputNorm, hiddenNorm, outputNorm norms[F] // of W x, U h and c'
	tanhs                             []F      // lstm [total, H]: tanh(LN(c'))
}

func unroll[F kernel.Float](t *autodiff.Tape, l *layer, x *autodiff.Var, p *packing, s state) (*autodiff.Var, state) {
	batch, in, hidden := len(p.order), x.Dim(1), l.hidden()
	width := l.gates() * hidden
	op := unrollOp[F]{layer: l, packing: p, tape: t, x: x, start: s}

	op.inputs = autodiff.Floats[F](t, p.total*in)
	kernel.GatherStrided(p.total, in, op.inputs, in, autodiff.Values[F](x), in, p.direction(l.reverse))
	// The rows of an LSTM's 4H gates would often fall into one set of the cache; those of
	// the others seldom do, and norms want theirs without gaps.
	op.ld = width
	if l.kind == lstm && !l.LayerNorm {
		op.ld = kernel.Stride(width)
	}
	op.acts = autodiff.Floats[F](t, p.total*op.ld)
	products, bias := op.acts, autodiff.Values[F](l.biasIH)
	switch {
	case l.LayerNorm:
		op.inputNorm = newNorms(l.gainIH, l.biasIH, autodiff.Floats[F](t, p.total*width), autodiff.Floats[F](t, 2*p.total))
		op.hiddenNorm = newNorms(l.gainHH, l.biasHH, autodiff.Floats[F](t, p.total*width), autodiff.Floats[F](t, 2*p.total))
		products, bias = op.inputNorm.x, nil
	case l.kind != gru: // whose r acts between the two biases
		both := autodiff.Floats[F](t, width)
		kernel.Add(both, bias, autodiff.Values[F](l.biasHH))
		bias = both
	}
	autodiff.Multiply(p.total, op.inputs, in, autodiff.Columns{Var: l.weightIH}, in, true, products, op.ld, bias, false)
	if l.LayerNorm {
		op.inputNorm.forward(op.acts, 0, p.total)
	}

	op.h = autodiff.Floats[F](t, p.total*hidden)
	op.h0 = sorted[F](t, s.h, p.order, hidden)
	if l.kind == lstm {
		op.c = autodiff.Floats[F](t, p.total*hidden)
		op.c0 = sorted[F](t, s.c, p.order, hidden)
	}
	if l.kind == lstm && l.LayerNorm {
		op.tanhs = autodiff.Floats[F](t, p.total*hidden)
		op.outputNorm = newNorms(l.cellNorm.Gain, l.cellNorm.Bias, op.c, autodiff.Floats[F](t, 2*p.total))
	}
	if l.kind == gru {
		op.hiddens = autodiff.Floats[F](t, p.total*width)
	}
	weight := autodiff.PackedFor[F](t, p.total, autodiff.Columns{Var: l.weightHH}, hidden, true)
	zero, scratch := autodiff.Zeros[F](t, batch*hidden), autodiff.Floats[F](t, batch*width)
	for step := range p.counts {
		op.step(step, hidden, weight, zero, scratch)
	}

	y := t.New(p.total, hidden)
	kernel.ScatterStrided(p.total, hidden, autodiff.Values[F](y), hidden, op.h, hidden, p.direction(l.reverse))
	end := state{h: t.New(batch, hidden)}
	kernel.GatherStrided(batch, hidden, autodiff.Values[F](end.h), hidden, op.h, hidden, p.last)
	if l.kind == lstm {
		end.c = t.New(batch, hidden)
		kernel.GatherStrided(batch, hidden, autodiff.Values[F](end.c), hidden, op.c, hidden, p.last)
	}
	if t.Observer() != nil {
		if acts, ok := any(op.acts).([]float32); ok {
			l.observe(t, acts, op.ld, any(op.h).([]float32))
		}
	}
	op.y, op.end = y, end
	if t.Recording() {
		*autodiff.Record[unrollOp[F]](t) = op
	}
	return y, end
}

// norms is a layer normalisation of many rows, step after step.
type norms[F kernel.Float] struct {
	gain, bias *autodiff.Var
	x          []F // [total, size]
	mean, rstd []F // [total]
}

func newNorms[F kernel.Float](gain, bias *autodiff.Var, x, statistics []F) norms[F] {
	total := len(statistics) / 2
	return norms[F]{gain, bias, x, statistics[:total], statistics[total:]}
}

// forward writes to y the norm of the rows from to to-1.
func (n *norms[F]) forward(y []F, from, to int) {
	d := n.gain.Size()
	kernel.LayerNorm(to-from, d, y, n.x[from*d:], autodiff.Values[F](n.gain), autodiff.Values[F](n.bias), F(nn.NormEpsilon), n.mean[from:], n.rstd[from:])
}

// backward adds to dx what dy implies for those rows.
func (n *norms[F]) backward(dx, dy []F, from, to int) {
	d := n.gain.Size()
	kernel.LayerNormBackward(to-from, d, dx, autodiff.Grad[F](n.gain), autodiff.Grad[F](n.bias), dy, n.x[from*d:], autodiff.Values[F](n.gain), n.mean[from:], n.rstd[from:])
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

// nonEmpty is the number of rows that have a step.
func (p *packing) nonEmpty() int {
	if len(p.counts) == 0 {
		return 0
	}
	return int(p.counts[0])
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
func (op *unrollOp[F]) step(step, hidden int, weight *kernel.Packed[F], zero, scratch []F) {
	n, width := int(op.counts[step]), op.gates()*hidden
	from, to := op.rows(step, hidden)
	wide := func(all []F, width int) []F { return all[from/hidden*width : to/hidden*width] }
	gates, h := wide(op.acts, op.ld), op.h[from:to]
	hPrev := previous(op.packing, step, hidden, op.h, op.h0)
	first := hPrev == nil
	if first {
		hPrev = zero[:n*hidden]
	}
	hiddens := scratch[:n*width]
	if op.kind == gru {
		hiddens = wide(op.hiddens, width)
	}
	switch {
	case op.LayerNorm:
		kernel.GemmPacked(false, n, hPrev, hidden, weight, wide(op.hiddenNorm.x, width), width, nil, false)
		op.hiddenNorm.forward(hiddens, from/hidden, to/hidden)
		if op.kind != gru {
			kernel.AddTo(gates, hiddens)
		}
	case op.kind == gru:
		kernel.GemmPacked(false, n, hPrev, hidden, weight, hiddens, width, autodiff.Values[F](op.biasHH), false)
	case !first:
		kernel.GemmPacked(false, n, hPrev, hidden, weight, gates, op.ld, nil, true)
	}
	switch op.kind {
	case rnn:
		if op.relu {
			kernel.Relu(h, gates)
		} else {
			kernel.Tanh(h, gates)
		}
	case lstm:
		kernel.LSTMForward(n, hidden, gates, op.ld, op.cellBefore(step, hidden, zero), op.c[from:to], h)
		if op.LayerNorm { // the output is another
			tanh, o := op.tanhs[from:to], scratch[:n*hidden]
			op.outputNorm.forward(tanh, from/hidden, to/hidden)
			kernel.Tanh(tanh, tanh)
			outputGates(o, gates, hidden, false)
			kernel.Mul(h, o, tanh)
		}
	case gru:
		kernel.GRUForward(n, hidden, gates, hiddens, hPrev, h)
	}
}

// cellBefore is the cell state that step's rows start from.
func (op *unrollOp[F]) cellBefore(step, hidden int, zero []F) []F {
	if c := previous(op.packing, step, hidden, op.c, op.c0); c != nil {
		return c
	}
	return zero[:int(op.counts[step])*hidden]
}

// outputGates copies an LSTM's output gates o [n, H] out of gates [n, 4H], or back.
func outputGates[F kernel.Float](o, gates []F, hidden int, back bool) {
	for at := 0; at < len(o); at += hidden {
		if row := gates[4*at+3*hidden : 4*at+4*hidden]; back {
			copy(row, o[at:])
		} else {
			copy(o[at:at+hidden], row)
		}
	}
}

// name is the layer's, as its parameters have it.
func (l *layer) name() string { return strings.TrimSuffix(l.weightIH.Name(), ".weight_ih") }

// observe tells who looks how saturated gates [n, gates·H], rows ld apart, and the
// output h [n, H] are, in float32.
func (l *layer) observe(t *autodiff.Tape, gates []float32, ld int, h []float32) {
	switch l.kind {
	case rnn:
		if !l.relu {
			l.observeGate(t, "h", false, h, l.hidden(), 0)
		}
	case lstm:
		for i, gate := range []string{"i", "f", "g", "o"} {
			l.observeGate(t, gate, gate != "g", gates, ld, i)
		}
	case gru:
		for i, gate := range []string{"r", "z", "n"} {
			l.observeGate(t, gate, gate != "n", gates, ld, i)
		}
	}
}

// observeGate tells of gate i of gates whose rows are ld apart.
func (l *layer) observeGate(t *autodiff.Tape, gate string, sigmoid bool, gates []float32, ld, i int) {
	hidden := l.hidden()
	saturated, n := autodiff.Saturation(gates, ld, i*hidden, hidden, sigmoid)
	t.Observer().Saturated(l.name(), gate, saturated, n)
}

// Backward goes through the steps from the last. With da the gradient of the
// gates before their activation, [total, gates·H]: dh of the step before += da U,
// and at the end dW += daᵀ x, dU += daᵀ h, db += Σ da, dx += da W. A GRU has two
// of da, the one that reaches W x + b and the one that reaches U h + c; norms stand
// between these and the gradients of W x and U h.
func (op *unrollOp[F]) Backward() {
	if !op.y.HasGrad() && !op.end.h.HasGrad() && (op.end.c == nil || !op.end.c.HasGrad()) {
		return
	}
	t, hidden, total := op.tape, op.hidden(), op.total
	batch, in, width := len(op.order), op.x.Dim(1), op.gates()*hidden

	dh := autodiff.Floats[F](t, total*hidden)
	if !op.y.HasGrad() {
		clear(dh)
	} else {
		kernel.GatherStrided(total, hidden, dh, hidden, autodiff.Grad[F](op.y), hidden, op.direction(op.reverse))
	}
	if op.end.h.HasGrad() {
		kernel.ScatterStridedAdd(batch, hidden, dh, hidden, autodiff.Grad[F](op.end.h), hidden, op.last)
	}
	var dc []F // [B, H], longest row first
	if op.kind == lstm {
		dc = autodiff.Zeros[F](t, batch*hidden)
		if op.end.c.HasGrad() {
			kernel.GatherStrided(batch, hidden, dc, hidden, autodiff.Grad[F](op.end.c), hidden, op.order)
			clear(dc[op.nonEmpty()*hidden:]) // an empty row ends with zeros, whatever it starts with
		}
	}
	da, du, ld := op.acts, op.acts, op.ld // du: of u = U h + c
	if op.kind == gru {
		du = op.hiddens
	}
	dInputs, dHiddens := da, du // of W x and of U h
	if op.LayerNorm {
		dInputs, dHiddens = autodiff.Zeros[F](t, total*ld), autodiff.Zeros[F](t, total*ld)
	}
	dh0 := autodiff.Zeros[F](t, batch*hidden)
	zero := autodiff.Zeros[F](t, batch*hidden)
	scratch := autodiff.Floats[F](t, 2*batch*hidden)
	weight := autodiff.PackedFor[F](t, total, autodiff.Columns{Var: op.weightHH}, hidden, false)
	observer := t.Observer()
	for step := len(op.counts) - 1; step >= 0; step-- {
		if from, to := op.rows(step, 1); observer != nil && !op.reverse {
			if gradient, ok := any(dh[from*hidden : to*hidden]).([]float32); ok {
				observer.StateGradient(op.name(), op.direction(false)[from:to], total, gradient)
			}
		}
		op.stepBackward(step, hidden, weight, dh, dc, du, dHiddens, dh0, zero, scratch)
	}
	if op.start.h != nil && !op.start.h.Constant() {
		kernel.ScatterStridedAdd(batch, hidden, autodiff.Grad[F](op.start.h), hidden, dh0, hidden, op.order)
	}
	if op.start.c != nil && !op.start.c.Constant() {
		kernel.ScatterStridedAdd(batch, hidden, autodiff.Grad[F](op.start.c), hidden, dc, hidden, op.order)
	}

	if op.LayerNorm {
		op.inputNorm.backward(dInputs, da, 0, total)
	} else {
		op.biasBackward(da, du, ld)
	}
	dW, first := autodiff.GradToWrite[F](op.weightIH)
	kernel.Gemm(true, false, width, in, total, dInputs, ld, op.inputs, in, dW, in, nil, !first)
	op.hiddenWeightBackward(dHiddens, ld)
	if !op.x.Constant() {
		dx := autodiff.Floats[F](t, total*in)
		autodiff.Multiply(total, dInputs, ld, autodiff.Columns{Var: op.weightIH}, in, false, dx, in, nil, false)
		if all, first := autodiff.GradToWrite[F](op.x); first {
			kernel.ScatterStrided(total, in, all, in, dx, in, op.direction(op.reverse))
		} else {
			kernel.ScatterStridedAdd(total, in, all, in, dx, in, op.direction(op.reverse))
		}
	}
}

// biasBackward adds up the steps, once where the gradients of b and c are the same.
func (op *unrollOp[F]) biasBackward(da, du []F, ld int) {
	total, width := op.total, op.gates()*op.hidden()
	db, first := autodiff.GradToWrite[F](op.biasIH)
	if first {
		clear(db)
	}
	dc, firstToo := autodiff.GradToWrite[F](op.biasHH)
	kernel.SumRows(db, total, width, da, ld)
	if first && firstToo && op.kind != gru {
		copy(dc, db)
		return
	}
	if firstToo {
		clear(dc)
	}
	kernel.SumRows(dc, total, width, du, ld)
}

func (op *unrollOp[F]) stepBackward(step, hidden int, weight *kernel.Packed[F], dhAll, dc, du, dHiddens, dh0, zero, scratch []F) {
	n, ld := int(op.counts[step]), op.ld
	from, to := op.rows(step, hidden)
	wide := func(all []F) []F { return all[from/hidden*ld : to/hidden*ld] }
	gates, dh := wide(op.acts), dhAll[from:to]
	hPrev := previous(op.packing, step, hidden, op.h, op.h0)
	dhPrev := previous(op.packing, step, hidden, dhAll, dh0)
	dh0Wanted := step > 0 || op.h0 != nil
	if hPrev == nil {
		hPrev = zero[:n*hidden]
	}
	switch op.kind {
	case rnn:
		if op.relu {
			kernel.ReluGrad(gates, dh, op.h[from:to])
		} else {
			kernel.TanhGrad(gates, dh, op.h[from:to])
		}
	case lstm:
		cPrev, c, dc := op.cellBefore(step, hidden, zero), op.c[from:to], dc[:n*hidden]
		if !op.LayerNorm {
			kernel.LSTMBackward(n, hidden, gates, ld, cPrev, c, dh, dc)
			break
		}
		// Of h' = o tanh(LN(c')), dh reaches the output gate and c'; the rest is
		// the backward pass of a step whose output nobody reads.
		tanh, o, do := op.tanhs[from:to], scratch[:n*hidden], scratch[n*hidden:2*n*hidden]
		outputGates(o, gates, hidden, false)
		kernel.Mul(do, dh, o)
		kernel.TanhGrad(do, do, tanh)
		op.outputNorm.backward(dc, do, from/hidden, to/hidden)
		kernel.Mul(dh, dh, tanh)
		clear(do)
		kernel.SigmoidBackward(do, dh, o)
		kernel.LSTMBackward(n, hidden, gates, ld, cPrev, c, zero[:n*hidden], dc)
		outputGates(do, gates, hidden, true)
	case gru:
		kernel.GRUBackward(n, hidden, gates, wide(du), hPrev, dh, scratch[:n*hidden])
		if dh0Wanted {
			kernel.AddTo(dhPrev, scratch[:n*hidden])
		}
	}
	if op.LayerNorm {
		op.hiddenNorm.backward(wide(dHiddens), wide(du), from/hidden, to/hidden)
	}
	if dh0Wanted {
		kernel.GemmPacked(false, n, wide(dHiddens), ld, weight, dhPrev, hidden, nil, true)
	}
}

// hiddenWeightBackward: dU += daᵀ h, over the states that the steps started from.
func (op *unrollOp[F]) hiddenWeightBackward(da []F, ld int) {
	hidden := op.hidden()
	width := op.gates() * hidden
	if op.total == 0 {
		return
	}
	dU, write := autodiff.GradToWrite[F](op.weightHH)
	first := int(op.counts[0])
	if op.h0 != nil {
		kernel.Gemm(true, false, width, hidden, first, da, ld, op.h0, hidden, dU, hidden, nil, !write)
		write = false
	}
	hPrev := op.h // where all rows have one length, the states lie as they are wanted
	if !op.even {
		hPrev = autodiff.Floats[F](op.tape, (op.total-first)*hidden)
		for step := 1; step < len(op.counts); step++ {
			from, to := op.rows(step, hidden)
			copy(hPrev[from-first*hidden:to-first*hidden], previous(op.packing, step, hidden, op.h, nil))
		}
	}
	kernel.Gemm(true, false, width, hidden, op.total-first, da[first*ld:], ld, hPrev, hidden, dU, hidden, nil, !write)
}
