package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"exp/components"
	"exp/components/optimizer"
)

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
	case !finite(last), last > 1.15*smaller+0.02, last > 1.15*start+0.02, highest > 2*start+1 && peakOfSmaller < 0.7*highest:
		in.usable = peak / 10
		least := smaller
		harmless := func() bool { return least < 1.02*start+0.02 }
		for part := 100.0; part <= 1e12; part *= 10 { // as long as a smaller one is better
			_, last, _, err := short(peak / part)
			if err != nil {
				return err
			}
			if last < least || finite(last) && !finite(least) {
				in.usable, least = peak/part, last
			} else if harmless() {
				break
			}
		}
		if in.usable < peak/10 {
			text += fmt.Sprintf(", %.3g, to %.3f", in.usable, least)
		}
		if !harmless() {
			in.usable = peak / 1000
			in.find(name, Fault, text, "no step leads anywhere: look at what else is found, at the scale of the sources and at the initialisation")
			break
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
	case best.learned && !(a.last < 1.15*a.first+0.02):
		in.find(name, Warning, fmt.Sprintf("%d not learned, from %v; learned by heart by Adam in %d at %.3g", n, a, best.steps, best.rate),
			"the rate is too large: look at train.optimizer.lr, train.clip_norm and the schedule")
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
