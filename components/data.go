package components

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

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

// SpecialTokens is how they are written, in the order of their ids.
func SpecialTokens() []string { return []string{"<pad>", "<s>", "</s>", "<unk>"} }

// Vocabulary numbers the tokens of one side of a task.
type Vocabulary struct {
	tokens []string
	ids    map[string]int32
}

// NewVocabulary returns the special tokens, then tokens in the order given,
// each once.
func NewVocabulary(tokens []string) *Vocabulary {
	v := &Vocabulary{tokens: SpecialTokens(), ids: map[string]int32{}}
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

// IDs returns the numbers of tokens.
func (v *Vocabulary) IDs(tokens []string) []int32 {
	ids := make([]int32, len(tokens))
	for i, token := range tokens {
		ids[i] = v.ID(token)
	}
	return ids
}

// Token returns the token of that number.
func (v *Vocabulary) Token(id int32) string { return v.tokens[id] }

// Tokens returns all tokens in the order of their numbers, the special ones first.
func (v *Vocabulary) Tokens() []string { return slices.Clone(v.tokens) }

// Equal says whether two vocabularies number the same tokens in the same way.
func (v *Vocabulary) Equal(w *Vocabulary) bool { return slices.Equal(v.tokens, w.tokens) }

// Frames is a sequence of real-valued frames of one size, or several one after
// the other.
type Frames struct {
	Values []float32 // [steps, Size]
	Size   int       // F, numbers a frame
}

// Steps is the number of frames.
func (f Frames) Steps() int {
	if f.Size == 0 {
		return 0
	}
	return len(f.Values) / f.Size
}

// Pair is one example: source and target tokens, without [Bos] and [Eos]. A
// source may be frames in the place of tokens.
type Pair struct {
	Source, Target []int32
	Frames         Frames
}

// SourceSteps is the length of the source, in tokens or frames.
func (p Pair) SourceSteps() int { return len(p.Source) + p.Frames.Steps() }

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
	Source, Target     *Vocabulary // Source is nil where sources are frames
	FrameSize          int         // F, 0 where they are tokens
	FrameSeconds       float64     // from one frame to the next; 0 where frames are not of time

	Text       func(tokens []string) string        // puts the tokens of a target together; nil: with spaces between them
	SourceText func(tokens []string) string        // those of a source; likewise
	CutSource  func(text string) ([]string, error) // the tokens of a source; nil: what white space parts
	CutTarget  func(text string) []string          // the tokens of a target; likewise
	MaxSource  int                                 // tokens of a source, of which what is beyond was cut off; 0: any

	Notes []Note // what was done to the data on the way, and what is odd in it
}

// ReadSource makes a pair of the text of a source, written as the task's files have
// it, and returns its tokens, all of them; none of frames, which are numbers parted by
// white space, frame after frame. An error says what is no source.
func (d *Data) ReadSource(text string) (p Pair, tokens []string, err error) {
	if d.Source == nil {
		p.Frames.Size = d.FrameSize
		for field := range strings.FieldsSeq(text) {
			x, err := strconv.ParseFloat(field, 32)
			if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
				return p, nil, fmt.Errorf("%q is no number, and a source is frames of %d", field, d.FrameSize)
			}
			p.Frames.Values = append(p.Frames.Values, float32(x))
		}
		if n := len(p.Frames.Values); n%d.FrameSize != 0 {
			return p, nil, fmt.Errorf("has %d numbers, which are no frames of %d", n, d.FrameSize)
		}
		return p, nil, nil
	}
	if d.CutSource == nil {
		tokens = strings.Fields(text)
	} else if tokens, err = d.CutSource(text); err != nil {
		return p, nil, err
	}
	p.Source = d.Source.IDs(tokens)
	if d.MaxSource > 0 {
		p.Source = p.Source[:min(len(p.Source), d.MaxSource)]
	}
	return p, tokens, nil
}

// ReadTarget returns the tokens of the text of a target, or of its beginning. An error
// says which the vocabulary lacks.
func (d *Data) ReadTarget(text string) ([]int32, error) {
	tokens := strings.Fields(text)
	if d.CutTarget != nil {
		tokens = d.CutTarget(text)
	}
	ids := d.Target.IDs(tokens)
	if i := slices.Index(ids, Unk); i >= 0 {
		return nil, fmt.Errorf("%q is no token of the target's vocabulary", tokens[i])
	}
	return ids, nil
}

// Note is a count of something that a reader of results should know of the data.
type Note struct {
	Kind  NoteKind `json:"kind"`
	Split string   `json:"split"` // train, valid or test
	Count int      `json:"count"`
	What  string   `json:"what"`
}

// NoteKind says what a note is about.
type NoteKind string

// The kinds of notes.
const (
	Read   NoteKind = "read"   // how files were read, and what was left out on demand
	Lost   NoteKind = "lost"   // what a split does not have of its files, or not whole
	Leaked NoteKind = "leaked" // what training has of a held-out split
)

// String is the note as a line.
func (n Note) String() string { return fmt.Sprintf("%s: %d %s", n.Split, n.Count, n.What) }

// Note adds a note, where there is something to count.
func (d *Data) Note(kind NoteKind, split string, count int, what string, args ...any) {
	if count != 0 {
		d.Notes = append(d.Notes, Note{kind, split, count, fmt.Sprintf(what, args...)})
	}
}

// SourceSize is the number of source tokens, or of numbers a frame.
func (d *Data) SourceSize() int {
	if d.Source == nil {
		return d.FrameSize
	}
	return d.Source.Size()
}

// Texts is what a [Split] implements whose pairs were cut out of texts.
type Texts interface {
	// Text returns what pair i was, whole and without unknown tokens.
	Text(i int) (source, target string)
}

// Recorded is what a [Split] implements whose sources are recordings.
type Recorded interface {
	// Content returns a hash of the file of pair i, of which the model may read
	// something else in another split.
	Content(i int) uint64
}

// Grouped is what a held-out [Split] implements of which a source may have several
// targets, any of them right, each a pair.
type Grouped interface {
	// First returns the first pair that has the source of pair i.
	First(i int) int
}

// Shortened is what a [Split] implements whose targets may have been cut.
type Shortened interface {
	// CutOff returns the tokens of target i after those of the pair, nil where that
	// is whole.
	CutOff(i int) []int32
}

// Resampled is what a [Split] implements that is other tokens, or other
// frames, in each epoch.
type Resampled interface {
	// Epoch returns the pairs of an epoch, which seed and the epoch's number decide.
	Epoch(seed uint64, epoch int) Split
}

// Tokenizer cuts texts into tokens.
type Tokenizer interface {
	// Learn reads the texts to train on, and returns what tokens there are, in the
	// order in which they are numbered after the special ones.
	Learn(texts iter.Seq[string]) ([]string, error)
	// Cut returns the tokens of a text. Those that Learn did not return are unknown.
	Cut(text string) []string
	// Join puts tokens together to a text.
	Join(tokens []string) string
}

// TokenizerDeps is what a tokenizer is given when it is built.
type TokenizerDeps struct{}

// Task is where pairs come from. Making one reads nothing.
type Task interface {
	// Identity is a hash of the content of the files that the task reads, empty
	// where its options alone say what the data is. An error is a file that
	// cannot be read.
	Identity() (string, error)

	// Load reads or generates the data.
	Load() (*Data, error)
}

// Learning is what a task implements that learns, in Load, what others can use.
type Learning interface {
	// Learned returns the files that other programs read, by name. An error says
	// what was learned that a file cannot tell.
	Learned() (map[string]string, error)
}

// FrameTask is what a task implements whose sources are frames.
type FrameTask interface {
	// FrameSize is F.
	FrameSize() int
}

// GroupedTask is what a task implements whose held-out splits may be [Grouped].
type GroupedTask interface {
	// Grouped says whether they are.
	Grouped() bool
}

// FrameSize is the numbers a frame of a task's sources, 0 where they are tokens.
func FrameSize(t Task) int {
	if f, ok := t.(FrameTask); ok {
		return f.FrameSize()
	}
	return 0
}

// TaskDeps is what a task is given when it is built.
type TaskDeps struct{}

// Sequences is a batch of sequences of tokens or of frames, one after the other: nothing fills
// the shorter ones up to the longest, so nothing is computed for what is not there.
// What a component makes of them lies likewise, [Σ lengths, D].
type Sequences struct {
	Tokens []int32 // [Σ lengths]
	autodiff.Spans
	Frames   Frames        // [Σ lengths, F], in the place of tokens
	Embedded *autodiff.Var // [Σ lengths, E]: what the model's front end has made of frames
}

// Steps is the number of steps of all sequences together, Σ lengths.
func (s *Sequences) Steps() int { return len(s.Tokens) + s.Frames.Steps() }

// Clear takes the sequences out, and keeps the memory.
func (s *Sequences) Clear() {
	s.Tokens, s.Starts, s.Lengths = s.Tokens[:0], s.Starts[:0], s.Lengths[:0]
	s.Frames.Values = s.Frames.Values[:0]
}

// AddFrames appends a sequence of frames, of the size of those that are there.
func (s *Sequences) AddFrames(f Frames) {
	s.Starts, s.Lengths = append(s.Starts, int32(s.Frames.Steps())), append(s.Lengths, int32(f.Steps()))
	s.Frames.Values, s.Frames.Size = append(s.Frames.Values, f.Values...), f.Size
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
	b.clear()
	for _, p := range pairs {
		b.addSource(p)
		b.TargetIn.Add(Bos)
		b.TargetIn.extend(p.Target...)
		b.TargetOut.Add(p.Target...)
		b.TargetOut.extend(Eos)
	}
}

// FillAligned makes b the batch of pairs for an [Aligned] decoder, reusing its
// memory: TargetIn and TargetOut are the classes of the target tokens, which have
// no special ones among them.
func (b *Batch) FillAligned(pairs []Pair) {
	b.clear()
	for _, p := range pairs {
		b.addSource(p)
		b.TargetOut.Add()
		for _, token := range p.Target {
			b.TargetOut.extend(token - NumSpecial)
		}
	}
	b.TargetIn = b.TargetOut
}

func (b *Batch) clear() {
	b.Source.Clear()
	b.TargetIn.Clear()
	b.TargetOut.Clear()
}

func (b *Batch) addSource(p Pair) {
	if p.Frames.Size > 0 {
		b.Source.AddFrames(p.Frames)
	} else {
		b.Source.Add(p.Source...)
	}
}

// extend appends tokens to the last sequence.
func (s *Sequences) extend(tokens ...int32) {
	s.Tokens = append(s.Tokens, tokens...)
	s.Lengths[len(s.Lengths)-1] += int32(len(tokens))
}
