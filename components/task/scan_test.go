package task

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/registry"
)

// published is the SHA-256 of the 20,910 lines "IN: ... OUT: ..." of the
// published data (either split of github.com/brendenlake/SCAN), sorted.
const published = "6be4b39bc8bf3a20be810b6991250d0493e608560609db6765dd679e1ed1c98e"

func line(c Command) string {
	return "IN: " + strings.Join(c.Words(), " ") + " OUT: " + strings.Join(c.Actions(), " ")
}

// hashOf returns the hash of the set of lines, and its size.
func hashOf(lines []string) (hash string, size int) {
	set := slices.Compact(slices.Sorted(slices.Values(lines)))
	sum := sha256.Sum256([]byte(strings.Join(set, "\n") + "\n"))
	return hex.EncodeToString(sum[:]), len(set)
}

func TestCommandsAreThePublishedOnes(t *testing.T) {
	var lines []string
	for _, c := range Commands() {
		lines = append(lines, line(c))
	}
	hash, size := hashOf(lines)
	if hash != published || size != 20910 || len(lines) != size {
		t.Errorf("%d commands, %d different, hash %s; want 20910, hash %s", len(lines), size, hash, published)
	}
}

func TestCommands(t *testing.T) {
	actions := map[string]string{}
	for _, c := range Commands() {
		actions[strings.Join(c.Words(), " ")] = strings.Join(c.Actions(), " ")
	}
	for words, want := range map[string]string{ // table 1 of the paper, and the supplement
		"jump":                               "I_JUMP",
		"jump left":                          "I_TURN_LEFT I_JUMP",
		"jump around right":                  "I_TURN_RIGHT I_JUMP I_TURN_RIGHT I_JUMP I_TURN_RIGHT I_JUMP I_TURN_RIGHT I_JUMP",
		"turn left twice":                    "I_TURN_LEFT I_TURN_LEFT",
		"jump thrice":                        "I_JUMP I_JUMP I_JUMP",
		"jump opposite left and walk thrice": "I_TURN_LEFT I_TURN_LEFT I_JUMP I_WALK I_WALK I_WALK",
		"jump opposite left after walk around left": "I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK I_TURN_LEFT I_WALK I_TURN_LEFT I_TURN_LEFT I_JUMP",
		"turn opposite right":                       "I_TURN_RIGHT I_TURN_RIGHT",
	} {
		if got := actions[words]; got != want {
			t.Errorf("%s: %q, want %q", words, got, want)
		}
	}
}

// dataDir is where the published data is; the test is skipped where it is not.
func dataDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("EXP_DATA_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data") // beside the project's root
	}
	if _, err := os.Stat(filepath.Join(dir, "scan")); err != nil {
		t.Skipf("no published data: %v; EXP_DATA_DIR names its folder", err)
	}
	return filepath.Join(dir, "scan")
}

// Every published split is a way to divide the commands that are generated, and
// can be trained on: its test says nothing that its training does not.
func TestPublishedSplits(t *testing.T) {
	dir := dataDir(t)
	files, err := filepath.Glob(filepath.Join(dir, "tasks_train_*.txt.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no file tasks_train_*.txt.gz (%v)", dir, err)
	}
	for _, train := range files {
		test := strings.Replace(train, "_train_", "_test_", 1)
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(train), "tasks_train_"), ".txt.gz")
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, path := range []string{train, test} {
				commands, err := readCommands(path)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range commands {
					lines = append(lines, line(c))
				}
			}
			if hash, size := hashOf(lines); hash != published {
				t.Errorf("%d different commands, hash %s; want 20910, hash %s", size, hash, published)
			}
			d := load(t, ScanOptions{Split: Files, Seed: 1, ValidFraction: 0.05, TrainFile: train, TestFile: test})
			checkDisjoint(t, d)
			checkKnown(t, d)
			if got := d.Train.Len() + d.Valid.Len() + d.Test.Len(); got != len(lines) {
				t.Errorf("%d pairs of %d lines", got, len(lines))
			}
		})
	}
}

// A split by a rule is the published one, as a multiset.
func TestRulesGiveThePublishedSplits(t *testing.T) {
	dir := dataDir(t)
	for _, name := range []string{"length", "addprim_jump", "addprim_turn_left"} {
		train, test := rules[Split(name)](Commands(), nil)
		for part, got := range map[string][]Command{"train": train, "test": test} {
			want, err := readCommands(filepath.Join(dir, "tasks_"+part+"_"+name+".txt.gz"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(sortedLines(got), sortedLines(want)) {
				t.Errorf("%s: %s has %d commands, the published one %d, not the same", name, part, len(got), len(want))
			}
		}
	}
}

func sortedLines(commands []Command) (lines []string) {
	for _, c := range commands {
		lines = append(lines, line(c))
	}
	slices.Sort(lines)
	return lines
}

// The sizes of every split are the published ones, and nothing is in train and in
// test.
func TestSplitSizes(t *testing.T) {
	for split, want := range map[Split][2]int{
		"length": {16990, 3920}, "addprim_jump": {14670, 7706}, "addprim_turn_left": {21890, 1208},
		"simple": {16728, 4182}, "simple_p1": {209, 20701}, "simple_p2": {418, 20492}, "simple_p4": {836, 20074}, "simple_p8": {1672, 19238},
		"simple_p16": {3345, 17565}, "simple_p32": {6691, 14219}, "simple_p64": {13382, 7528},
		"template_jump_around_right": {18528, 1173}, "template_around_right": {15225, 4476}, "template_opposite_right": {15225, 4476}, "template_right": {15225, 4476},
	} {
		o := ScanOptions{Split: split, Seed: 1, ValidFraction: 0.05}
		d := load(t, o)
		if train, test := d.Train.Len()+d.Valid.Len(), d.Test.Len(); train != want[0] || test != want[1] {
			t.Errorf("%s: %d and %d commands, want %v", split, train, test, want)
		}
		checkDisjoint(t, d)
		checkKnown(t, d)
	}
	if len(rules) != 15 {
		t.Errorf("%d splits, not all of them are tested", len(rules))
	}
}

// Every command is in the part of a template split that the definition of Loula et
// al. (2018, section 3) gives it, looked up phrase by phrase, and once: it is held
// out where a verb fills the template, left out where "turn" does, and else in
// training. With their published sizes, which TestSplitSizes has, that leaves no
// choice.
func TestTemplates(t *testing.T) {
	for split, filled := range map[Split][]string{
		"template_jump_around_right": {"jump around right"},
		"template_around_right":      {"walk around right", "look around right", "run around right", "jump around right"},
		"template_opposite_right":    {"walk opposite right", "look opposite right", "run opposite right", "jump opposite right"},
		"template_right":             {"walk right", "look right", "run right", "jump right"},
	} {
		train, test := rules[split](Commands(), nil)
		part := map[string]string{}
		for name, commands := range map[string][]Command{"train": train, "test": test} {
			for _, c := range commands {
				if part[line(c)] != "" {
					t.Errorf("%s: %v is there twice", split, c.Words())
				}
				part[line(c)] = name
			}
		}
		_, manner, _ := strings.Cut(filled[0], " ")
		for _, c := range Commands() {
			want := "train"
			for _, phrase := range phrases(c) {
				switch {
				case phrase == "turn "+manner:
					want = ""
				case slices.Contains(filled, phrase) && want != "":
					want = "test"
				}
			}
			if got := part[line(c)]; got != want {
				t.Fatalf("%s: %v is in %q, want %q", split, c.Words(), got, want)
			}
			delete(part, line(c))
		}
		if len(part) > 0 {
			t.Errorf("%s has %d that are no commands", split, len(part))
		}
	}
}

// phrases is the one or two phrases of a command, without how often each is done.
func phrases(c Command) (phrases []string) {
	var words []string
	for _, word := range c.Words() {
		switch word {
		case "and", "after":
			phrases, words = append(phrases, strings.Join(words, " ")), nil
		case "twice", "thrice":
		default:
			words = append(words, word)
		}
	}
	return append(phrases, strings.Join(words, " "))
}

func load(t *testing.T, o ScanOptions) *components.Data {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	task, err := NewScan(o, components.TaskDeps{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := task.Load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// texts returns the pairs of a split as lines.
func texts(d *components.Data, s components.Split) []string {
	say := func(v *components.Vocabulary, ids []int32) string {
		var words []string
		for _, id := range ids {
			words = append(words, v.Token(id))
		}
		return strings.Join(words, " ")
	}
	var out []string
	for i := range s.Len() {
		p := s.Pair(i)
		out = append(out, "IN: "+say(d.Source, p.Source)+" OUT: "+say(d.Target, p.Target))
	}
	return out
}

func checkDisjoint(t *testing.T, d *components.Data) {
	t.Helper()
	in := map[string]string{}
	for name, split := range map[string]components.Split{"train": d.Train, "valid": d.Valid, "test": d.Test} {
		for _, text := range texts(d, split) {
			if other := in[text]; other != "" && other != name {
				t.Fatalf("%s is in %s and in %s", text, other, name)
			}
			in[text] = name
		}
	}
}

// checkKnown fails where a held-out pair has a token that training has not.
func checkKnown(t *testing.T, d *components.Data) {
	t.Helper()
	for _, split := range []components.Split{d.Train, d.Valid, d.Test} {
		for i := range split.Len() {
			p := split.Pair(i)
			for _, ids := range [][]int32{p.Source, p.Target} {
				if slices.ContainsFunc(ids, func(id int32) bool { return id < components.NumSpecial }) {
					t.Fatalf("pair %v has a special token", p)
				}
			}
		}
	}
}

func TestSimpleSplit(t *testing.T) {
	options := ScanOptions{Split: Simple, Seed: 1, ValidFraction: 0.05}
	d := load(t, options)
	if train, valid, test := d.Train.Len(), d.Valid.Len(), d.Test.Len(); train != 15892 || valid != 836 || test != 4182 {
		t.Errorf("%d, %d and %d pairs, want 15892, 836 and 4182", train, valid, test)
	}
	if source, target := d.Source.Size(), d.Target.Size(); source != 17 || target != 10 {
		t.Errorf("vocabularies of %d and %d tokens, want 17 and 10", source, target)
	}
	checkDisjoint(t, d)
	checkKnown(t, d)
	all := slices.Concat(texts(d, d.Train), texts(d, d.Valid), texts(d, d.Test))
	if hash, size := hashOf(all); hash != published {
		t.Errorf("%d different commands, hash %s; want 20910, hash %s", size, hash, published)
	}

	again := load(t, options)
	if !slices.Equal(texts(again, again.Train), texts(d, d.Train)) || !slices.Equal(texts(again, again.Test), texts(d, d.Test)) {
		t.Error("the same seed draws another split")
	}
	options.Seed = 2
	other := load(t, options)
	if slices.Equal(texts(other, other.Test), texts(d, d.Test)) {
		t.Error("another seed draws the same split")
	}
}

// The least that a valid_fraction gives is one pair.
func TestValidFraction(t *testing.T) {
	train, valid := holdOut(Commands()[:10], occurOnce(Commands()[:10]), 1e-9, rand.New(rand.NewPCG(1, 2)))
	if len(train) != 9 || len(valid) != 1 {
		t.Errorf("%d and %d commands, want 9 and 1", len(train), len(valid))
	}
}

// A command that training repeats is never held out.
func TestRepeatedCommandsStayInTrain(t *testing.T) {
	commands := Commands()[:10]
	for range 20 {
		commands = append(commands, commands[0])
	}
	train, valid := holdOut(commands, occurOnce(commands), 0.9, rand.New(rand.NewPCG(1, 2)))
	if len(valid) != 9 || len(train) != 21 {
		t.Errorf("%d and %d commands, want 21 and 9", len(train), len(valid))
	}
	for _, c := range valid {
		if slices.Equal(c.Words(), commands[0].Words()) {
			t.Errorf("%v, which is repeated, was held out", c.Words())
		}
	}
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const good = "IN: jump OUT: I_JUMP\nIN: walk OUT: I_WALK\nIN: run OUT: I_RUN\n"

func TestFileErrors(t *testing.T) {
	fine := write(t, "fine.txt", good)
	for name, test := range map[string]struct{ content, want string }{
		"no IN":             {"IN: jump OUT: I_JUMP\njump OUT: I_JUMP\n", "bad.txt:2: "},
		"no OUT":            {"IN: jump\n", "bad.txt:1: "},
		"no actions":        {"IN: jump OUT: \n", "bad.txt:1: "},
		"OUT: in a command": {"IN: jump OUT: I_JUMP\nIN: walk\tOUT: I_WALK OUT: I_RUN\n", "bad.txt:2: OUT: is a word of the command"},
		"a blank line":      {"IN: jump OUT: I_JUMP\n\n", "bad.txt:2: "},
		"empty":             {"", "bad.txt: 0 commands"},
		"one line":          {"IN: jump OUT: I_JUMP\n", "bad.txt: 1 commands"},
		"damaged gzip":      {zipped(t, good)[:30], "bad.txt: "},
		"after a long line": {"IN: " + strings.Repeat("jump ", 20000) + "OUT: I_JUMP\njump\n", "bad.txt:2: "},
	} {
		t.Run(name, func(t *testing.T) {
			bad := write(t, "bad.txt", test.content)
			for _, files := range [][2]string{{bad, fine}, {fine, bad}} {
				task, err := NewScan(ScanOptions{Split: Files, ValidFraction: 0.4, TrainFile: files[0], TestFile: files[1]}, components.TaskDeps{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := task.Load(); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error is %v, want one with %q", err, test.want)
				}
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	fine := write(t, "fine.txt", good)
	missing := filepath.Join(t.TempDir(), "missing.txt")
	for key, o := range map[string]ScanOptions{
		"train_file": {Split: Files, ValidFraction: 0.4, TrainFile: missing, TestFile: fine},
		"test_file":  {Split: Files, ValidFraction: 0.4, TrainFile: fine, TestFile: missing},
	} {
		task, err := NewScan(o, components.TaskDeps{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = task.Identity()
		var fault registry.Fault
		if !errors.As(err, &fault) || fault.Key != key || !strings.Contains(fault.Problem, missing) {
			t.Errorf("%s: Identity says %v", key, err)
		}
		if _, err := task.Load(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fmt.Sprint(err), missing) {
			t.Errorf("%s: Load says %v", key, err)
		}
	}
}

// Identity is of the files' text: another path or compression keeps it, another
// byte or the other role changes it.
func TestIdentity(t *testing.T) {
	identity := func(o ScanOptions) string {
		t.Helper()
		task, err := NewScan(o, components.TaskDeps{})
		if err != nil {
			t.Fatal(err)
		}
		id, err := task.Identity()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	files := func(train, test string) ScanOptions {
		return ScanOptions{Split: Files, TrainFile: train, TestFile: test}
	}
	if id := identity(ScanOptions{Split: Simple}); id != "" {
		t.Errorf("a generated split has the identity %q, want none", id)
	}
	other := strings.Replace(good, "walk", "look", 1)
	want := identity(files(write(t, "a", good), write(t, "b", other)))
	if got := identity(files(write(t, "elsewhere", good), write(t, "b.gz", zipped(t, other)))); got != want {
		t.Error("the same text elsewhere has another identity")
	}
	if got := identity(files(write(t, "a", other), write(t, "b", good))); got == want {
		t.Error("exchanged files have the same identity")
	}
	if got := identity(files(write(t, "a", good+good), write(t, "b", other))); got == want {
		t.Error("a longer file has the same identity")
	}
}

func TestValidate(t *testing.T) {
	valid := ScanOptions{Split: Simple, ValidFraction: 0.1}
	for want, change := range map[string]func(*ScanOptions){
		"":                          func(*ScanOptions) {},
		"valid_fraction:":           func(o *ScanOptions) { o.ValidFraction = 1 },
		"train_file: must be given": func(o *ScanOptions) { o.Split, o.TestFile = Files, "x" },
		"test_file: must be given":  func(o *ScanOptions) { o.Split, o.TrainFile = Files, "x" },
		"test_file: is read with":   func(o *ScanOptions) { o.TestFile = "x" },
	} {
		o := valid
		change(&o)
		err := o.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}
