package task

import (
	"fmt"
	"strconv"
	"testing"

	"exp/components"
)

// A target is the source plus C, step by step, in both forms of input, and no two
// pairs are the same.
func TestLabels(t *testing.T) {
	o := LabelsOptions{NumClasses: 7, MinLength: 3, MaxLength: 5, NumTrain: 120, NumValid: 20, NumTest: 30, Seed: 2}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	load := func(input Input) *components.Data {
		o.Input = input
		task, err := NewLabels(o, components.TaskDeps{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := task.Load()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	tokens, numbers := load(Tokens), load(Numbers)
	if numbers.Source != nil || numbers.FrameSize != 1 || tokens.FrameSize != 0 || tokens.SourceSize() != 7+int(components.NumSpecial) || numbers.SourceSize() != 1 {
		t.Errorf("frames of %d and %d, sources of size %d and %d", tokens.FrameSize, numbers.FrameSize, tokens.SourceSize(), numbers.SourceSize())
	}
	known, lengths, integers := map[string]bool{}, map[int]int{}, map[int]int{}
	for i, split := range []components.Split{tokens.Train, tokens.Valid, tokens.Test} {
		if want := []int{120, 20, 30}[i]; split.Len() != want {
			t.Errorf("split %d has %d pairs, want %d", i, split.Len(), want)
		}
		for j := range split.Len() {
			p, q := split.Pair(j), []components.Split{numbers.Train, numbers.Valid, numbers.Test}[i].Pair(j)
			if p.SourceSteps() != len(p.Target) || q.SourceSteps() != len(p.Target) {
				t.Fatalf("pair %d: %d and %d steps, %d labels", j, p.SourceSteps(), q.SourceSteps(), len(p.Target))
			}
			for step := range p.Target {
				n, err := strconv.Atoi(tokens.Source.Token(p.Source[step]))
				if err != nil || tokens.Target.Token(p.Target[step]) != fmt.Sprint(n+7) || numbers.Target.Token(q.Target[step]) != fmt.Sprint(n+7) || q.Frames.Values[step] != float32(n) {
					t.Fatalf("pair %d: %v is labelled %v, and %v %v", j, p.Source, p.Target, q.Frames, q.Target)
				}
				integers[n]++
			}
			key := fmt.Sprint(p.Source)
			if known[key] {
				t.Errorf("two pairs of %s", key)
			}
			known[key] = true
			lengths[len(p.Target)]++
		}
	}
	if len(lengths) != 3 || len(integers) != 7 {
		t.Errorf("lengths %v of integers %v", lengths, integers)
	}
	o.NumTrain = 1000
	if err := o.Validate(); err == nil {
		t.Error("more pairs than half of the shortest sequences are accepted")
	}
}
