package components

import (
	"reflect"
	"slices"
	"testing"

	"exp/components/autodiff"
)

func TestVocabulary(t *testing.T) {
	v := NewVocabulary([]string{"b", "a", "b", "<unk>"})
	if got, want := v.Size(), int(NumSpecial)+3; got != want { // <unk> as a word is not the special token
		t.Errorf("size is %d, want %d", got, want)
	}
	for id, token := range []string{"<pad>", "<s>", "</s>", "<unk>", "b", "a"} {
		if got := v.Token(int32(id)); got != token {
			t.Errorf("token %d is %q, want %q", id, got, token)
		}
	}
	for token, want := range map[string]int32{"b": 4, "a": 5, "c": Unk, "<pad>": Unk} {
		if got := v.ID(token); got != want {
			t.Errorf("ID(%q) is %d, want %d", token, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	var b Batch
	b.Fill([]Pair{{Source: []int32{9, 9, 9, 9}, Target: []int32{9, 9, 9}}, {Source: []int32{9}}, {}}) // memory to reuse
	b.Fill([]Pair{{Source: []int32{4, 5}, Target: []int32{6}}, {Source: []int32{7}, Target: []int32{8, 9}}})
	want := Batch{
		Source:    Sequences{Tokens: []int32{4, 5, 7}, Spans: autodiff.Spans{Starts: []int32{0, 2}, Lengths: []int32{2, 1}}},
		TargetIn:  Sequences{Tokens: []int32{Bos, 6, Bos, 8, 9}, Spans: autodiff.Spans{Starts: []int32{0, 2}, Lengths: []int32{2, 3}}},
		TargetOut: Sequences{Tokens: []int32{6, Eos, 8, 9, Eos}, Spans: autodiff.Spans{Starts: []int32{0, 2}, Lengths: []int32{2, 3}}},
	}
	if !reflect.DeepEqual(b, want) {
		t.Errorf("batch is\n%+v\nwant\n%+v", b, want)
	}
	b.Fill([]Pair{{}})
	if b.Source.Longest() != 0 || b.Source.Batch() != 1 || !reflect.DeepEqual(b.TargetIn.Tokens, []int32{Bos}) || !reflect.DeepEqual(b.TargetOut.Tokens, []int32{Eos}) {
		t.Errorf("an empty pair gives %+v", b)
	}
}

func TestOptions(t *testing.T) {
	valid := []interface{ Validate() error }{DefaultTraining(), DefaultEvaluation(), Training{Steps: 1, BatchTokens: 1, Accumulate: 1}, Training{Epochs: 1, BatchSize: 1, Accumulate: 1}}
	for _, o := range valid {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	invalid := map[string]interface{ Validate() error }{
		"batch_size: must be at least 1, or batch_tokens":                 Training{Steps: 1, Accumulate: 1},
		"steps: must be at least 1, or one of epochs, tokens and seconds": Training{BatchSize: 1, Accumulate: 1},
		"label_smoothing: must be in [0, 1), is 1":                        Training{Steps: 1, BatchSize: 1, Accumulate: 1, LabelSmoothing: 1},
		"every: must be at least 1, is 0":                                 Evaluation{BatchSize: 1, DecodingOptions: DefaultDecodingOptions()},
	}
	for want, o := range invalid {
		if err := o.Validate(); err == nil || err.Error() != want {
			t.Errorf("%+v: error is %v, want %q", o, err, want)
		}
	}
}

// Numbers of the source's tokens in the target, and back.
func TestNumbers(t *testing.T) {
	d := Data{Source: NewVocabulary([]string{"a", "b", "c"}), Target: NewVocabulary([]string{"c", "x"})}
	v := int32(d.Target.Size())
	if got, want := d.Numbers(), []int32{0, 1, 2, 3, v + 4, v + 5, 4}; !slices.Equal(got, want) {
		t.Errorf("numbers are %v, want %v", got, want)
	}
	for token, want := range map[string]int32{"a": v + 4, "c": 4, "x": 5, "neither": Unk, "<unk>": Unk} {
		got := d.TargetID(token)
		if got != want {
			t.Errorf("%s has the number %d, want %d", token, got, want)
		}
		if back := d.TargetToken(got); got != Unk && back != token {
			t.Errorf("%s is read as %s", token, back)
		}
	}
}

// The text of a reference is that of its pair, where that says it.
func TestOutcomeTexts(t *testing.T) {
	o := &Outcome{Text: func(tokens []int32) string { return string(tokens) }, Pairs: []Said{
		{Hypothesis: []int32{'a'}, References: []Reference{{Tokens: []int32{'b'}}, {Tokens: []int32{'b'}, Text: "rare"}}},
	}}
	if hypothesis, references := o.Texts(0); hypothesis != "a" || !slices.Equal(references, []string{"b", "rare"}) {
		t.Errorf("texts are %q and %q, want a, and b and rare", hypothesis, references)
	}
}

// Texts are read as the data's are, and what no vocabulary has is unknown.
func TestReadTexts(t *testing.T) {
	d := &Data{Source: NewVocabulary([]string{"a", "b"}), Target: NewVocabulary([]string{"x"}), MaxSource: 3}
	p, tokens, err := d.ReadSource(" a  c b\ta ")
	if err != nil || !slices.Equal(p.Source, []int32{4, Unk, 5}) || !slices.Equal(tokens, []string{"a", "c", "b", "a"}) {
		t.Errorf("a source is %v of %q, %v", p, tokens, err)
	}
	if ids, err := d.ReadTarget("x x"); err != nil || !slices.Equal(ids, []int32{4, 4}) {
		t.Errorf("a target is %v, %v", ids, err)
	}
	if _, err := d.ReadTarget("x y"); err == nil || err.Error() != `"y" is no token of the target's vocabulary` {
		t.Errorf("error is %v", err)
	}
	frames := &Data{FrameSize: 2}
	if p, _, err := frames.ReadSource("1 2.5 -3 4"); err != nil || p.Frames.Steps() != 2 || !slices.Equal(p.Frames.Values, []float32{1, 2.5, -3, 4}) {
		t.Errorf("frames are %+v, %v", p, err)
	}
	for text, want := range map[string]string{"1 2 3": "has 3 numbers, which are no frames of 2", "1 b": `"b" is no number, and a source is frames of 2`, "nan 1": `"nan" is no number, and a source is frames of 2`} {
		if _, _, err := frames.ReadSource(text); err == nil || err.Error() != want {
			t.Errorf("%q: error is %v, want %q", text, err, want)
		}
	}
}
