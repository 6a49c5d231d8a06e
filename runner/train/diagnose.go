package train

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/kernel"
)

// diagnosedPairs is how many pairs of the validation split are looked at.
const diagnosedPairs = 32

// diagnoses says whether the update now under way is one whose layers are recorded:
// the next thing is an evaluation.
func (t *trial) diagnoses() bool {
	return t.Diagnostics.Layers && ((t.step+1)%t.Evaluation.Every == 0 || t.step+1 == t.steps)
}

// layerOf is the layer of a parameter: all of its name but the last part.
func layerOf(v *autodiff.Var) string {
	name := v.Name()
	return name[:max(0, strings.LastIndexByte(name, '.'))]
}

// layers sums what f gives of each parameter that is trained, by layer.
func (t *trial) layers(f func(i int, v *autodiff.Var) float64) map[string]float64 {
	sums := map[string]float64{}
	for i, v := range t.model.Params.All() {
		if !v.Frozen() {
			sums[layerOf(v)] += f(i, v)
		}
	}
	return sums
}

// gradientNorms is the norm of each layer's gradient, which the parameters have
// times 1/perToken.
func (t *trial) gradientNorms(perToken float64) map[string]float64 {
	norms := t.layers(func(_ int, v *autodiff.Var) float64 { return kernel.SumSquares(autodiff.Grad[float32](v)) })
	for layer, sum := range norms {
		norms[layer] = math.Sqrt(sum) * perToken
	}
	return norms
}

// updateRatios is the norm of what an update has added to the weights before, over
// theirs.
func (t *trial) updateRatios(before [][]float32) map[string]float64 {
	moved := t.layers(func(i int, v *autodiff.Var) float64 {
		difference := slices.Clone(autodiff.Values[float32](v))
		kernel.Axpy(difference, -1, before[i])
		return kernel.SumSquares(difference)
	})
	were := t.layers(func(i int, _ *autodiff.Var) float64 { return kernel.SumSquares(before[i]) })
	for layer, sum := range moved {
		moved[layer] = math.Sqrt(sum / were[layer])
	}
	return moved
}

// record records numbers as split/prefix/name.
func (t *trial) record(split, prefix string, numbers map[string]float64) error {
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		if err := t.sink.Metric(t.step, split, prefix+"/"+name, numbers[name]); err != nil {
			return err
		}
	}
	return nil
}

// diagnose looks at the model as it is trained.
func (t *trial) diagnose() error {
	if !t.Diagnostics.Activations && t.Diagnostics.GradientFlow == 0 {
		return nil
	}
	var pairs []components.Pair
	for i := range min(diagnosedPairs, t.Data.Valid.Len()) {
		pairs = append(pairs, t.Data.Valid.Pair(i))
	}
	d := t.look(pairs)
	if t.Diagnostics.Activations {
		shares := map[string]float64{}
		for gate, n := range d.saturation {
			shares[gate] = float64(n[0]) / float64(max(1, n[1]))
		}
		if err := t.record("valid", "saturation", shares); err != nil {
			return err
		}
		if d.attends {
			if err := t.sink.Metric(t.step, "valid", "attention_entropy", d.entropy); err != nil {
				return err
			}
		}
	}
	flow := map[string]float64{}
	for distance, norm := range d.flow {
		if distance <= t.Diagnostics.GradientFlow {
			flow[strconv.Itoa(distance)] = norm
		}
	}
	if t.Diagnostics.GradientFlow > 0 {
		return t.record("valid", "gradient_flow", flow)
	}
	return nil
}

// seen is what there is to see within a model.
type seen struct {
	saturation map[string][2]int // by layer/gate: activations that are saturated, and all
	entropy    float64           // nats, mean over heads and target tokens
	attends    bool
	flow       []float64 // by distance: mean over the sources that have it

	spans    autodiff.Spans
	gradient map[string][]float64 // of each encoder layer, the norm by row of the memory
	lowest   string               // the layer that the backward pass reached last
}

// Saturated adds to the counts.
func (s *seen) Saturated(layer, gate string, saturated, of int) {
	sum := s.saturation[layer+"/"+gate]
	s.saturation[layer+"/"+gate] = [2]int{sum[0] + saturated, sum[1] + of}
}

// StateGradient keeps the norms, if the layer reads as many steps as the memory has.
func (s *seen) StateGradient(layer string, rows []int32, of int, gradient []float32) {
	total := 0
	for _, n := range s.spans.Lengths {
		total += int(n)
	}
	if of != total {
		return
	}
	if s.gradient[layer] == nil {
		s.gradient[layer] = make([]float64, total)
	}
	n := cmp.Or(len(rows), of)
	size := len(gradient) / n
	for i := range n {
		row := i
		if rows != nil {
			row = int(rows[i])
		}
		s.gradient[layer][row] = math.Sqrt(kernel.SumSquares(gradient[i*size : (i+1)*size]))
	}
	s.lowest = layer
}

// look passes pairs through the model, without dropout.
//
// The encoder and the decoder are on tapes of their own, between which the memory is
// copied: so the gradient of the loss with respect to the memory is known, and the
// encoder's backward pass can begin with what of it reaches the last step and the
// final states alone.
func (t *trial) look(pairs []components.Pair) *seen {
	s := &seen{saturation: map[string][2]int{}, gradient: map[string][]float64{}}
	m, params := t.model, t.model.Params
	var batch components.Batch
	m.Fill(&batch, pairs)
	encoding, decoding := autodiff.NewTape(autodiff.Float32), autodiff.NewTape(autodiff.Float32)
	encoding.Observe(s)
	decoding.Observe(s)
	decoding.KeepWeights()

	encoding.Reset(false, true)
	memory := m.Encode(encoding, batch.Source)
	s.spans = memory.Spans
	decoding.Reset(false, true)
	params.ZeroGrad(decoding)
	input := func(v *autodiff.Var) *autodiff.Var {
		if v == nil {
			return nil
		}
		return decoding.Input(v.Float32s(), v.Shape().Dims()...)
	}
	copied := memory
	copied.States, copied.Final = input(memory.States), nil
	for _, f := range memory.Final {
		copied.Final = append(copied.Final, components.FinalState{Hidden: input(f.Hidden), Cell: input(f.Cell)})
	}
	decoded, x := m.Decode(decoding, copied, &batch)
	if w := decoded.Weights; w != nil {
		s.entropy, s.attends = entropyOf(w, batch.TargetIn.Spans), true
	}
	if t.Diagnostics.GradientFlow == 0 {
		return s
	}
	loss, _ := m.LossOf(decoding, decoded, x, &batch, t.Training.LabelSmoothing)
	decoding.Observe(nil)
	decoding.Backward(loss)

	params.ZeroGrad(encoding)
	if copied.States.HasGrad() {
		of, to, size := autodiff.Grad[float32](copied.States), autodiff.Grad[float32](memory.States), memory.States.Dim(-1)
		for b := range memory.Spans.Batch() {
			if start, n := memory.Spans.At(b); n > 0 {
				last := (start + n - 1) * size
				copy(to[last:last+size], of[last:last+size])
			}
		}
	}
	give := func(to, of *autodiff.Var) {
		if of != nil && of.HasGrad() {
			copy(autodiff.Grad[float32](to), autodiff.Grad[float32](of))
		}
	}
	for i, f := range memory.Final {
		give(f.Hidden, copied.Final[i].Hidden)
		give(f.Cell, copied.Final[i].Cell)
	}
	encoding.Unwind()
	s.byDistance()
	return s
}

// byDistance makes of the lowest layer's norms their means by the distance from the
// last step.
func (s *seen) byDistance() {
	norms := s.gradient[s.lowest]
	if norms == nil {
		return
	}
	s.flow = make([]float64, s.spans.Longest())
	counts := make([]float64, len(s.flow))
	for b := range s.spans.Batch() {
		start, n := s.spans.At(b)
		for step := range n {
			s.flow[n-1-step] += norms[start+step]
			counts[n-1-step]++
		}
	}
	for distance, n := range counts {
		s.flow[distance] /= n
	}
}

// entropyOf is the mean entropy of the weights [B, N, T, S] of the queries that there
// are.
func entropyOf(w *autodiff.Var, queries autodiff.Spans) float64 {
	values, heads, steps, keys := autodiff.Values[float32](w), w.Dim(1), w.Dim(2), w.Dim(3)
	sum, n := 0.0, 0
	for b := range queries.Batch() {
		_, length := queries.At(b)
		for head := range heads {
			for step := range length {
				at := ((b*heads+head)*steps + step) * keys
				for _, p := range values[at : at+keys] {
					if p > 0 {
						sum -= float64(p) * math.Log(float64(p))
					}
				}
				n++
			}
		}
	}
	return sum / float64(max(1, n))
}
