package task

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"exp/components"
	"exp/registry"
)

// BPEOptions configures the bpe tokenizer.
type BPEOptions struct {
	NumMerges    int     `toml:"num_merges" doc:"merges that are learned, at most"`
	MinFrequency int     `toml:"min_frequency" doc:"a pair that training has less often is not merged"`
	ByteFallback bool    `toml:"byte_fallback" doc:"a character that training lacks is the bytes of its UTF-8, which the vocabulary then has, so that nothing is unknown"`
	Dropout      float64 `toml:"dropout" doc:"probability of leaving out a merge, drawn anew for each pair of training in each epoch (BPE-dropout, Provilkov et al. 2020), in [0, 1)"`
	MergesFile   string  `toml:"merges_file" content:"file" doc:"file with the merges, in the place of learning them: a line \"left right\" each, in their order; \"\": none"`
}

// Doc describes the component.
func (BPEOptions) Doc() string {
	return "Byte-pair encoding (Sennrich et al. 2016): a word is its characters, of which the most frequent pair of neighbours in training is made one token, again and again. " +
		"As in sentencepiece (Kudo & Richardson 2018), a space is the character ▁ that begins the word after it, and one is put before the text, so that a text comes back as it was. " +
		"Of equally frequent pairs, that of the tokens with the lower numbers is merged: characters are numbered by code point, then tokens as they are made. " + byteDoc
}

// Validate reports every value out of range.
func (o BPEOptions) Validate() error {
	return errors.Join(registry.AtLeast("num_merges", o.NumMerges, 0), registry.AtLeast("min_frequency", o.MinFrequency, 1), registry.InRange("dropout", o.Dropout, 0, 1))
}

// NewBPE makes the bpe tokenizer.
func NewBPE(o BPEOptions, _ components.TokenizerDeps) (components.Tokenizer, error) {
	return &bpe{o: o, cache: map[string][]string{}}, nil
}

// space is what a space is in a token. Where a text has it itself, it is an unknown
// character.
const space = "▁"

// pair is two neighbours.
type pair struct{ left, right int32 }

// merge is what becomes of a pair.
type merge struct{ rank, made int32 }

// bpe is the tokenizer. Its symbols are the characters of training, then what the
// merges make, in their order.
type bpe struct {
	o      BPEOptions
	tokens []string         // text of each symbol
	ids    map[string]int32 // of each text
	merges map[pair]merge
	pairs  []pair // the merges in their order

	mu    sync.Mutex
	cache map[string][]string // of words that were cut
}

// maxCached bounds the words that are remembered.
const maxCached = 1 << 17

// Learn counts the words of the texts and learns merges, or reads them.
func (b *bpe) Learn(texts iter.Seq[string]) ([]string, error) {
	counts := map[string]int{}
	for text := range texts {
		for word := range spacedWords(text) {
			if _, known := counts[word]; !known {
				word = strings.Clone(word)
			}
			counts[word]++
		}
	}
	b.ids = map[string]int32{}
	b.merges = map[pair]merge{}
	for word := range counts {
		for _, character := range word {
			b.ids[string(character)] = 0
		}
	}
	delete(b.ids, " ")
	b.ids[space] = 0
	b.tokens = slices.Sorted(maps.Keys(b.ids))
	for i, token := range b.tokens {
		b.ids[token] = int32(i)
	}
	if b.o.MergesFile != "" {
		if err := b.read(b.o.MergesFile); err != nil {
			return nil, err
		}
	} else {
		b.train(counts)
	}
	if b.o.ByteFallback {
		return slices.Concat(byteTokens, b.tokens), nil
	}
	return slices.Clone(b.tokens), nil
}

// spacedWords is the words of a text, each with the space before it. An empty text
// has none.
func spacedWords(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if text == "" {
			return
		}
		for text := " " + text; text != ""; {
			end := 1 + strings.IndexByte(text[1:], ' ')
			if end == 0 {
				end = len(text)
			}
			if !yield(text[:end]) {
				return
			}
			text = text[end:]
		}
	}
}

// add enters the merge of a pair, and says whether it may: what it makes must be
// no other token, and have no line break, as a file has a merge a line.
func (b *bpe) add(p pair) (made int32, ok bool) {
	token := b.tokens[p.left] + b.tokens[p.right]
	if _, taken := b.merges[p]; taken || reserved(token) || strings.ContainsAny(token, "\r\n") {
		return 0, false
	}
	made, known := b.ids[token]
	if !known { // it may be made of other parts already
		made = int32(len(b.tokens))
		b.ids[token] = made
		b.tokens = append(b.tokens, token)
	}
	b.merges[p] = merge{int32(len(b.pairs)), made}
	b.pairs = append(b.pairs, p)
	return made, true
}

// reserved says that a token has a meaning other than its characters.
func reserved(token string) bool {
	_, isByte := byteOf(token)
	return isByte || slices.Contains(components.SpecialTokens(), token)
}

// counted is a word of training, as symbols.
type counted struct {
	symbols []int32
	count   int
}

// candidate is a pair with how often it was counted when it was entered.
type candidate struct {
	pair
	count int
}

// before orders candidates: the most frequent, then the lowest.
func (c candidate) before(d candidate) bool {
	if c.count != d.count {
		return c.count > d.count
	}
	return cmp.Or(cmp.Compare(c.left, d.left), cmp.Compare(c.right, d.right)) < 0
}

// train learns merges. A word is touched only when a pair of it is merged: its
// pairs are taken out of the counts, and those that it then has put in. Counts of
// candidates may be too high, never too low, and are looked up when their turn comes.
func (b *bpe) train(counts map[string]int) {
	words := make([]counted, 0, len(counts))
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, counted{b.symbols(text), counts[text]})
	}
	pairs := map[pair]int{}
	in := map[pair][]int32{} // words that have had the pair
	each := func(symbols []int32, do func(pair)) {
		for i := 1; i < len(symbols); i++ {
			if symbols[i-1] >= 0 && symbols[i] >= 0 {
				do(pair{symbols[i-1], symbols[i]})
			}
		}
	}
	for i, w := range words {
		each(w.symbols, func(p pair) {
			pairs[p] += w.count
			if list := in[p]; len(list) == 0 || list[len(list)-1] != int32(i) {
				in[p] = append(list, int32(i))
			}
		})
	}
	queue := heap[candidate]{before: candidate.before}
	for p, n := range pairs {
		queue.push(candidate{p, n})
	}
	for len(b.pairs) < b.o.NumMerges && queue.len() > 0 {
		best := queue.pop()
		if n := pairs[best.pair]; n != best.count {
			if n > 0 {
				queue.push(candidate{best.pair, n})
			}
			continue
		}
		if best.count < b.o.MinFrequency {
			return
		}
		made, ok := b.add(best.pair)
		if !ok {
			continue
		}
		changed := map[pair]bool{}
		for _, i := range in[best.pair] {
			w := &words[i]
			each(w.symbols, func(p pair) { pairs[p] -= w.count })
			w.symbols = replace(w.symbols, best.pair, made)
			each(w.symbols, func(p pair) {
				pairs[p] += w.count
				if p.left == made || p.right == made {
					changed[p] = true
					if list := in[p]; len(list) == 0 || list[len(list)-1] != i {
						in[p] = append(list, i)
					}
				}
			})
		}
		delete(in, best.pair)
		delete(pairs, best.pair)
		for p := range changed {
			queue.push(candidate{p, pairs[p]})
		}
	}
}

// replace puts made in the place of each pair of symbols, from the left.
func replace(symbols []int32, p pair, made int32) []int32 {
	out := symbols[:0]
	for i := 0; i < len(symbols); i++ {
		if i+1 < len(symbols) && symbols[i] == p.left && symbols[i+1] == p.right {
			out = append(out, made)
			i++
			continue
		}
		out = append(out, symbols[i])
	}
	return out
}

// symbols is the characters of a word, -1 for what is not known.
func (b *bpe) symbols(word string) []int32 {
	symbols := make([]int32, 0, len(word))
	for word != "" {
		_, width := utf8.DecodeRuneInString(word)
		character := word[:width]
		if character == " " {
			character = space
		} else if character == space {
			character = ""
		}
		id, known := b.ids[character]
		if !known {
			id = -1
		}
		symbols, word = append(symbols, id), word[width:]
	}
	return symbols
}

// Cut returns the tokens of a text, the same each time.
func (b *bpe) Cut(text string) []string {
	var tokens []string
	for word := range spacedWords(text) {
		b.mu.Lock()
		pieces, known := b.cache[word]
		b.mu.Unlock()
		if !known {
			pieces = b.pieces(word, nil)
			b.mu.Lock()
			if len(b.cache) < maxCached {
				b.cache[strings.Clone(word)] = pieces
			}
			b.mu.Unlock()
		}
		tokens = append(tokens, pieces...)
	}
	return tokens
}

// Sample returns the tokens of a text, with merges left out at random.
func (b *bpe) Sample(text string, rng *rand.Rand) []string {
	var tokens []string
	for word := range spacedWords(text) {
		tokens = append(tokens, b.pieces(word, rng)...)
	}
	return tokens
}

// Samples says whether Sample differs from Cut.
func (b *bpe) Samples() bool { return b.o.Dropout > 0 }

// place is where a merge can be made: of the symbol at an index with the next.
type place struct {
	merge
	at   int
	pair pair // that was there
}

// before orders places as merges are made.
func (p place) before(q place) bool {
	return cmp.Or(cmp.Compare(p.rank, q.rank), cmp.Compare(p.at, q.at)) < 0
}

// pieces cuts a word, with dropout where there is an rng: a merge whose turn it is
// is left out with that probability, until another is made.
func (b *bpe) pieces(word string, rng *rand.Rand) []string {
	symbols := b.symbols(word)
	n := len(symbols)
	next, previous := make([]int, n), make([]int, n) // n is after the last
	gone := make([]bool, n)
	queue := heap[place]{before: place.before}
	consider := func(at int) {
		if at < 0 || next[at] >= n {
			return
		}
		p := pair{symbols[at], symbols[next[at]]}
		if m, ok := b.merges[p]; ok {
			queue.push(place{m, at, p})
		}
	}
	for i := range symbols {
		next[i], previous[i] = i+1, i-1
	}
	for i := range symbols {
		consider(i)
	}
	var leftOut []place
	for queue.len() > 0 {
		p := queue.pop()
		if gone[p.at] || next[p.at] >= n || (pair{symbols[p.at], symbols[next[p.at]]}) != p.pair {
			continue
		}
		if rng != nil && rng.Float64() < b.o.Dropout {
			leftOut = append(leftOut, p)
			continue
		}
		merged := next[p.at]
		symbols[p.at], gone[merged] = p.made, true
		next[p.at] = next[merged]
		if next[p.at] < n {
			previous[next[p.at]] = p.at
		}
		consider(p.at)
		consider(previous[p.at])
		for _, q := range leftOut {
			queue.push(q)
		}
		leftOut = leftOut[:0]
	}
	characters := strings.Split(word, "")
	var tokens []string
	for i := 0; i < n; i = next[i] {
		switch {
		case symbols[i] >= 0:
			tokens = append(tokens, b.tokens[symbols[i]])
		case b.o.ByteFallback:
			tokens = append(tokens, byteCutter{}.Cut(characters[i])...)
		default:
			tokens = append(tokens, characters[i])
		}
	}
	return tokens
}

// Join puts tokens together to a text.
func (b *bpe) Join(tokens []string) string {
	text := joinBytes(tokens, func(token string) string { return strings.ReplaceAll(token, space, " ") })
	if len(tokens) > 0 && strings.HasPrefix(tokens[0], space) {
		text = text[1:]
	}
	return text
}

// heap is a binary heap: pop returns what is before all others.
type heap[E any] struct {
	elements []E
	before   func(a, b E) bool
}

func (h *heap[E]) len() int { return len(h.elements) }

func (h *heap[E]) push(e E) {
	h.elements = append(h.elements, e)
	for i := len(h.elements) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.before(h.elements[i], h.elements[parent]) {
			return
		}
		h.elements[i], h.elements[parent] = h.elements[parent], h.elements[i]
		i = parent
	}
}

func (h *heap[E]) pop() E {
	first, last := h.elements[0], len(h.elements)-1
	h.elements[0] = h.elements[last]
	h.elements = h.elements[:last]
	for i := 0; ; {
		least := i
		for _, child := range []int{2*i + 1, 2*i + 2} {
			if child < last && h.before(h.elements[child], h.elements[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		h.elements[i], h.elements[least] = h.elements[least], h.elements[i]
		i = least
	}
}

// read reads the merges of a file.
func (b *bpe) read(path string) error {
	lines, err := openLines(path)
	if err != nil {
		return err
	}
	defer lines.close()
	for lines.next() {
		if lines.number == 1 && strings.HasPrefix(lines.text, "#version") || lines.text == "" {
			continue
		}
		left, right, ok := strings.Cut(lines.text, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return lines.fault("not a merge \"left right\": %.60q", lines.text)
		}
		var p pair
		for _, side := range []struct {
			symbol *int32
			token  string
		}{{&p.left, left}, {&p.right, right}} {
			token := side.token
			id, known := b.ids[token]
			if !known {
				if strings.HasSuffix(token, "</w>") {
					return lines.fault("%q ends a word with </w>, as subword-nmt writes it; here ▁ begins one, as in sentencepiece", token)
				}
				if utf8.RuneCountInString(token) > 1 {
					return lines.fault("%q is made by no merge before", token)
				}
				id = int32(len(b.tokens)) // a character that the texts do not have
				b.ids[token] = id
				b.tokens = append(b.tokens, token)
			}
			*side.symbol = id
		}
		if _, ok := b.add(p); !ok {
			return lines.fault("the merge of %q and %q is there twice, makes a special token, or has a line break", left, right)
		}
	}
	return lines.err
}

// writeMerges is the merges as [bpe.read] reads them.
func (b *bpe) writeMerges() string {
	var text strings.Builder
	text.WriteString("#version: 0.2\n")
	for _, p := range b.pairs {
		fmt.Fprintf(&text, "%s %s\n", b.tokens[p.left], b.tokens[p.right])
	}
	return text.String()
}
