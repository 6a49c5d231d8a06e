package task

import (
	"slices"
	"strings"
)

// Command is a command of SCAN and the actions it asks for: one clause, or two
// joined by and or after. There are but 102 clauses in all commands of the grammar,
// so a command holds no tokens of its own.
type Command struct {
	first, second *clause // second: nil of one clause
	after         bool    // that second is done first
}

// clause is S of the grammar, or a whole command that was read from a file.
type clause struct {
	text           string // the words
	words, actions []string
}

func newClause(words, actions []string) *clause {
	return &clause{strings.Join(words, " "), words, actions}
}

var andWord, afterWord = words("and"), words("after")

// pieces is what the words or the actions of a command are put together from; the
// later ones may be empty.
type pieces [3][]string

func (c Command) words() pieces {
	switch {
	case c.second == nil:
		return pieces{c.first.words}
	case c.after:
		return pieces{c.first.words, afterWord, c.second.words}
	}
	return pieces{c.first.words, andWord, c.second.words}
}

func (c Command) actions() pieces {
	switch {
	case c.second == nil:
		return pieces{c.first.actions}
	case c.after:
		return pieces{c.second.actions, c.first.actions}
	}
	return pieces{c.first.actions, c.second.actions}
}

// tokens is how many there are.
func (p pieces) tokens() int { return len(p[0]) + len(p[1]) + len(p[2]) }

// Words is the command, split into tokens.
func (c Command) Words() []string { p := c.words(); return slices.Concat(p[:]...) }

// Actions is what it asks for, split into tokens.
func (c Command) Actions() []string { p := c.actions(); return slices.Concat(p[:]...) }

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
	var sentences []*clause
	for _, v := range verbPhrases() {
		for times, word := range []string{"", "twice", "thrice"} {
			sentences = append(sentences, newClause(slices.Concat(v.words, words(word)), slices.Repeat(v.actions, times+1)))
		}
	}
	commands := make([]Command, 0, len(sentences)*(1+2*len(sentences)))
	for _, s := range sentences {
		commands = append(commands, Command{first: s})
	}
	for _, first := range sentences {
		for _, second := range sentences {
			commands = append(commands, Command{first: first, second: second}, Command{first: first, second: second, after: true})
		}
	}
	return commands
}

// verbPhrases is every V: 4 of one word, 10 with a direction, 10 opposite, 10 around.
func verbPhrases() []*clause {
	verbs := []*clause{
		newClause(words("walk"), words("I_WALK")),
		newClause(words("look"), words("I_LOOK")),
		newClause(words("run"), words("I_RUN")),
		newClause(words("jump"), words("I_JUMP")),
	}
	phrases := slices.Clone(verbs)
	turn := newClause(words("turn"), nil) // which does nothing beyond its turns
	for _, u := range append(verbs, turn) {
		for _, direction := range []string{"left", "right"} {
			way := words("I_TURN_" + strings.ToUpper(direction))
			phrases = append(phrases,
				newClause(slices.Concat(u.words, words(direction)), slices.Concat(way, u.actions)),
				newClause(slices.Concat(u.words, words("opposite "+direction)), slices.Concat(way, way, u.actions)),
				newClause(slices.Concat(u.words, words("around "+direction)), slices.Repeat(slices.Concat(way, u.actions), 4)))
		}
	}
	return phrases
}

func words(s string) []string { return strings.Fields(s) }
