package autodiff

import (
	"fmt"
	"math"

	"exp/components/kernel"
)

// Pointer is what a pointer-generator mixes (See et al. 2017, equation 9): of each
// row, the probability of column c of V or more is
//
//	P[c] = g softmax(Logits)[c] + (1-g) A[c]     g = sigmoid(Gate)
//	A[c] = Σ of the weights of keys of column c, the mean over the heads
//
// where the first term is there for c < V only. A row without a key generates,
// with g = 1.
type Pointer struct {
	Logits  *Var    // [rows, V]
	Gate    *Var    // [rows, 1]
	Weights *Var    // [B, N, T, S] of the rows, which are the queries
	Queries Spans   // where the rows of each sequence are
	Keys    Spans   // where the columns of each sequence are
	Columns []int32 // [keys]
	Width   int     // V, or more where there are columns from V on
}

func (p *Pointer) check(op string) {
	newGrid(p.Queries, p.Keys, p.Weights.Dim(1)).check(op, p.Weights)
	if p.Gate.Size() != p.Logits.Rows() || p.Width < p.Logits.Dim(1) {
		panic(fmt.Sprintf("autodiff: %s: logits are %v, gates %v, width %d", op, p.Logits.shape, p.Gate.shape, p.Width))
	}
}

// leastCopied is taken for the A of a column whose weights are smaller: the
// logarithm and the gradient of what has underflowed would not be finite.
const leastCopied = 1e-37

// pointed is the mixture of one row. Its numbers are few, and kept in double
// precision.
type pointed struct {
	generate, copy float64   // log g, log (1-g)
	copied         []float64 // [Width]: A, of the columns in columns; zero elsewhere
	columns        []int32   // of the keys, one after the other
}

// eachPointed calls f for every row with its mixture, which is gone after it, and
// with where its keys begin in [B, T, S].
func eachPointed[F kernel.Float](t *Tape, p *Pointer, f func(row, at int, m *pointed)) {
	heads, T, S := p.Weights.Dim(1), p.Weights.Dim(2), p.Weights.Dim(3)
	scratch := kept[float64](t, p.Width)
	clear(scratch)
	m := Alloc[pointed](t)
	m.copied = scratch
	for b := range p.Queries.Batch() {
		start, queries := p.Queries.At(b)
		first, keys := p.Keys.At(b)
		m.columns = p.Columns[first : first+keys]
		for i := range queries {
			m.generate, m.copy = 0, math.Inf(-1)
			if keys > 0 {
				gate := float64(Values[F](p.Gate)[start+i])
				m.generate, m.copy = -softplus(-gate), -softplus(gate)
			}
			for n := range heads {
				for j, w := range Values[F](p.Weights)[((b*heads+n)*T+i)*S:][:keys] {
					m.copied[m.columns[j]] += float64(w) / float64(heads)
				}
			}
			for _, c := range m.columns {
				m.copied[c] = max(m.copied[c], leastCopied)
			}
			f(start+i, (b*T+i)*S, m)
			for _, c := range m.columns {
				m.copied[c] = 0
			}
		}
	}
	giveBack(t, scratch)
}

// softplus is log(1 + e^x).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// of returns log P of a column and the share k in it of what is generated, given
// its log softmax.
func (m *pointed) of(column int32, logSoftmax float64) (log, generated float64) {
	a := m.copied[column]
	if a == 0 {
		return m.generate + logSoftmax, 1
	}
	pointed, made := m.copy+math.Log(a), m.generate+logSoftmax
	return max(pointed, made) + math.Log1p(math.Exp(-math.Abs(pointed-made))), 1 / (1 + math.Exp(pointed-made))
}

// PointerLogits returns log P [rows, Width], minus infinity of a column from V on
// that no key of the row has. It is for evaluation: it records no gradient.
func PointerLogits(t *Tape, p Pointer) *Var {
	if t.dtype == Float32 {
		return pointerLogits[float32](t, &p)
	}
	return pointerLogits[float64](t, &p)
}

func pointerLogits[F kernel.Float](t *Tape, p *Pointer) *Var {
	p.check("pointer logits")
	rows, V := p.Logits.Rows(), p.Logits.Dim(1)
	y := t.New(rows, p.Width)
	y.storage.constant = true
	logSoftmax := Floats[F](t, rows*V)
	kernel.LogSoftmaxRows(rows, V, logSoftmax, Values[F](p.Logits))
	eachPointed[F](t, p, func(row, _ int, m *pointed) {
		dst := Values[F](y)[row*p.Width:][:p.Width]
		for c, l := range logSoftmax[row*V:][:V] {
			dst[c] = F(m.generate + float64(l))
		}
		for c := V; c < p.Width; c++ {
			dst[c] = F(math.Inf(-1))
		}
		for _, c := range m.columns {
			l := math.Inf(-1)
			if int(c) < V {
				l = float64(logSoftmax[row*V+int(c)])
			}
			log, _ := m.of(c, l)
			dst[c] = F(log)
		}
	})
	return y
}

// PointerCrossEntropy returns the mean over the rows of -Σ_c q_c log P[c], in nats,
// where q puts 1-smoothing on the target, a column, and spreads smoothing evenly
// over the V columns that can be generated. A target from V on must be the column
// of a key of its row.
func PointerCrossEntropy(t *Tape, p Pointer, targets []int32, smoothing float64) *Var {
	if t.dtype == Float32 {
		return pointerCrossEntropy[float32](t, &p, targets, smoothing)
	}
	return pointerCrossEntropy[float64](t, &p, targets, smoothing)
}

type pointerOp[F kernel.Float] struct {
	logits, gate, weights, loss *Var
	dLogits, dGate, dWeights    []F // of the loss; dWeights [B, T, S], of each head
}

func pointerCrossEntropy[F kernel.Float](t *Tape, p *Pointer, targets []int32, smoothing float64) *Var {
	p.check("pointer cross-entropy")
	rows, V, heads := p.Logits.Rows(), p.Logits.Dim(1), p.Weights.Dim(1)
	losses, logSoftmax := Floats[F](t, rows), Floats[F](t, rows*V)
	kernel.LogSoftmaxRows(rows, V, logSoftmax, Values[F](p.Logits))
	op := pointerOp[F]{logits: p.Logits, gate: p.Gate, weights: p.Weights}
	if t.recording {
		op.dLogits, op.dGate = Floats[F](t, rows*V), Floats[F](t, rows)
		op.dWeights = Zeros[F](t, p.Weights.Size()/heads)
		kernel.Exp(op.dLogits, logSoftmax)
	}
	spread, each := smoothing/float64(V), 1/float64(rows)
	eachPointed[F](t, p, func(row, at int, m *pointed) {
		target, l := targets[row], logSoftmax[row*V:][:V]
		// For k_c the share of what is generated in P[c], 1 of a column that no key
		// has: Σ_c q_c log P[c], and kept = Σ_c q_c k_c. First as if no column of the
		// spread were copied.
		sum, kept := 0.0, smoothing
		if smoothing > 0 {
			for _, x := range l {
				sum += float64(x)
			}
			sum = spread * (sum + float64(V)*m.generate)
		}
		logTarget, k := m.of(target, at0(l, target))
		sum, kept = sum+(1-smoothing)*logTarget, kept+(1-smoothing)*k
		if smoothing > 0 {
			m.once(func(c int32) {
				if int(c) < V {
					log, k := m.of(c, float64(l[c]))
					sum, kept = sum+spread*(log-m.generate-float64(l[c])), kept-spread*(1-k)
				}
			})
		}
		losses[row] = F(-sum)
		if !t.recording {
			return
		}
		// dLogits[c] = kept softmax[c] - q_c k_c, dGate = g - kept, and of a key of
		// column c -q_c (1-g) / P[c].
		d := op.dLogits[row*V:][:V]
		kernel.Scale(d, F(kept*each), d)
		if smoothing > 0 {
			for c := range d {
				d[c] -= F(spread * each)
			}
			m.once(func(c int32) {
				if int(c) < V {
					_, k := m.of(c, float64(l[c]))
					d[c] += F(spread * (1 - k) * each)
				}
			})
		}
		if int(target) < V {
			d[target] -= F((1 - smoothing) * k * each)
		}
		op.dGate[row] = 0
		if len(m.columns) > 0 {
			op.dGate[row] = F((math.Exp(m.generate) - kept) * each)
		}
		dw := op.dWeights[at:]
		for j, c := range m.columns {
			q := 0.0
			if int(c) < V {
				q = spread
			}
			if c == target {
				q += 1 - smoothing
			}
			if q > 0 {
				log, _ := m.of(c, at0(l, c))
				dw[j] = F(-q * math.Exp(m.copy-log) * each / float64(heads))
			}
		}
	})
	op.loss = mean(t, losses)
	if t.recording {
		*Record[pointerOp[F]](t) = op
	}
	return op.loss
}

// at0 is the log softmax of a column, of one that cannot be generated that of zero.
func at0[F kernel.Float](logSoftmax []F, column int32) float64 {
	if int(column) < len(logSoftmax) {
		return float64(logSoftmax[column])
	}
	return math.Inf(-1)
}

// once calls f once for every column that a key has.
func (m *pointed) once(f func(column int32)) {
	for _, c := range m.columns {
		if m.copied[c] > 0 {
			f(c)
			m.copied[c] *= -1 // has been
		}
	}
	for _, c := range m.columns {
		m.copied[c] = math.Abs(m.copied[c])
	}
}

func (op *pointerOp[F]) Backward() {
	if !op.loss.HasGrad() {
		return
	}
	scale := Grad[F](op.loss)[0]
	if dLogits, first := GradToWrite[F](op.logits); first {
		kernel.Scale(dLogits, scale, op.dLogits)
	} else {
		kernel.Axpy(dLogits, scale, op.dLogits)
	}
	kernel.Axpy(Grad[F](op.gate), scale, op.dGate)
	dw, heads := Grad[F](op.weights), op.weights.Dim(1)
	size := op.weights.Dim(2) * op.weights.Dim(3)
	for b := range op.weights.Dim(0) {
		for n := range heads {
			kernel.Axpy(dw[(b*heads+n)*size:][:size], scale, op.dWeights[b*size:])
		}
	}
}
