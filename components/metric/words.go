package metric

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"exp/registry"
)

// Tokenizer is how a text is split into the tokens whose n-grams BLEU counts.
type Tokenizer string

const (
	T13a  Tokenizer = "13a"
	TIntl Tokenizer = "intl"
	TChar Tokenizer = "char"
	TNone Tokenizer = "none"
)

// Values lists what is allowed.
func (Tokenizer) Values() []string {
	return []string{string(T13a), string(TIntl), string(TChar), string(TNone)}
}

// UnmarshalText accepts one of Values.
func (t *Tokenizer) UnmarshalText(text []byte) error { return registry.OneOf(t, text) }

// passes are what is done to a text, in turn, before it is split at white space.
func (t Tokenizer) passes() []pass {
	switch t {
	case T13a:
		return []pass{unescape, padded, isolate, afterNonDigit, beforeNonDigit, afterDigit}
	case TIntl:
		return []pass{afterNonNumber, beforeNonNumber, isolateSymbols}
	case TChar:
		return []pass{isolateAll}
	}
	return nil
}

// A pass appends what it makes of text to dst, which is other memory.
type pass func(dst, text []byte) []byte

// words splits texts into words and numbers these from 1, equal ones alike. It
// is one goroutine's.
type words struct {
	passes     []pass
	numbers    map[string]int32
	text, next []byte
}

// newWords returns words that are what is between white space after the passes.
func newWords(passes ...pass) *words {
	return &words{passes: passes, numbers: map[string]int32{}}
}

// of appends the words of a text to dst. White space at its end is cut off before
// the passes.
func (w *words) of(dst []int32, text string) []int32 {
	w.text = append(w.text[:0], text...)
	w.text = bytes.TrimRightFunc(w.text, isSpace)
	for _, p := range w.passes {
		w.next = p(w.next[:0], w.text)
		w.text, w.next = w.next, w.text
	}
	for word := range bytes.FieldsFuncSeq(w.text, isSpace) {
		n, known := w.numbers[string(word)]
		if !known {
			n = int32(len(w.numbers) + 1)
			w.numbers[string(word)] = n
		}
		dst = append(dst, n)
	}
	return dst
}

// isSpace is Unicode's white space and the four separators of ASCII, at which
// Python splits too.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// lower is Unicode's full lower case: İ becomes two characters, and a Σ that ends
// a word ς.
func lower(dst, text []byte) []byte {
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return append(dst, cases.Lower(language.Und).Bytes(text)...)
		}
	}
	for _, b := range text {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		dst = append(dst, b)
	}
	return dst
}

// The passes of mteval-v13a. Each is the regular expression above it with what
// takes the place of a match; they look at ASCII, so bytes are as good as
// characters.

// unescape takes out <skipped> and hyphens at a line's end, joins lines, and
// turns the escapes of SGML into what they stand for, in this order.
func unescape(dst, text []byte) []byte { return unescaped(dst, text, "<skipped>", "-\n") }

// unescaped is [unescape], but for what is taken out first.
func unescaped(dst, text []byte, out ...string) []byte {
	if !bytes.ContainsAny(text, "<\n&") {
		return append(dst, text...)
	}
	for _, old := range out {
		text = bytes.ReplaceAll(text, []byte(old), nil)
	}
	for _, r := range [...]struct{ old, new string }{{"\n", " "}, {"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}} {
		text = bytes.ReplaceAll(text, []byte(r.old), []byte(r.new))
	}
	return append(dst, text...)
}

// padded puts a space on either side, where the rules that follow look for a
// character.
func padded(dst, text []byte) []byte {
	return append(append(append(dst, ' '), text...), ' ')
}

// ([{-~[-` -&(-+:-@/]) -> " \1 "
func isolate(dst, text []byte) []byte {
	for _, b := range text {
		if isPunctuation(b) {
			dst = append(dst, ' ', b, ' ')
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// isPunctuation is what ASCII has that is no control, letter, digit, apostrophe,
// hyphen, comma or full stop.
func isPunctuation(b byte) bool {
	switch {
	case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b < ' ', b > '~':
		return false
	}
	return b != '\'' && b != '-' && b != ',' && b != '.'
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }
func isPoint(b byte) bool { return b == '.' || b == ',' }

// ([^0-9])([.,]) -> "\1 \2 "
func afterNonDigit(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		dst = append(dst, text[i])
		if i+1 < len(text) && !isDigit(text[i]) && isPoint(text[i+1]) {
			dst = append(dst, ' ', text[i+1], ' ')
			i++
		}
	}
	return dst
}

// ([.,])([^0-9]) -> " \1 \2"
func beforeNonDigit(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		if i+1 < len(text) && isPoint(text[i]) && !isDigit(text[i+1]) {
			dst = append(dst, ' ', text[i], ' ', text[i+1])
			i++
		} else {
			dst = append(dst, text[i])
		}
	}
	return dst
}

// ([0-9])(-) -> "\1 \2 "
func afterDigit(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		dst = append(dst, text[i])
		if i+1 < len(text) && isDigit(text[i]) && text[i+1] == '-' {
			dst = append(dst, ' ', '-', ' ')
			i++
		}
	}
	return dst
}

// The passes of mteval-v14, by Unicode's categories. A byte that is no UTF-8
// stands for U+FFFD, a symbol.

// (\P{N})(\p{P}) -> "\1 \2 "
func afterNonNumber(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		dst = append(dst, text[:n]...)
		text = text[n:]
		if next, n := utf8.DecodeRune(text); !unicode.IsNumber(r) && unicode.IsPunct(next) {
			dst = append(append(append(dst, ' '), text[:n]...), ' ')
			text = text[n:]
		}
	}
	return dst
}

// (\p{P})(\P{N}) -> " \1 \2"
func beforeNonNumber(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if next, m := utf8.DecodeRune(text[n:]); m > 0 && unicode.IsPunct(r) && !unicode.IsNumber(next) {
			dst = append(append(append(dst, ' '), text[:n]...), ' ')
			dst = append(dst, text[n:n+m]...)
			n += m
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

// (\p{S}) -> " \1 "
func isolateSymbols(dst, text []byte) []byte { return isolateIf(dst, text, unicode.IsSymbol) }

// isolateAll makes a word of every character.
func isolateAll(dst, text []byte) []byte {
	return isolateIf(dst, text, func(rune) bool { return true })
}

func isolateIf(dst, text []byte, apart func(rune) bool) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if apart(r) {
			dst = append(append(append(dst, ' '), text[:n]...), ' ')
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
