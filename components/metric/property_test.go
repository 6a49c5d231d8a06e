package metric

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"exp/components"
)

// ofText is every metric that compares texts, and its value where they are equal.
var ofText = map[string]float64{
	"bleu": 100, "chrf": 100, "chrf_plus_plus": 100, "ter": 0, "rouge_1": 1, "rouge_2": 1, "rouge_l": 1, "wer": 0, "cer": 0, "per": 0,
}

func TestEveryMetricIsTested(t *testing.T) {
	c := components.NewCatalog()
	Register(c)
	for _, name := range c.Metrics.Names() {
		_, is := ofText[name]
		if tokens := slices.Contains([]string{"loss", "perplexity", "token_accuracy", "exact_match", "edit_distance"}, name); is == tokens {
			t.Errorf("%s: is it of text?", name)
		}
	}
}

func TestEqualTextsArePerfect(t *testing.T) {
	for name, perfect := range ofText {
		for _, text := range []string{"the cat sat on the mat .", "The 1,000 cats, re-sat -- on & on!", "a b c d e f g a b c d"} {
			if got := of(build(t, name), texts(text, text)); math.Abs(got-perfect) > 1e-9 {
				t.Errorf("%s of %q and itself is %v, want %v", name, text, got, perfect)
			}
		}
	}
}

// What the metrics are where there is little to compare.
func TestEdges(t *testing.T) {
	none := math.NaN() // any number
	for _, test := range []struct {
		hypothesis, reference string
		want                  map[string]float64
	}{
		{"", "", map[string]float64{"bleu": 0, "chrf": 0, "chrf_plus_plus": 0, "ter": 0, "rouge_1": 0, "rouge_2": 0, "rouge_l": 0, "wer": 0, "cer": 0, "per": 0}},
		{"", "a b", map[string]float64{"bleu": 0, "chrf": 0, "chrf_plus_plus": 0, "ter": 100, "rouge_1": 0, "rouge_2": 0, "rouge_l": 0, "wer": 1, "cer": 1, "per": 1}},
		{"a b", "", map[string]float64{"bleu": 0, "chrf": 0, "chrf_plus_plus": 0, "ter": 100, "rouge_1": 0, "rouge_2": 0, "rouge_l": 0, "wer": math.Inf(1), "cer": math.Inf(1), "per": math.Inf(1)}},
		{"a", "a", map[string]float64{"bleu": 0, "chrf": 100, "chrf_plus_plus": 100, "ter": 0, "rouge_1": 1, "rouge_2": 0, "rouge_l": 1, "wer": 0, "cer": 0, "per": 0}},
		{"a", "b", map[string]float64{"bleu": 0, "chrf": 0, "chrf_plus_plus": 0, "ter": 100, "rouge_1": 0, "rouge_2": 0, "rouge_l": 0, "wer": 1, "cer": 1, "per": 1}},
		{"Größe 中文 👍🏽", "größe 中文 👍🏽", map[string]float64{"bleu": 0, "chrf": none, "chrf_plus_plus": none, "ter": 0, "rouge_1": 1, "rouge_2": 1, "rouge_l": 1, "wer": 1. / 3, "cer": 1. / 11, "per": 1. / 3}},
	} {
		for name, want := range test.want {
			if got := of(build(t, name), texts(test.hypothesis, test.reference)); got != want && !math.IsNaN(want) || math.IsNaN(got) {
				t.Errorf("%s of %q and %q is %v, want %v", name, test.hypothesis, test.reference, got, want)
			}
		}
	}
}

func TestBLEUOfFewTokens(t *testing.T) {
	for _, test := range []struct {
		options               []any
		hypothesis, reference string
		want                  float64
	}{
		{[]any{"level", "sentence"}, "a", "a", 100},
		{[]any{"level", "sentence"}, "a b c", "a b c", 100},
		{[]any{"order", int64(1)}, "a b x", "a b c d", 100 * 2. / 3 * math.Exp(1-4./3)},
		{[]any{"smoothing", "none"}, "a b x d", "a b c d", 0},
		// matches 3, 1 and none of 4, 3, 2 and 1
		{nil, "a b x d", "a b c d", 100 * math.Pow(3./4*1/3*(1./2/2)*(1./4/1), 1./4)},
		{[]any{"smoothing", "floor"}, "a b x d", "a b c d", 100 * math.Pow(3./4*1/3*(0.1/2)*(0.1/1), 1./4)},
		{[]any{"smoothing", "add_k"}, "a b x d", "a b c d", 100 * math.Pow(3./4*2/4*1/3*1/2, 1./4)},
	} {
		if got := of(build(t, "bleu", test.options...), texts(test.hypothesis, test.reference)); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("BLEU %v of %q and %q is %v, want %v", test.options, test.hypothesis, test.reference, got, test.want)
		}
	}
	if got, want := of(build(t, "bleu", "level", "sentence"), texts("a b c d", "a b c d", "x", "y")), 50.0; math.Abs(got-want) > 1e-12 {
		t.Errorf("BLEU of sentences of which half are right is %v, want %v", got, want)
	}
}

func TestChrF(t *testing.T) {
	f := func(beta, p, r float64) float64 { return 100 * (1 + beta*beta) * p * r / (beta*beta*p + r) }
	for _, test := range []struct {
		name                  string
		options               []any
		hypothesis, reference string
		want                  float64
	}{
		// Of characters 2 of 2 and of 3 are matched, of pairs 1 of 1 and of 2.
		{"chrf", nil, "a b", "ab c", f(2, 1, (2./3+1./2)/2)},
		{"chrf", []any{"beta", int64(3)}, "ab", "abc", f(3, 1, (2./3+1./2)/2)},
		{"chrf", []any{"char_order", int64(1)}, "ab", "abc", f(2, 1, 2./3)},
		{"chrf", []any{"char_order", int64(1), "whitespace", true}, "a b", "ab c", f(2, 1, 3./4)},
		{"chrf", []any{"lowercase", true}, "AÄ", "aä", 100},
		{"chrf_plus_plus", nil, "ab", "abc", f(2, 2./3, (2./3+1./2)/3)}, // no word is
		{"chrf_plus_plus", nil, "(a b!", "( a b !", 100},
		{"chrf_plus_plus", []any{"char_order", int64(1)}, "(b)", "( b )", f(2, (1+1./2)/3, (1+1./3)/3)}, // the words are (b and ), and three
	} {
		if got := of(build(t, test.name, test.options...), texts(test.hypothesis, test.reference)); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%s %v of %q and %q is %v, want %v", test.name, test.options, test.hypothesis, test.reference, got, test.want)
		}
	}
}

func TestRates(t *testing.T) {
	for _, test := range []struct {
		name                  string
		options               []any
		hypothesis, reference string
		want                  float64
		parts                 []float64
	}{
		{"wer", nil, "a x c d e", "a b c d", 2. / 4, []float64{1. / 4, 0, 1. / 4}},
		{"wer", nil, "b", "a b c", 2. / 3, []float64{0, 2. / 3, 0}},
		{"wer", nil, "b c d a", "a b c d", 2. / 4, []float64{0, 1. / 4, 1. / 4}}, // not four substitutions
		{"wer", []any{"lowercase", true}, "A B", "a b", 0, []float64{0, 0, 0}},
		{"cer", nil, "ab c", "a  bc", 2. / 4, []float64{0, 1. / 4, 1. / 4}},
		{"cer", []any{"whitespace", false}, "ab c", "a  bc", 0, []float64{0, 0, 0}},
		{"cer", []any{"lowercase", true}, "ÄB", "äc", 1. / 2, []float64{1. / 2, 0, 0}},
		{"per", nil, "HH AH0 L OW1", "HH EH1 L OW0", 2. / 4, []float64{2. / 4, 0, 0}},
		{"per", []any{"stress", false}, "HH AH0 L OW1", "HH EH1 L OW0", 1. / 4, []float64{1. / 4, 0, 0}},
		{"per", []any{"stress", false}, "t 2 9 6", "t 9 9", 2. / 3, []float64{1. / 3, 0, 1. / 3}}, // vowels of X-SAMPA
	} {
		score, parts := build(t, test.name, test.options...).Score(texts(test.hypothesis, test.reference))
		if score != test.want || !slices.Equal(parts, test.parts) {
			t.Errorf("%s %v of %q and %q is %v, %v; want %v, %v", test.name, test.options, test.hypothesis, test.reference, score, parts, test.want, test.parts)
		}
	}
}

func TestROUGE(t *testing.T) {
	for _, test := range []struct {
		name                  string
		options               []any
		hypothesis, reference string
		parts                 []float64
	}{
		{"rouge_1", nil, "The cat, the dog", "the cat sat", []float64{2. / 4, 2. / 3}},
		{"rouge_2", nil, "the cat the dog", "the cat sat on the dog", []float64{2. / 3, 2. / 5}},
		{"rouge_l", nil, "the dog cat sat", "the cat dog sat", []float64{3. / 4, 3. / 4}},
		{"rouge_1", nil, "größe", "gr sse", []float64{1. / 2, 1. / 2}}, // gr and e
		{"rouge_1", []any{"unicode", true}, "größe", "gr sse", []float64{0, 0}},
	} {
		score, parts := build(t, test.name, test.options...).Score(texts(test.hypothesis, test.reference))
		p, r := test.parts[0], test.parts[1]
		want := 0.0
		if p+r > 0 {
			want = 2 * p * r / (p + r)
		}
		if !slices.Equal(parts, test.parts) || math.Abs(score-want) > 1e-15 {
			t.Errorf("%s %v of %q and %q is %v, %v; want %v, %v", test.name, test.options, test.hypothesis, test.reference, score, parts, want, test.parts)
		}
	}
}

// Of several references each metric takes those that its definition does. What
// sacreBLEU does with them is in its documentation and its source.
func TestSeveralReferences(t *testing.T) {
	f := func(p, r float64) float64 { return 100 * 5 * p * r / (4*p + r) }
	for _, test := range []struct {
		name    string
		options []any
		outcome *components.Outcome
		want    float64
	}{
		{"exact_match", nil, grouped("ab", "ba", "ab"), 1},
		{"exact_match", nil, joined(grouped("ab", "ba", "b"), texts("a", "a")), 1. / 2},
		{"edit_distance", nil, grouped("abcd", "wxyz", "abcdxyz", "abcx"), 1},
		{"edit_distance", []any{"normalized", true}, grouped("abcd", "abx", "abcdxy"), 2. / 6},
		// the nearest, over its own length, and of equals the first
		{"wer", nil, joined(grouped("a b c", "x y z w", "a b c d"), texts("a", "b")), 2. / 5},
		{"wer", nil, grouped("a b", "a", "a b c"), 1. / 1},
		{"wer", nil, grouped("a b", "a b c", "a"), 1. / 3},
		{"per", []any{"stress", false}, grouped("HH AH0", "EH1 L", "HH AH1"), 0},
		{"cer", nil, grouped("abc", "xbc", "abcdef"), 1. / 3},
		// "a" is matched as often as the second has it, "b" as the first; the first is as long as the hypothesis
		{"bleu", []any{"order", int64(1), "tokenize", "none"}, grouped("a a b b x", "b b c c c", "a a c c c c c"), 100 * 4. / 5},
		// of 2 and 6 tokens 2 are nearer to 3, of 2 and 4 the fewer count
		{"bleu", []any{"order", int64(1), "tokenize", "none"}, grouped("a b c", "a b c x y z", "a b"), 100},
		{"bleu", []any{"order", int64(1), "tokenize", "none"}, grouped("a b c", "a b c x", "x y"), 100},
		{"bleu", []any{"order", int64(1), "tokenize", "none"}, grouped("a b c", "a b c x", "a b c x y"), 100 * math.Exp(1-4./3)},
		{"bleu", []any{"order", int64(2), "tokenize", "none"}, grouped("a b c", "a b x", "y b c"), 100 * math.Sqrt(1)}, // no reference has both pairs, and both are matched
		{"bleu", []any{"order", int64(1), "tokenize", "none", "level", "sentence"}, joined(grouped("a b", "a x", "x b"), texts("a b", "a x")), (100. + 50) / 2},
		// the second reference is the better one alone, and its counts are added to those of the other source
		{"chrf", []any{"char_order", int64(1)}, joined(grouped("abcd", "wxyz", "abcx"), texts("a", "b")), f(3./5, 3./5)},
		// of two edits and one, one, over the mean of two lengths and one
		{"ter", nil, joined(grouped("a b c", "a x y", "a b c d e"), texts("a b", "a c")), 100 * 3. / 6},
		{"rouge_1", nil, joined(grouped("a b c d", "a b x y z w", "a b"), texts("a", "b")), (2 * (2. / 4) * 1 / (2./4 + 1)) / 2},
		{"rouge_l", nil, grouped("a b c d", "d c b a", "a c b d"), 3. / 4},
	} {
		if got := of(build(t, test.name, test.options...), test.outcome); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%s %v of %v is %v, want %v", test.name, test.options, test.outcome.Pairs, got, test.want)
		}
	}
	// What is the same whatever the order in which references come, and however often.
	a, b, c := "the cat sat on the mat .", "a cat sat on a mat", "on the mat the cat sat down"
	for name := range ofText {
		m := build(t, name)
		for _, h := range []string{a, "a cat on the mat", "x", ""} {
			want := of(m, grouped(h, a, b, c))
			if got := of(m, grouped(h, b, a, c)); got != want && name != "wer" && name != "cer" && name != "per" {
				t.Errorf("%s of %q is %v, and with other references first %v", name, h, want, got)
			}
			if got := of(m, grouped(h, b, b)); name != "ter" && math.Abs(got-of(m, grouped(h, b))) > 1e-12 {
				t.Errorf("%s of %q is %v with a reference that comes twice", name, h, got)
			}
		}
		if got := of(m, grouped(a, b, a)); math.Abs(got-ofText[name]) > 1e-9 {
			t.Errorf("%s of a text and itself beside another is %v", name, got)
		}
	}
}

// A hypothesis' n-grams of an order of which the reference has none do not count in
// chrF: sacreBLEU counts no 2-gram of the first hypothesis.
func TestChrFOfShortReferences(t *testing.T) {
	got := of(build(t, "chrf", "char_order", int64(2)), texts("ab", "a", "cd", "cd"))
	precision, recall := (3./4+1)/2, 1.
	if want := 100 * 5 * precision * recall / (4*precision + recall); math.Abs(got-want) > 1e-12 {
		t.Errorf("chrF is %v, want %v", got, want)
	}
}

func TestSignatures(t *testing.T) {
	for _, test := range []struct {
		metric components.Metric
		want   string
	}{
		{build(t, "bleu"), "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:exp"},
		{build(t, "bleu", "level", "sentence", "lowercase", true, "tokenize", "intl", "smoothing", "floor"), "nrefs:1|case:lc|eff:yes|tok:intl|smooth:floor[0.10]|version:exp"},
		{build(t, "bleu", "smoothing", "add_k", "order", int64(2)), "nrefs:1|case:mixed|eff:no|tok:13a|smooth:add-k[1.00]|order:2|version:exp"},
		{build(t, "chrf"), "chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:exp"},
		{build(t, "chrf_plus_plus", "whitespace", true), "chrF2++|nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:yes|version:exp"},
		{build(t, "ter"), "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:exp"},
	} {
		if got := test.metric.(components.Signed).Signature(false); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
		if got, want := test.metric.(components.Signed).Signature(true), strings.Replace(test.want, "nrefs:1", "nrefs:var", 1); got != want {
			t.Errorf("with several references got %s, want %s", got, want)
		}
	}
}

// A metric is one of many trials, which are evaluated at once.
func TestScoresAtOnce(t *testing.T) {
	o := corpus(20)
	for name := range ofText {
		m := build(t, name)
		want, wantParts := m.Score(o)
		if len(wantParts) != len(m.Parts()) {
			t.Errorf("%s has the parts %v, and %d numbers", name, m.Parts(), len(wantParts))
		}
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				if got, parts := m.Score(o); got != want || !slices.Equal(parts, wantParts) {
					t.Errorf("%s is %v at once with others, want %v", name, got, want)
				}
			})
		}
		wait.Wait()
	}
}

// distance and overlap are as their definitions have it.
func TestCountsByDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		h, r := sequence(rng, rng.IntN(7), 3), sequence(rng, rng.IntN(7), 3)
		if got, _ := distance(h, r, nil); got != slowDistance(h, r) {
			t.Fatalf("edits of %v and %v are %+v, want %+v", h, r, got, slowDistance(h, r))
		}
		if got, _ := commonSubsequence(h, r, nil); got != slowCommon(h, r) {
			t.Fatalf("%v and %v have %d in common, want %d", h, r, got, slowCommon(h, r))
		}
		o := newOverlap(4)
		o.add(h, r)
		if want := slowOverlap(h, r, 4); !reflect.DeepEqual(o.counts, want) {
			t.Fatalf("n-grams of %v and %v are %v, want %v", h, r, o.counts, want)
		}
	}
}

// sequence is n tokens of the first so many.
func sequence(rng *rand.Rand, n, tokens int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = 1 + rng.Int32N(int32(tokens))
	}
	return s
}

func slowDistance(h, r []int32) edits {
	var ways []edits
	switch {
	case len(h) == 0:
		return edits{deletions: len(r)}
	case len(r) == 0:
		return edits{insertions: len(h)}
	}
	e := slowDistance(h[1:], r[1:])
	if h[0] != r[0] {
		e.substitutions++
	}
	ways = append(ways, e)
	e = slowDistance(h[1:], r)
	e.insertions++
	ways = append(ways, e)
	e = slowDistance(h, r[1:])
	e.deletions++
	ways = append(ways, e)
	return slices.MinFunc(ways, func(a, b edits) int {
		return (a.total()-b.total())*1000 + a.substitutions - b.substitutions
	})
}

func slowCommon(a, b []int32) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if a[0] == b[0] {
		return 1 + slowCommon(a[1:], b[1:])
	}
	return max(slowCommon(a[1:], b), slowCommon(a, b[1:]))
}

func slowOverlap(h, r []int32, order int) []ngrams {
	counts := make([]ngrams, order)
	for n := range counts {
		have := map[[4]int32]int{}
		each := func(s []int32, f func(gram [4]int32)) {
			for i := 0; i+n < len(s); i++ {
				var gram [4]int32
				copy(gram[:], s[i:i+n+1])
				f(gram)
			}
		}
		each(r, func(gram [4]int32) { have[gram]++; counts[n].reference++ })
		each(h, func(gram [4]int32) {
			counts[n].hypothesis++
			if have[gram] > 0 {
				have[gram]--
				counts[n].matched++
			}
		})
	}
	return counts
}

// FuzzMetrics looks for texts whose metrics are no numbers or out of their range.
func FuzzMetrics(f *testing.F) {
	for _, seed := range []string{"", "a", "the cat sat", "größe, 中文 👍🏽.", "a a a a a a", "\xff \x00"} {
		f.Add(seed, "the cat sat on a mat")
		f.Add("the cat sat on a mat", seed)
	}
	metrics := map[string]components.Metric{}
	for name := range ofText {
		metrics[name] = build(f, name)
	}
	f.Fuzz(func(t *testing.T, hypothesis, reference string) {
		for name, m := range metrics {
			o := &components.Outcome{Pairs: make([]components.Said, 2), Text: func(tokens []int32) string { return hypothesis }}
			for i := range o.Pairs {
				o.Pairs[i].References = []components.Reference{{Tokens: []int32{1}}}
			}
			o.Text = func(tokens []int32) string {
				if tokens == nil {
					return hypothesis
				}
				return reference
			}
			perfect := ofText[name]
			score, parts := m.Score(o)
			most := math.Inf(1)
			if m.HigherIsBetter() {
				most = perfect + 1e-9
			}
			if !(score >= 0 && score <= most) || len(parts) != len(m.Parts()) {
				t.Errorf("%s of %q and %q is %v, with parts %v", name, hypothesis, reference, score, parts)
			}
			if hypothesis == reference && !m.HigherIsBetter() && score != 0 {
				t.Errorf("%s of %q and itself is %v", name, hypothesis, score)
			}
		}
	})
}

// corpus is n pairs of about 13 words, as of a caption, of which the hypothesis
// has most, some in another order.
func corpus(n int) *components.Outcome {
	rng := rand.New(rand.NewPCG(5, 6))
	word := func() string {
		rank := int(2000 * math.Pow(rng.Float64(), 3)) // few words are frequent
		length := 2 + rank%7
		var b strings.Builder
		for range length {
			b.WriteByte(byte('a' + rank%26))
			rank = rank*7/5 + 3
		}
		return b.String()
	}
	var pairs []string
	for range n {
		var h, r []string
		for range 6 + rng.IntN(14) {
			w := word()
			r = append(r, w)
			switch rng.IntN(8) {
			case 0:
			case 1:
				h = append(h, word())
			case 2:
				h = slices.Insert(h, rng.IntN(len(h)+1), w)
			default:
				h = append(h, w)
			}
		}
		pairs = append(pairs, strings.Join(h, " ")+".", strings.Join(r, " ")+".")
	}
	return texts(pairs...)
}

func BenchmarkMetrics(b *testing.B) {
	o := corpus(1000)
	var h, r []string
	for i := range o.Pairs {
		hypothesis, references := o.Texts(i)
		h, r = append(h, hypothesis), append(r, references[0])
	}
	o.Text = func(tokens []int32) string { // which this is not to measure
		if tokens[0] < 0 {
			return h[^tokens[0]]
		}
		return r[tokens[0]]
	}
	for i := range o.Pairs {
		o.Pairs[i].Hypothesis, o.Pairs[i].References = []int32{^int32(i)}, []components.Reference{{Tokens: []int32{int32(i)}}}
	}
	for _, name := range []string{"bleu", "chrf", "chrf_plus_plus", "ter", "rouge_1", "rouge_2", "rouge_l", "wer", "cer", "per"} {
		m := build(b, name)
		b.Run(name+"/1000", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Score(o)
			}
		})
	}
	// What costs most: long, much alike, nothing where it should be.
	rng := rand.New(rand.NewPCG(7, 8))
	long := func() string {
		var words []string
		for range 200 {
			words = append(words, string(rune('a'+rng.IntN(4))))
		}
		return strings.Join(words, " ")
	}
	for name, o := range map[string]*components.Outcome{
		"ter/long":       texts(long(), long()),
		"ter/repetitive": texts(strings.Repeat("on a ", 50), "a man in a hat is on a bench on a hill"),
	} {
		b.Run(name, func(b *testing.B) {
			m := build(b, "ter")
			for b.Loop() {
				m.Score(o)
			}
		})
	}
}
