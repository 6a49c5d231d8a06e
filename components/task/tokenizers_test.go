package task

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"exp/components"
	"exp/registry"
)

// tokenizer is one of a kind that has learned from texts.
func tokenizer(t testing.TB, name string, set map[string]any, texts ...string) (components.Tokenizer, []string) {
	t.Helper()
	made, tokens, err := learned(name, set, texts...)
	if err != nil {
		t.Fatal(err)
	}
	return made, tokens
}

func learned(name string, set map[string]any, texts ...string) (components.Tokenizer, []string, error) {
	c := components.NewCatalog()
	Register(c)
	table := registry.NewTable("tokenizer", registry.Origin{})
	table.Set("type", registry.Value{Data: name})
	for key, value := range set {
		if n, ok := value.(int); ok {
			value = int64(n)
		}
		table.Set(key, registry.Value{Data: value})
	}
	choice, err := c.Tokenizers.Decode(table)
	if err != nil {
		return nil, nil, err
	}
	made, err := choice.Build(components.TokenizerDeps{})
	if err != nil {
		return nil, nil, err
	}
	tokens, err := made.Learn(slices.Values(texts))
	return made, tokens, err
}

var corpus = []string{"the lower the better", "the lowest newest widest", "newer  and wider, Grüße!", "new new new"}

func TestTokenizers(t *testing.T) {
	for _, test := range []struct {
		name   string
		set    map[string]any
		text   string
		want   []string
		joined string // "": the text
	}{
		{"words", nil, " the\tnew  one ", []string{"the", "new", "one"}, "the new one"},
		{"characters", nil, "a Gü", []string{"a", " ", "G", "ü"}, ""},
		{"characters", map[string]any{"byte_fallback": true}, "né", []string{"n", "<0xC3>", "<0xA9>"}, ""},
		{"bytes", nil, "né", []string{"<0x6E>", "<0xC3>", "<0xA9>"}, ""},
		{"bpe", map[string]any{"num_merges": 0}, "new é", []string{"▁", "n", "e", "w", "▁", "<0xC3>", "<0xA9>"}, ""},
		{"bpe", map[string]any{"num_merges": 4}, "the newest", []string{"▁", "t", "h", "e", "▁new", "e", "s", "t"}, ""},
		{"bpe", map[string]any{"num_merges": 0, "byte_fallback": false}, "n é", []string{"▁", "n", "▁", "é"}, ""},
	} {
		made, tokens := tokenizer(t, test.name, test.set, corpus...)
		got := made.Cut(test.text)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s %v cuts %q into %q, want %q", test.name, test.set, test.text, got, test.want)
		}
		want := test.joined
		if want == "" {
			want = test.text
		}
		if joined := made.Join(got); joined != want {
			t.Errorf("%s %v joins %q to %q, want %q", test.name, test.set, got, joined, want)
		}
		if name := slices.Sorted(slices.Values(tokens)); len(slices.Compact(name)) != len(tokens) {
			t.Errorf("%s: tokens come twice in %q", test.name, tokens)
		}
	}
}

// Words and characters are kept by how often they come.
func TestKept(t *testing.T) {
	texts := []string{"b b b a a c c d"}
	for _, test := range []struct {
		set  map[string]any
		want string
	}{
		{nil, "b a c d"},
		{map[string]any{"min_frequency": 2}, "b a c"},
		{map[string]any{"vocabulary_size": 6}, "b a"},
		{map[string]any{"vocabulary_file": write(t, "vocab", "<unk>\nz\t-1.5\ny\n")}, "z y"},
		{map[string]any{"vocabulary_file": write(t, "vocab", "\t\t4\nz\t1\n")}, "\t z"},
		{map[string]any{"vocabulary_file": write(t, "vocab.json", `{"z": 9, "y": 3, "</s>": 0}`)}, "y z"},
		{map[string]any{"vocabulary_file": write(t, "vocab.JSON.gz", zipped(t, `{"z": 9, "y": 3}`))}, "y z"},
		{map[string]any{"vocabulary_file": write(t, "vocab.json", "\ufeff{\"z\": 9}\n")}, "z"},
	} {
		if _, tokens := tokenizer(t, "words", test.set, texts...); text(tokens) != test.want {
			t.Errorf("%v keeps %q, want %q", test.set, text(tokens), test.want)
		}
	}
	for want, set := range map[string]map[string]any{
		"vocabulary_size: must be above 4":                                      {"vocabulary_size": 4},
		"vocabulary_file: says which":                                           {"vocabulary_file": "x", "min_frequency": 2},
		"none: no such file":                                                    {"vocabulary_file": "none"},
		"vocab:2: \"a\" is on line 1 already":                                   {"vocabulary_file": write(t, "vocab", "a\na\n")},
		"vocab:2: there is no token":                                            {"vocabulary_file": write(t, "vocab", "a\n\n")},
		"vocab:1: there is no token":                                            {"vocabulary_file": write(t, "vocab", "\t4\n")},
		"vocab:3: \"<s>\" is on line 1 already":                                 {"vocabulary_file": write(t, "vocab", "<s>\na\n<s>\n")},
		"has no token but the special ones":                                     {"vocabulary_file": write(t, "vocab", "<s>\n")},
		"vocab.json: \"a\" and \"b\" have the n":                                {"vocabulary_file": write(t, "vocab.json", `{"a":1,"b":1}`)},
		"vocab.json: not a JSON object":                                         {"vocabulary_file": write(t, "vocab.json", `[1]`)},
		"not a JSON object of the tokens' numbers: invalid character '{' after": {"vocabulary_file": write(t, "vocab.json", `{"a":1}{"b":2}`)},
	} {
		if _, _, err := learned("words", set, texts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", set, err, want)
		}
	}
}

// naive learns merges by counting every pair anew for each.
func naive(texts []string, merges int) (pairs [][2]string) {
	var words [][]string
	for _, text := range texts {
		for word := range spacedWords(text) {
			words = append(words, strings.Split(strings.ReplaceAll(word, " ", space), ""))
		}
	}
	number := map[string]int{}
	var alphabet []string
	for _, w := range words {
		alphabet = append(alphabet, w...)
	}
	slices.Sort(alphabet)
	for _, token := range slices.Compact(alphabet) {
		number[token] = len(number)
	}
	for range merges {
		counts := map[[2]string]int{}
		for _, w := range words {
			for i := 1; i < len(w); i++ {
				counts[[2]string{w[i-1], w[i]}]++
			}
		}
		var best [2]string
		for p, n := range counts {
			lower := number[p[0]] < number[best[0]] || p[0] == best[0] && number[p[1]] < number[best[1]]
			if m := counts[best]; n > m || n == m && lower {
				best = p
			}
		}
		if counts[best] < 2 {
			break
		}
		made := best[0] + best[1]
		if _, known := number[made]; !known {
			number[made] = len(number)
		}
		pairs = append(pairs, best)
		for k, w := range words {
			var out []string
			for i := 0; i < len(w); i++ {
				if i+1 < len(w) && w[i] == best[0] && w[i+1] == best[1] {
					out, i = append(out, made), i+1
					continue
				}
				out = append(out, w[i])
			}
			words[k] = out
		}
	}
	return pairs
}

// Merges are those that plain counting gives, and cutting by them gives what
// making them one after the other does.
func TestBPELearnsWhatCountingGives(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	texts := slices.Clone(corpus)
	for range 60 {
		var b strings.Builder
		for range 30 {
			b.WriteByte("aaabbcde  "[rng.IntN(10)])
		}
		texts = append(texts, b.String())
	}
	made, _ := tokenizer(t, "bpe", map[string]any{"num_merges": 150}, texts...)
	b := made.(*bpe)
	var got [][2]string
	for _, p := range b.pairs {
		got = append(got, [2]string{b.tokens[p.left], b.tokens[p.right]})
	}
	if want := naive(texts, 150); !slices.Equal(got, want) {
		t.Errorf("merges are\n%q, want\n%q", got, want)
	}
	for _, text := range texts {
		var want []string
		for word := range spacedWords(text) {
			tokens := strings.Split(strings.ReplaceAll(word, " ", space), "")
			for _, p := range got {
				for i := 0; i+1 < len(tokens); i++ {
					if tokens[i] == p[0] && tokens[i+1] == p[1] {
						tokens = slices.Replace(tokens, i, i+2, p[0]+p[1])
					}
				}
			}
			want = append(want, tokens...)
		}
		if got := made.Cut(text); !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	again, _ := tokenizer(t, "bpe", map[string]any{"num_merges": 150}, texts...)
	if again.(*bpe).writeMerges() != b.writeMerges() {
		t.Error("learned again, the merges are others")
	}
}

// Merges that are written and read give the same tokens.
func TestMergesFile(t *testing.T) {
	made, tokens := tokenizer(t, "bpe", map[string]any{"num_merges": 20}, corpus...)
	path := write(t, "merges.txt", made.(*bpe).writeMerges())
	read, again := tokenizer(t, "bpe", map[string]any{"merges_file": path}, corpus...)
	if !slices.Equal(again, tokens) {
		t.Errorf("tokens are %q, want %q", again, tokens)
	}
	for _, text := range corpus {
		if got, want := read.Cut(text), made.Cut(text); !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if _, tokens := tokenizer(t, "bpe", map[string]any{"merges_file": write(t, "m", "x y\nxy z\n")}, "a"); !slices.Contains(tokens, "xyz") {
		t.Errorf("characters that the texts lack are not in %q", tokens[256:])
	}
	for want, content := range map[string]string{
		"m:1: not a merge":                     "a\n",
		"m:2: not a merge":                     "a b\na b c\n",
		"m:1: \"ab\" is made by no merge":      "ab c\n",
		"m:2: \"e</w>\" ends a word with </w>": "#version: 0.2\nh e</w>\n",
		"m:2: the merge of \"a\" and \"b\" is": "a b\na b\n",
		", makes a special token":              "< s\n<s >\n",
	} {
		if _, _, err := learned("bpe", map[string]any{"merges_file": write(t, "m", content)}, "a"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}

// Characters that training lacks are numbered in the order in which merges have them.
func TestMergesNumberCharacters(t *testing.T) {
	path := write(t, "m", "x y\nz w\n")
	for range 20 {
		if _, tokens := tokenizer(t, "bpe", map[string]any{"merges_file": path, "byte_fallback": false}, "a"); !slices.Equal(tokens, []string{"a", "▁", "x", "y", "xy", "z", "w", "zw"}) {
			t.Fatalf("the tokens are %q", tokens)
		}
	}
}

// otherTools reads a file that another program has written, or reads.
func otherTools(t *testing.T, name string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "other_tools", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// Merges and vocabulary that are written give another program the tokens and the
// numbers that they give here, and the texts back.
func TestOtherToolsReadOurs(t *testing.T) {
	texts := otherTools(t, "text.txt")
	made, tokens := tokenizer(t, "bpe", map[string]any{"num_merges": 120}, slices.Concat(texts, texts)...)
	if got, want := made.(*bpe).writeMerges(), strings.Join(otherTools(t, "merges.txt"), "\n")+"\n"; got != want {
		t.Errorf("merges are not as they were given to the other program:\n%s", got)
	}
	read, again := tokenizer(t, "bpe", map[string]any{"merges_file": filepath.Join("testdata", "other_tools", "merges.txt")}, texts...)
	if !slices.Equal(again, tokens) {
		t.Error("the merges that were written give another vocabulary")
	}
	v := components.NewVocabulary(tokens)
	for _, file := range []string{"vocab.txt", "vocab.json"} {
		got, err := readVocabulary(filepath.Join("testdata", "other_tools", file))
		if err != nil || !slices.Equal(got, tokens) {
			t.Errorf("%s has another vocabulary (%v)", file, err)
		}
	}
	lines := otherTools(t, "huggingface.jsonl")
	for i, text := range otherTools(t, "held_out.txt") {
		var theirs struct {
			Text, Decoded string
			Tokens        []string
			IDs           []int32
		}
		if err := json.Unmarshal([]byte(lines[i]), &theirs); err != nil {
			t.Fatal(err)
		}
		got := read.Cut(text)
		if theirs.Text != text || theirs.Decoded != text || !slices.Equal(got, theirs.Tokens) || !slices.Equal(v.IDs(got), theirs.IDs) {
			t.Errorf("%q is %q, %v; the other program has\n%q, %v and %q", text, got, v.IDs(got), theirs.Tokens, theirs.IDs, theirs.Decoded)
		}
	}
}

// What is written is read back as the vocabulary that it was, or is not written.
func TestLearnedIsReadBack(t *testing.T) {
	load := func(source string, tokenizer map[string]any) (*components.Data, map[string]string, error) {
		set := with(files(t, 2, source, "x\ny y\n", "a\n", "y\n", "b\n", "y\n"), "tokenizers", []map[string]any{tokenizer})
		task, err := textTask("parallel", set)
		if err != nil {
			t.Fatal(err)
		}
		d, err := task.Load()
		if err != nil {
			t.Fatal(err)
		}
		written, err := task.(components.Learning).Learned()
		return d, written, err
	}
	odd := "a\t b c\nü <0x41> \u2028\u00a0\ufeff \"\\\n"
	for _, set := range []map[string]any{
		{"type": "words"}, {"type": "characters"}, {"type": "characters", "byte_fallback": true}, {"type": "bytes"}, {"type": "bpe", "num_merges": 4},
	} {
		want, written, err := load(odd, set)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"vocab.txt", "vocab.json"} {
			path := write(t, name, written[name])
			tokens, err := readVocabulary(path)
			if got := components.NewVocabulary(tokens); err != nil || !got.Equal(want.Source) {
				t.Errorf("%v: %s is read as %q, want %q (%v)", set, name, got.Tokens(), want.Source.Tokens(), err)
			}
			if set["type"] != "words" && set["type"] != "characters" {
				continue
			}
			if got, _, err := load("other\ntexts\n", with(maps.Clone(set), "vocabulary_file", path)); err != nil || !got.Source.Equal(want.Source) {
				t.Errorf("%v: with %s the tokens are %q, want %q (%v)", set, name, got.Source.Tokens(), want.Source.Tokens(), err)
			}
		}
	}
	for want, test := range map[string]struct{ source, tokenizer string }{
		`vocab.txt: "<unk>" is a special token, number 3, and a token of the texts, number `: {"the <unk>\n<unk>\n", "words"},
		`vocab.txt: "<s>" is a special token, number 1, and a token of the texts`:            {"a\n<s>\n", "words"},
		`vocab.txt: the token "\r", number `:                                                 {"a\rb\nc\n", "characters"},
	} {
		if _, _, err := load(test.source, map[string]any{"type": test.tokenizer}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", test.source, err, want)
		}
	}
}

// A vocabulary of sentencepiece is read with all its tokens but the special ones.
func TestVocabularyOfSentencepiece(t *testing.T) {
	got, err := readVocabulary(filepath.Join("testdata", "other_tools", "sentencepiece.vocab"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, line := range otherTools(t, "sentencepiece.vocab")[3:] { // <unk>, <s>, </s>
		token, _, _ := strings.Cut(line, "\t")
		want = append(want, token)
	}
	if !slices.Equal(got, want) || len(got) < 100 {
		t.Errorf("read %d tokens %q, want %d", len(got), got, len(want))
	}
}

// Dropout leaves merges out at random, evenly from none to all, and the text comes
// back whatever it does.
func TestBPEDropout(t *testing.T) {
	const said = "the newest and the lowest"
	length := func(dropout float64) (mean float64) {
		made, _ := tokenizer(t, "bpe", map[string]any{"num_merges": 60, "min_frequency": 1, "dropout": dropout}, corpus...)
		b := made.(*bpe)
		rng := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			tokens := b.Sample(said, rng)
			if got := b.Join(tokens); got != said {
				t.Fatalf("%q is joined to %q", tokens, got)
			}
			mean += float64(len(tokens))
		}
		mean /= 300
		if same := b.Cut(said); dropout == 0 && mean != float64(len(same)) {
			t.Errorf("without dropout there are %v tokens, and %d are cut", mean, len(same))
		}
		return mean
	}
	none, some, most, all := length(0), length(0.1), length(0.5), length(0.999)
	if !(none < some && some < most && most < all) || all < float64(len(said))-1 {
		t.Errorf("%v, %v, %v and %v tokens at dropout 0, 0.1, 0.5 and 0.999", none, some, most, all)
	}
}

// A token that has a meaning of its own is not made by merging, nor one that breaks
// the line of a merges file.
func TestBPEMakesNoSpecialToken(t *testing.T) {
	texts := slices.Repeat([]string{"<0x41><0x41> <s><s> <unk><unk> a\r a\r\n"}, 5)
	made, tokens := tokenizer(t, "bpe", map[string]any{"num_merges": 500}, texts...)
	for _, token := range tokens[256:] {
		if reserved(token) || len(token) > 1 && strings.ContainsAny(token, "\r\n") {
			t.Errorf("%q was made", token)
		}
	}
	if got := made.Join(made.Cut(texts[0])); got != texts[0] {
		t.Errorf("%q comes back as %q", texts[0], got)
	}
}

// What a tokenizer cuts it joins to the same text, and knows every token of it.
func FuzzRoundTrip(f *testing.F) {
	for _, seed := range slices.Concat(corpus, []string{"", " ", "  a", "▁", "a▁ b", "<0x41>", "<s>", "\uFDD0\uFEFF", "\x00\r\n\t", "日本語 テキスト", "é", "👩‍👩‍👧"}) {
		f.Add(seed)
	}
	vocabularies := map[string]*components.Vocabulary{}
	tokenizers := map[string]components.Tokenizer{}
	for name, set := range map[string]map[string]any{"characters": {"byte_fallback": true}, "bytes": nil, "bpe": {"num_merges": 30}} {
		made, tokens := tokenizer(f, name, set, slices.Concat(corpus, slices.Repeat([]string{"<0x41>"}, 9))...)
		tokenizers[name], vocabularies[name] = made, components.NewVocabulary(tokens)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		for name, made := range tokenizers {
			tokens := made.Cut(text)
			if got := made.Join(tokens); got != text {
				t.Errorf("%s: %q is cut to %q and comes back as %q", name, text, tokens, got)
			}
			if ids := vocabularies[name].IDs(tokens); slices.Contains(ids, components.Unk) {
				t.Errorf("%s: %q is cut to %q, of which some are unknown", name, text, tokens)
			}
		}
	})
}

func FuzzMergesFile(f *testing.F) {
	f.Add("#version: 0.2\na b\nab c\n")
	f.Add("▁ a\r\n")
	f.Add("▁ \r\r\n")
	f.Add("< s\n<s >")
	f.Fuzz(func(t *testing.T, content string) {
		made, tokens, err := learned("bpe", map[string]any{"merges_file": write(t, "m", content)}, "abc")
		if err != nil {
			return
		}
		if again, _, err := learned("bpe", map[string]any{"merges_file": write(t, "m", made.(*bpe).writeMerges())}, "abc"); err != nil || again.(*bpe).writeMerges() != made.(*bpe).writeMerges() {
			t.Errorf("%q is not read as it was written: %v", made.(*bpe).writeMerges(), err)
		}
		if joined := made.Join(made.Cut("a b ac")); joined != "a b ac" || len(tokens) < 256 {
			t.Errorf("%q", joined)
		}
	})
}

func FuzzVocabularyFile(f *testing.F) {
	f.Add("a\nb\t-1\n", false)
	f.Add(`{"a": 1}`, true)
	f.Fuzz(func(t *testing.T, content string, table bool) {
		name := "v"
		if table {
			name = "v.json"
		}
		tokens, err := readVocabulary(write(t, name, content))
		if err != nil {
			return
		}
		if v := components.NewVocabulary(tokens); v.Size() != len(tokens)+int(components.NumSpecial) || len(tokens) == 0 {
			t.Errorf("%q are %d tokens of %d different ones", tokens, len(tokens), v.Size())
		}
	})
}

// multi30k is the lines of both sides of its training, skipped where it is not there.
func multi30k(b testing.TB) []string {
	var all []string
	for _, side := range []string{"de", "en"} {
		path := filepath.Join(filepath.Dir(dataDir(b)), "multi30k", "tok", "train.lc.norm.tok."+side+".gz")
		text, close, err := openText(path)
		if err != nil {
			b.Fatal(err)
		}
		defer close()
		for s := bufio.NewScanner(text); s.Scan(); {
			all = append(all, s.Text())
		}
	}
	return all
}

func BenchmarkBPELearn(b *testing.B) {
	texts := multi30k(b)
	for b.Loop() {
		made, _ := tokenizer(b, "bpe", map[string]any{"num_merges": 8000}, texts...)
		if n := len(made.(*bpe).pairs); n != 8000 {
			b.Fatalf("%d merges", n)
		}
	}
}

func BenchmarkBPECut(b *testing.B) {
	texts := multi30k(b)
	made, _ := tokenizer(b, "bpe", map[string]any{"num_merges": 8000, "dropout": 0.1}, texts...)
	for _, dropout := range []bool{false, true} {
		b.Run(fmt.Sprintf("dropout=%v", dropout), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			for i := 0; b.Loop(); i++ {
				if text := texts[i%len(texts)]; dropout {
					made.(*bpe).Sample(text, rng)
				} else {
					made.Cut(text)
				}
			}
		})
	}
}
