// Package task has where pairs of source and target come from.
package task

import "strings"

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
				Words:   joined(v.Words, words(word)),
				Actions: repeated(v.Actions, times+1),
			})
		}
	}
	commands := append([]Command(nil), sentences...)
	for _, first := range sentences {
		for _, second := range sentences {
			commands = append(commands,
				Command{joined(first.Words, words("and"), second.Words), joined(first.Actions, second.Actions)},
				Command{joined(first.Words, words("after"), second.Words), joined(second.Actions, first.Actions)})
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
				Command{joined(u.Words, words(direction)), joined(way, u.Actions)},
				Command{joined(u.Words, words("opposite "+direction)), joined(way, way, u.Actions)},
				Command{joined(u.Words, words("around "+direction)), repeated(joined(way, u.Actions), 4)})
		}
	}
	return phrases
}

func words(s string) []string { return strings.Fields(s) }

func joined(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func repeated(tokens []string, times int) []string {
	var all []string
	for range times {
		all = append(all, tokens...)
	}
	return all
}
