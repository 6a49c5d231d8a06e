package task

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"exp/components"
	"exp/registry"
)

// maxDigits is how many digits a number has at most: what an int64 holds.
const maxDigits = 18

// number draws a number of so many digits, of which the first is 0 only if it is
// the only one.
func number(rng *rand.Rand, digits int) int64 {
	if digits == 1 {
		return rng.Int64N(10)
	}
	power := int64(1)
	for range digits - 1 {
		power *= 10
	}
	return power + rng.Int64N(9*power)
}

// AdditionOptions configures the addition task.
type AdditionOptions struct {
	SyntheticOptions
	Reversed bool `toml:"reversed" doc:"sources are from their end: 53+612 is 216+35"`
}

// Doc describes the component.
func (AdditionOptions) Doc() string {
	return "The sum of two numbers in decimal, a token a character (Zaremba & Sutskever 2014): 53+612 is 665. " +
		"The length of each number, in digits, is drawn evenly. No two pairs have the same numbers, in whichever order."
}

// Version is raised: 53+612 and 612+53 were two pairs.
func (AdditionOptions) Version() int { return 2 }

// Validate reports every value out of range.
func (o AdditionOptions) Validate() error {
	return errors.Join(o.SyntheticOptions.Validate(), o.atMost(maxDigits, "what fits in 64 bits"))
}

// NewAddition makes the task.
func NewAddition(o AdditionOptions, _ components.TaskDeps) (components.Task, error) {
	return &Synthetic{o: o.SyntheticOptions, source: characters("0123456789+"), target: characters("0123456789"), spelled: [2]bool{true, true},
		same: func(source []string) string {
			a, b, _ := strings.Cut(strings.Join(source, ""), "+")
			return min(a, b) + "+" + max(a, b)
		},
		draw: func(rng *rand.Rand, least, greatest int) (source, target []string) {
			operand := func() int64 { return number(rng, least+rng.IntN(greatest-least+1)) }
			a, b := operand(), operand()
			source = characters(fmt.Sprintf("%d+%d", a, b))
			if o.Reversed {
				slices.Reverse(source)
			}
			return source, characters(strconv.FormatInt(a+b, 10))
		}}, nil
}

// Direction is which way number words are turned.
type Direction string

const (
	ToDigits Direction = "to_digits"
	ToWords  Direction = "to_words"
)

// Values lists what is allowed.
func (Direction) Values() []string { return []string{string(ToDigits), string(ToWords)} }

// UnmarshalText accepts one of Values.
func (d *Direction) UnmarshalText(text []byte) error { return registry.OneOf(d, text) }

// NumberWordsOptions configures the number_words task.
type NumberWordsOptions struct {
	SyntheticOptions
	Direction Direction `toml:"direction" doc:"to_digits: two hundred and six is 2 0 6; to_words: the other way"`
}

// Doc describes the component.
func (NumberWordsOptions) Doc() string {
	return "English number words to decimal digits, or back: one thousand and twelve is 1 0 1 2. The length of a pair is that of its number in digits. " +
		"No two pairs have the same number."
}

// Validate reports every value out of range.
func (o NumberWordsOptions) Validate() error {
	return errors.Join(o.SyntheticOptions.Validate(), o.atMost(maxDigits, "what fits in 64 bits"))
}

// NewNumberWords makes the task.
func NewNumberWords(o NumberWordsOptions, _ components.TaskDeps) (components.Task, error) {
	all := slices.Concat(small, tens[2:], scales[1:], []string{"hundred", "and"})
	s := &Synthetic{o: o.SyntheticOptions, source: all, target: characters("0123456789"), spelled: [2]bool{false, true},
		draw: evenly(func(rng *rand.Rand, length int) (source, target []string) {
			n := number(rng, length)
			source, target = numberWords(n), characters(strconv.FormatInt(n, 10))
			if o.Direction == ToWords {
				source, target = target, source
			}
			return source, target
		})}
	if o.Direction == ToWords {
		s.source, s.target, s.spelled = s.target, s.source, [2]bool{true, false}
	}
	return s, nil
}

var (
	small  = words("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
	tens   = words("- - twenty thirty forty fifty sixty seventy eighty ninety")
	scales = words("- thousand million billion trillion quadrillion")
)

// numberWords says n, from 0, as in British English: "and" stands after hundreds
// and before a last part below one hundred.
func numberWords(n int64) []string {
	if n == 0 {
		return []string{small[0]}
	}
	var groups []int
	for ; n > 0; n /= 1000 {
		groups = append(groups, int(n%1000))
	}
	var said []string
	for scale, group := range slices.Backward(groups) {
		if group == 0 {
			continue
		}
		if group >= 100 {
			said = append(said, small[group/100], "hundred")
		}
		rest := group % 100
		if rest > 0 && (group >= 100 || scale == 0 && len(said) > 0) {
			said = append(said, "and")
		}
		if rest >= 20 {
			said, rest = append(said, tens[rest/10]), rest%10
		}
		if rest > 0 {
			said = append(said, small[rest])
		}
		if scale > 0 {
			said = append(said, scales[scale])
		}
	}
	return said
}

// RecallOptions configures the recall task.
type RecallOptions struct {
	SyntheticOptions
	NumKeys   int `toml:"num_keys" doc:"keys that there are; a source has each at most once"`
	NumValues int `toml:"num_values" doc:"values that there are"`
}

// Doc describes the component.
func (RecallOptions) Doc() string {
	return "Associative recall (Graves et al. 2014, as in Ba et al. 2016): the source is keys, each with its value after it, then one of the keys again; " +
		"the target is the value of that: k3 v0 k7 v5 ? k7 is v5. The length is the number of keys with a value. No two pairs have the same source."
}

// Validate reports every value out of range.
func (o RecallOptions) Validate() error {
	return errors.Join(o.SyntheticOptions.Validate(), registry.AtLeast("num_keys", o.NumKeys, 1), registry.AtLeast("num_values", o.NumValues, 1),
		o.atMost(o.NumKeys, "num_keys, since each key comes once"))
}

// NewRecall makes the task.
func NewRecall(o RecallOptions, _ components.TaskDeps) (components.Task, error) {
	prefixed := func(prefix string, n int) []string {
		tokens := integers(n)
		for i := range tokens {
			tokens[i] = prefix + tokens[i]
		}
		return tokens
	}
	keys, values := prefixed("k", o.NumKeys), prefixed("v", o.NumValues)
	return &Synthetic{o: o.SyntheticOptions, source: slices.Concat(keys, values, []string{"?"}), target: values,
		draw: evenly(func(rng *rand.Rand, length int) (source, target []string) {
			asked := rng.IntN(length)
			var question []string
			for i, key := range rng.Perm(o.NumKeys)[:length] {
				value := values[rng.IntN(o.NumValues)]
				source = append(source, keys[key], value)
				if i == asked {
					question, target = []string{"?", keys[key]}, []string{value}
				}
			}
			return append(source, question...), target
		})}, nil
}

// DyckOptions configures the dyck task.
type DyckOptions struct {
	SyntheticOptions
	NumBrackets int `toml:"num_brackets" doc:"kinds of brackets k"`
	MaxDepth    int `toml:"max_depth" doc:"brackets open at once, at most; 0: any"`
}

// Doc describes the component.
func (DyckOptions) Doc() string {
	return "Dyck-k: the source is the beginning of a well-nested word of k kinds of brackets, and the target the shortest end of it: " +
		"what closes all that is open, the last first. Where both may come, a bracket opens or closes evenly (as in Hewitt et al. 2020 with their depth, and without an end). " +
		"The length is that of the source, in which something is open. No two pairs have the same source."
}

// Validate reports every value out of range.
func (o DyckOptions) Validate() error {
	var depth error
	if o.MaxDepth < 0 || o.MaxDepth == 1 {
		depth = registry.Fault{Key: "max_depth", Problem: fmt.Sprintf("must be 0 or at least 2, is %d: of depth 1, sources of even length have nothing open", o.MaxDepth)}
	}
	return errors.Join(o.SyntheticOptions.Validate(), registry.AtLeast("num_brackets", o.NumBrackets, 1), depth)
}

// NewDyck makes the task.
func NewDyck(o DyckOptions, _ components.TaskDeps) (components.Task, error) {
	var opening, closing []string
	for _, kind := range integers(o.NumBrackets) {
		opening, closing = append(opening, "("+kind), append(closing, ")"+kind)
	}
	return &Synthetic{o: o.SyntheticOptions, source: slices.Concat(opening, closing), target: closing,
		draw: evenly(func(rng *rand.Rand, length int) (source, target []string) {
			var open []int
			for len(open) == 0 {
				source = source[:0]
				for range length {
					opens := rng.IntN(2) == 0
					if len(open) == 0 || opens && len(open) != o.MaxDepth {
						open = append(open, rng.IntN(o.NumBrackets))
						source = append(source, opening[open[len(open)-1]])
						continue
					}
					source, open = append(source, closing[open[len(open)-1]]), open[:len(open)-1]
				}
			}
			for _, kind := range slices.Backward(open) {
				target = append(target, closing[kind])
			}
			return source, target
		})}, nil
}
