package task

import (
	"slices"
	"strings"
)

// Command is a command of SCAN and the actions it asks for, both split into
// tokens.
type Command struct{ Words, Actions []string }

// Commands generates the 20,910 commands of SCAN from the phrase-structure
// grammar and the interpretation function of Lake & Baroni 2018, figures 6 and 7
// of the supplement:
//
//	C → S and S | S after S | S          S → V twice | V thrice | V
//	V → D[1] opposite D[2] | D[1] around D[2] | D | U
//	D → U left | U right | turn left | turn right
//	U → walk | look | run | jump
//
// where D[1] and D[2] are the two words of a D. The order is the grammar's: S in
// the order of its rules, C by its first S, then its second.
func Commands() []Command {
	var sentences []Command
	for _, v := range verbPhrases() {
		for times, word := range []string{"", "twice", "thrice"} {
			sentences = append(sentences, Command{
				Words:   slices.Concat(v.Words, words(word)),
				Actions: slices.Repeat(v.Actions, times+1),
			})
		}
	}
	commands := slices.Grow(slices.Clone(sentences), 2*len(sentences)*len(sentences))
	and, after := words("and"), words("after")
	for _, first := range sentences {
		for _, second := range sentences {
			commands = append(commands,
				Command{slices.Concat(first.Words, and, second.Words), slices.Concat(first.Actions, second.Actions)},
				Command{slices.Concat(first.Words, after, second.Words), slices.Concat(second.Actions, first.Actions)})
		}
	}
	return commands
}

// verbPhrases is every V: 4 of one word, 10 with a direction, 10 opposite, 10 around.
func verbPhrases() []Command {
	verbs := []Command{
		{words("walk"), words("I_WALK")},
		{words("look"), words("I_LOOK")},
		{words("run"), words("I_RUN")},
		{words("jump"), words("I_JUMP")},
	}
	phrases := append([]Command(nil), verbs...)
	turn := Command{Words: words("turn")} // which does nothing beyond its turns
	for _, u := range append(verbs, turn) {
		for _, direction := range []string{"left", "right"} {
			way := words("I_TURN_" + strings.ToUpper(direction))
			phrases = append(phrases,
				Command{slices.Concat(u.Words, words(direction)), slices.Concat(way, u.Actions)},
				Command{slices.Concat(u.Words, words("opposite "+direction)), slices.Concat(way, way, u.Actions)},
				Command{slices.Concat(u.Words, words("around "+direction)), slices.Repeat(slices.Concat(way, u.Actions), 4)})
		}
	}
	return phrases
}

func words(s string) []string { return strings.Fields(s) }
