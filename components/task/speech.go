package task

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"exp/components"
	"exp/registry"
)

// Window is what the samples of a frame are multiplied with.
type Window string

const (
	Hann        Window = "hann"
	Hamming     Window = "hamming"
	Rectangular Window = "rectangular"
)

// Values lists what is allowed.
func (Window) Values() []string { return []string{string(Hann), string(Hamming), string(Rectangular)} }

// UnmarshalText accepts one of Values.
func (w *Window) UnmarshalText(text []byte) error { return registry.OneOf(w, text) }

// CMVN says over what features are given mean 0 and variance 1.
type CMVN string

const (
	NoCMVN    CMVN = "none"
	Utterance CMVN = "utterance"
	Speaker   CMVN = "speaker"
	Global    CMVN = "global"
)

// Values lists what is allowed.
func (CMVN) Values() []string {
	return []string{string(NoCMVN), string(Utterance), string(Speaker), string(Global)}
}

// UnmarshalText accepts one of Values.
func (c *CMVN) UnmarshalText(text []byte) error { return registry.OneOf(c, text) }

// SpeechOptions configures the speech task.
type SpeechOptions struct {
	Manifest         string `toml:"manifest" content:"file" doc:"file of columns that tabs part, plain or gzip, of which the first line is the names; one that begins with $EXP_DATA_DIR/ is in the folder that this variable of the environment names"`
	PathColumn       string `toml:"path_column" doc:"column of the WAV file, relative to the manifest's folder; $EXP_DATA_DIR/ as above"`
	TranscriptColumn string `toml:"transcript_column" doc:"column of what is said"`
	SplitColumn      string `toml:"split_column" doc:"column of train, valid or test"`
	SpeakerColumn    string `toml:"speaker_column" doc:"column of who speaks, for cmvn = speaker"`

	Tokenizers Tokenizers `toml:"tokenizers" doc:"what cuts transcripts into tokens: one"`
	Lowercase  bool       `toml:"lowercase" doc:"transcripts are put in lower case"`
	Normalize  Form       `toml:"normalize" doc:"normal form of Unicode that transcripts are put in first"`
	Fraction   float64    `toml:"fraction" doc:"share of the recordings to train on that is kept, drawn by seed, in (0, 1]; of two shares, the larger one has all of the smaller"`
	Seed       int        `toml:"seed" doc:"of that draw; the trial's seed does not change the data"`

	SampleRate  int     `toml:"sample_rate" doc:"samples a second; recordings at another rate are resampled"`
	PreEmphasis float64 `toml:"pre_emphasis" doc:"share a of the sample before that is taken off each, in [0, 1); 0: none"`
	Window      Window  `toml:"window" doc:"what the samples of a frame are multiplied with"`
	WindowMS    float64 `toml:"window_ms" doc:"length of a window, in milliseconds; the Fourier transform is of the power of two at or above its samples"`
	HopMS       float64 `toml:"hop_ms" doc:"time from one frame to the next, in milliseconds"`
	NumMel      int     `toml:"num_mel" doc:"mel filters, of which each is a number a frame"`
	LowHz       float64 `toml:"low_hz" doc:"frequency that the lowest filter begins at, in hertz"`
	HighHz      float64 `toml:"high_hz" doc:"frequency that the highest filter ends at, in hertz; 0: half the sample rate"`
	Deltas      int     `toml:"deltas" doc:"orders of deltas that stand beside the filters: 0, 1 or 2"`
	CMVN        CMVN    `toml:"cmvn" doc:"each feature has mean 0 and variance 1 over an utterance, over all a speaker says in a split, or over training (global)"`

	NumTimeMasks      int     `toml:"num_time_masks" doc:"SpecAugment: stretches of frames that are masked in a recording"`
	TimeMaskSize      int     `toml:"time_mask_size" doc:"SpecAugment: greatest length T of one, in frames"`
	TimeMaskShare     float64 `toml:"time_mask_share" doc:"SpecAugment: greatest share p of a recording that one takes, in (0, 1]"`
	NumFrequencyMasks int     `toml:"num_frequency_masks" doc:"SpecAugment: stretches of mel filters that are masked in a recording"`
	FrequencyMaskSize int     `toml:"frequency_mask_size" doc:"SpecAugment: greatest length F of one, in filters"`
}

func defaultSpeech(c *components.Catalog) SpeechOptions {
	return SpeechOptions{
		PathColumn: "path", TranscriptColumn: "transcript", SplitColumn: "split", SpeakerColumn: "speaker",
		Tokenizers: registry.NewListOf(&c.Tokenizers, "characters"), Normalize: AsIs, Fraction: 1, Seed: 1,
		SampleRate: 16_000, PreEmphasis: 0.97, Window: Hann, WindowMS: 25, HopMS: 10, NumMel: 80, LowHz: 20, CMVN: Utterance,
		TimeMaskSize: 100, TimeMaskShare: 1, FrequencyMaskSize: 27,
	}
}

// Doc describes the component.
func (SpeechOptions) Doc() string {
	return "Recordings and what is said in them: sources are log-mel filterbanks, with deltas where wanted (Young et al. 2006), and targets transcripts. " +
		"A manifest names the recordings: WAV files of integers of 8, 16, 24 or 32 bits or floats of 32, of any rate and any number of channels, of which the mean is taken. " +
		"Filters are triangles along the mel scale 2595 log10(1 + f/700), whose height is 1, over the power spectrum. " +
		"SpecAugment (Park et al. 2019, without time warping) masks training anew in each epoch: " +
		"a time mask is of t frames, t drawn evenly from 0 to T and at most p of the recording, and a frequency mask of f filters, f drawn from 0 to F, with the deltas of these; " +
		"what is masked has the mean that the feature has in training, which is 0 with cmvn. " +
		"Held-out recordings that training has are counted and told."
}

// samples is how many samples take so many milliseconds.
func (o SpeechOptions) samples(ms float64) int {
	return int(math.Round(ms * float64(o.SampleRate) / 1000))
}

// highHz is the frequency that the highest filter ends at.
func (o SpeechOptions) highHz() float64 {
	if o.HighHz == 0 {
		return float64(o.SampleRate) / 2
	}
	return o.HighHz
}

// longestWindow bounds a window, in milliseconds: what is longer was meant in
// samples.
const longestWindow = 1000

// Validate reports every value out of range. That there is a manifest is for those
// who build the task, since the options have no default for it.
func (o SpeechOptions) Validate() error {
	var errs []error
	check := func(ok bool, key, format string, args ...any) {
		if !ok {
			errs = append(errs, registry.Fault{Key: key, Problem: fmt.Sprintf(format, args...)})
		}
	}
	columns := map[string]string{}
	for _, c := range []struct{ key, name string }{{"path_column", o.PathColumn}, {"transcript_column", o.TranscriptColumn}, {"split_column", o.SplitColumn}} {
		check(c.name != "", c.key, "must be the name of a column, is empty")
		check(columns[c.name] == "", c.key, "must be another column than %s, is %q too", columns[c.name], c.name)
		columns[c.name] = c.key
	}
	check(o.SpeakerColumn != "" || o.CMVN != Speaker, "speaker_column", "must be the name of a column with cmvn = speaker, is empty")
	check(len(o.Tokenizers.Choices) == 1, "tokenizers", "must be one, that of the transcripts, are %d", len(o.Tokenizers.Choices))
	check(o.Fraction > 0 && o.Fraction <= 1, "fraction", "must be in (0, 1], is %v", o.Fraction)
	check(o.SampleRate >= lowestRate && o.SampleRate <= highestRate, "sample_rate", "must be from %d to %d, is %d", lowestRate, highestRate, o.SampleRate)
	check(o.PreEmphasis >= 0 && o.PreEmphasis < 1, "pre_emphasis", "must be in [0, 1), is %v", o.PreEmphasis)
	check(o.WindowMS <= longestWindow && o.samples(o.WindowMS) >= 2, "window_ms", "must be two samples or more, and %d at most, is %v", longestWindow, o.WindowMS)
	check(o.HopMS <= longestWindow && o.samples(o.HopMS) >= 1, "hop_ms", "must be a sample or more, and %d at most, is %v", longestWindow, o.HopMS)
	check(o.NumMel >= 1, "num_mel", "must be at least 1, is %d", o.NumMel)
	check(o.LowHz >= 0 && o.LowHz < o.highHz(), "low_hz", "must be at least 0 and below high_hz, which is %v, is %v", o.highHz(), o.LowHz)
	check(o.highHz() > 0 && o.highHz() <= float64(o.SampleRate)/2, "high_hz", "must be at most half the sample rate, %v, is %v", float64(o.SampleRate)/2, o.HighHz)
	check(o.Deltas >= 0 && o.Deltas <= 2, "deltas", "must be 0, 1 or 2, is %d", o.Deltas)
	check(o.NumTimeMasks >= 0, "num_time_masks", "must be at least 0, is %d", o.NumTimeMasks)
	check(o.TimeMaskSize >= 1, "time_mask_size", "must be at least 1, is %d", o.TimeMaskSize)
	check(o.TimeMaskShare > 0 && o.TimeMaskShare <= 1, "time_mask_share", "must be in (0, 1], is %v", o.TimeMaskShare)
	check(o.NumFrequencyMasks >= 0, "num_frequency_masks", "must be at least 0, is %d", o.NumFrequencyMasks)
	check(o.FrequencyMaskSize >= 1 && (o.FrequencyMaskSize <= o.NumMel || o.NumFrequencyMasks == 0), "frequency_mask_size", "must be from 1 to num_mel = %d, is %d", o.NumMel, o.FrequencyMaskSize)
	if len(errs) == 0 {
		if _, err := newFeatures(o); err != nil {
			check(false, "num_mel", "%v", err)
		}
	}
	return errors.Join(errs...)
}

// Recordings is the speech task. It keeps the frames of all recordings in memory.
type Recordings struct {
	o         SpeechOptions
	features  *features
	tokenizer components.Tokenizer
	data      *components.Data
	mean      []float32 // [F] of the features of training as the model reads them
}

// NewSpeech makes the task.
func NewSpeech(o SpeechOptions, _ components.TaskDeps) (components.Task, error) {
	s := &Recordings{o: o}
	var errs []error
	if o.Manifest == "" {
		errs = append(errs, registry.Fault{Key: "manifest", Problem: "must be the file that names the recordings, is empty"})
	}
	var err error
	if s.tokenizer, err = o.Tokenizers.Choices[0].Build(components.TokenizerDeps{}); err != nil {
		errs = append(errs, registry.Under("tokenizers[0]", err))
	}
	if s.features, err = newFeatures(o); err != nil {
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

// FrameSize is F.
func (s *Recordings) FrameSize() int { return s.features.size() }

// Identity is a hash of what is said in each recording, in which split and, where
// that counts, by whom, of the content of its file, and of the tokenizers' files;
// not of the files' names.
func (s *Recordings) Identity() (string, error) {
	utterances, _, err := s.manifest()
	if errors.As(err, new(registry.Fault)) { // of another option
		return "", err
	}
	if err != nil {
		return "", registry.Fault{Key: "manifest", Problem: err.Error()}
	}
	h := sha256.New()
	var faults faults
	for i := range utterances {
		u := &utterances[i]
		file, err := u.open()
		if err != nil {
			faults.add(err)
			continue
		}
		fmt.Fprintf(h, "%s\t%s\t%s\n", u.split, u.speaker, u.transcript)
		n, err := io.Copy(h, file)
		file.Close()
		if err != nil {
			faults.add(u.fault(err))
		}
		fmt.Fprintf(h, "\n%d\n", n)
	}
	if err := faults.err(); err != nil {
		return "", registry.Fault{Key: "manifest", Problem: err.Error()}
	}
	if err := hashTokenizers(h, s.o.Tokenizers); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// utterance is a recording with what the manifest says of it.
type utterance struct {
	manifest                         string
	line                             int
	path, transcript, split, speaker string // speaker is empty unless it counts

	content uint64    // hash of the file
	frames  []float32 // [T, F]
	tokens  []int32   // of the transcript
}

// location is the file of the recording.
func (u *utterance) location() (string, error) {
	path, err := located(u.path)
	if err != nil || path != u.path || filepath.IsAbs(path) {
		return path, err
	}
	manifest, err := located(u.manifest)
	return filepath.Join(filepath.Dir(manifest), path), err
}

// open opens the recording's file.
func (u *utterance) open() (*os.File, error) {
	path, err := u.location()
	if err != nil {
		return nil, u.fault(err)
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w; a path is relative to the manifest's folder", err)
		}
		return nil, u.fault(err)
	}
	return f, nil
}

// fault is an error of the recording.
func (u *utterance) fault(err error) error {
	return fmt.Errorf("%s:%d: %s: %w", u.manifest, u.line, u.path, err)
}

// faults are errors of recordings, of which the first ones are told.
type faults struct {
	first []error
	more  int
}

const toldFaults = 10

func (f *faults) add(err error) {
	if len(f.first) < toldFaults {
		f.first = append(f.first, err)
	} else {
		f.more++
	}
}

// err is nil where there are none.
func (f *faults) err() error {
	if f.more > 0 {
		return errors.Join(append(f.first, fmt.Errorf("and %d more recordings", f.more))...)
	}
	return errors.Join(f.first...)
}

// manifest reads the manifest: the recordings that are kept, and what there is to
// say of the others.
func (s *Recordings) manifest() (utterances []utterance, notes []components.Note, err error) {
	l, err := openLines(s.o.Manifest)
	if err != nil {
		return nil, nil, err
	}
	defer l.close()
	if !l.next() {
		if l.err == nil {
			l.err = fmt.Errorf("%s: is empty; its first line must be the names of the columns", l.path)
		}
		return nil, nil, l.err
	}
	names := strings.Split(l.text, "\t")
	var errs []error
	column := func(key, name string) int {
		at := slices.Index(names, name)
		if at < 0 {
			errs = append(errs, l.fault("there is no column %q, which %s asks for; %s", name, key, registry.Suggest(name, names)))
		} else if slices.Contains(names[at+1:], name) {
			errs = append(errs, l.fault("there are two columns %q", name))
		}
		return at
	}
	path, transcript, split, speaker := column("path_column", s.o.PathColumn), column("transcript_column", s.o.TranscriptColumn), column("split_column", s.o.SplitColumn), -1
	if s.o.CMVN == Speaker {
		speaker = column("speaker_column", s.o.SpeakerColumn)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	left := 0
	there := map[string]int{}
	for l.next() {
		columns := strings.Split(l.text, "\t")
		if len(columns) != len(names) {
			return nil, nil, l.fault("has %d columns, and the first line names %d; tabs part them", len(columns), len(names))
		}
		u := utterance{manifest: l.path, line: l.number, path: columns[path], split: columns[split], transcript: s.o.Normalize.apply(columns[transcript])}
		if s.o.Lowercase {
			u.transcript = strings.ToLower(u.transcript)
		}
		if speaker >= 0 {
			u.speaker = columns[speaker]
		}
		switch {
		case u.path == "":
			return nil, nil, l.fault("the column %q is empty; it must name the recording", s.o.PathColumn)
		case strings.TrimSpace(u.transcript) == "":
			return nil, nil, l.fault("the column %q is empty; leave out a recording in which nothing is said", s.o.TranscriptColumn)
		case !slices.Contains(splitNames, u.split):
			return nil, nil, l.fault("the column %q is %q, and must be train, valid or test", s.o.SplitColumn, u.split)
		case speaker >= 0 && u.speaker == "":
			return nil, nil, l.fault("the column %q is empty; with cmvn = speaker it must say who speaks", s.o.SpeakerColumn)
		}
		there[u.split]++
		if u.split == "train" && !drawn(s.o.Fraction, s.o.Seed, uint64(there["train"])) {
			left++
			continue
		}
		utterances = append(utterances, u)
	}
	if l.err != nil {
		return nil, nil, l.err
	}
	if left > 0 && there["train"] == left {
		return nil, nil, registry.Fault{Key: "fraction", Problem: fmt.Sprintf("is %v, and of the %d recordings of train none is left", s.o.Fraction, left)}
	}
	for _, name := range splitNames {
		if there[name] == 0 {
			return nil, nil, fmt.Errorf("%s: has no recording of the split %s; the column %q must be that somewhere", l.path, name, s.o.SplitColumn)
		}
	}
	var d components.Data
	d.Note(components.Read, "train", left, "recordings left out by fraction = %v", s.o.Fraction)
	d.Note(components.Read, "train", l.crlf, "lines of the manifest end with CRLF, which is no part of them")
	if l.bom {
		d.Note(components.Read, "train", 1, "manifest begins with a byte order mark, which is no part of it")
	}
	return utterances, d.Notes, nil
}

// Load makes the frames of all recordings, on all cores, and learns the tokens from
// the transcripts of training.
func (s *Recordings) Load() (*components.Data, error) {
	utterances, notes, err := s.manifest()
	if err != nil {
		return nil, err
	}
	d := &components.Data{FrameSize: s.FrameSize(), FrameSeconds: float64(s.features.hop) / float64(s.features.rate), Text: s.tokenizer.Join, Notes: notes}
	s.data = d
	if err := s.listen(utterances); err != nil {
		return nil, err
	}
	tokens, err := s.tokenizer.Learn(func(yield func(string) bool) {
		for _, u := range utterances {
			if u.split == "train" && !yield(u.transcript) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	d.Target = components.NewVocabulary(tokens)
	held := newHoldings()
	splits := map[string][]utterance{}
	for i := range utterances {
		u := &utterances[i]
		u.tokens = d.Target.IDs(s.tokenizer.Cut(u.transcript))
		splits[u.split] = append(splits[u.split], *u)
	}
	for _, name := range []string{"test", "valid", "train"} { // training last, which is looked for in the others
		for _, u := range splits[name] {
			held.see(name, string(binary.NativeEndian.AppendUint64(nil, u.content)), u.transcript)
		}
	}
	s.normalize(utterances)
	train, valid, test := &recordings{s, splits["train"]}, &recordings{s, splits["valid"]}, &recordings{s, splits["test"]}
	d.Train, d.Valid, d.Test = train, valid, test
	if s.o.NumTimeMasks > 0 || s.o.NumFrequencyMasks > 0 || samples(s.tokenizer) {
		d.Train = augmented{train}
	}
	return d, held.tell(d, "recordings", func() error {
		return fmt.Errorf("%s: every recording of the test is in train too", s.o.Manifest)
	})
}

// listen makes the frames of recordings. What it makes of one does not depend on
// the others.
func (s *Recordings) listen(utterances []utterance) error {
	errs := make([]error, len(utterances))
	var resamplers sync.Map // by rate
	each(len(utterances), func() func(int) {
		e := newExtractor(s.features)
		return func(i int) { errs[i] = s.listenTo(&utterances[i], e, &resamplers) }
	})
	var faults faults
	for _, err := range errs {
		if err != nil {
			faults.add(err)
		}
	}
	return faults.err()
}

func (s *Recordings) listenTo(u *utterance, e *extractor, resamplers *sync.Map) error {
	file, err := u.open()
	if err != nil {
		return err
	}
	content, err := io.ReadAll(file)
	file.Close()
	if err != nil {
		return u.fault(err)
	}
	heard, err := readWAV(content)
	if err != nil {
		return u.fault(err)
	}
	u.content = xxhash.Sum64(content)
	samples := heard.samples
	if heard.rate != s.features.rate {
		r, known := resamplers.Load(heard.rate)
		if !known {
			r, _ = resamplers.LoadOrStore(heard.rate, newResampler(heard.rate, s.features.rate))
		}
		samples = r.(*resampler).resample(samples)
	}
	if u.frames = e.frames(samples); u.frames == nil {
		return u.fault(fmt.Errorf("takes %.1f ms, and a window %v ms; leave it out of the manifest", 1000*float64(len(heard.samples))/float64(heard.rate), s.o.WindowMS))
	}
	return nil
}

// each calls, for every i from 0 to n-1, a function that start makes for each core.
// A panic in one is raised again here, with its stack.
func each(n int, start func() func(i int)) {
	var next atomic.Int64
	var panicked atomic.Value
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Add(1)
		go func() {
			defer all.Done()
			defer func() {
				if r := recover(); r != nil {
					panicked.CompareAndSwap(nil, fmt.Sprintf("%v\n\n%s", r, debug.Stack()))
				}
			}()
			do := start()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		}()
	}
	all.Wait()
	if r := panicked.Load(); r != nil {
		panic(r)
	}
}

// normalize gives features mean 0 and variance 1, as the options say, and takes the
// mean of training. Sums are in the order of the manifest.
func (s *Recordings) normalize(utterances []utterance) {
	size := s.FrameSize()
	over := map[string]*moments{}
	key := func(u *utterance) string {
		switch s.o.CMVN {
		case Utterance:
			return fmt.Sprint(u.line)
		case Speaker:
			return u.split + "\t" + u.speaker
		}
		return "" // of training
	}
	for i := range utterances {
		u := &utterances[i]
		if s.o.CMVN == Utterance || s.o.CMVN == Speaker || u.split == "train" {
			k := key(u)
			if over[k] == nil {
				over[k] = &moments{}
			}
			over[k].add(u.frames, size)
		}
	}
	s.mean = make([]float32, size)
	if s.o.CMVN == NoCMVN {
		for j, sum := range over[""].sum {
			s.mean[j] = float32(sum / float64(over[""].n))
		}
		return
	}
	for i := range utterances {
		over[key(&utterances[i])].normalize(utterances[i].frames)
	}
}

// Learned returns the vocabulary, as a list and as a JSON table of numbers, and the
// merges of a tokenizer that has them.
func (s *Recordings) Learned() (map[string]string, error) {
	files := map[string]string{}
	return files, addLearned(files, "target.", s.data.Target, s.tokenizer)
}

// recordings is a [components.Split] of recordings.
type recordings struct {
	task       *Recordings
	utterances []utterance
}

func (r *recordings) Len() int { return len(r.utterances) }

func (r *recordings) Pair(i int) components.Pair {
	u := &r.utterances[i]
	return components.Pair{Frames: components.Frames{Values: u.frames, Size: r.task.FrameSize()}, Target: u.tokens}
}

// Content returns the hash of recording i's file.
func (r *recordings) Content(i int) uint64 { return r.utterances[i].content }

// Text returns where recording i is, as the manifest says it, and its transcript.
func (r *recordings) Text(i int) (source, target string) {
	return r.utterances[i].path, r.utterances[i].transcript
}
