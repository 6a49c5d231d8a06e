package generate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
)

// options is a beam of a size, all of which is wanted.
func options(maxLength, size int) Options {
	o := Options{DecodingOptions: components.DefaultDecodingOptions(), Count: size}
	o.MaxLength, o.BeamSize = maxLength, size
	return o
}

// Of size 1, the beam is greedy decoding.
func TestBeamOfOne(t *testing.T) {
	for _, architecture := range architectures {
		t.Run(strings.Join(architecture[:], "/"), func(t *testing.T) {
			for seed := range uint64(4) {
				m, tape := model(t, architecture, vocabulary, seed), autodiff.NewTape(autodiff.Float32)
				tape.Poison()
				got, want := Decode(m, tape, batch(sources), options(20, 1)), Greedy(m, tape, batch(sources), 20)
				best := Best(m, tape, batch(sources), options(20, 1))
				for row := range sources {
					if len(got[row]) != 1 || !slices.Equal(got[row][0].Tokens, want[row]) || !slices.Equal(best[row], want[row]) {
						t.Errorf("seed %d, row %d: %v and %v, want %v", seed, row, got[row], best[row], want[row])
					}
				}
			}
		})
	}
}

// continuation is a token, its log-probability, and the weights that it was said
// with, the mean over the heads.
type continuation struct {
	token   int32
	p       float64
	weights []float64
}

// oracle says what may follow in a source, by reading the whole target again.
type oracle struct {
	m      *components.Model
	source []int32
	known  map[string][]continuation // by what was said
}

func newOracle(m *components.Model, source []int32) *oracle {
	return &oracle{m, source, map[string][]continuation{}}
}

// after returns every token after said.
func (o *oracle) after(said []int32) []continuation {
	key := fmt.Sprint(said)
	if known, ok := o.known[key]; ok {
		return known
	}
	tape := autodiff.NewTape(autodiff.Float32)
	tape.KeepWeights()
	tape.Reset(false, false)
	var b components.Batch
	b.Fill([]components.Pair{{Source: o.source, Target: said}})
	decoded, x := o.m.Decode(tape, o.m.Encode(tape, b.Source), &b)
	v := o.m.Output.Logits(tape, decoded, x)
	logits := v.Float32s()[v.Size()-v.Dim(1):]
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x))
	}
	var weights []float64
	if w := decoded.Weights; w != nil {
		heads, T, S := w.Dim(1), w.Dim(2), w.Dim(3)
		weights = make([]float64, S)
		for n := range heads {
			for key := range S {
				weights[key] += float64(w.Float32s()[(n*T+T-1)*S+key]) / float64(heads)
			}
		}
	}
	out := make([]continuation, len(logits))
	for column, l := range logits {
		out[column] = continuation{x.Token(0, int32(column)), float64(l) - math.Log(sum), weights}
	}
	o.known[key] = out
	return out
}

// allowed leaves what the options allow after said.
func allowed(said []int32, all []continuation, o Options) []continuation {
	var left []continuation
	for _, c := range all {
		next := append(slices.Clone(said), c.token)
		switch {
		case len(said) < len(o.Forced):
			if c.token == o.Forced[len(said)] {
				left = append(left, c)
			}
		case c.token == components.Eos:
			if len(said) >= o.MinLength {
				left = append(left, c)
			}
		default:
			n, repeats := o.BlockNgrams, false
			for at := 0; n > 0 && at+n < len(next); at++ {
				repeats = repeats || slices.Equal(next[at:at+n], next[len(next)-n:])
			}
			if !repeats {
				left = append(left, c)
			}
		}
	}
	if left == nil {
		left = slices.DeleteFunc(slices.Clone(all), func(c continuation) bool { return c.token != components.Eos })
	}
	return left
}

// partial is a hypothesis that an oracle has said.
type partial struct {
	tokens  []int32
	sum     float64
	covered []float64
	ended   bool
}

func (p partial) with(c continuation) partial {
	next := partial{p.tokens, p.sum + c.p, slices.Clone(c.weights), c.token == components.Eos}
	for i, w := range p.covered {
		next.covered[i] += w
	}
	if !next.ended {
		next.tokens = append(slices.Clip(p.tokens), c.token)
	}
	return next
}

// hypothesis is equation 14 of Wu et al. 2016, or plain normalisation.
func (p partial) hypothesis(o Options) Hypothesis {
	length := float64(len(p.tokens))
	if p.ended {
		length++
	}
	lp := math.Pow(length, o.LengthAlpha)
	if o.LengthPenalty == components.Wu {
		lp = math.Pow(5+length, o.LengthAlpha) / math.Pow(5+1, o.LengthAlpha)
	}
	score := p.sum / lp
	if o.CoverageBeta > 0 {
		for _, c := range p.covered {
			score += o.CoverageBeta * math.Log(min(c, 1))
		}
	}
	return Hypothesis{Tokens: p.tokens, LogProb: p.sum, Ended: p.ended, Score: score}
}

// every returns all hypotheses that begin with p.
func (o *oracle) every(p partial, options Options) []Hypothesis {
	if p.ended || len(p.tokens) == options.MaxLength {
		return []Hypothesis{p.hypothesis(options)}
	}
	var all []Hypothesis
	for _, c := range allowed(p.tokens, o.after(p.tokens), options) {
		all = append(all, o.every(p.with(c), options)...)
	}
	return all
}

// beam is the search by its definition.
func (o *oracle) beam(options Options) []Hypothesis {
	var found []Hypothesis
	beam := []partial{{}}
	for range options.MaxLength {
		var next []partial
		for _, p := range beam {
			for _, c := range allowed(p.tokens, o.after(p.tokens), options) {
				next = append(next, p.with(c))
			}
		}
		slices.SortStableFunc(next, func(a, b partial) int { return cmp.Compare(b.sum, a.sum) })
		beam = next[:min(len(next), options.BeamSize-len(found))]
		for _, p := range beam {
			if p.ended {
				found = append(found, p.hypothesis(options))
			}
		}
		beam = slices.DeleteFunc(beam, func(p partial) bool { return p.ended })
	}
	for _, p := range beam {
		found = append(found, p.hypothesis(options))
	}
	return found
}

func sameHypotheses(t *testing.T, what string, got, want []Hypothesis) {
	t.Helper()
	byScore := func(a, b Hypothesis) int { return cmp.Compare(b.Score, a.Score) }
	if !slices.IsSortedFunc(got, byScore) {
		t.Errorf("%s: not the best first: %v", what, got)
	}
	slices.SortStableFunc(want, byScore)
	if len(got) != len(want) {
		t.Fatalf("%s: %d hypotheses, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i].Tokens, want[i].Tokens) || got[i].Ended != want[i].Ended || !(math.Abs(got[i].Score-want[i].Score) <= 1e-4) || !(math.Abs(got[i].LogProb-want[i].LogProb) <= 1e-4) {
			t.Errorf("%s: hypothesis %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// settings is what a beam may be asked for besides its size.
var settings = []struct {
	name string
	set  func(o *Options)
}{
	{"plain", func(*Options) {}},
	{"power", func(o *Options) { o.LengthAlpha = 0.7 }},
	{"wu", func(o *Options) { o.LengthPenalty, o.LengthAlpha = components.Wu, 0.9 }},
	{"coverage", func(o *Options) { o.LengthPenalty, o.LengthAlpha, o.CoverageBeta = components.Wu, 0.6, 0.4 }},
	{"unigrams", func(o *Options) { o.BlockNgrams = 1 }},
	{"bigrams", func(o *Options) { o.BlockNgrams = 2 }},
	{"least", func(o *Options) { o.MinLength = 2 }},
	{"forced", func(o *Options) { o.Forced = []int32{4, 4} }},
	{"together", func(o *Options) {
		o.LengthAlpha, o.CoverageBeta, o.BlockNgrams, o.MinLength, o.Forced = 1, 0.2, 1, 2, []int32{4}
	}},
}

// A beam that has a place for everything finds everything, and a smaller one
// what its definition says, for any source of any batch.
func TestBeam(t *testing.T) {
	const tiny = int(components.NumSpecial) + 1
	for _, architecture := range architectures {
		t.Run(strings.Join(architecture[:], "/"), func(t *testing.T) {
			m, tape := model(t, architecture, tiny, 2), autodiff.NewTape(autodiff.Float32)
			tape.Poison()
			var oracles []*oracle
			for _, source := range sources {
				oracles = append(oracles, newOracle(m, source))
			}
			for _, s := range settings {
				wide, narrow := options(3, 1000), options(6, 4)
				s.set(&wide)
				s.set(&narrow)
				if !m.Attends() {
					wide.CoverageBeta, narrow.CoverageBeta = 0, 0
				}
				all, some := Decode(m, tape, batch(sources), wide), Decode(m, tape, batch(sources), narrow)
				best := Best(m, tape, batch(sources), narrow)
				for row, o := range oracles {
					what := fmt.Sprintf("row %d, %s", row, s.name)
					sameHypotheses(t, what+", all", all[row], o.every(partial{}, wide))
					sameHypotheses(t, what, some[row], o.beam(narrow))
					alone := Decode(m, tape, batch(sources[row:row+1]), narrow)
					sameBits(t, what+", alone", alone[0], some[row])
					if !slices.Equal(best[row], some[row][0].Tokens) {
						t.Errorf("%s: best is %v, want %v", what, best[row], some[row][0])
					}
				}
			}
		})
	}
}

func sameBits(t *testing.T, what string, got, want []Hypothesis) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d hypotheses, want %d", what, len(got), len(want))
	}
	for i, h := range got {
		if w := want[i]; !slices.Equal(h.Tokens, w.Tokens) || h.Score != w.Score || h.LogProb != w.LogProb || h.Ended != w.Ended {
			t.Errorf("%s: hypothesis %d is %v, want %v", what, i, h, w)
		}
	}
}

// Fewer hypotheses are the first of more, and a tape keeps weights only where it is
// asked to.
func TestBeamCount(t *testing.T) {
	m, tape := model(t, [3]string{"gru", "gru", "dot"}, vocabulary, 1), autodiff.NewTape(autodiff.Float32)
	o := options(8, 5)
	o.CoverageBeta = 0.5
	all := Decode(m, tape, batch(sources), o)
	o.Count = 2
	for row, some := range Decode(m, tape, batch(sources), o) {
		sameBits(t, fmt.Sprintf("row %d", row), some, all[row][:2])
	}
	if tape.KeepsWeights() {
		t.Error("the tape goes on keeping weights")
	}
}

// What is stopped cuts its hypotheses where they are.
func TestStop(t *testing.T) {
	m, tape := model(t, [3]string{"gru", "gru", "dot"}, vocabulary, 1), autodiff.NewTape(autodiff.Float32)
	stop := make(chan struct{})
	close(stop)
	for _, o := range []Options{options(8, 5), samples(8, 2)} {
		o.Stop = stop
		for row, found := range Decode(m, tape, batch(sources), o) {
			if len(found) == 0 || len(found[0].Tokens) > 0 || found[0].Ended {
				t.Errorf("%s: of row %d it found %v, want nothing said", o.Search, row, found)
			}
		}
	}
}

// Of equals, the lower beam and the lower token come first.
func TestBeamTies(t *testing.T) {
	p := predictions{logits: []float32{1, 2, 2, 1, 2, 1}, normaliser: []float64{0, 0}, columns: 3}
	var got []candidate
	for row := range 2 {
		got = p.best(got, 0, row, 3)
	}
	if want := []candidate{{0, 1, 2}, {0, 2, 2}, {1, 1, 2}}; !slices.Equal(got, want) {
		t.Errorf("best are %v, want %v", got, want)
	}
}

func TestBeamOfNothing(t *testing.T) {
	m, tape := model(t, [3]string{"gru", "gru", "dot"}, vocabulary, 1), autodiff.NewTape(autodiff.Float32)
	for row, found := range Decode(m, tape, batch(sources), options(0, 3)) {
		if len(found) != 1 || len(found[0].Tokens) != 0 || found[0].Score != 0 {
			t.Errorf("row %d: %v, want one hypothesis without a token", row, found)
		}
	}
	if found := Decode(m, tape, batch(nil), options(5, 3)); len(found) != 0 {
		t.Errorf("%d results of no source", len(found))
	}
}

// A longer hypothesis takes no more allocations a step: what a step needs is there
// from the steps before.
func TestBeamAllocations(t *testing.T) {
	m, tape := model(t, [3]string{"gru", "gru", "dot"}, vocabulary, 1), autodiff.NewTape(autodiff.Float32)
	parameter := m.Params.Lookup("output.bias")
	bias := parameter.Float32s()
	bias[components.Eos] = -1000
	if err := m.Params.Set(parameter, bias); err != nil {
		t.Fatal(err)
	}
	of := func(steps int) float64 {
		return testing.AllocsPerRun(5, func() { Decode(m, tape, batch(sources), options(steps, 4)) })
	}
	of(512)
	if short, long := of(64), of(512); long-short > 1.25*(512-64) {
		t.Errorf("%v allocations of 64 steps and %v of 512, more than one a step", short, long)
	}
}
