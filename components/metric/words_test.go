package metric

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// replacement is a step of a tokenizer as its source has it.
type replacement struct {
	find *regexp.Regexp
	put  string
}

// The tokenizers as the regular expressions of mteval-v13a, mteval-v14 and Tercom.
var written = map[string][]replacement{
	"13a": {
		{regexp.MustCompile("<skipped>"), ""}, {regexp.MustCompile("-\n"), ""}, {regexp.MustCompile("\n"), " "},
		{regexp.MustCompile("&quot;"), `"`}, {regexp.MustCompile("&amp;"), "&"}, {regexp.MustCompile("&lt;"), "<"}, {regexp.MustCompile("&gt;"), ">"},
		{regexp.MustCompile("^|$"), " "},
		{regexp.MustCompile("([\\{-\\~\\[-\\` -\\&\\(-\\+\\:-\\@\\/])"), " $1 "},
		{regexp.MustCompile(`([^0-9])([\.,])`), "$1 $2 "},
		{regexp.MustCompile(`([\.,])([^0-9])`), " $1 $2"},
		{regexp.MustCompile(`([0-9])(-)`), "$1 $2 "},
	},
	"intl": {
		{regexp.MustCompile(`([^\p{N}])(\p{P})`), "$1 $2 "},
		{regexp.MustCompile(`(\p{P})([^\p{N}])`), " $1 $2"},
		{regexp.MustCompile(`(\p{S})`), " $1 "},
	},
	"char":         {{regexp.MustCompile(`((?s).)`), " $1 "}},
	"none":         nil,
	"alphanumeric": {{regexp.MustCompile(`[^a-z0-9]+`), " "}},
	"unicode":      {{regexp.MustCompile(`[^\p{L}\p{M}\p{N}]+`), " "}},
}

// passesOf are those under test.
func passesOf(name string) []pass {
	switch name {
	case "alphanumeric":
		return []pass{alphanumericASCII}
	case "unicode":
		return []pass{alphanumericUnicode}
	}
	return Tokenizer(name).passes()
}

func split(passes []pass, text string) []string {
	w := newWords(passes...)
	ids := w.of(nil, text)
	words := make([]string, len(ids))
	for word, n := range w.numbers {
		for i, id := range ids {
			if id == n {
				words[i] = word
			}
		}
	}
	return words
}

func TestTokenizers(t *testing.T) {
	for _, test := range []struct{ tokenizer, text, want string }{
		{"13a", `It's "fine", isn't it?`, `It's " fine " , isn't it ?`},
		{"13a", "1,000.5 a.m. 10-20 well-known.", "1,000.5 a . m . 10 - 20 well-known ."},
		{"13a", "&quot;a&quot; &amp;lt; <skipped>b", `" a " < b`},
		{"13a", "ein Café...", "ein Café . . ."},
		{"13a", "Dr.,.x", "Dr . , . x"},
		{"intl", "„Ja“, 3,5 €!", "„ Ja “ , 3,5 € !"},
		{"intl", "im Jahr 1990.  ", "im Jahr 1990."},
		{"intl", "a—b ٣٫٥ ½.", "a — b ٣٫٥ ½."},
		{"char", "añ b", "a ñ b"},
		{"none", " a,b\u00a0c\x1fd ", "a,b c d"},
		{"alphanumeric", "don't ño 3.5", "don t o 3 5"},
		{"unicode", "don't ño हिन्दी", "don t ño हिन्दी"},
	} {
		if got := strings.Join(split(passesOf(test.tokenizer), test.text), " "); got != test.want {
			t.Errorf("%s of %q is %q, want %q", test.tokenizer, test.text, got, test.want)
		}
	}
}

func TestLower(t *testing.T) {
	for text, want := range map[string]string{"": "", "ABC z": "abc z", "ÄÉ": "äé", "İ": "i̇", "ΟΔΟΣ ΣΑ": "οδος σα", "K": "k", "中": "中"} {
		if got := string(lower(nil, []byte(text))); got != want {
			t.Errorf("%q in lower case is %q, want %q", text, got, want)
		}
	}
}

// FuzzTokenizers holds the passes to the regular expressions that they stand for.
func FuzzTokenizers(f *testing.F) {
	for _, seed := range []string{"", ".", "..,.", "a.,1.2-3-", "&amp;quot;&lt;\n-\n", "1990.", "„a“…", "x\u00a0y\u2028z", "a½.½", "٣٫٥", "'s it's", "👍🏽.👍", "<skip<skipped>ped>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			for name := range written {
				split(passesOf(name), text)
			}
			t.Skip()
		}
		for name, steps := range written {
			want := strings.TrimRightFunc(text, isSpace)
			for _, s := range steps {
				want = s.find.ReplaceAllString(want, s.put)
			}
			if got, want := split(passesOf(name), text), strings.FieldsFunc(want, isSpace); !slices.Equal(got, want) {
				t.Errorf("%s of %q is %q, want %q", name, text, got, want)
			}
		}
	})
}
