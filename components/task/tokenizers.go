package task

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"exp/components"
	"exp/registry"
)

// registerTokenizers enters what cuts texts.
func registerTokenizers(c *components.Catalog) {
	registry.Add(&c.Tokenizers, "words", WordsOptions{KeptOptions{MinFrequency: 1}}, NewWords)
	registry.Add(&c.Tokenizers, "characters", CharactersOptions{KeptOptions{MinFrequency: 1}, false}, NewCharacters)
	registry.Add(&c.Tokenizers, "bytes", BytesOptions{}, NewBytes)
	registry.Add(&c.Tokenizers, "bpe", BPEOptions{NumMerges: 8000, MinFrequency: 2, ByteFallback: true}, NewBPE)
}

// KeptOptions says which of the tokens that the training has are kept.
type KeptOptions struct {
	MinFrequency   int    `toml:"min_frequency" doc:"a token that training has less often is unknown"`
	VocabularySize int    `toml:"vocabulary_size" doc:"tokens that are kept, the most frequent ones, the 4 special ones counted too; 0: all"`
	VocabularyFile string `toml:"vocabulary_file" content:"file" doc:"file with the tokens, in the place of those that training has: a line each, what follows a tab left out, or, with a name that ends with .json or .json.gz, a JSON table of numbers; \"\": none"`
}

// Validate reports every value out of range.
func (o KeptOptions) Validate() error {
	errs := []error{registry.AtLeast("min_frequency", o.MinFrequency, 1), registry.AtLeast("vocabulary_size", o.VocabularySize, 0)}
	if o.VocabularySize > 0 && o.VocabularySize <= int(components.NumSpecial) {
		errs = append(errs, registry.Fault{Key: "vocabulary_size", Problem: fmt.Sprintf("must be above %d, the number of special tokens, is %d", components.NumSpecial, o.VocabularySize)})
	}
	if o.VocabularyFile != "" && (o.MinFrequency > 1 || o.VocabularySize > 0) {
		errs = append(errs, registry.Fault{Key: "vocabulary_file", Problem: "says which tokens there are; leave out min_frequency and vocabulary_size"})
	}
	return errors.Join(errs...)
}

// learn returns the tokens kept of those that cut makes of the texts, the most
// frequent first, equal ones in alphabetical order.
func (o KeptOptions) learn(texts iter.Seq[string], cut func(string) iter.Seq[string]) ([]string, error) {
	if o.VocabularyFile != "" {
		return readVocabulary(o.VocabularyFile)
	}
	counts := map[string]int{}
	for text := range texts {
		for token := range cut(text) {
			if _, known := counts[token]; !known {
				token = strings.Clone(token) // and not the text around it
			}
			counts[token]++
		}
	}
	tokens := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	tokens = slices.DeleteFunc(tokens, func(token string) bool { return counts[token] < o.MinFrequency })
	if o.VocabularySize > 0 {
		tokens = tokens[:min(len(tokens), o.VocabularySize-int(components.NumSpecial))]
	}
	return tokens, nil
}

// WordsOptions configures the words tokenizer.
type WordsOptions struct{ KeptOptions }

// Doc describes the component.
func (WordsOptions) Doc() string {
	return "A token is what white space parts, of any kind and amount. Tokens are joined by single spaces. What the vocabulary lacks is unknown."
}

// NewWords makes the words tokenizer.
func NewWords(o WordsOptions, _ components.TokenizerDeps) (components.Tokenizer, error) {
	return wordCutter(o), nil
}

type wordCutter struct{ KeptOptions }

func (w wordCutter) Learn(texts iter.Seq[string]) ([]string, error) {
	return w.learn(texts, strings.FieldsSeq)
}
func (wordCutter) Cut(text string) []string    { return strings.Fields(text) }
func (wordCutter) Join(tokens []string) string { return strings.Join(tokens, " ") }

// CharactersOptions configures the characters tokenizer.
type CharactersOptions struct {
	KeptOptions
	ByteFallback bool `toml:"byte_fallback" doc:"a character that the vocabulary lacks is the bytes of its UTF-8, which the vocabulary then has, so that nothing is unknown"`
}

// Doc describes the component.
func (CharactersOptions) Doc() string {
	return "A token is a Unicode code point, a space too. Tokens are joined as they are. " + byteDoc
}

const byteDoc = "Bytes are written as <0xE4>, as in sentencepiece (Kudo & Richardson 2018)."

// NewCharacters makes the characters tokenizer.
func NewCharacters(o CharactersOptions, _ components.TokenizerDeps) (components.Tokenizer, error) {
	return &characterCutter{o: o}, nil
}

type characterCutter struct {
	o     CharactersOptions
	known map[string]bool // to know what falls back to bytes
}

func (c *characterCutter) Learn(texts iter.Seq[string]) ([]string, error) {
	tokens, err := c.o.learn(texts, func(text string) iter.Seq[string] { return strings.SplitSeq(text, "") })
	if !c.o.ByteFallback || err != nil {
		return tokens, err
	}
	c.known = map[string]bool{}
	for _, token := range tokens {
		c.known[token] = true
	}
	return slices.Concat(byteTokens, tokens), nil
}

func (c *characterCutter) Cut(text string) []string {
	tokens := strings.Split(text, "")
	if !c.o.ByteFallback {
		return tokens
	}
	return fallBack(tokens, func(token string) bool { return c.known[token] })
}

func (c *characterCutter) Join(tokens []string) string { return joinBytes(tokens, nil) }

// BytesOptions configures the bytes tokenizer.
type BytesOptions struct{}

// Doc describes the component.
func (BytesOptions) Doc() string {
	return "A token is a byte of the text in UTF-8, of which there are 256, whatever the texts are. " + byteDoc
}

// Validate finds nothing.
func (BytesOptions) Validate() error { return nil }

// NewBytes makes the bytes tokenizer.
func NewBytes(BytesOptions, components.TokenizerDeps) (components.Tokenizer, error) {
	return byteCutter{}, nil
}

type byteCutter struct{}

func (byteCutter) Learn(iter.Seq[string]) ([]string, error) { return byteTokens, nil }

func (byteCutter) Cut(text string) []string {
	tokens := make([]string, len(text))
	for i := range len(text) {
		tokens[i] = byteTokens[text[i]]
	}
	return tokens
}

func (byteCutter) Join(tokens []string) string { return joinBytes(tokens, nil) }

// byteTokens is the tokens of the 256 bytes.
var byteTokens = func() []string {
	tokens := make([]string, 256)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("<0x%02X>", i)
	}
	return tokens
}()

// byteOf returns the byte that a token stands for.
func byteOf(token string) (b byte, ok bool) {
	if len(token) != len("<0x00>") || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	n, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(n), err == nil
}

// fallBack puts the tokens of its bytes in the place of each token that is not known.
func fallBack(tokens []string, known func(string) bool) []string {
	if !slices.ContainsFunc(tokens, func(token string) bool { return !known(token) }) {
		return tokens
	}
	var out []string
	for _, token := range tokens {
		if known(token) {
			out = append(out, token)
			continue
		}
		out = append(out, byteCutter{}.Cut(token)...)
	}
	return out
}

// joinBytes puts tokens together, those of bytes as the bytes that they are and the
// others as write says, nil for as they are. What is not UTF-8, which a model may
// say, becomes U+FFFD.
func joinBytes(tokens []string, write func(string) string) string {
	var text []byte
	for _, token := range tokens {
		if b, ok := byteOf(token); ok {
			text = append(text, b)
			continue
		}
		if write != nil {
			token = write(token)
		}
		text = append(text, token...)
	}
	if utf8.Valid(text) {
		return string(text)
	}
	return strings.ToValidUTF8(string(text), "\uFFFD")
}
