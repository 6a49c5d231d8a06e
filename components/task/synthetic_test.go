package task

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"exp/components"
	"exp/registry"
)

// synthetic is a task of each kind by its name, with the lengths given, which are
// such that there is more than is drawn.
func synthetic(t *testing.T, name string, set map[string]any) *components.Data {
	t.Helper()
	d, err := loadSynthetic(name, set)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func loadSynthetic(name string, set map[string]any) (*components.Data, error) {
	c := components.NewCatalog()
	Register(c)
	table := registry.NewTable("task", registry.Origin{})
	table.Set("type", registry.Value{Data: name})
	for key, value := range set {
		if n, ok := value.(int); ok {
			value = int64(n)
		}
		table.Set(key, registry.Value{Data: value})
	}
	choice, err := c.Tasks.Decode(table)
	if err != nil {
		return nil, err
	}
	task, err := choice.Build(components.TaskDeps{})
	if err != nil {
		return nil, err
	}
	return task.Load()
}

// said is the tokens of a side of a pair.
func said(v *components.Vocabulary, ids []int32) []string {
	var tokens []string
	for _, id := range ids {
		tokens = append(tokens, v.Token(id))
	}
	return tokens
}

// check says what is wrong with a pair, "" for nothing. length is what the task
// calls its length.
type check func(source, target []string) (length int, want string)

func text(tokens []string) string { return strings.Join(tokens, " ") }

func permuted(arrange func([]int)) check {
	return func(source, _ []string) (int, string) {
		var numbers []int
		for _, token := range source {
			n, _ := strconv.Atoi(token)
			numbers = append(numbers, n)
		}
		arrange(numbers)
		return len(source), strings.Trim(fmt.Sprint(numbers), "[]")
	}
}

var syntheticTasks = map[string]struct {
	lengths [4]int // of training, of the test
	check   check
}{
	"copy":    {[4]int{3, 6, 7, 9}, permuted(func([]int) {})},
	"reverse": {[4]int{3, 6, 7, 9}, permuted(func(n []int) { slices.Reverse(n) })},
	"sort":    {[4]int{3, 6, 7, 9}, permuted(func(n []int) { slices.Sort(n) })},
	"addition": {[4]int{2, 3, 4, 18}, func(source, _ []string) (int, string) {
		a, b, _ := strings.Cut(strings.Join(source, ""), "+")
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		return len(a), text(characters(x.Add(x, y).String()))
	}},
	"recall": {[4]int{2, 4, 5, 9}, func(source, _ []string) (int, string) {
		asked := slices.Index(source, "?")
		values := map[string]string{}
		for i := 0; i < asked; i += 2 {
			values[source[i]] = source[i+1]
		}
		return len(values), values[source[len(source)-1]]
	}},
	"dyck": {[4]int{8, 12, 13, 20}, func(source, target []string) (int, string) {
		var open []string
		for _, bracket := range slices.Concat(source, target) {
			switch {
			case bracket[0] == '(':
				open = append(open, bracket[1:])
			case len(open) == 0 || open[len(open)-1] != bracket[1:]:
				return len(source), "not well nested"
			default:
				open = open[:len(open)-1]
			}
		}
		for _, bracket := range target {
			if len(open) > 0 || bracket[0] != ')' {
				return len(source), "not the shortest end"
			}
		}
		return len(source), text(target)
	}},
	"dates": {[4]int{8, 14, 15, 20}, func(source, target []string) (int, string) {
		day, err := time.Parse(time.DateOnly, strings.Join(target, ""))
		for _, format := range formats {
			if err == nil && format(day) == strings.Join(source, "") {
				return len(source), text(target)
			}
		}
		return len(source), "another day"
	}},
	"number_words": {[4]int{3, 4, 5, 18}, func(source, target []string) (int, string) {
		n, _ := strconv.ParseInt(strings.Join(target, ""), 10, 64)
		if got := text(numberWords(n)); got != text(source) {
			return len(target), got
		}
		return len(target), text(target)
	}},
}

// Every task says what it should, of the lengths that it should, each source
// once, and the same from the same seed.
func TestSynthetic(t *testing.T) {
	for name, test := range syntheticTasks {
		t.Run(name, func(t *testing.T) {
			set := map[string]any{"num_train": 300, "num_valid": 40, "num_test": 50,
				"min_length": test.lengths[0], "max_length": test.lengths[1], "test_min_length": test.lengths[2], "test_max_length": test.lengths[3]}
			d := synthetic(t, name, set)
			known, reached := map[string]bool{}, map[int]bool{}
			for i, split := range []components.Split{d.Train, d.Valid, d.Test} {
				least, greatest := test.lengths[0], test.lengths[1]
				if i == 2 {
					least, greatest = test.lengths[2], test.lengths[3]
				}
				if want := []int{300, 40, 50}[i]; split.Len() != want {
					t.Errorf("%d pairs, want %d", split.Len(), want)
				}
				for j := range split.Len() {
					p := split.Pair(j)
					source, target := said(d.Source, p.Source), said(d.Target, p.Target)
					if slices.Contains(p.Source, components.Unk) || slices.Contains(p.Target, components.Unk) {
						t.Fatalf("%v to %v: not all in the vocabulary", source, target)
					}
					length, want := test.check(source, target)
					if text(target) != want {
						t.Fatalf("%s is %s, want %s", text(source), text(target), want)
					}
					if length < least || length > greatest {
						t.Fatalf("%s has length %d, want %d to %d", text(source), length, least, greatest)
					}
					if key := text(source); known[key] {
						t.Fatalf("%s comes twice", key)
					}
					known[text(source)], reached[length] = true, true
				}
			}
			if !reached[test.lengths[0]] || !reached[test.lengths[1]] || !reached[test.lengths[2]] || !reached[test.lengths[3]] {
				t.Errorf("lengths reached are %v, want the ends of %v", reached, test.lengths)
			}
			if again := synthetic(t, name, set); fmt.Sprint(again.Train, again.Test) != fmt.Sprint(d.Train, d.Test) {
				t.Error("the same seed draws other pairs")
			}
			set["seed"] = 2
			if other := synthetic(t, name, set); fmt.Sprint(other.Train) == fmt.Sprint(d.Train) {
				t.Error("another seed draws the same pairs")
			}
		})
	}
}

// Where all splits have the same lengths, none has the short ones alone, however
// few of these there are.
func TestSplitsHaveTheSameLengths(t *testing.T) {
	d := synthetic(t, "copy", map[string]any{"num_symbols": 4, "min_length": 1, "max_length": 8, "num_train": 400, "num_valid": 100, "num_test": 400})
	short := func(s components.Split) (n int) {
		for i := range s.Len() {
			if len(s.Pair(i).Source) <= 3 {
				n++
			}
		}
		return n
	}
	if train, test := short(d.Train), short(d.Test); train+test < 60 || test < 20 || train < 20 {
		t.Errorf("%d short sources in train and %d in the test", train, test)
	}
}

func TestSyntheticOptions(t *testing.T) {
	for want, test := range map[string]struct {
		name string
		set  map[string]any
	}{
		"min_length: must be at least 1, is 0":               {"copy", map[string]any{"min_length": 0}},
		"max_length: must be at least 5, is 4":               {"copy", map[string]any{"max_length": 4}},
		"test_max_length: must be at least 12, is 11":        {"copy", map[string]any{"test_min_length": 12, "test_max_length": 11}},
		"test_max_length: must be given: test_min_length is": {"copy", map[string]any{"test_min_length": 12}},
		"max_length: must be at most 18":                     {"addition", map[string]any{"max_length": 19}},
		"test_max_length: must be at most 26, num_keys":      {"recall", map[string]any{"test_max_length": 27}},
		"max_depth: must be 0 or at least 2":                 {"dyck", map[string]any{"max_depth": 1}},
		"max_length: dates have 8 to 37 characters":          {"dates", map[string]any{"min_length": 38, "max_length": 40}},
		"num_train: is too large: of length 1 to 2, 130":     {"copy", map[string]any{"num_symbols": 10, "min_length": 1, "max_length": 2, "num_train": 100, "num_valid": 10, "num_test": 20}},
		"num_test: is too large: of length 1 to 2, 20":       {"copy", map[string]any{"num_symbols": 2, "min_length": 3, "max_length": 8, "test_min_length": 1, "test_max_length": 2, "num_train": 10, "num_valid": 2, "num_test": 20}},
	} {
		if _, err := loadSynthetic(test.name, test.set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s of %v: %v, want %s", test.name, test.set, err, want)
		}
	}
}

// Dates are of all years, however many.
func TestDatesOfCenturies(t *testing.T) {
	d := synthetic(t, "dates", map[string]any{"min_year": 1000, "max_year": 9999, "num_train": 500, "num_valid": 1, "num_test": 1})
	earliest, latest := "9999", "1000"
	for i := range d.Train.Len() {
		year := strings.Join(said(d.Target, d.Train.Pair(i).Target[:4]), "")
		earliest, latest = min(earliest, year), max(latest, year)
	}
	if earliest > "1200" || latest < "9800" {
		t.Errorf("years are %s to %s", earliest, latest)
	}
}

// Options that change a task: known pairs of each.
func TestSyntheticVariants(t *testing.T) {
	d := synthetic(t, "addition", map[string]any{"reversed": true, "num_train": 50, "num_valid": 1, "num_test": 1})
	p := d.Train.Pair(3)
	source := said(d.Source, p.Source)
	slices.Reverse(source)
	if _, want := syntheticTasks["addition"].check(source, nil); text(said(d.Target, p.Target)) != want {
		t.Errorf("%s reversed is %s, want %s", text(source), text(said(d.Target, p.Target)), want)
	}
	known := map[string]bool{}
	d = synthetic(t, "addition", map[string]any{"max_length": 1, "num_train": 53, "num_valid": 1, "num_test": 1}) // all sums of two digits
	for _, split := range []components.Split{d.Train, d.Valid, d.Test} {
		for i := range split.Len() {
			numbers := strings.Split(strings.Join(said(d.Source, split.Pair(i).Source), ""), "+")
			slices.Sort(numbers)
			known[text(numbers)] = true
		}
	}
	if len(known) != 55 {
		t.Errorf("%d sums of 55 are there: some come in both orders", len(known))
	}
	d = synthetic(t, "number_words", map[string]any{"direction": "to_words", "num_train": 50, "num_valid": 1, "num_test": 1})
	p = d.Train.Pair(3)
	if _, want := syntheticTasks["number_words"].check(said(d.Target, p.Target), said(d.Source, p.Source)); text(said(d.Source, p.Source)) != want {
		t.Errorf("%v is %v", said(d.Source, p.Source), said(d.Target, p.Target))
	}
	d = synthetic(t, "dyck", map[string]any{"max_depth": 2, "num_train": 50, "num_valid": 1, "num_test": 1})
	for i := range d.Train.Len() {
		if n := len(d.Train.Pair(i).Target); n > 2 {
			t.Errorf("%d brackets are open", n)
		}
	}
}

func TestNumberWords(t *testing.T) {
	for n, want := range map[int64]string{
		0: "zero", 7: "seven", 13: "thirteen", 20: "twenty", 42: "forty two", 100: "one hundred", 206: "two hundred and six", 1000: "one thousand",
		1012: "one thousand and twelve", 1100: "one thousand one hundred", 45_678: "forty five thousand six hundred and seventy eight",
		1_000_001: "one million and one", 110_000: "one hundred and ten thousand", 2_000_300_000: "two billion three hundred thousand",
		999_999_999_999_999_999: "nine hundred and ninety nine quadrillion nine hundred and ninety nine trillion nine hundred and ninety nine billion nine hundred and ninety nine million nine hundred and ninety nine thousand nine hundred and ninety nine",
	} {
		if got := text(numberWords(n)); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// No text is two days: formats are not ambiguous.
func TestDateFormats(t *testing.T) {
	days := map[string]time.Time{}
	for day := time.Date(1998, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2003; day = day.AddDate(0, 0, 1) {
		for _, format := range formats {
			text := format(day)
			if other, known := days[text]; known && !other.Equal(day) {
				t.Fatalf("%q is %s and %s", text, other, day)
			}
			if len(text) < shortestDate || len(text) > longestDate {
				t.Fatalf("%q has %d characters", text, len(text))
			}
			days[text] = day
		}
	}
	for text, want := range map[string]string{"5th of March, 2000": "2000-03-05", "3/5/2000": "2000-03-05", "5.3.2000": "2000-03-05", "5 III 2000": "2000-03-05", "1999-W53-6": "", "2000-W09-7": "2000-03-05", "2000-065": "2000-03-05", "the 22nd of December 1999": "1999-12-22"} {
		if day, known := days[text]; known != (want != "") || known && day.Format(time.DateOnly) != want {
			t.Errorf("%q is %s, want %s", text, day, want)
		}
	}
}
