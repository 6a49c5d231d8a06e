package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/optimizer"
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
	for _, check := range []func() error{in.start, in.dependence, in.parameters, in.differences, in.rate, in.overfit, in.cost} {
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
	c.Checkpoint, c.Forcing = "", nil
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
			targets[row] = columnOf(decoding.Extended, row, token(whole.TargetOut, row, step), int32(in.Data.Target.Size()))
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

// columnOf is the column of a target token among the logits of a row.
func columnOf(x components.Extended, row int, token, vocabulary int32) int32 {
	if token < vocabulary {
		return token
	}
	for column := vocabulary; column < int32(x.Width); column++ {
		if x.Token(row, column) == token {
			return column
		}
	}
	return components.Unk
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

const (
	rateSteps = 60  // of a short training at a rate
	ratePairs = 8   // a batch of it
	lastSteps = 20  // of it, over which its loss is a mean
	heart     = 800 // to learn a few pairs by heart, at most
	warmSteps = 15  // over which the rate rises
	lookEvery = 10
	learned   = 0.1 // of the loss at start
)

// rate trains for a little at the greatest rate of the schedule, from the first
// weights on, and at a tenth of it: on batches that are new each time, a rate that is
// too large is worse.
func (in *inspection) rate() error {
	const name = "learning rate"
	rates, err := NewRates(in.Config, 1000)
	if err != nil {
		return err
	}
	peak := slices.Max(rates.Values)
	in.usable = peak
	if len(in.short) == 0 {
		return nil // which is told elsewhere
	}
	first := weightsOf(in.model.Params)
	defer in.averages.give(first)
	short := func(rate float64) (start, last, highest float64, err error) {
		o, err := in.newOptimizer()
		if err != nil {
			return 0, 0, 0, err
		}
		in.averages.give(first)
		rng := rand.New(rand.NewPCG(3, 4))
		for step := 1; step <= rateSteps; step++ {
			if in.ctx.Err() != nil {
				return 0, 0, 0, ErrInterrupted
			}
			pairs := make([]components.Pair, ratePairs)
			for i := range pairs {
				pairs[i] = in.short[rng.IntN(len(in.short))]
			}
			loss := in.descend(o, pairs, step, rate)
			if step == 1 {
				start = loss
			}
			if !finite(loss) {
				return start, loss, loss, nil
			}
			highest = max(highest, loss)
			if step > rateSteps-lastSteps {
				last += loss / lastSteps
			}
		}
		return start, last, highest, nil
	}
	start, last, highest, err := short(peak)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%.3g at most, at which %d steps take the loss from %.3f to %.3f", peak, rateSteps, start, last)
	if highest > 1.5*start {
		text += fmt.Sprintf(", by way of %.3g", highest)
	}
	_, smaller, peakOfSmaller, err := short(peak / 10)
	if err != nil {
		return err
	}
	text += fmt.Sprintf("; a tenth of it, to %.3f", smaller)
	switch {
	case !finite(last) && !finite(smaller):
		in.usable = peak / 1000
		in.find(name, Fault, text, "no step leads anywhere: look at what else is found, at the scale of the sources and at the initialisation")
	case !finite(last), last > 1.15*smaller+0.02, highest > 2*start+1 && peakOfSmaller < 0.7*highest:
		in.usable = peak / 10
		_, least, _, err := short(peak / 100)
		if err != nil {
			return err
		}
		if least < smaller {
			in.usable = peak / 100
			text += fmt.Sprintf(", a hundredth, to %.3f", least)
		}
		in.find(name, Fault, text, fmt.Sprintf("the rate is too large: try %.2g in the place of train.optimizer.lr, or a longer warmup", in.usable))
	case last > 1.05*smaller:
		in.find(name, Warning, text, "try a smaller train.optimizer.lr, or a longer warmup")
	default:
		in.find(name, OK, text, "")
	}
	return nil
}

// newOptimizer is the optimizer of the file, that has learned nothing.
func (in *inspection) newOptimizer() (components.Optimizer, error) {
	deps, err := in.optimizerDeps()
	if err != nil {
		return nil, err
	}
	o, err := in.Optimizer(deps)
	if err != nil {
		return nil, fmt.Errorf("train.optimizer: %w", err)
	}
	return o, nil
}

func (in *inspection) optimizerDeps() (components.OptimizerDeps, error) {
	groups, err := in.Training.ParameterGroups()
	return components.OptimizerDeps{Params: in.model.Params, Groups: groups}, err
}

// descend takes a step on pairs, clipped as in training, and returns the loss before
// it. Where that or the gradient is not finite it is NaN, and there is no step.
func (in *inspection) descend(o components.Optimizer, pairs []components.Pair, step int, rate float64) float64 {
	params := in.model.Params
	loss := in.gradient(pairs, 0)
	norm := optimizer.GradNorm(params)
	if !finite(loss) || !finite(norm) {
		return math.NaN()
	}
	if limit := in.Training.ClipValue; limit > 0 {
		optimizer.ClipValues(params, limit)
		norm = optimizer.GradNorm(params)
	}
	o.Step(step, rate*math.Min(1, float64(step)/warmSteps), optimizer.ClipScale(norm, in.Training.ClipNorm))
	params.Changed()
	return loss
}

// attempt is how a few pairs are learned at a rate.
type attempt struct {
	rate        float64
	steps       int     // until they were learned
	first, last float64 // evaluated
	others      float64 // evaluated with each other's sources
	learned     bool
}

// done says that the pairs are learned, and by their sources: what a target begins
// with may be enough to tell a few apart.
func (a attempt) done() bool { return a.learned && (a.others == 0 || a.others >= dependent*a.last) }

func (a attempt) String() string {
	return fmt.Sprintf("%.3f nats a token to %.3g in %d steps at a rate of %.3g", a.first, a.last, a.steps, a.rate)
}

// byHeart has the few pairs learned.
func (in *inspection) byHeart(o components.Optimizer, rate float64) (attempt, error) {
	a := attempt{rate: rate, first: in.loss(in.few)}
	for a.steps < heart && !a.done() {
		if in.ctx.Err() != nil {
			return a, ErrInterrupted
		}
		a.steps++
		if loss := in.descend(o, in.few, a.steps, rate); !finite(loss) {
			a.last = loss
			return a, nil
		}
		if a.steps%lookEvery == 0 {
			a.last = in.loss(in.few)
			a.learned = a.last <= learned*a.first
			if len(in.swapped) > 0 {
				a.others = in.loss(in.swapped)
			}
		}
	}
	return a, nil
}

// overfit has the model learn a few pairs by heart with its optimizer and, where that
// does not do, with Adam, to tell a model that cannot from an optimizer that does not.
func (in *inspection) overfit() error {
	const name = "few pairs"
	n := len(in.few)
	if n < 2 {
		in.find(name, Fault, fmt.Sprintf("training has fewer than two pairs with a source and a target of their own, of the %d looked at", min(looked, in.Data.Train.Len())),
			"there is nothing to tell apart: look at exp data")
		return nil
	}
	first := weightsOf(in.model.Params)
	defer in.averages.give(first)
	own, err := in.newOptimizer()
	if err != nil {
		return err
	}
	a, err := in.byHeart(own, in.usable)
	if err != nil {
		return err
	}
	best := a
	deps, err := in.optimizerDeps()
	if err != nil {
		return err
	}
	for _, rate := range []float64{5e-3, 5e-4} {
		if best.done() {
			break
		}
		adam, err := optimizer.NewAdam(optimizer.AdamOptions{LR: rate, Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-8}, deps)
		if err != nil {
			return err
		}
		in.averages.give(first)
		other, err := in.byHeart(adam, rate)
		if err != nil {
			return err
		}
		if other.done() || !best.learned && (other.learned || !(other.last >= best.last)) {
			best = other
		}
	}
	switch {
	case a.learned:
		in.find(name, OK, fmt.Sprintf("%d learned by heart, from %v", n, a), "")
	case best.learned && a.last < 0.8*a.first:
		in.find(name, OK, fmt.Sprintf("%d on the way, from %v; learned by heart by Adam in %d at %.3g", n, a, best.steps, best.rate), "")
	case best.learned:
		in.find(name, Warning, fmt.Sprintf("%d hardly learned, from %v; learned by heart by Adam in %d at %.3g", n, a, best.steps, best.rate),
			"the rate is too small, or clipping takes it all: look at train.optimizer.lr, train.clip_norm and the schedule")
	case math.Min(best.last, a.last) < 0.5*a.first:
		in.find(name, Warning, fmt.Sprintf("%d not learned by heart, from %v; nor by Adam, to %.3g", n, a, best.last),
			"a small model, many frozen parameters, or a loss that cannot get small? Else look at what else is found")
	default:
		in.find(name, Fault, fmt.Sprintf("%d not learned by heart, from %v; nor by Adam, to %.3g", n, a, best.last),
			"a model that cannot learn a few pairs learns nothing: look at its targets, its masks, its gradients and what is frozen")
	}
	in.source(best)
	return nil
}

// swap gives each of the few pairs the source of the next.
func (in *inspection) swap() []components.Pair {
	others := slices.Clone(in.few)
	for i := range others {
		next := in.few[(i+1)%len(in.few)]
		others[i].Source, others[i].Frames = next.Source, next.Frames
	}
	if in.model.Aligned() { // whose targets are as long as the source
		others = slices.DeleteFunc(others, func(p components.Pair) bool { return in.model.MemorySteps(p.SourceSteps()) != len(p.Target) })
	}
	return others
}

// dependent is the ratio of the losses, with another's source and with its own, from
// which on what is said depends on the source.
const dependent = 1.2

// source says whether what was learned depends on the source.
func (in *inspection) source(a attempt) {
	const name = "source"
	if len(in.swapped) == 0 {
		return
	}
	text := fmt.Sprintf("with each other's sources, the loss of the few pairs is %.3g for %.3g", a.others, a.last)
	switch {
	case !(math.Abs(a.others-a.last) > 1e-4*a.last), a.learned && a.others < 1.02*a.last:
		in.find(name, Fault, text, "what is said does not depend on the source: an attention or a bridge that is missing (model.attention, bridge = \"zero\"), a memory that is masked, or targets that are not of these sources")
	case a.others < dependent*a.last:
		in.find(name, Warning, text, "what is said hardly depends on the source")
	default:
		in.find(name, OK, text, "")
	}
}

const timeBudget = 500 * time.Millisecond

// cost says what the training will take.
func (in *inspection) cost() error {
	const memory, duration = "memory", "time"
	card, err := NewCard(in.Config)
	if err != nil {
		return err
	}
	values := 2 * card.Parameters // beside them the best weights, or an average
	for _, state := range in.optimizer.State() {
		values += len(state)
	}
	bytes := card.Step + bytesNumber*values
	text := fmt.Sprintf("%.1f MB a trial, in the largest batch (%d pairs, %d source and %d target steps)", megabytes(bytes), card.Pairs, card.SourceSteps, card.TargetSteps)
	if free := freeMemory(); free > 0 && bytes > free {
		in.find(memory, Warning, fmt.Sprintf("%s; the machine has %.1f MB free", text, megabytes(free)), "make batches smaller (train.batch_size, train.batch_tokens, train.accumulate), or cut long sequences")
	} else {
		in.find(memory, OK, text, "")
	}
	e, err := Time(in.Config, timeBudget)
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

const bytesNumber = 4 // a parameter is a float32

func megabytes(bytes int) float64 { return float64(bytes) / (1 << 20) }

func roundTime(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}
