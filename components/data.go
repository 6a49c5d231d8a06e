package components

import (
	"slices"

	"exp/components/autodiff"
)

// The first ids of every vocabulary.
const (
	Pad int32 = iota // is in no batch, which need none; keeps the number that it has where rows are filled up
	Bos              // begins a target
	Eos              // ends a target
	Unk              // stands for a token that the vocabulary lacks
	NumSpecial
)

// Vocabulary numbers the tokens of one side of a task.
type Vocabulary struct {
	tokens []string
	ids    map[string]int32
}

// NewVocabulary returns the special tokens, then tokens in the order given,
// each once.
func NewVocabulary(tokens []string) *Vocabulary {
	v := &Vocabulary{tokens: []string{"<pad>", "<s>", "</s>", "<unk>"}, ids: map[string]int32{}}
	for _, token := range tokens {
		if _, known := v.ids[token]; !known {
			v.ids[token] = int32(len(v.tokens))
			v.tokens = append(v.tokens, token)
		}
	}
	return v
}

// Size is the number of tokens, the special ones included.
func (v *Vocabulary) Size() int { return len(v.tokens) }

// ID returns the number of token, [Unk] where it is not known.
func (v *Vocabulary) ID(token string) int32 {
	if id, known := v.ids[token]; known {
		return id
	}
	return Unk
}

// Token returns the token of that number.
func (v *Vocabulary) Token(id int32) string { return v.tokens[id] }

// Equal says whether two vocabularies number the same tokens in the same way.
func (v *Vocabulary) Equal(w *Vocabulary) bool { return slices.Equal(v.tokens, w.tokens) }

// Pair is one example: source and target tokens, without [Bos] and [Eos].
type Pair struct{ Source, Target []int32 }

// Split is the examples of one part of a task's data. Pair is safe for several
// goroutines at once, and its slices must not be written to.
type Split interface {
	Len() int
	Pair(i int) Pair
}

// Pairs is a Split in memory.
type Pairs []Pair

func (p Pairs) Len() int        { return len(p) }
func (p Pairs) Pair(i int) Pair { return p[i] }

// Data is what a task trains and is measured on. Train, Valid and Test share no
// example. It is shared by the trials of a process and never written to.
type Data struct {
	Train, Valid, Test Split
	Source, Target     *Vocabulary
}

// Task is where pairs come from. Making one reads nothing.
type Task interface {
	// Identity is a hash of the content of the files that the task reads, empty
	// where its options alone say what the data is. An error is a file that
	// cannot be read.
	Identity() (string, error)

	// Load reads or generates the data.
	Load() (*Data, error)
}

// TaskDeps is what a task is given when it is built.
type TaskDeps struct{}

// Sequences is a batch of token sequences, one after the other: nothing fills
// the shorter ones up to the longest, so nothing is computed for what is not there.
// What a component makes of them lies likewise, [Σ lengths, D].
type Sequences struct {
	Tokens []int32 // [Σ lengths]
	autodiff.Spans
}

// Steps is the number of steps of all sequences together, Σ lengths.
func (s *Sequences) Steps() int { return len(s.Tokens) }

// Clear takes the sequences out, and keeps the memory.
func (s *Sequences) Clear() {
	s.Tokens, s.Starts, s.Lengths = s.Tokens[:0], s.Starts[:0], s.Lengths[:0]
}

// Add appends a sequence.
func (s *Sequences) Add(tokens ...int32) {
	s.Starts, s.Lengths = append(s.Starts, int32(len(s.Tokens))), append(s.Lengths, int32(len(tokens)))
	s.Tokens = append(s.Tokens, tokens...)
}

// Batch is a batch of pairs. TargetIn is [Bos] and the target, TargetOut the
// target and [Eos]: what a decoder reads, and what it should say.
type Batch struct{ Source, TargetIn, TargetOut Sequences }

// Fill makes b the batch of pairs, reusing its memory.
func (b *Batch) Fill(pairs []Pair) {
	b.Source.Clear()
	b.TargetIn.Clear()
	b.TargetOut.Clear()
	for _, p := range pairs {
		b.Source.Add(p.Source...)
		b.TargetIn.Add(Bos)
		b.TargetIn.extend(p.Target...)
		b.TargetOut.Add(p.Target...)
		b.TargetOut.extend(Eos)
	}
}

// extend appends tokens to the last sequence.
func (s *Sequences) extend(tokens ...int32) {
	s.Tokens = append(s.Tokens, tokens...)
	s.Lengths[len(s.Lengths)-1] += int32(len(tokens))
}
