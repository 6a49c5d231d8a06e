package task

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"exp/registry"
)

// Split is how SCAN is divided into train and test.
type Split string

const (
	Simple Split = "simple" // our own random draw, 80 to 20
	Files  Split = "files"  // as train_file and test_file say
)

// rules divides commands by a rule, or at random. What neither keeps is left out.
var rules = map[Split]func(all []Command, rng *rand.Rand) (train, test []Command){
	Simple:                       draw(80),
	"simple_p1":                  draw(1),
	"simple_p2":                  draw(2),
	"simple_p4":                  draw(4),
	"simple_p8":                  draw(8),
	"simple_p16":                 draw(16),
	"simple_p32":                 draw(32),
	"simple_p64":                 draw(64),
	"length":                     divide(func(c Command) bool { return c.actions().tokens() > 22 }),
	"addprim_jump":               addPrimitive("jump"),
	"addprim_turn_left":          addPrimitive("turn left"),
	"template_jump_around_right": template("around right", "jump"),
	"template_around_right":      template("around right", "walk", "look", "run", "jump"),
	"template_opposite_right":    template("opposite right", "walk", "look", "run", "jump"),
	"template_right":             template("right", "walk", "look", "run", "jump"),
}

// Values lists what is allowed.
func (Split) Values() []string {
	names := []string{string(Files)}
	for split := range rules {
		names = append(names, string(split))
	}
	slices.Sort(names)
	return names
}

// UnmarshalText accepts one of Values.
func (s *Split) UnmarshalText(text []byte) error { return registry.OneOf(s, text) }

// draw is a random draw of a percentage of all commands for training.
func draw(percent int) func([]Command, *rand.Rand) (train, test []Command) {
	return func(all []Command, rng *rand.Rand) (train, test []Command) {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		cut := len(all) * percent / 100
		return all[:cut], all[cut:]
	}
}

// divide puts into the test what held says.
func divide(held func(Command) bool) func([]Command, *rand.Rand) (train, test []Command) {
	return func(all []Command, _ *rand.Rand) (train, test []Command) {
		for _, c := range all {
			if held(c) {
				test = append(test, c)
			} else {
				train = append(train, c)
			}
		}
		return train, test
	}
}

// addPrimitive holds out every command with the primitive but itself, which makes
// up a tenth of the training (Lake & Baroni 2018, experiment 3).
func addPrimitive(primitive string) func([]Command, *rand.Rand) (train, test []Command) {
	return func(all []Command, rng *rand.Rand) (train, test []Command) {
		train, test = divide(func(c Command) bool { return says(c, primitive) })(all, rng)
		alone := slices.IndexFunc(test, func(c Command) bool { return c.second == nil && c.first.text == primitive })
		train = append(train, slices.Repeat(test[alone:alone+1], len(train)/9)...)
		return train, slices.Delete(test, alone, alone+1)
	}
}

// template holds out the commands in which one of the verbs is used as the
// template says, and leaves out those in which "turn" is (Loula et al. 2018): of
// that, there is no verb to fill the template with.
func template(manner string, verbs ...string) func([]Command, *rand.Rand) (train, test []Command) {
	return func(all []Command, rng *rand.Rand) (train, test []Command) {
		all = slices.DeleteFunc(all, func(c Command) bool { return says(c, "turn "+manner) })
		return divide(func(c Command) bool {
			return slices.ContainsFunc(verbs, func(verb string) bool { return says(c, verb+" "+manner) })
		})(all, rng)
	}
}

// says reports whether a command has a phrase of whole words.
func says(c Command, phrase string) bool {
	return strings.Contains(fmt.Sprintf(" %s ", strings.Join(c.Words(), " ")), fmt.Sprintf(" %s ", phrase))
}
