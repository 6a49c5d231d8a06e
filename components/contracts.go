package components

import (
	"slices"

	"exp/components/autodiff"
)

// Embedder turns tokens into vectors.
type Embedder interface {
	// Embed returns [Σ lengths, E], which the caller may write over.
	Embed(t *autodiff.Tape, s Sequences) *autodiff.Var
}

// FrontEnd makes vectors of frames, for an encoder to read.
type FrontEnd interface {
	// Forward maps the sequences of frames in x [Σ lengths, F] to sequences of
	// vectors [Σ lengths', E], which may be shorter, and says where these lie.
	Forward(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans) (*autodiff.Var, autodiff.Spans)
	// Length is how many vectors it makes of so many frames.
	Length(frames int) int
}

// FrontEndDeps is what a front end is given when it is built.
type FrontEndDeps struct {
	Params    *autodiff.Params
	FrameSize int // F
	Size      int // E
}

// Encoder reads a source.
type Encoder interface {
	// MemorySize is M, the width of the memory.
	MemorySize() int
	// Final describes the final state that Encode returns.
	Final() FinalShape
	// Encode reads a batch. What it returns is valid until the tape's Reset or
	// the next call.
	Encode(t *autodiff.Tape, source Sequences) Memory
}

// EncoderDeps is what an encoder is given when it is built.
type EncoderDeps struct {
	Params *autodiff.Params
	// Source returns what embeds source tokens in vectors of the size E asked for.
	Source func(size int) (Embedder, error)
}

// Splitting is what an encoder implements for which one token of the source is
// not as the others.
type Splitting interface {
	// Separator is the text of the token, and the option that names it.
	Separator() (token, option string)
	// SetSeparator tells the number of the token in the source's vocabulary.
	SetSeparator(id int32)
}

// Shortening is what an encoder implements whose memory is shorter than its
// source.
type Shortening interface {
	// Length is the length of the memory of a source of so many steps.
	Length(steps int) int
}

// Memory is what an encoder makes of a source: states for its tokens, or for
// parts of it.
type Memory struct {
	States *autodiff.Var  // [Σ lengths, M]
	Spans  autodiff.Spans // of what there is of each source in States
	Final  []FinalState   // one a layer, from the lowest; none where the encoder has no final state

	Pointed bool // set by the model: its output points at the source, and wants what Decoded says of that
}

// FinalState is a recurrent layer's state after the last step of each sequence.
type FinalState struct {
	Hidden *autodiff.Var // [B, size]
	Cell   *autodiff.Var // [B, size], nil but for an LSTM
}

// FinalShape describes a Memory's Final before there is one.
type FinalShape struct {
	Layers int  // 0: the encoder has no final state
	Size   int  // both directions together
	Cell   bool // the state has a cell state
}

// Decoder says a target, given a memory.
type Decoder interface {
	// OutputSize is the width D of the states that Decode and Step return.
	OutputSize() int
	// Decode is the teacher-forced pass over target, which begins with [Bos]: the
	// state [Σ lengths, D] from which each next token is predicted.
	Decode(t *autodiff.Tape, memory Memory, target Sequences) Decoded
	// Start returns the state before the first step of decoding from memory.
	// The state is valid until the tape's Reset. The tape must not record.
	Start(t *autodiff.Tape, memory Memory) DecoderState
	// Step reads the token of every row, the result of the step before or [Bos], as
	// B sequences of length 1, and moves state on: [B, D].
	Step(t *autodiff.Tape, state DecoderState, tokens Sequences) Decoded
	// Select makes state that of the rows that rows names, in their order: rows
	// may be left out, and named more than once.
	Select(t *autodiff.Tape, state DecoderState, rows []int32)
}

// DecoderState is what a decoder remembers between two steps.
type DecoderState any

// Decoded is the result of a decoder.
type Decoded struct {
	States  *autodiff.Var // [Σ lengths, D]
	Weights *autodiff.Var // [B, N, T, S] of the longest, zero past the lengths: of the attention to the memory (of the last layer); nil without one, or where the tape keeps none
	Input   *autodiff.Var // [Σ lengths, E]: the embedding that the decoder read, as its lowest layer did
	Context *autodiff.Var // [Σ lengths, C]: what the attention of Weights read; it and Weights take a gradient where the memory is [Memory.Pointed], and are not to be read otherwise
	Loss    *autodiff.Var // [1]: what [Model.Loss] adds to the sum of the cross-entropies, in nats; nil for nothing
}

// DecoderDeps is what a decoder is given when it is built.
type DecoderDeps struct {
	Params *autodiff.Params
	// Target returns what embeds target tokens in vectors of the size E asked for.
	Target func(size int) (Embedder, error)
	// Attention returns a new attention of queries of querySize to the memory,
	// with parameters in p; nil where the configuration says "none".
	Attention func(p *autodiff.Params, querySize int) (Attention, error)
	// MemorySize and Final describe the encoder's memory.
	MemorySize int
	Final      FinalShape
}

// DefaultAttention is what the options of a decoder implement that wants another
// attention than "none" where the configuration does not name one.
type DefaultAttention interface{ DefaultAttention() string }

// Chooser is what an encoder or decoder implements that has options whose default
// stands for a choice by what is beside it.
type Chooser interface {
	// Chosen returns, by option, the value that the default stands for here.
	Chosen() map[string]string
}

// Aligned is what a decoder implements that says a class for each step of the
// memory: its targets are as long as that, without [Bos] and [Eos], and the
// classes are the tokens of the target that are not special, from 0.
type Aligned interface{ Aligned() }

// Bridged is what a decoder implements that starts from the memory, not only
// looks at it.
type Bridged interface {
	// Bridge names the way, as the option bridge does; "" where there is none.
	Bridge() string
}

// Limited is what an encoder or decoder implements that cannot read sequences
// of any length.
type Limited interface {
	// MaxLength is the longest length in steps, 0 for any, and the option that sets it.
	MaxLength() (steps int, option string)
}

// Attention looks at a memory with a query.
type Attention interface {
	// ContextSize is C, the width of the context.
	ContextSize() int
	// Prepare does once a batch what does not depend on the query.
	Prepare(t *autodiff.Tape, memory Memory) Prepared
	// Attend returns the context [Σ T, C] of the queries [Σ T, Q], of which each
	// sequence has those that queries says, and the weights [B, N, T, S] of N heads,
	// zero past the lengths, nil where the tape keeps none. The context may be written over: the backward pass must
	// not read its value.
	// An attention with coverage goes through the queries of a sequence in turn,
	// from the coverage in memory on, and leaves there that after the last.
	Attend(t *autodiff.Tape, query *autodiff.Var, queries autodiff.Spans, memory *Prepared) (context, weights *autodiff.Var)
}

// Prepared is a memory as an attention wants it.
type Prepared struct {
	Keys   *autodiff.Var  // [Σ lengths, ...]
	Values *autodiff.Var  // [Σ lengths, M]
	Spans  autodiff.Spans // of the sources in both

	WeightsTakeGradient bool // Attend must return weights, whatever the tape keeps, and they are no constant

	Coverage     *autodiff.Var // [B, N, S or more]: the sum of the weights of the queries so far; nil in an attention without
	CoverageLoss *autodiff.Var // [1]: the sum over these queries, in nats; nil for none
}

// Select returns the memory of the rows that rows names: the same keys and
// values, seen by others, each with a coverage of its own.
func (p Prepared) Select(t *autodiff.Tape, rows []int32) Prepared {
	p.Spans = p.Spans.Select(t, rows)
	if p.Coverage != nil {
		p.Coverage = autodiff.Select(t, p.Coverage, rows)
	}
	return p
}

// First returns the memory of the first n rows.
func (p Prepared) First(n int) Prepared {
	p.Spans = p.Spans.First(n)
	if p.Coverage != nil {
		p.Coverage = p.Coverage.Part(0, n)
	}
	return p
}

// AttentionDeps is what an attention is given when it is built.
type AttentionDeps struct {
	Params     *autodiff.Params
	QuerySize  int // Q
	MemorySize int // M
}

// Output says how probable each next token is, from what a decoder made.
type Output interface {
	// Points says that the output copies from the source: see [Memory.Pointed].
	Points() bool
	// Logits returns scores whose softmax is the probability of each column of x,
	// [Σ lengths, x.Width].
	Logits(t *autodiff.Tape, d Decoded, x Extended) *autodiff.Var
	// Loss returns the mean -Σ q log p a row, in nats, for q that puts 1-smoothing
	// on the row's target, a column, and spreads smoothing evenly over V.
	Loss(t *autodiff.Tape, d Decoded, x Extended, targets []int32, smoothing float64) *autodiff.Var
}

// OutputDeps is what an output is given when it is built.
type OutputDeps struct {
	Params      *autodiff.Params
	Vocabulary  int // V
	StateSize   int // D
	ContextSize int // C of the decoder's attention (of the last layer), 0 without one
	InputSize   int // E

	Tied *autodiff.Var // [V, E]: the target's embedding, where it is the output layer's weight; nil where that is its own
}

// Optimizer moves the parameters along their gradients.
type Optimizer interface {
	// LearningRate is the rate that a schedule's factor multiplies.
	LearningRate() float64
	// Step is update number n, from 1 and without those that were skipped, at
	// learning rate lr; gradients are multiplied by scale first (clipping). It
	// reports whether all weights are finite after it.
	Step(n int, lr, scale float64) (finite bool)
	// State returns what has to be kept to go on later, by name. Its slices are
	// the optimizer's own: a checkpoint is restored by writing to them.
	State() map[string][]float32
}

// OptimizerDeps is what an optimizer is given when it is built.
type OptimizerDeps struct {
	Params *autodiff.Params
	Groups Groups
}

// Schedule changes the learning rate over training.
type Schedule interface {
	// Factor multiplies the learning rate of update n, from 1.
	Factor(n int) float64
}

// Following is what a schedule implements that follows a metric of the validation
// split.
type Following interface {
	// Follows is the name under which the metric is recorded.
	Follows() string
	// Evaluated tells the metric's value after an evaluation.
	Evaluated(value float64, higherIsBetter bool)
	// State returns what has to be kept to go on later. Its elements are the
	// schedule's own: a checkpoint is restored by writing to them.
	State() []float64
}

// ScheduleDeps is what a schedule is given when it is built.
type ScheduleDeps struct {
	Steps int // updates of the whole training, 0 where that is not known before its end
}

// Metric is a number that says how good a model is.
type Metric interface {
	// Decodes says that the metric compares hypotheses, not only probabilities.
	Decodes() bool
	// HigherIsBetter says which of two values is the better one.
	HigherIsBetter() bool
	// Parts names the numbers that Score returns beside the score: what it is made
	// of.
	Parts() []string
	// Score computes the metric of a model's pairs, of which there is one or more. It
	// is called by several goroutines at once.
	Score(o *Outcome) (score float64, parts []float64)
}

// Signed is what a metric implements whose value others can only compare with
// theirs if they know how it was computed.
type Signed interface {
	// Signature says that in one line. grouped says that sources may have several
	// references.
	Signature(grouped bool) string
}

// MetricDeps is what a metric is given when it is built.
type MetricDeps struct{}

// Outcome is what a model made of the pairs of a split, or of some of them. Those
// of a [Grouped] split that have one source are one.
type Outcome struct {
	Pairs []Said
	Text  func(tokens []int32) string // of a hypothesis or a reference
}

// Said is what a model made of one source.
type Said struct {
	Loss       float64     // nats, summed over the target tokens of all references
	Tokens     int         // target tokens, [Eos] included where the decoder says it
	Correct    int         // target tokens that were the most probable, given those before
	Source     int         // length of the source, in tokens or frames
	References []Reference // one, or more where the split is [Grouped]; any of them is right
	Hypothesis []int32     // greedy, without [Eos]; nil unless a metric decodes
}

// Reference is a target that is right.
type Reference struct {
	Tokens []int32
	CutOff []int32 // tokens after those, where the data has no more of the target; nil unless a metric decodes
	Text   string  // whole and without unknown tokens; "" where its tokens say all
}

// Whole is all tokens of the target.
func (r Reference) Whole() []int32 {
	if len(r.CutOff) == 0 {
		return r.Tokens
	}
	return slices.Concat(r.Tokens, r.CutOff)
}

// Loss is the sum over all pairs, in nats.
func (o *Outcome) Loss() (sum float64) {
	for _, p := range o.Pairs {
		sum += p.Loss
	}
	return sum
}

// Tokens is the number of target tokens.
func (o *Outcome) Tokens() (sum int) {
	for _, p := range o.Pairs {
		sum += p.Tokens
	}
	return sum
}

// Correct is the number of target tokens that were the most probable.
func (o *Outcome) Correct() (sum int) {
	for _, p := range o.Pairs {
		sum += p.Correct
	}
	return sum
}

// Texts are the hypothesis and the references of pair i.
func (o *Outcome) Texts(i int) (hypothesis string, references []string) {
	p := &o.Pairs[i]
	references = make([]string, len(p.References))
	for j, r := range p.References {
		references[j] = r.Text
		if r.Text == "" {
			references[j] = o.Text(r.Tokens)
		}
	}
	return o.Text(p.Hypothesis), references
}
