package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"exp/components"
	"exp/components/autodiff"
)

// Verdict is what a check comes to.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // may be meant, and costs results where it is not
	Fault   Verdict = "fault"   // a training would be for nothing, or its numbers would not mean what they say
)

// Finding is what a check found.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	Advice  string  `json:"advice,omitempty"` // "" where all is well
}

// Inspect looks at a trial before it is trained, as a careful person does: at the
// loss of its first weights, at what its logits depend on, at its gradients, at
// whether it can learn a handful of pairs by heart, and at what it costs. Nothing is
// recorded. When ctx is done it returns [ErrInterrupted]. The configuration must have
// passed [Check].
func Inspect(ctx context.Context, c Config) ([]Finding, error) {
	in, err := newInspection(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, check := range []func() error{in.start, in.loaded, in.dependence, in.parameters, in.differences, in.rate, in.overfit, in.cost} {
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		if err := check(); err != nil {
			return nil, err
		}
	}
	return in.findings, nil
}

// inspection is an Inspect under way.
type inspection struct {
	*trial
	ctx      context.Context
	short    []components.Pair // spread over the training split, none longer than half of it is
	few      []components.Pair // to learn by heart: no two have one source or one target
	swapped  []components.Pair // these, each with the source of the next; of an aligned model those that fit
	usable   float64           // a learning rate
	findings []Finding
}

func newInspection(ctx context.Context, c Config) (*inspection, error) {
	c.Checkpoint = ""
	t, err := newTrial(c, discard{})
	if err != nil {
		return nil, err
	}
	in := &inspection{trial: t, ctx: ctx}
	in.short, in.few = in.choose()
	in.swapped = in.swap()
	return in, nil
}

func (in *inspection) find(check string, v Verdict, text, advice string) {
	in.findings = append(in.findings, Finding{check, v, text, advice})
}

const (
	fewPairs = 4   // that are learned by heart
	fewSteps = 600 // of source and target together, at most, but for the first two pairs
	looked   = 1000
)

// choose returns pairs that are spread over the training split and not empty, short
// ones, and of the shortest quarter a few to learn by heart.
func (in *inspection) choose() (short, few []components.Pair) {
	spread := sample{in.Data.Train, min(in.Data.Train.Len(), looked)}
	var lengths []int
	for i := range spread.Len() {
		lengths = append(lengths, stepsOf(spread.Pair(i)))
	}
	slices.Sort(lengths)
	total := 0
	for i := range spread.Len() {
		p := spread.Pair(i)
		n := stepsOf(p)
		if n > lengths[len(lengths)/2] || p.SourceSteps() == 0 || len(p.Target) == 0 {
			continue
		}
		short = append(short, p)
		same := func(q components.Pair) bool {
			return slices.Equal(p.Target, q.Target) || slices.Equal(p.Source, q.Source) && slices.Equal(p.Frames.Values, q.Frames.Values)
		}
		if len(few) < fewPairs && n <= lengths[len(lengths)/4] && !slices.ContainsFunc(few, same) && (len(few) < 2 || total+n <= fewSteps) {
			few, total = append(few, p), total+n
		}
	}
	return short, few
}

func stepsOf(p components.Pair) int { return p.SourceSteps() + len(p.Target) }

// losses is the cross-entropy of each target token of a batch, by the weights as
// they are.
func (in *inspection) losses(b *components.Batch) []float64 {
	in.tape.Reset(false, false)
	losses, _, _ := in.model.TokenLosses(in.tape, b)
	return losses
}

// loss is the mean of losses for pairs.
func (in *inspection) loss(pairs []components.Pair) float64 {
	in.model.Fill(&in.batch, pairs)
	return meanOf(in.losses(&in.batch))
}

func meanOf(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(max(1, len(x)))
}

// sampled returns up to n pairs spread over the training split, from the one on
// that part of the distance between two says.
func (in *inspection) sampled(n, part, parts int) []components.Pair {
	all := in.Data.Train.Len()
	n = min(n, all)
	var pairs []components.Pair
	for i := range n {
		pairs = append(pairs, in.Data.Train.Pair(min(all-1, i*all/n+part*all/(n*parts))))
	}
	return pairs
}

// classes is what a model chooses from at each step.
func (in *inspection) classes() int {
	if in.model.Aligned() {
		return in.Data.Target.Size() - int(components.NumSpecial)
	}
	return in.Data.Target.Size()
}

const startPairs = 32

// start compares the loss of the first weights with that of a guess, and the loss
// that is trained with the one that is evaluated.
func (in *inspection) start() error {
	const name = "loss at start"
	pairs := in.sampled(startPairs, 0, 1)
	loss, guess := in.loss(pairs), math.Log(float64(in.classes()))
	text := fmt.Sprintf("%.3f nats a token; a guess among %d has ln V = %.3f", loss, in.classes(), guess)
	switch {
	case !finite(loss):
		in.find(name, Fault, text, "the first weights already give what is not finite: look at the sources (are frames finite?) and at the initialisation")
	case in.Weights != nil:
		in.find(name, OK, text+"; the weights are from "+in.Training.InitFrom, "")
	case loss > 2*guess+1:
		in.find(name, Fault, text, "the first weights are sure of what is wrong: their scale is too large, of the embeddings perhaps (model.embeddings.scale, tied)")
	case loss > guess+0.1*guess+0.5:
		in.find(name, Warning, text, "the first steps will be spent on unlearning this; look at the scale of the embeddings and of the output layer")
	case loss < 0.7*guess-0.1:
		in.find(name, Warning, text, "weights that have learned nothing should know nothing: does the model see its target?")
	default:
		in.find(name, OK, text, "")
	}

	const trained = "trained loss"
	m := in.model
	m.Fill(&in.batch, pairs)
	in.tape.Reset(false, false)
	decoded, _ := m.Decode(in.tape, m.Encode(in.tape, in.batch.Source), &in.batch)
	extra := 0.0
	if decoded.Loss != nil {
		extra = decoded.Loss.Scalar()
	}
	in.tape.Reset(false, false)
	l, targets := m.Loss(in.tape, &in.batch, 0)
	got, want := l.Scalar(), loss+extra/float64(len(targets))
	text = fmt.Sprintf("%.4f on pairs on which the evaluation has %.4f", got, want)
	if math.Abs(got-want) <= 1e-3*(1+math.Abs(want)) {
		in.find(trained, OK, text, "")
	} else {
		in.find(trained, Fault, text, "training makes something else smaller than what is evaluated: the output's Loss and Logits differ, in their targets or in their scale")
	}
	return nil
}

// loaded says how much of the vocabularies the files of the embeddings have.
func (in *inspection) loaded() error {
	const name = "loaded embeddings"
	for _, side := range []struct {
		name string
		*components.Vectors
	}{{"source", in.Loaded.Source}, {"target", in.Loaded.Target}} {
		if side.Vectors == nil {
			continue
		}
		text := fmt.Sprintf("%s has %d of %d %s tokens", side.Path, side.Found(), side.Wanted(), side.name)
		switch found := float64(side.Found()) / float64(max(1, side.Wanted())); {
		case found < 0.1:
			in.find(side.name+" "+name, Fault, text, "the file is of other tokens: of another language, of words where the task has subwords, or of another case")
		case found < 0.5:
			in.find(side.name+" "+name, Warning, text, "most tokens start as they are drawn: is it the file of this language, and are case and tokenizer the file's?")
		default:
			in.find(side.name+" "+name, OK, text, "")
		}
	}
	return nil
}

// near says that two losses of a token are the same but for rounding.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-3*(1+math.Abs(a)) }

// dependence checks what the logits depend on: the tokens before and not those
// after, this pair and not the others of the batch, and the same whether a target is
// read at once or step by step.
func (in *inspection) dependence() error {
	pairs := in.sampled(4, 1, 2)
	var whole components.Batch
	in.model.Fill(&whole, pairs)
	want := in.losses(&whole)
	at := make([]int, len(pairs)+1) // where a pair's tokens begin
	for row, n := range whole.TargetOut.Lengths {
		at[row+1] = at[row] + int(n)
	}

	const alone = "other pairs"
	bad := -1
	for row, p := range pairs {
		in.model.Fill(&in.batch, []components.Pair{p})
		for i, loss := range in.losses(&in.batch) {
			if !near(want[at[row]+i], loss) {
				bad = row
			}
		}
	}
	if bad < 0 {
		in.find(alone, OK, "a pair has the same loss alone as in a batch", "")
	} else {
		in.find(alone, Fault, fmt.Sprintf("pair %d of %d has another loss alone than in the batch of them", bad+1, len(pairs)),
			"something mixes the sequences of a batch: a mask or spans of an attention that are another's, or inverted")
	}
	if in.model.Aligned() {
		return nil // which reads no target
	}
	in.future(&whole, want, at)
	in.steps(&whole, want, at)
	return nil
}

// future changes the target from a step on.
func (in *inspection) future(whole *components.Batch, want []float64, at []int) {
	const name = "later tokens"
	words := int32(in.Data.Target.Size()) - components.NumSpecial
	longest := whole.TargetIn.Longest()
	if words < 2 || longest < 2 {
		return
	}
	moved, seen := false, -1
	for _, step := range []int{1, (1 + longest) / 2, longest - 1} {
		other := *whole
		other.TargetIn.Tokens = slices.Clone(whole.TargetIn.Tokens)
		for row := range at[1:] {
			for i := at[row] + step; i < at[row+1]; i++ {
				token := max(0, other.TargetIn.Tokens[i]-components.NumSpecial)
				other.TargetIn.Tokens[i] = components.NumSpecial + (token+1)%words
			}
		}
		got := in.losses(&other)
		for row := range at[1:] {
			for i := at[row]; i < at[row+1]; i++ {
				switch {
				case near(want[i], got[i]):
				case i < at[row]+step:
					seen = step
				default:
					moved = true
				}
			}
		}
	}
	switch {
	case seen >= 0:
		in.find(name, Fault, fmt.Sprintf("another target token at step %d changes what is said before it", seen+1),
			"the decoder sees what it is to say: targets that are shifted the wrong way, or a causal mask that is missing or inverted")
	case !moved:
		in.find(name, Warning, "the target's tokens change nothing of what is said after them", "the decoder does not read its target: is its input masked, or are its embeddings zero?")
	default:
		in.find(name, OK, "what is said at a step depends on the tokens before it and on none after", "")
	}
}

// steps decodes the targets step by step.
func (in *inspection) steps(whole *components.Batch, want []float64, at []int) {
	const name = "step by step"
	in.tape.Reset(false, false)
	decoding := in.model.Start(in.tape, whole.Source)
	worst := 0.0
	token := func(s components.Sequences, row, step int) int32 {
		if start, n := s.At(row); step < n {
			return s.Tokens[start+step]
		}
		return components.Eos
	}
	for step := range whole.TargetIn.Longest() {
		var tokens components.Sequences
		targets := make([]int32, whole.Source.Batch())
		for row := range targets {
			tokens.Add(token(whole.TargetIn, row, step))
			targets[row] = decoding.Column(row, token(whole.TargetOut, row, step))
		}
		for row, loss := range autodiff.TokenLosses(in.tape, decoding.Next(in.tape, tokens), targets) {
			if i := at[row] + step; i < at[row+1] && !near(want[i], loss) {
				worst = math.Max(worst, math.Abs(want[i]-loss))
			}
		}
	}
	if worst == 0 {
		in.find(name, OK, "decoding step by step says what the pass over whole targets says", "")
	} else {
		in.find(name, Fault, fmt.Sprintf("decoding step by step, a token's loss differs by %.3g nats from that of the pass over whole targets", worst),
			"hypotheses are not of the model that is trained: targets that are shifted, or a mask or a state that Step has and Decode has not")
	}
}

// parameters looks for those that no gradient reaches.
func (in *inspection) parameters() error {
	const name, batches = "parameters", 3
	params := in.model.Params
	reached := map[*autodiff.Var]bool{}
	for part := range batches {
		in.gradient(in.sampled(16, part, batches), in.Training.LabelSmoothing)
		for _, v := range params.Trainable() {
			if slices.ContainsFunc(autodiff.Grad[float32](v), func(g float32) bool { return g != 0 }) {
				reached[v] = true
			}
		}
	}
	var dead, frozen []string
	held := 0
	for _, v := range params.All() {
		switch {
		case v.Frozen():
			frozen, held = append(frozen, v.Name()), held+v.Size()
		case !reached[v]:
			dead = append(dead, v.Name())
		}
	}
	if len(dead) > 0 {
		in.find(name, Fault, fmt.Sprintf("no gradient reaches %s", some(dead)),
			"they stay as they are drawn: a part that is not connected, an input that is zero, or a backward pass that forgets them")
	} else {
		in.find(name, OK, fmt.Sprintf("a gradient reaches all %d tensors that are trained", len(reached)), "")
	}
	if len(frozen) > 0 {
		in.find("frozen", Warning, fmt.Sprintf("%d of %d parameters are not trained: %s", held, params.Count(), some(frozen)),
			"if that is not meant, look at train.groups and model.embeddings.frozen")
	}
	return nil
}

// some lists names, the first of many.
func some(names []string) string {
	const most = 8
	if n := len(names); n > most {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

// gradient leaves the gradient of the loss of pairs in the parameters, without
// dropout.
func (in *inspection) gradient(pairs []components.Pair, smoothing float64) (loss float64) {
	in.model.Fill(&in.batch, pairs)
	in.tape.Reset(false, true)
	in.model.Params.ZeroGrad(in.tape)
	l, _ := in.model.Loss(in.tape, &in.batch, smoothing)
	in.tape.Backward(l)
	return l.Scalar()
}

const timeBudget = 500 * time.Millisecond

// cost says what the training will take.
func (in *inspection) cost() error {
	const memory, duration = "memory", "time"
	card, err := NewCard(in.Config)
	if err != nil {
		return err
	}
	bytes := card.Step + bytesNumber*in.kept()
	text := fmt.Sprintf("%.1f MB a trial, in the largest batch (%d pairs, %d source and %d target steps)", megabytes(bytes), card.Pairs, card.SourceSteps, card.TargetSteps)
	if free := freeMemory(); free > 0 && bytes > free {
		in.find(memory, Warning, fmt.Sprintf("%s; the machine has %.1f MB free", text, megabytes(free)), "make batches smaller (train.batch_size, train.batch_tokens, train.accumulate), or cut long sequences")
	} else {
		in.find(memory, OK, text, "")
	}
	e, err := Time(in.Config, timeBudget)
	var diverged *DivergedError
	if errors.As(err, &diverged) {
		in.find(duration, Fault, err.Error(), "lower train.optimizer.lr or train.clip_norm, or mend what the data has that is not finite")
		return nil
	}
	if err != nil {
		return err
	}
	text = fmt.Sprintf("%s of training and %s of evaluation for %d steps on a core of this machine", roundTime(e.Training), roundTime(e.Evaluation), e.Steps)
	switch {
	case e.Evaluation > e.Training+time.Minute:
		in.find(duration, Warning, text, "most of the time is evaluation: raise evaluate.every, or lower evaluate.max_length")
	default:
		in.find(duration, OK, text, "")
	}
	return nil
}

// kept is how many numbers a training keeps from one step to the next, at most.
func (t *trial) kept() int {
	sets := 1
	if t.averages.ema != nil {
		sets++
	}
	if t.Evaluation.BestBy != "" {
		sets++
	}
	if last := t.averages.last; last > 0 {
		if t.steps > 0 {
			last = min(last, (t.steps+t.Evaluation.Every-1)/t.Evaluation.Every)
		}
		sets += last + 1 // and their mean
	}
	if sets > 1 {
		sets++ // those that are trained, while others are tested
	}
	n := sets * t.model.Params.Count()
	for _, state := range t.optimizer.State() {
		n += len(state)
	}
	for _, sum := range t.sums {
		n += len(sum)
	}
	return n
}

const bytesNumber = 4 // a parameter is a float32

func megabytes(bytes int) float64 { return float64(bytes) / (1 << 20) }

func roundTime(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}
