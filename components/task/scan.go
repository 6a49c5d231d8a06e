package task

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"exp/components"
	"exp/registry"
)

// ScanOptions configures the scan task.
type ScanOptions struct {
	Split         Split   `toml:"split" doc:"length: train up to 22 actions; addprim_X: X alone in train, in company in the test; template_X: X in the test alone; simple: 80 % of all commands drawn for training, simple_pN: N %; files: as train_file and test_file say"`
	Seed          int     `toml:"seed" doc:"of the draws of this task; the trial's seed does not change the data"`
	ValidFraction float64 `toml:"valid_fraction" doc:"share of the training commands, drawn by seed, that is held out for validation, in (0, 1)"`
	TrainFile     string  `toml:"train_file" content:"file" doc:"a published training split, lines \"IN: ... OUT: ...\", plain or gzip"`
	TestFile      string  `toml:"test_file" content:"file" doc:"the test split that goes with it"`
}

// Doc describes the component.
func (ScanOptions) Doc() string {
	return "SCAN (Lake & Baroni 2018): 20,910 commands in a small artificial English and the actions that they ask for, generated from the paper's grammar. " +
		"A split by a rule is the published one as a set; simple and simple_pN are drawn here from seed and are not the published draws, which files reads. " +
		"The template splits (Loula et al. 2018) leave out the commands in which turn fills the template. " +
		"Validation commands are drawn from those that occur once in train."
}

// Validate reports every value out of range.
func (o ScanOptions) Validate() error {
	var err error
	for _, file := range o.files() {
		switch {
		case o.Split == Files && file.path == "":
			err = errors.Join(err, registry.Fault{Key: file.key, Problem: `must be given with split = "files"`})
		case o.Split != Files && file.path != "":
			err = errors.Join(err, registry.Fault{Key: file.key, Problem: fmt.Sprintf(`is read with split = "files" only, not with %q`, o.Split)})
		}
	}
	if !(o.ValidFraction > 0 && o.ValidFraction < 1) {
		err = errors.Join(err, registry.Fault{Key: "valid_fraction", Problem: fmt.Sprintf("must be in (0, 1), is %v", o.ValidFraction)})
	}
	return err
}

func (o ScanOptions) files() [2]struct{ key, path string } {
	return [2]struct{ key, path string }{{"train_file", o.TrainFile}, {"test_file", o.TestFile}}
}

// Scan is the scan task.
type Scan struct{ o ScanOptions }

// NewScan builds the task.
func NewScan(o ScanOptions, _ components.TaskDeps) (components.Task, error) { return &Scan{o}, nil }

// Identity is a hash of both files' lines, or empty.
func (s *Scan) Identity() (string, error) {
	if s.o.Split != Files {
		return "", nil
	}
	h := sha256.New()
	for _, file := range s.o.files() {
		text, err := readText(file.path)
		if err != nil {
			return "", registry.Fault{Key: file.key, Problem: err.Error()}
		}
		fmt.Fprintf(h, "%s %d\n", file.key, len(text))
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Load generates or reads the commands and divides them.
func (s *Scan) Load() (*components.Data, error) {
	rng := rand.New(rand.NewPCG(uint64(s.o.Seed), 0x5ca4))
	var train, test []Command
	if s.o.Split == Files {
		var err error
		if train, err = readCommands(s.o.TrainFile); err != nil {
			return nil, err
		}
		if test, err = readCommands(s.o.TestFile); err != nil {
			return nil, err
		}
	} else {
		train, test = rules[s.o.Split](Commands(), rng)
	}
	train, valid := holdOut(train, occurOnce(train), s.o.ValidFraction, rng)

	d := &components.Data{
		Source: components.NewVocabulary(tokens(train, Command.words)),
		Target: components.NewVocabulary(tokens(train, Command.actions)),
	}
	d.Train, d.Valid, d.Test = numbered(train, d), numbered(valid, d), numbered(test, d)
	return d, nil
}

// occurOnce is the indices of the commands that no other command repeats.
func occurOnce(commands []Command) []int {
	type key struct {
		text   string
		second *clause
		after  bool
	}
	keyOf := func(c Command) key { return key{c.first.text, c.second, c.after} }
	times := make(map[key]int, len(commands))
	for _, c := range commands {
		times[keyOf(c)]++
	}
	var once []int
	for i, c := range commands {
		if times[keyOf(c)] == 1 {
			once = append(once, i)
		}
	}
	return once
}

// holdOut draws a fraction of the commands for validation, at least one, from
// those that once names: what a split repeats on purpose stays in train.
func holdOut(commands []Command, once []int, fraction float64, rng *rand.Rand) (train, valid []Command) {
	rng.Shuffle(len(once), func(i, j int) { once[i], once[j] = once[j], once[i] })
	held := make([]bool, len(commands))
	for _, i := range once[:min(len(once), max(1, int(fraction*float64(len(commands)))))] {
		held[i] = true
	}
	train = make([]Command, 0, len(commands))
	for i, c := range commands {
		if held[i] {
			valid = append(valid, c)
		} else {
			train = append(train, c)
		}
	}
	return train, valid
}

// tokens is the tokens of what of returns of the commands, in the order in which
// they come up, those of each piece once.
func tokens(commands []Command, of func(Command) pieces) []string {
	var all []string
	seen := map[*string]bool{} // by the first token of a piece
	for _, c := range commands {
		for _, piece := range of(c) {
			if len(piece) > 0 && !seen[&piece[0]] {
				seen[&piece[0]] = true
				all = append(all, piece...)
			}
		}
	}
	return all
}

// numbered is the commands in numbers, which lie in one piece of memory.
func numbered(commands []Command, d *components.Data) components.Pairs {
	total := 0
	for _, c := range commands {
		total += c.words().tokens() + c.actions().tokens()
	}
	all := make([]int32, 0, total)
	known := map[*string][]int32{} // the numbers of a piece, by its first token
	ids := func(v *components.Vocabulary, p pieces) []int32 {
		from := len(all)
		for _, piece := range p {
			if len(piece) == 0 {
				continue
			}
			numbers := known[&piece[0]]
			if numbers == nil {
				numbers = v.IDs(piece)
				known[&piece[0]] = numbers
			}
			all = append(all, numbers...)
		}
		return all[from:len(all):len(all)]
	}
	pairs := make(components.Pairs, len(commands))
	for i, c := range commands {
		pairs[i] = components.Pair{Source: ids(d.Source, c.words()), Target: ids(d.Target, c.actions())}
	}
	return pairs
}

// readText returns a file's text, unzipped where it is gzip.
func readText(path string) ([]byte, error) {
	text, close, err := openText(path)
	if err != nil {
		return nil, err
	}
	defer close()
	return io.ReadAll(text)
}

// readCommands reads lines "IN: words OUT: actions".
func readCommands(path string) ([]Command, error) {
	l, err := openLines(path)
	if err != nil {
		return nil, err
	}
	defer l.close()
	var commands []Command
	for l.next() {
		rest, in := strings.CutPrefix(l.text, "IN: ")
		command, actions, out := strings.Cut(rest, " OUT: ")
		c := newClause(words(command), words(actions))
		if !in || !out || len(c.words) == 0 || len(c.actions) == 0 {
			return nil, l.fault("not a line \"IN: words OUT: actions\": %.60q", l.text)
		}
		if slices.Contains(c.words, "OUT:") { // after white space of another kind, or right after IN:
			return nil, l.fault("OUT: is a word of the command in %.60q; put one space on either side of the OUT: that ends it, and leave out others", l.text)
		}
		commands = append(commands, Command{first: c})
	}
	if l.err == nil && len(commands) < 2 {
		return nil, fmt.Errorf("%s: %d commands; a split needs at least 2", path, len(commands))
	}
	return commands, l.err
}
