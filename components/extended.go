package components

import (
	"strings"

	"exp/components/autodiff"
)

// Numbers returns the number in the target of every token of the source: that of
// its text in the target vocabulary or, where that lacks it, V plus its number in
// the source vocabulary. A model that points at the source says such numbers, and
// a target may have them: to all others they are [Unk].
func (d *Data) Numbers() []int32 {
	if d.Source == nil {
		return nil // frames have no numbers
	}
	numbers := make([]int32, d.Source.Size())
	for id := range numbers {
		numbers[id] = int32(id)
		if id := int32(id); id >= NumSpecial {
			numbers[id] = d.TargetID(d.Source.Token(id))
		}
	}
	return numbers
}

// TargetID returns the number of token in a target: see [Data.Numbers]. It is [Unk]
// where both vocabularies lack it.
func (d *Data) TargetID(token string) int32 {
	if id := d.Target.ID(token); id != Unk {
		return id
	}
	if id := d.Source.ID(token); id != Unk {
		return int32(d.Target.Size()) + id
	}
	return Unk
}

// TargetToken returns the token of a number in a target.
func (d *Data) TargetToken(id int32) string {
	if v := int32(d.Target.Size()); id >= v {
		return d.Source.Token(id - v)
	}
	return d.Target.Token(id)
}

// TargetText turns tokens of a target, as a model says them, into the text that
// metrics of text compare and people read.
func (d *Data) TargetText(tokens []int32) string {
	words := make([]string, len(tokens))
	for i, id := range tokens {
		words[i] = d.TargetToken(id)
	}
	if d.Text != nil {
		return d.Text(words)
	}
	return strings.Join(words, " ")
}

// Extended is what each row of a batch can say: a column a token, the V tokens of
// the target vocabulary, and from V on, where the output points, the tokens of
// the row's source that the target vocabulary lacks, in the order in which they
// first come.
type Extended struct {
	Queries autodiff.Spans // where the rows' states are
	Keys    autodiff.Spans // where the rows' sources are in Numbers and Columns
	Numbers []int32        // [Σ lengths]: of each source token, see [Data.Numbers]
	Columns []int32        // [Σ lengths]: of each source token
	Width   int            // the number of columns of the row that has most
}

// extend returns the columns of a batch of sources, in t's memory.
func (m *Model) extend(t *autodiff.Tape, source Sequences) Extended {
	x := Extended{Keys: source.Spans, Width: m.vocabulary}
	if !m.Output.Points() {
		return x
	}
	if m.numbers == nil {
		panic("components: a model that points at the source was not given its numbers")
	}
	x.Numbers, x.Columns = autodiff.Ints(t, len(source.Tokens)), autodiff.Ints(t, len(source.Tokens))
	for b := range source.Batch() {
		start, length := source.At(b)
		next := m.vocabulary
		for i := start; i < start+length; i++ {
			x.Numbers[i] = m.numbers[source.Tokens[i]]
			x.Columns[i] = x.Numbers[i]
			if int(x.Numbers[i]) < m.vocabulary {
				continue
			}
			if c := x.find(x.Numbers[start:i], x.Columns[start:], x.Numbers[i]); c >= 0 {
				x.Columns[i] = c
				continue
			}
			x.Columns[i] = int32(next)
			next++
		}
		x.Width = max(x.Width, next)
	}
	return x
}

// find returns the element of values at the place of key in keys, -1 where it is
// not.
func (Extended) find(keys, values []int32, key int32) int32 {
	for i, k := range keys {
		if k == key {
			return values[i]
		}
	}
	return -1
}

// Token returns the number in the target of a column of a row.
func (x Extended) Token(row int, column int32) int32 {
	if len(x.Numbers) == 0 {
		return column
	}
	start, length := x.Keys.At(row)
	if token := x.find(x.Columns[start:start+length], x.Numbers[start:], column); token >= 0 {
		return token
	}
	return column
}

// column returns the column of a number in the target of a row, that of [Unk] where
// it has none.
func (x Extended) column(row int, token int32, vocabulary int) int32 {
	if int(token) < vocabulary {
		return token
	}
	if len(x.Numbers) > 0 {
		start, length := x.Keys.At(row)
		if c := x.find(x.Numbers[start:start+length], x.Columns[start:], token); c >= 0 {
			return c
		}
	}
	return Unk
}

// known returns s with [Unk] for what the target vocabulary lacks: what a decoder
// reads.
func (m *Model) known(t *autodiff.Tape, s Sequences) Sequences {
	return m.columns(t, s, Extended{})
}

// columns returns s with columns of x for tokens, s itself where they are the same.
func (m *Model) columns(t *autodiff.Tape, s Sequences, x Extended) Sequences {
	for _, token := range s.Tokens {
		if int(token) < m.vocabulary {
			continue
		}
		columns := autodiff.Ints(t, len(s.Tokens))
		for row := range s.Batch() {
			start, length := s.At(row)
			for i := start; i < start+length; i++ {
				columns[i] = x.column(row, s.Tokens[i], m.vocabulary)
			}
		}
		s.Tokens = columns
		return s
	}
	return s
}
