package plots

import (
	"math"
	"math/rand/v2"
)

// sample is a sweep of made-up trials: variants with three seeds each on two
// splits of a task, their curves rising with noise.
func sample(variants int) Data {
	names := []string{"rnn", "lstm", "gru", "transformer", "lstm-bidirectional", "hred", "conv", "lstm-wide", "gru-deep", "rnn-relu"}
	d := Data{HigherIsBetter: map[string]bool{"exact_match": true, "loss": false}}
	for v, name := range names[:variants] {
		for _, split := range []string{"simple", "length"} {
			for seed := range int64(3) {
				rng := rand.New(rand.NewPCG(uint64(v), uint64(seed)+10*uint64(split[0])))
				level := 0.95 - 0.06*float64(v) + 0.02*rng.NormFloat64()
				if split == "length" {
					level *= 0.4
				}
				var accuracy, loss Series
				for step := 1000; step <= 20_000; step += 1000 {
					x := float64(step) / 20_000
					y := max(0, level*(1-math.Exp(-5*x/(1+0.2*float64(v))))+0.01*rng.NormFloat64())
					accuracy.Steps, accuracy.Values = append(accuracy.Steps, step), append(accuracy.Values, y)
					loss.Steps, loss.Values = append(loss.Steps, step), append(loss.Values, 2.5*math.Exp(-4*x)*(1.2-y)+0.02)
				}
				d.Trials = append(d.Trials, Trial{
					Labels: map[string]string{"variant": name, "task.split": split},
					Seed:   seed, Status: Finished, Parameters: 400_000 + 1234*int64(v),
					Series: map[string]Series{"valid/exact_match": accuracy, "valid/loss": loss},
					Final:  map[string]float64{"test/exact_match": min(1, level), "test/loss": loss.Values[len(loss.Values)-1]},
				})
			}
		}
	}
	return d
}

// diverge makes the trials of a variant and seed diverge at a step.
func diverge(d Data, variant string, seed int64, at int) Data {
	for i := range d.Trials {
		t := &d.Trials[i]
		if t.Labels["variant"] != variant || t.Seed != seed {
			continue
		}
		t.Status, t.Final = Diverged, nil
		for name, s := range t.Series {
			for j, step := range s.Steps {
				if step == at {
					t.Series[name] = Series{s.Steps[:j+1], append(s.Values[:j:j], math.NaN())}
				}
			}
		}
	}
	return d
}

// simple shows one split only, a line, bar or row for each variant.
func simple() Selection {
	return Selection{By: []string{"variant"}, Where: map[string]string{"task.split": "simple"}}
}

// trial makes a trial with a seed, a curve at the steps 10, 20, ... and its last
// value as the final one.
func trial(seed int64, status Status, values ...float64) Trial {
	t := Trial{Labels: map[string]string{}, Seed: seed, Status: status, Series: map[string]Series{}, Final: map[string]float64{}}
	var s Series
	for i, v := range values {
		s.Steps, s.Values = append(s.Steps, 10*(i+1)), append(s.Values, v)
	}
	t.Series["valid/loss"] = s
	if len(values) > 0 && status == Finished {
		t.Final["test/loss"] = values[len(values)-1]
	}
	return t
}

// with gives trials labels: pairs of a name and a value.
func with(t Trial, labels ...string) Trial {
	for i := 0; i < len(labels); i += 2 {
		t.Labels[labels[i]] = labels[i+1]
	}
	return t
}
