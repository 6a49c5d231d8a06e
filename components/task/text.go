package task

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/text/unicode/norm"

	"exp/components"
	"exp/registry"
)

// Form is a normal form of Unicode.
type Form string

const (
	AsIs Form = "none"
	NFC  Form = "nfc"
	NFKC Form = "nfkc"
)

// Values lists what is allowed.
func (Form) Values() []string { return []string{string(AsIs), string(NFC), string(NFKC)} }

// UnmarshalText accepts one of Values.
func (f *Form) UnmarshalText(text []byte) error { return registry.OneOf(f, text) }

func (f Form) apply(text string) string {
	switch f {
	case NFC:
		return norm.NFC.String(text)
	case NFKC:
		return norm.NFKC.String(text)
	}
	return text
}

// Tokenizers is the option of that name.
type Tokenizers = registry.ListOf[components.Tokenizer, components.TokenizerDeps]

// TextOptions is what tasks have that read pairs of text from files.
type TextOptions struct {
	TrainFiles  []string   `toml:"train_files" content:"file" doc:"files to train on; plain or gzip, and one that begins with $EXP_DATA_DIR/ is in the folder that this variable of the environment names"`
	ValidFiles  []string   `toml:"valid_files" content:"file" doc:"files to validate on"`
	TestFiles   []string   `toml:"test_files" content:"file" doc:"files to test on"`
	Header      bool       `toml:"header" doc:"the first line of each file is no pair"`
	Tokenizers  Tokenizers `toml:"tokenizers" doc:"what cuts texts into tokens: one for both sides, with one vocabulary, or the source's and the target's"`
	Lowercase   bool       `toml:"lowercase" doc:"texts are put in lower case"`
	Normalize   Form       `toml:"normalize" doc:"normal form of Unicode that texts are put in first"`
	MaxLength   int        `toml:"max_length" doc:"tokens of a source or a target, what is beyond is cut off and counted; 0: any"`
	Fraction    float64    `toml:"fraction" doc:"share of the training pairs that is kept, drawn by seed, in (0, 1]; of two shares, the larger one has all pairs of the smaller"`
	Seed        int        `toml:"seed" doc:"of that draw; the trial's seed does not change the data"`
	Deduplicate bool       `toml:"deduplicate" doc:"of equal training pairs the first is kept"`
}

func defaultText(c *components.Catalog) TextOptions {
	return TextOptions{Tokenizers: registry.NewListOf(&c.Tokenizers, "words"), Normalize: AsIs, Fraction: 1, Seed: 1}
}

// Validate reports every value out of range. That there are files is for those who
// build the task, since the options have no default for it.
func (o TextOptions) Validate() error {
	errs := []error{registry.AtLeast("max_length", o.MaxLength, 0)}
	if n := len(o.Tokenizers.Choices); n != 1 && n != 2 {
		errs = append(errs, registry.Fault{Key: "tokenizers", Problem: fmt.Sprintf("must be one for both sides, or the source's and the target's, are %d", n)})
	}
	if !(o.Fraction > 0 && o.Fraction <= 1) {
		errs = append(errs, registry.Fault{Key: "fraction", Problem: fmt.Sprintf("must be in (0, 1], is %v", o.Fraction)})
	}
	return errors.Join(errs...)
}

// part is the files of a split, with the option that names them.
type part struct {
	name, key string
	files     []string
}

func (o TextOptions) parts() []part {
	return []part{{"train", "train_files", o.TrainFiles}, {"valid", "valid_files", o.ValidFiles}, {"test", "test_files", o.TestFiles}}
}

// Text is a task of pairs of text in files. It keeps in memory where each pair is,
// and the vocabulary.
type Text struct {
	o         TextOptions
	read      reader
	separator string // token after each utterance of a source, which tabs part; "" where it is one text
	aligned   bool   // a label a token
	grouped   bool   // held-out pairs of one source belong together

	joint                            bool // one tokenizer, and one vocabulary
	sourceTokenizer, targetTokenizer components.Tokenizer
	data                             *components.Data
}

// reader reads the pairs of files, and stops at the first error. Its lines are those
// of the first file.
type reader func(files []string, counts *counts, do func(l *lines, source, target string) error) error

// counts is what readers have to say besides.
type counts struct{ crlf, bom int }

func (c *counts) add(l *lines) {
	c.crlf += l.crlf
	if l.bom {
		c.bom++
	}
}

// newText makes the task. count says how many files a split has.
func newText(o TextOptions, read reader, count func(n int) bool, wanted string) (*Text, error) {
	var errs []error
	for _, p := range o.parts() {
		if !count(len(p.files)) {
			errs = append(errs, registry.Fault{Key: p.key, Problem: fmt.Sprintf("must be %s, are %d files", wanted, len(p.files))})
		}
	}
	t := &Text{o: o, read: read, joint: len(o.Tokenizers.Choices) == 1}
	var err error
	if t.sourceTokenizer, err = o.Tokenizers.Choices[0].Build(components.TokenizerDeps{}); err != nil {
		errs = append(errs, registry.Under("tokenizers[0]", err))
	}
	t.targetTokenizer = t.sourceTokenizer
	if !t.joint {
		if t.targetTokenizer, err = o.Tokenizers.Choices[1].Build(components.TokenizerDeps{}); err != nil {
			errs = append(errs, registry.Under("tokenizers[1]", err))
		}
	}
	return t, errors.Join(errs...)
}

// Identity is a hash of the text of all files, those of the tokenizers too.
func (t *Text) Identity() (string, error) {
	h := sha256.New()
	for _, p := range t.o.parts() {
		for _, path := range p.files {
			if err := hashText(h, p.key, path); err != nil {
				return "", err
			}
		}
	}
	if err := hashTokenizers(h, t.o.Tokenizers); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashText enters the text of a file, which an option names, in a hash.
func hashText(h io.Writer, key, path string) error {
	text, close, err := openText(path)
	if err == nil {
		defer close()
		fmt.Fprintf(h, "%s\n", key)
		var n int64
		n, err = io.Copy(h, text)
		fmt.Fprintf(h, "\n%d\n", n)
	}
	if err != nil {
		return registry.Fault{Key: key, Problem: err.Error()}
	}
	return nil
}

// hashTokenizers enters the files that tokenizers read in a hash.
func hashTokenizers(h io.Writer, tokenizers Tokenizers) error {
	for i, choice := range tokenizers.Choices {
		for _, option := range choice.Options {
			if path, ok := option.Value.(string); ok && option.IsFile && path != "" {
				if err := hashText(h, fmt.Sprintf("tokenizers[%d].%s", i, option.Key), path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Load learns the vocabularies from what is kept of the training, and writes the
// tokens of all pairs to temporary files.
func (t *Text) Load() (*components.Data, error) {
	d := &components.Data{}
	t.data = d
	if err := t.learn(); err != nil {
		return nil, err
	}
	d.Text, d.CutSource, d.MaxSource = t.targetTokenizer.Join, t.cutSource, t.o.MaxLength
	d.CutTarget = func(text string) []string { return t.targetTokenizer.Cut(t.clean(text)) }
	held := newHoldings()
	for _, split := range []struct {
		part
		into *components.Split
	}{{t.o.parts()[2], &d.Test}, {t.o.parts()[1], &d.Valid}, {t.o.parts()[0], &d.Train}} {
		made, err := t.load(split.part, held)
		if err != nil {
			return nil, err
		}
		*split.into = made
	}
	if samples(t.sourceTokenizer) || samples(t.targetTokenizer) {
		d.Train = sampledSplit{d.Train.(*textSplit)}
	}
	return d, held.tell(d, "pairs", func() error {
		test := t.o.parts()[2]
		return registry.Fault{Key: test.key, Problem: fmt.Sprintf("every pair of %s is in train_files too; name files that are not trained on", strings.Join(test.files, " and "))}
	})
}

var splitNames = []string{"train", "valid", "test"}

func samples(t components.Tokenizer) bool {
	s, ok := t.(sampling)
	return ok && s.Samples()
}

// kept goes through the pairs of a split that are kept: those that have both sides
// and, of training, those that the options want.
func (t *Text) kept(p part, note func(kind components.NoteKind, n int, format string, args ...any), do func(l *lines, source, target string) error) error {
	var c counts
	var empty, repeated, left int
	var seen map[uint64]struct{}
	training := p.name == "train"
	if training && t.o.Deduplicate {
		seen = map[uint64]struct{}{}
	}
	n := uint64(0)
	err := t.read(p.files, &c, func(l *lines, source, target string) error {
		n++
		source, target = t.clean(source), t.clean(target)
		switch {
		case training && !drawn(t.o.Fraction, t.o.Seed, n):
			left++
			return nil
		case strings.TrimSpace(source) == "" || strings.TrimSpace(target) == "":
			empty++
			return nil
		}
		if seen != nil {
			key := pairKey(source, target)
			if _, known := seen[key]; known {
				repeated++
				return nil
			}
			seen[key] = struct{}{}
		}
		return do(l, source, target)
	})
	note(components.Lost, empty, "pairs left out, of which a side is empty")
	note(components.Read, repeated, "pairs left out, which are there before")
	note(components.Read, left, "pairs left out by fraction = %v", t.o.Fraction)
	note(components.Read, c.crlf, "lines end with CRLF, which is no part of them")
	note(components.Read, c.bom, "files begin with a byte order mark, which is no part of them")
	return err
}

// clean is what the options do to the characters of a text.
func (t *Text) clean(text string) string {
	text = t.o.Normalize.apply(text)
	if t.o.Lowercase {
		text = strings.ToLower(text)
	}
	return text
}

// drawn says whether training pair n is kept.
func drawn(fraction float64, seed int, n uint64) bool {
	return fraction == 1 || float64(rand.NewPCG(uint64(seed), n).Uint64()) < fraction*math.MaxUint64
}

func pairKey(source, target string) uint64 {
	h := xxhash.New()
	h.WriteString(source)
	h.Write([]byte{'\n'}) // which is in no line
	h.WriteString(target)
	return h.Sum64()
}

// learn has the tokenizers read the training, and makes the vocabularies.
func (t *Text) learn() error {
	train := t.o.parts()[0]
	quiet := func(components.NoteKind, int, string, ...any) {}
	learn := func(made components.Tokenizer, source, target bool) (*components.Vocabulary, error) {
		stop := errors.New("stop")
		var failed error
		tokens, err := made.Learn(func(yield func(string) bool) {
			failed = t.kept(train, quiet, func(_ *lines, s, g string) error {
				if source {
					for _, utterance := range t.utterances(s) {
						if !yield(utterance) {
							return stop
						}
					}
				}
				if target && !yield(g) {
					return stop
				}
				return nil
			})
		})
		if failed != nil && failed != stop {
			return nil, failed
		}
		if t.separator != "" && source {
			tokens = slices.Insert(tokens, 0, t.separator)
		}
		return components.NewVocabulary(tokens), err
	}
	var err error
	if t.joint {
		t.data.Source, err = learn(t.sourceTokenizer, true, true)
		t.data.Target = t.data.Source
		return err
	}
	if t.data.Source, err = learn(t.sourceTokenizer, true, false); err != nil {
		return err
	}
	t.data.Target, err = learn(t.targetTokenizer, false, true)
	return err
}

// load writes the pairs of a split.
func (t *Text) load(p part, held holdings) (*textSplit, error) {
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	var cutSources, cutTargets, further int
	var firsts map[uint64]int32 // first pair of each source
	if t.grouped && p.name != "train" {
		firsts = map[uint64]int32{}
	}
	note := func(kind components.NoteKind, n int, format string, args ...any) {
		t.data.Note(kind, p.name, n, format, args...)
	}
	whole := func(made components.Tokenizer) func(string) []string { return made.Cut }
	err = t.kept(p, note, func(l *lines, source, target string) error {
		held.see(p.name, source, target)
		pair, tokens, err := t.encode(source, target, whole)
		if err != nil {
			return l.fault("%v", err)
		}
		texts := [2]*string{&source, &target}
		if len(pair.Source) < len(tokens[0]) {
			cutSources++
		} else if t.separator == "" && !slices.Contains(pair.Source, components.Unk) && t.sourceTokenizer.Join(tokens[0]) == source {
			texts[0] = nil
		}
		if len(pair.Target) < len(tokens[1]) {
			cutTargets++
		} else if !slices.Contains(pair.Target, components.Unk) && t.targetTokenizer.Join(tokens[1]) == target {
			texts[1] = nil
		}
		if firsts != nil {
			i, key := int32(len(s.index)), xxhash.Sum64String(source)
			first, known := firsts[key]
			if known {
				further++
			} else {
				first, firsts[key] = i, i
			}
			s.firsts = append(s.firsts, first)
		}
		return s.add(pair.Source, pair.Target, texts[0], texts[1])
	})
	if err != nil {
		s.file.Close()
		return nil, err
	}
	note(components.Lost, cutSources, "sources cut to max_length = %d tokens", t.o.MaxLength)
	note(components.Lost, cutTargets, "targets cut to max_length = %d tokens", t.o.MaxLength)
	note(components.Read, further, "pairs are further references of a source before them")
	return s.split(t)
}

// Grouped says whether held-out pairs of one source belong together.
func (t *Text) Grouped() bool { return t.grouped }

// Learned returns the vocabularies, as a list and as a JSON table of numbers, and the
// merges, of the source and of the target, or of both where they are one.
func (t *Text) Learned() (map[string]string, error) {
	files := map[string]string{}
	if t.joint {
		return files, addLearned(files, "", t.data.Source, t.sourceTokenizer)
	}
	return files, errors.Join(
		addLearned(files, "source.", t.data.Source, t.sourceTokenizer),
		addLearned(files, "target.", t.data.Target, t.targetTokenizer))
}

// addLearned adds the files of one vocabulary, whose names begin with name. It fails
// where vocabulary_file would not give back the vocabulary; of bpe merges_file does.
func addLearned(files map[string]string, name string, v *components.Vocabulary, made components.Tokenizer) error {
	tokens := v.Tokens()
	b, merges := made.(*bpe)
	numbers := map[string]int{}
	for id, token := range tokens {
		if first, taken := numbers[token]; taken {
			return fmt.Errorf("%svocab.txt: %q is a special token, number %d, and a token of the texts, number %d, which a file cannot tell apart; write it otherwise in the texts", name, token, first, id)
		}
		if token == "\r" && !merges {
			return fmt.Errorf("%svocab.txt: the token %q, number %d, would be the end of a line there; take it out of the texts", name, token, id)
		}
		numbers[token] = id
	}
	table, err := json.Marshal(numbers)
	if err != nil {
		panic(err) // of strings and numbers
	}
	files[name+"vocab.txt"], files[name+"vocab.json"] = strings.Join(tokens, "\n")+"\n", string(table)+"\n"
	if merges {
		files[name+"merges.txt"] = b.writeMerges()
	}
	return nil
}

// utterances is the texts of a source.
func (t *Text) utterances(source string) []string {
	if t.separator == "" {
		return []string{source}
	}
	return strings.Split(source, "\t")
}

// cutSource returns the tokens of the text of a source.
func (t *Text) cutSource(text string) ([]string, error) {
	return t.sourceTokens(t.clean(text), t.sourceTokenizer.Cut)
}

// sourceTokens returns the tokens of a source, after each utterance the separator
// where there is one.
func (t *Text) sourceTokens(source string, cut func(string) []string) (tokens []string, err error) {
	for _, utterance := range t.utterances(source) {
		said := cut(utterance)
		if t.separator == "" {
			return said, nil
		}
		if slices.Contains(said, t.separator) {
			return nil, fmt.Errorf("an utterance has the separator %q", t.separator)
		}
		tokens = append(append(tokens, said...), t.separator)
	}
	return tokens, nil
}

// encode returns a pair as numbers, cut to the length that is allowed, and its
// tokens before that.
func (t *Text) encode(source, target string, cut func(components.Tokenizer) func(string) []string) (p components.Pair, tokens [2][]string, err error) {
	if tokens[0], err = t.sourceTokens(source, cut(t.sourceTokenizer)); err != nil {
		return p, tokens, err
	}
	tokens[1] = cut(t.targetTokenizer)(target)
	if t.aligned && len(tokens[0]) != len(tokens[1]) {
		return p, tokens, fmt.Errorf("%d tokens and %d labels; with aligned = true there must be one a token", len(tokens[0]), len(tokens[1]))
	}
	limit := func(tokens []string) []string {
		if t.o.MaxLength > 0 {
			return tokens[:min(len(tokens), t.o.MaxLength)]
		}
		return tokens
	}
	p.Source, p.Target = t.data.Source.IDs(limit(tokens[0])), t.targetIDs(limit(tokens[1]))
	return p, tokens, nil
}

// targetIDs are the numbers of tokens of a target.
func (t *Text) targetIDs(tokens []string) []int32 {
	number := t.data.TargetID
	if t.aligned {
		number = t.data.Target.ID // a class is a token of the target's vocabulary
	}
	ids := make([]int32, len(tokens))
	for i, token := range tokens {
		ids[i] = number(token)
	}
	return ids
}

// said is the tokens of ids.
func (t *Text) said(ids []int32, token func(int32) string) []string {
	tokens := make([]string, len(ids))
	for i, id := range ids {
		tokens[i] = token(id)
	}
	return tokens
}

// holdings is the held-out pairs and sources, and which of them training has.
type holdings struct{ pairs, sources map[uint64]*holding }

func newHoldings() holdings {
	return holdings{pairs: map[uint64]*holding{}, sources: map[uint64]*holding{}}
}

type holding struct {
	valid, test int // pairs that have it
	leaked      bool
}

// see enters a held-out pair, or looks for one of training.
func (h holdings) see(split, source, target string) {
	for key, of := range map[uint64]map[uint64]*holding{pairKey(source, target): h.pairs, xxhash.Sum64String(source): h.sources} {
		if split == "train" {
			if known := of[key]; known != nil {
				known.leaked = true
			}
			continue
		}
		if of[key] == nil {
			of[key] = &holding{}
		}
		if split == "valid" {
			of[key].valid++
		} else {
			of[key].test++
		}
	}
}

// leaked counts the pairs of a held-out split that are in train, and those whose
// sources are.
func (h holdings) leaked(split string) (pairs, sources int) {
	count := func(of map[uint64]*holding) (n int) {
		for _, held := range of {
			switch {
			case !held.leaked:
			case split == "valid":
				n += held.valid
			default:
				n += held.test
			}
		}
		return n
	}
	return count(h.pairs), count(h.sources)
}

// tell notes in d how many of the held-out pairs are in train. It fails, as all
// says, where each pair of the test is.
func (h holdings) tell(d *components.Data, what string, all func() error) error {
	for name, split := range map[string]components.Split{"valid": d.Valid, "test": d.Test} {
		pairs, sources := h.leaked(name)
		total := split.Len()
		if name == "test" && pairs == total && total > 0 {
			return all()
		}
		d.Note(components.Leaked, name, pairs, "%s are in train, of %d", what, total)
		d.Note(components.Leaked, name, sources-pairs, "other %s have a source that is in train, of %d", what, total)
	}
	slices.SortStableFunc(d.Notes, func(a, b components.Note) int {
		return cmp.Compare(slices.Index(splitNames, a.Split), slices.Index(splitNames, b.Split))
	})
	return nil
}
