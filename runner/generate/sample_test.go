package generate

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"exp/components"
	"exp/components/autodiff"
)

// samples is options that draw so many hypotheses of each source.
func samples(maxLength, count int) Options {
	o := Options{DecodingOptions: components.DefaultDecodingOptions(), Count: count, Seed: 7}
	o.Search, o.MaxLength = components.Sample, maxLength
	return o
}

// draws is what can be asked for of a sample.
var draws = []struct {
	name string
	set  func(o *Options)
}{
	{"plain", func(*Options) {}},
	{"cold", func(o *Options) { o.Temperature = 0.6 }},
	{"hot", func(o *Options) { o.Temperature = 1.7 }},
	{"top 3", func(o *Options) { o.TopK = 3 }},
	{"nucleus", func(o *Options) { o.TopP = 0.95 }},
	{"together", func(o *Options) { o.Temperature, o.TopK, o.TopP = 2, 5, 0.9 }},
	{"rules", func(o *Options) { o.BlockNgrams, o.MinLength, o.Forced, o.TopK = 1, 2, []int32{4}, 3 }},
}

// distribution is what is drawn after said, by definition: softmax(log p /
// temperature) of what is allowed, of that the TopK most probable, and of those as many
// as have the share TopP.
func distribution(said []int32, all []continuation, o Options) (left []continuation, p []float64) {
	left = slices.Clone(allowed(said, all, o))
	slices.SortStableFunc(left, func(a, b continuation) int { return cmp.Compare(b.p, a.p) })
	if o.TopK > 0 {
		left = left[:min(len(left), o.TopK)]
	}
	normalise := func() {
		p = nil
		sum := 0.0
		for _, c := range left {
			p = append(p, math.Exp(c.p/o.Temperature))
			sum += p[len(p)-1]
		}
		for i := range p {
			p[i] /= sum
		}
	}
	normalise()
	n, sum := 0, 0.0
	for ; n < len(left) && (o.TopP == 1 || sum < o.TopP); n++ {
		sum += p[n]
	}
	left = left[:n]
	normalise()
	return left, p
}

// outcomes is the probability of every hypothesis, by its text, and its log p as the
// model says it.
func (o *oracle) outcomes(p partial, share float64, options Options, into map[string]outcome) {
	if p.ended || len(p.tokens) == options.MaxLength {
		into[fmt.Sprint(p.tokens, p.ended)] = outcome{share, p.sum}
		return
	}
	left, shares := distribution(p.tokens, o.after(p.tokens), options)
	for i, c := range left {
		o.outcomes(p.with(c), share*shares[i], options, into)
	}
}

type outcome struct{ share, logProb float64 }

// Samples are drawn as often as they are probable, and nothing else is.
func TestSample(t *testing.T) {
	const n, maxLength = 4000, 3
	for _, architecture := range [][3]string{{"gru", "gru", "dot"}, {"transformer", "transformer", "multihead"}, {"lstm", "lstm", "additive points"}} {
		m, tape := model(t, architecture, 8, 3), autodiff.NewTape(autodiff.Float32)
		tape.Poison()
		for _, d := range draws {
			t.Run(strings.Join(architecture[:], "/")+"/"+d.name, func(t *testing.T) {
				o := samples(maxLength, n)
				d.set(&o)
				source := sources[2]
				want := map[string]outcome{}
				newOracle(m, source).outcomes(partial{}, 1, o, want)
				got := map[string]float64{}
				for _, h := range Decode(m, tape, batch([][]int32{source}), o)[0] {
					key := fmt.Sprint(h.Tokens, h.Ended)
					w, known := want[key]
					if !known {
						t.Fatalf("%v is drawn, which cannot be", h)
					}
					if !(math.Abs(w.logProb-h.LogProb) <= 1e-4) || h.Score != h.LogProb {
						t.Fatalf("%v is drawn, and log p is %v", h, w.logProb)
					}
					got[key]++
				}
				chiSquared, bins, rest, restWant := 0.0, 0, 0.0, 0.0
				for key, w := range want {
					expected := n * w.share
					if expected < 5 {
						rest, restWant = rest+got[key], restWant+expected
						continue
					}
					chiSquared += (got[key] - expected) * (got[key] - expected) / expected
					bins++
				}
				if restWant >= 5 {
					chiSquared += (rest - restWant) * (rest - restWant) / restWant
					bins++
				}
				if bins < 3 {
					t.Fatalf("%d bins; too few to say anything", bins)
				}
				if p := (distuv.ChiSquared{K: float64(bins - 1)}).Survival(chiSquared); !(p > 1e-3) {
					t.Errorf("χ² is %.1f of %d bins: p = %.2g", chiSquared, bins, p)
				}
			})
		}
	}
}

// The tokens that can be drawn are exactly those of top-k and top-p, ties included.
func TestSampleSupport(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		logits := make([]float32, 1+rng.IntN(40))
		for i := range logits {
			logits[i] = float32(rng.IntN(12)) / 3
			if rng.IntN(6) == 0 {
				logits[i] = float32(math.Inf(-1))
			}
		}
		logits[rng.IntN(len(logits))] = 1
		o := components.DefaultDecodingOptions()
		o.TopK, o.TopP = rng.IntN(len(logits)+2), []float64{1, 0.9, 0.5, 1e-9}[rng.IntN(4)]
		order := make([]int32, len(logits))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
		if o.TopK > 0 {
			order = order[:min(len(order), o.TopK)]
		}
		total, sum := 0.0, 0.0
		p := func(column int32) float64 { return math.Exp(float64(logits[column])) }
		for _, column := range order {
			total += p(column)
		}
		n := 0
		for ; n < len(order) && (o.TopP == 1 || sum < o.TopP*total*(1-1e-12)); n++ {
			sum += p(order[n])
		}
		d := drawing{DecodingOptions: &o}
		if got := d.most(logits); !slices.Equal(got, order[:n]) {
			t.Fatalf("k = %d, p = %v of %v: %v, want %v", o.TopK, o.TopP, logits, got, order[:n])
		}
	}
}

// What is drawn of a source depends on the seed and its number alone: not on the batch,
// nor on how many are drawn.
func TestSampleAlone(t *testing.T) {
	for _, architecture := range architectures {
		t.Run(strings.Join(architecture[:], "/"), func(t *testing.T) {
			m, tape := model(t, architecture, vocabulary, 2), autodiff.NewTape(autodiff.Float32)
			tape.Poison()
			o := samples(12, 3)
			o.Temperature = 3
			o.Examples = []int{0, 1, 2, 3, 4, 5}
			all := Decode(m, tape, batch(sources), o)
			o.Count = 2
			for row := range sources {
				o.Examples = []int{row}
				alone := Decode(m, tape, batch(sources[row:row+1]), o)
				sameBits(t, fmt.Sprintf("row %d", row), alone[0], all[row][:2])
			}
			o.Examples, o.Seed = nil, 8
			other, same := Decode(m, tape, batch(sources), o), 0
			for row := range sources {
				if slices.Equal(other[row][0].Tokens, all[row][0].Tokens) {
					same++
				}
			}
			if same == len(sources) {
				t.Error("another seed draws the same")
			}
		})
	}
}
