package task

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/registry"
)

// textTask builds a task of text files with options as a file states them.
func textTask(name string, set map[string]any) (components.Task, error) {
	c := components.NewCatalog()
	Register(c)
	table := registry.NewTable("task", registry.Origin{})
	table.Set("type", registry.Value{Data: name})
	for key, value := range set {
		table.Set(key, stated(value))
	}
	choice, err := c.Tasks.Decode(table)
	if err != nil {
		return nil, err
	}
	return choice.Build(components.TaskDeps{})
}

// stated is a value as the TOML parser gives it.
func stated(value any) registry.Value {
	switch v := value.(type) {
	case int:
		return registry.Value{Data: int64(v)}
	case []string:
		var list []registry.Value
		for _, element := range v {
			list = append(list, registry.Value{Data: element})
		}
		return registry.Value{Data: list}
	case []map[string]any:
		var list []registry.Value
		for _, element := range v {
			t := registry.NewTable("", registry.Origin{})
			for key, value := range element {
				t.Set(key, stated(value))
			}
			list = append(list, registry.Value{Data: t})
		}
		return registry.Value{Data: list}
	}
	return registry.Value{Data: value}
}

func loadText(name string, set map[string]any) (*components.Data, error) {
	task, err := textTask(name, set)
	if err != nil {
		return nil, err
	}
	if _, err := task.Identity(); err != nil {
		return nil, err
	}
	return task.Load()
}

// files writes a file for each text, and returns a table that names them as the
// splits of line-aligned files, or of one file each.
func files(t testing.TB, perSplit int, texts ...string) map[string]any {
	t.Helper()
	set := map[string]any{}
	for i, key := range []string{"train_files", "valid_files", "test_files"} {
		var paths []string
		for j := range perSplit {
			paths = append(paths, write(t, fmt.Sprintf("%s.%d", strings.TrimSuffix(key, "_files"), j), texts[i*perSplit+j]))
		}
		set[key] = paths
	}
	return set
}

func with(set map[string]any, pairs ...any) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		set[pairs[i].(string)] = pairs[i+1]
	}
	return set
}

// saidPairs is a split as "source|target".
func saidPairs(d *components.Data, s components.Split) (all []string) {
	for i := range s.Len() {
		p := s.Pair(i)
		var target []string
		for _, id := range p.Target {
			target = append(target, d.TargetToken(id))
		}
		all = append(all, text(said(d.Source, p.Source))+"|"+text(target))
	}
	return all
}

func notes(d *components.Data) (all []string) {
	for _, n := range d.Notes {
		all = append(all, n.String())
	}
	return all
}

const (
	german  = "ein Hund\nzwei Hunde\nein Haus\n"
	english = "a dog\ntwo dogs\na house\n"
)

func TestParallel(t *testing.T) {
	aligned := func() map[string]any {
		return files(t, 2, german, english, "ein Haus zwei\n", "a cat\n", "ein Tier\n", "two dogs\n")
	}
	for name, test := range map[string]struct {
		set         map[string]any
		train, test string
		notes       []string
	}{
		"as it is":    {aligned(), "ein Hund|a dog ; zwei Hunde|two dogs ; ein Haus|a house", "ein <unk>|two dogs", nil},
		"lower case":  {with(aligned(), "lowercase", true), "ein hund|a dog ; zwei hunde|two dogs ; ein haus|a house", "ein <unk>|two dogs", nil},
		"cut":         {with(aligned(), "max_length", 1), "ein|a ; zwei|two ; ein|a", "ein|two", []string{"train: 3 sources cut to max_length = 1 tokens", "train: 3 targets cut to max_length = 1 tokens", "valid: 1 sources cut to max_length = 1 tokens", "valid: 1 targets cut to max_length = 1 tokens", "test: 1 sources cut to max_length = 1 tokens", "test: 1 targets cut to max_length = 1 tokens"}},
		"by words":    {with(aligned(), "tokenizers", []map[string]any{{"type": "words", "min_frequency": 2}, {"type": "characters"}}), "ein <unk>|a   d o g ; <unk> <unk>|t w o   d o g s ; ein <unk>|a   h o u s e", "ein <unk>|t w o   d o g s", nil},
		"columns":     {files(t, 1, "ein Hund\ta dog\nzwei\ttwo\n", "zwei\ta\n", "ein\ttwo"), "ein Hund|a dog ; zwei|two", "ein|two", []string{"valid: 1 other pairs have a source that is in train, of 1"}},
		"chosen ones": {with(files(t, 1, "id\tx\ty\n1\ta\tb\n", "id\tx\ty\n2\ta\tb\n", "id\tx\ty\n3\tb\ta\n"), "header", true, "source_column", 3, "target_column", 2), "b|a", "a|b", []string{"valid: 1 pairs are in train, of 1"}},
		"header":      {with(files(t, 1, "both\na\tb\n", "both\na\ta\n", "both\nb\ta\n"), "header", true), "a|b", "b|a", []string{"valid: 1 other pairs have a source that is in train, of 1"}},
		"repeated":    {with(files(t, 1, "a\tb\nc\td\na\tb\na\td\n", "c\td\n", "d\tc\na\tb\n"), "deduplicate", true), "a|b ; c|d ; a|d", "d|c ; a|b", []string{"train: 1 pairs left out, which are there before", "valid: 1 pairs are in train, of 1", "test: 1 pairs are in train, of 2"}},
		"odd":         {files(t, 1, "\ufeffa\tb\r\nc\td\r\n\t\n \tx\n", "x\ty", "y\tx\r\n"), "a|b ; c|d", "<unk>|<unk>", []string{"train: 2 pairs left out, of which a side is empty", "train: 2 lines end with CRLF, which is no part of them", "train: 1 files begin with a byte order mark, which is no part of them", "test: 1 lines end with CRLF, which is no part of them"}},
		"CR":          {files(t, 1, "a\rc\tb\r\nc\td\r\r\n", "x\ty\r", "y\tx\n"), "a c|b ; c|d", "<unk>|<unk>", []string{"train: 2 lines end with CRLF, which is no part of them"}},
		"empty lines": {files(t, 1, "a\tb\n\nc\td\n\n", "x\ty", "y\tx\n\n"), "a|b ; c|d", "<unk>|<unk>", []string{"train: 2 pairs left out, of which a side is empty", "test: 1 pairs left out, of which a side is empty"}},
		"normalized":  {with(files(t, 1, "ﬁne\tx²\n", "a\tb", "b\ta"), "normalize", "nfkc"), "fine|x2", "<unk>|<unk>", nil},
		"zipped":      {files(t, 1, zipped(t, "a\tb\n"), "b\ta", zipped(t, "a\ta")), "a|b", "a|a", []string{"test: 1 other pairs have a source that is in train, of 1"}},
		"apart":       {with(files(t, 1, "a\tb\n", "b\ta", "a\ta"), "tokenizers", []map[string]any{{"type": "words"}, {"type": "words"}}), "a|b", "a|a", []string{"test: 1 other pairs have a source that is in train, of 1"}},
		"joint":       {with(files(t, 1, "a\tb\n", "b\ta", "a\ta"), "tokenizers", []map[string]any{{"type": "bytes"}}), "<0x61>|<0x62>", "<0x61>|<0x61>", []string{"test: 1 other pairs have a source that is in train, of 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := loadText("parallel", test.set)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(saidPairs(d, d.Train), " ; "); got != test.train {
				t.Errorf("train is %q, want %q", got, test.train)
			}
			if got := strings.Join(saidPairs(d, d.Test), " ; "); got != test.test {
				t.Errorf("test is %q, want %q", got, test.test)
			}
			if got := notes(d); !slices.Equal(got, test.notes) {
				t.Errorf("notes are %q, want %q", got, test.notes)
			}
			if joint := name == "joint" || test.set["tokenizers"] == nil; joint != (d.Source == d.Target) {
				t.Errorf("one vocabulary: %v", d.Source == d.Target)
			}
		})
	}
}

// A split gives back the texts that it was made from, whatever its tokens lack.
func TestTexts(t *testing.T) {
	set := with(files(t, 2, german, english, "Ein  Hund \n", "a\n", "ein langer Hund\n", "one cat\n"), "lowercase", true, "max_length", 2)
	for name, tokenizers := range map[string][]map[string]any{
		"words": {{"type": "words"}}, "bpe": {{"type": "bpe", "num_merges": 5}}, "both": {{"type": "characters"}, {"type": "bytes"}}, "dropout": {{"type": "bpe", "num_merges": 20, "dropout": 0.5}},
	} {
		d, err := loadText("parallel", with(set, "tokenizers", tokenizers))
		if err != nil {
			t.Fatal(err)
		}
		got := func(s components.Split, i int) string {
			source, target := s.(components.Texts).Text(i)
			return source + "|" + target
		}
		for want, got := range map[string]string{"zwei hunde|two dogs": got(d.Train, 1), "ein  hund |a": got(d.Valid, 0), "ein langer hund|one cat": got(d.Test, 0)} {
			if got != want {
				t.Errorf("%s: text is %q, want %q", name, got, want)
			}
		}
	}
	d, err := loadText("parallel", with(set, "tokenizers", []map[string]any{{"type": "bpe", "num_merges": 5}}, "max_length", 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.TargetText(d.Train.Pair(1).Target); got != "two dogs" {
		t.Errorf("a target of subwords is %q", got)
	}
}

// A split knows what it cut off.
func TestCutOff(t *testing.T) {
	set := files(t, 2, german, english, "ein\n", "dog two a cat\n", "ein\nein\nein\n", "a dog\ntwo\na house a\n")
	for _, test := range []struct {
		max  int
		want string
	}{{0, "[] ; [] [] []"}, {2, "[a <unk>] ; [] [] [a]"}} {
		d, err := loadText("parallel", with(set, "max_length", test.max, "tokenizers", []map[string]any{{"type": "words"}, {"type": "words"}}))
		if err != nil {
			t.Fatal(err)
		}
		var splits []string
		for _, s := range []components.Split{d.Valid, d.Test} {
			var all []string
			for i := range s.Len() {
				all = append(all, fmt.Sprint(said(d.Target, s.(components.Shortened).CutOff(i))))
			}
			splits = append(splits, strings.Join(all, " "))
		}
		if got := strings.Join(splits, " ; "); got != test.want {
			t.Errorf("max_length = %d: cut off are %s, want %s", test.max, got, test.want)
		}
	}
}

// Held-out pairs of one source, as it is after lower case, belong to its first.
func TestGrouped(t *testing.T) {
	set := files(t, 1, "a\tx\na\ty\n", "b\tx\nc\ty\nB\tz\n\tz\nb\tw\n", "c\tx\nc\tx\nd\ty\n")
	for _, grouped := range []bool{false, true} {
		d, err := loadText("parallel", with(set, "lowercase", true, "grouped", grouped))
		if err != nil {
			t.Fatal(err)
		}
		firsts := func(s components.Split) (all []int) {
			for i := range s.Len() {
				all = append(all, s.(components.Grouped).First(i))
			}
			return all
		}
		train, valid, test := []int{0, 1}, []int{0, 1, 2, 3}, []int{0, 1, 2}
		want := []string{"valid: 1 pairs left out, of which a side is empty"}
		if grouped {
			valid, test = []int{0, 1, 0, 0}, []int{0, 0, 2}
			want = append(want, "valid: 2 pairs are further references of a source before them", "test: 1 pairs are further references of a source before them")
		}
		for _, split := range []struct {
			got  components.Split
			want []int
		}{{d.Train, train}, {d.Valid, valid}, {d.Test, test}} {
			if got := firsts(split.got); !slices.Equal(got, split.want) {
				t.Errorf("grouped = %v: the first pairs are %v, want %v", grouped, got, split.want)
			}
		}
		if got := notes(d); !slices.Equal(got, want) {
			t.Errorf("grouped = %v: notes are %q, want %q", grouped, got, want)
		}
	}
}

// Dropout cuts training anew for each epoch, the same for the same seed.
func TestResampled(t *testing.T) {
	set := with(files(t, 2, strings.Repeat(german, 20), strings.Repeat(english, 20), "ein\n", "a\n", "zwei\n", "two\n"),
		"tokenizers", []map[string]any{{"type": "bpe", "num_merges": 30, "dropout": 0.3}})
	d, err := loadText("parallel", set)
	if err != nil {
		t.Fatal(err)
	}
	epoch := func(seed uint64, n int) string {
		return fmt.Sprint(saidPairs(d, d.Train.(components.Resampled).Epoch(seed, n)))
	}
	first, again := epoch(1, 0), epoch(1, 0)
	if first == epoch(1, 1) || first == epoch(2, 0) || first != again {
		t.Error("epochs and seeds do not differ as they should")
	}
	if _, ok := d.Test.(components.Resampled); ok {
		t.Error("the test is cut anew")
	}
	if plain := fmt.Sprint(saidPairs(d, d.Train)); len(plain) >= len(first) {
		t.Error("dropout makes no more tokens")
	}
}

// Of two fractions the larger has what the smaller has, and about the share wanted.
func TestFraction(t *testing.T) {
	var lines strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&lines, "a%d\tb\n", i)
	}
	set := files(t, 1, lines.String(), "b\tc", "c\tb")
	drawn := func(fraction float64, seed int) []string {
		d, err := loadText("parallel", with(set, "fraction", fraction, "seed", seed))
		if err != nil {
			t.Fatal(err)
		}
		if n := 4000 - d.Train.Len(); fraction < 1 && !slices.Contains(notes(d), fmt.Sprintf("train: %d pairs left out by fraction = %v", n, fraction)) {
			t.Errorf("%d are left out, and the notes are %q", n, notes(d))
		}
		if fraction < 1 && d.Source.Size() != d.Train.Len()+1+int(components.NumSpecial) {
			t.Errorf("the vocabulary of %d pairs has %d tokens", d.Train.Len(), d.Source.Size())
		}
		return saidPairs(d, d.Train)
	}
	tenth, half, all := drawn(0.1, 1), drawn(0.5, 1), drawn(1, 1)
	if len(all) != 4000 || len(half) < 1850 || len(half) > 2150 || len(tenth) < 330 || len(tenth) > 470 {
		t.Errorf("%d, %d and %d of 4000", len(tenth), len(half), len(all))
	}
	for _, p := range tenth {
		if !slices.Contains(half, p) {
			t.Fatalf("%s is not in the larger share", p)
		}
	}
	if slices.Equal(half, drawn(0.5, 2)) {
		t.Error("another seed draws the same")
	}
}

func TestAligned(t *testing.T) {
	set := with(files(t, 1, "a b\tX Y\nb\tY\n", "a a\tX X", "b a\tY X"), "aligned", true, "tokenizers", []map[string]any{{"type": "words"}, {"type": "words"}})
	d, err := loadText("parallel", set)
	if err != nil {
		t.Fatal(err)
	}
	if got := saidPairs(d, d.Test); !slices.Equal(got, []string{"b a|Y X"}) {
		t.Errorf("%q", got)
	}
	set["train_files"] = []string{write(t, "bad", "a b\tX Y\nb\tY X\n")}
	if _, err := loadText("parallel", set); err == nil || !strings.Contains(err.Error(), "bad:2: 1 tokens and 2 labels") {
		t.Errorf("a pair that is not aligned: %v", err)
	}
}

func TestDialogue(t *testing.T) {
	set := files(t, 1, "hi there\thello\thow are you\nhi\thello\n", "hello\thi", "how\thi\tare\tthere")
	d, err := loadText("dialogue", set)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := saidPairs(d, d.Train), []string{"hi there __eou__ hello __eou__|how are you", "hi __eou__|hello"}; !slices.Equal(got, want) {
		t.Errorf("train is %q, want %q", got, want)
	}
	if got, want := saidPairs(d, d.Test), []string{"how __eou__ hi __eou__ are __eou__|there"}; !slices.Equal(got, want) {
		t.Errorf("test is %q, want %q", got, want)
	}
	if source, target := d.Test.(components.Texts).Text(0); source != "how\thi\tare" || target != "there" {
		t.Errorf("the text is %q and %q", source, target)
	}
	for want, bad := range map[string]string{"bad:2: has one utterance": "a\tb\nab\n", `bad:1: an utterance has the separator "__eou__"`: "a __eou__ b\tc\n"} {
		set["train_files"] = []string{write(t, "bad", bad)}
		if _, err := loadText("dialogue", set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", bad, err, want)
		}
	}
}

// What is wrong with a file is told with the line, and the byte.
func TestBadFiles(t *testing.T) {
	good := func() map[string]any {
		return files(t, 2, german, english, "Haus\n", "house\n", "Hund\n", "dog\n")
	}
	train := func(source, target string) map[string]any {
		return with(good(), "train_files", []string{write(t, "bad.de", source), write(t, "bad.en", target)})
	}
	for want, set := range map[string]map[string]any{
		"aligned: wants as many labels as tokens, and a tokenizer with dropout":       with(good(), "aligned", true, "tokenizers", []map[string]any{{"type": "bpe", "dropout": 0.1}, {"type": "words"}}),
		"train_files: must be two line-aligned files, or one of columns, are 0 files": with(good(), "train_files", []string{}),
		"test_files: must be two line-aligned files, or one of columns, are 3 files":  with(good(), "test_files", []string{"a", "b", "c"}),
		"valid_files: open nowhere: no such file":                                     with(good(), "valid_files", []string{"nowhere", "b"}),
		"bad.en: ends after line 2, and ":                                             train(german, "a\nb\n"),
		"bad.de: ends after line 1, and ":                                             train("a", "a\nb\n"),
		"bad.de:2: byte 4 is 0xff, which is not UTF-8":                                train("a\nü \xff\nb\n", english),
		"bad.de:2: is longer than 1048576 bytes, which no sentence is":                train("a\n"+strings.Repeat("x", 3<<20), english),
		"bad:1: has CR in it and no LF":                                               with(good(), "train_files", []string{write(t, "bad", "a\tb\rc\td\r")}),
		"bad.de:1: has CR in it and no LF":                                            train(strings.Repeat("a sentence\r", 1<<17), english),
		"the file is cut short or damaged":                                            train(zipped(t, german)[:30], english),
		"bad.de: unexpected EOF; the file is cut short or damaged":                    train("\x1f\x8bno", english),
		"bad:3: has 1 columns, and column 2 is wanted":                                with(good(), "train_files", []string{write(t, "bad", "a\tb\nc\td\ne\n")}),
		"target_column: must be another":                                              with(good(), "target_column", 1),
		"fraction: must be in (0, 1]":                                                 with(good(), "fraction", 0.0),
		"tokenizers: must be one for both sides":                                      with(good(), "tokenizers", []map[string]any{}),
		"max_length: must be at least 0":                                              with(good(), "max_length", -1),
		"tokenizers[0].merges_file: open none: no such file":                          with(good(), "tokenizers", []map[string]any{{"type": "bpe", "merges_file": "none"}}),
		"test_files: every pair of ":                                                  with(good(), "test_files", []string{write(t, "copy.de", german), write(t, "copy.en", english)}),
		" is in train_files too; name files that are not trained on":                  func() map[string]any { set := good(); return with(set, "test_files", set["train_files"]) }(),
		"EXP_DATA_DIR is not set":                                                     with(good(), "test_files", []string{"$EXP_DATA_DIR/x"}),
	} {
		t.Setenv("EXP_DATA_DIR", "")
		if _, err := loadText("parallel", set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The identity of the data is that of the texts, wherever and however they lie.
func TestTextIdentity(t *testing.T) {
	identity := func(set map[string]any) string {
		task, err := textTask("parallel", set)
		if err != nil {
			t.Fatal(err)
		}
		id, err := task.Identity()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	one, other, third := "a\tb\n", "b\ta\n", "c\ta\n"
	want := identity(files(t, 1, one, other, third))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "here"), []byte(zipped(t, one)), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EXP_DATA_DIR", dir)
	if got := identity(with(files(t, 1, one, other, third), "train_files", []string{"$EXP_DATA_DIR/here"})); got != want {
		t.Error("the same texts elsewhere have another identity")
	}
	merges := func(content string) string {
		return identity(with(files(t, 1, one, other, third), "tokenizers", []map[string]any{{"type": "bpe", "merges_file": write(t, "m", content)}}))
	}
	different := []string{want, identity(files(t, 1, other, one, third)), identity(files(t, 1, one+one, other, third)), merges("a b\n"), merges("b a\n"),
		identity(files(t, 2, one, other, third, one, other, third)), identity(files(t, 2, one, other, third, one, other, other))}
	slices.Sort(different)
	if len(slices.Compact(slices.Clone(different))) != len(different) {
		t.Errorf("different texts have one identity: %q", different)
	}
}

// Memory has 16 bytes a pair, however long the pairs are.
func TestMemoryIsTheIndex(t *testing.T) {
	const n = 100_000
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "%d %s\t%s\n", i%10, strings.Repeat("a b c ", 8), strings.Repeat("d e ", 9))
	}
	path := write(t, "big", lines.String())
	lines.Reset()
	set := with(files(t, 1, "", "a\tb", "b\ta"), "train_files", []string{path})
	used := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := used()
	d, err := loadText("parallel", set)
	if err != nil {
		t.Fatal(err)
	}
	if perPair := float64(used()-before) / n; perPair > 17 {
		t.Errorf("%.1f bytes a pair", perPair)
	}
	if p := d.Train.Pair(n - 1); len(p.Source) != 25 || len(p.Target) != 18 {
		t.Errorf("the last pair is %v", p)
	}
	if allocations := testing.AllocsPerRun(100, func() { d.Train.Pair(rand.IntN(n)) }); allocations > 0 {
		t.Errorf("%v allocations a pair", allocations)
	}
}

// Whatever the files are, what is read is there and nothing else is, or there is an
// error.
func FuzzParallel(f *testing.F) {
	f.Add("a\tb\n\n", "a b\tc", false)
	f.Add("\ufeffa\r\nb\r\n", "x\ny", true)
	f.Add(zipped(f, "a\tb\n"), zipped(f, "c\td\n"), false)
	f.Add(zipped(f, "a\nb\n"), "c\nd", true)
	f.Fuzz(func(t *testing.T, first, second string, aligned bool) {
		n := 1
		texts := []string{first, "a\tb", second}
		if aligned {
			n, texts = 2, []string{first, second, "a", "b", "b", "a"}
		}
		zipped := strings.HasPrefix(first, "\x1f\x8b")
		for name, tokenizers := range map[string][]map[string]any{"words": {{"type": "words"}}, "bpe": {{"type": "bpe", "num_merges": 3}, {"type": "characters", "byte_fallback": true}}} {
			d, err := loadText("parallel", with(files(t, n, texts...), "tokenizers", tokenizers))
			if err != nil {
				return
			}
			left := 0
			for _, note := range d.Notes {
				if note.Split == "train" && strings.HasPrefix(note.What, "pairs left out") {
					left += note.Count
				}
			}
			lines := strings.Count(first, "\n")
			if first != "" && !strings.HasSuffix(first, "\n") {
				lines++
			}
			if d.Train.Len()+left != lines && !zipped {
				t.Errorf("%s: %d pairs and %d left out of %d lines", name, d.Train.Len(), left, lines)
			}
			for i := range d.Train.Len() {
				p := d.Train.Pair(i)
				if source, target := d.Train.(components.Texts).Text(i); len(p.Source) == 0 || len(p.Target) == 0 || !strings.Contains(first, source) && n == 2 && !zipped || strings.TrimSpace(target) == "" {
					t.Errorf("%s: pair %d is %v, %q and %q", name, i, p, source, target)
				}
			}
		}
	})
}

func FuzzCommands(f *testing.F) {
	f.Add(good)
	for _, odd := range []string{"IN: x\tOUT: y OUT: z\n", "IN: x\u00a0OUT: y OUT: z\n", "IN: OUT: y OUT: z\n", "IN: x OUT: y OUT: z\n"} {
		f.Add(good + odd)
	}
	f.Fuzz(func(t *testing.T, content string) {
		commands, err := readCommands(write(t, "f", content))
		if err != nil {
			return
		}
		var again strings.Builder
		for _, c := range commands {
			again.WriteString(line(c) + "\n")
		}
		read, err := readCommands(write(t, "g", again.String()))
		if same := slices.EqualFunc(read, commands, func(a, b Command) bool {
			return slices.Equal(a.Words(), b.Words()) && slices.Equal(a.Actions(), b.Actions())
		}); err != nil || !same {
			t.Errorf("%q is read as %q, and that is not (%v)", content, again.String(), err)
		}
	})
}

func BenchmarkParallelMulti30k(b *testing.B) {
	dir := filepath.Join(filepath.Dir(dataDir(b)), "multi30k", "tok")
	set := map[string]any{"lowercase": true}
	for key, name := range map[string]string{"train_files": "train", "valid_files": "val", "test_files": "test2016"} {
		set[key] = []string{filepath.Join(dir, name+".lc.norm.tok.de.gz"), filepath.Join(dir, name+".lc.norm.tok.en.gz")}
	}
	for _, name := range []string{"words", "bpe"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				d, err := loadText("parallel", with(set, "tokenizers", []map[string]any{{"type": name}}))
				if err != nil || d.Train.Len() != 29_000 {
					b.Fatalf("%v", err)
				}
			}
		})
	}
}
