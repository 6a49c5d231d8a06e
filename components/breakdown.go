package components

import (
	"errors"
	"fmt"
	"math"

	"exp/registry"
)

// Breakdown is the [evaluate.breakdown] table: how every metric is computed
// beside, apart for pairs that are alike.
type Breakdown struct {
	SourceLength []int `toml:"source_length" doc:"longest source of each bucket but the last, in tokens or frames, ascending: [10, 20] is 0-10, 11-20 and 21+; []: no buckets"`
	TargetLength []int `toml:"target_length" doc:"longest target of each bucket but the last, in tokens, likewise; of several references the first counts"`
}

// Doc describes the table.
func (Breakdown) Doc() string {
	return "Buckets of pairs for which every metric is computed apart, beside that of all pairs. It is recorded as METRIC/OPTION=BUCKET, as in bleu/source_length=11-20, and not a number where a split has no such pair."
}

// Validate reports lists that do not ascend.
func (b Breakdown) Validate() error {
	var errs []error
	for _, by := range b.by() {
		last := -1
		for _, n := range by.most {
			if n <= last {
				errs = append(errs, registry.Fault{Key: by.option, Problem: fmt.Sprintf("must ascend from 0 or more, is %s", registry.Format(by.most))})
				break
			}
			last = n
		}
	}
	return errors.Join(errs...)
}

// by is what pairs are put in buckets by.
type by struct {
	option string
	most   []int
	length func(Said) int
}

func (b Breakdown) by() []by {
	return []by{
		{"source_length", b.SourceLength, func(s Said) int { return s.Source }},
		{"target_length", b.TargetLength, func(s Said) int { return len(s.References[0].Tokens) }},
	}
}

// bucket is the pairs whose length is in a range, both ends included.
type bucket struct {
	by
	name        string
	least, last int
}

// buckets lists the buckets, all of an option one after the other.
func (b Breakdown) buckets() []bucket {
	var all []bucket
	for _, by := range b.by() {
		if len(by.most) == 0 {
			continue
		}
		least := 0
		for _, most := range by.most {
			all = append(all, bucket{by, fmt.Sprintf("%s=%d-%d", by.option, least, most), least, most})
			least = most + 1
		}
		all = append(all, bucket{by, fmt.Sprintf("%s=%d+", by.option, least), least, math.MaxInt})
	}
	return all
}

// of returns the pairs of o that are in the bucket.
func (b bucket) of(o *Outcome) *Outcome {
	some := &Outcome{Text: o.Text}
	for _, p := range o.Pairs {
		if n := b.length(p); b.least <= n && n <= b.last {
			some.Pairs = append(some.Pairs, p)
		}
	}
	return some
}

// Names lists under what names the numbers of a metric are recorded: its own name,
// then for each of its parts name/part, then for each bucket name/option=bucket.
func (b Breakdown) Names(name string, m Metric) []string {
	names := []string{name}
	for _, part := range m.Parts() {
		names = append(names, name+"/"+part)
	}
	return append(names, b.Scores(name)[1:]...)
}

// Scores lists those of Names that are the metric, of all pairs or of a bucket, and
// no part of it.
func (b Breakdown) Scores(name string) []string {
	names := []string{name}
	for _, bucket := range b.buckets() {
		names = append(names, name+"/"+bucket.name)
	}
	return names
}

// Measure returns the numbers that Names names. That of a bucket without a pair is
// NaN.
func (b Breakdown) Measure(m Metric, o *Outcome) []float64 {
	score, parts := m.Score(o)
	numbers := append([]float64{score}, parts...)
	for _, bucket := range b.buckets() {
		score := math.NaN()
		if some := bucket.of(o); len(some.Pairs) > 0 {
			score, _ = m.Score(some)
		}
		numbers = append(numbers, score)
	}
	return numbers
}
