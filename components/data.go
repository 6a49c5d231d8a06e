package components

// The first ids of every vocabulary.
const (
	Pad int32 = iota // fills a row up to the longest of its batch
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

// Sequences is a batch of token sequences, [B, T] row-major, padded with [Pad].
type Sequences struct {
	Tokens  []int32 // [B, T]
	Lengths []int32 // [B], of each row
	Batch   int     // B
	Steps   int     // T, the longest length
}

// Batch is a batch of pairs. TargetIn is [Bos] and the target, TargetOut the
// target and [Eos]: what a decoder reads, and what it should say.
type Batch struct{ Source, TargetIn, TargetOut Sequences }

// Fill makes b the batch of pairs, reusing its memory.
func (b *Batch) Fill(pairs []Pair) {
	source, target := 0, 0
	for _, p := range pairs {
		source, target = max(source, len(p.Source)), max(target, len(p.Target)+1)
	}
	b.Source.resize(len(pairs), source)
	b.TargetIn.resize(len(pairs), target)
	b.TargetOut.resize(len(pairs), target)
	for i, p := range pairs {
		b.Source.set(i, p.Source)
		b.TargetIn.set(i, p.Target, Bos)
		b.TargetOut.set(i, p.Target)
		b.TargetOut.Tokens[i*target+len(p.Target)] = Eos
		b.TargetOut.Lengths[i]++
	}
}

func (s *Sequences) resize(batch, steps int) {
	s.Batch, s.Steps = batch, steps
	if cap(s.Tokens) < batch*steps {
		s.Tokens = make([]int32, batch*steps)
	}
	if cap(s.Lengths) < batch {
		s.Lengths = make([]int32, batch)
	}
	s.Tokens, s.Lengths = s.Tokens[:batch*steps], s.Lengths[:batch]
	clear(s.Tokens) // Pad is 0
}

// set makes row i the tokens first, then tokens.
func (s *Sequences) set(i int, tokens []int32, first ...int32) {
	row := s.Tokens[i*s.Steps : (i+1)*s.Steps]
	n := copy(row, first)
	n += copy(row[n:], tokens)
	s.Lengths[i] = int32(n)
}
