package task

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"exp/components"
)

// speechOptions is options for sounds of 8 kHz.
func speechOptions() SpeechOptions {
	c := components.NewCatalog()
	registerTokenizers(c)
	o := defaultSpeech(c)
	o.SampleRate, o.NumMel, o.LowHz, o.HighHz = 8000, 20, 60, 3800
	return o
}

func mustFeatures(t testing.TB, o SpeechOptions) *features {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := newFeatures(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The filters, the frames and their deltas are those of NumPy and SciPy.
func TestFeaturesReference(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "speech_reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Bank, Frames [][]float64 }
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	o := speechOptions()
	o.Deltas = 2
	f := mustFeatures(t, o)
	if len(want.Bank) != len(f.bank) {
		t.Fatalf("%d filters, want %d", len(f.bank), len(want.Bank))
	}
	for i, row := range want.Bank {
		for k, w := range row {
			got, at := 0.0, k-f.bank[i].from
			if at >= 0 && at < len(f.bank[i].weights) {
				got = f.bank[i].weights[at]
			}
			if !(math.Abs(got-w) < 1e-9) {
				t.Errorf("weight %d of filter %d is %v, want %v", k, i, got, w)
			}
		}
	}
	frames := newExtractor(f).frames(testSound(1000))
	if len(want.Frames) != 11 || len(frames) != 11*f.size() {
		t.Fatalf("%d frames, want %d", len(frames)/f.size(), len(want.Frames))
	}
	for i, row := range want.Frames {
		for j, x := range row {
			if got := float64(frames[i*f.size()+j]); !(math.Abs(got-x) < 2e-6) {
				t.Errorf("feature %d of frame %d is %v, want %v", j, i, got, x)
			}
		}
	}
}

// A tone is where its frequency is, as strong as it is: twice the amplitude is log 4
// more.
func TestTone(t *testing.T) {
	o := speechOptions()
	o.PreEmphasis, o.Window = 0, Hamming
	f := mustFeatures(t, o)
	point := func(i int) float64 { return hertz(mel(o.LowHz) + float64(i)*(mel(o.HighHz)-mel(o.LowHz))/21) }
	for i := range o.NumMel {
		soft := newExtractor(f).frames(sine(400, 0.25, point(i+1), 8000))
		loud := newExtractor(f).frames(sine(400, 0.5, point(i+1), 8000))
		frame := soft[:o.NumMel]
		if got := slices.Index(frame, slices.Max(frame)); got != i {
			t.Errorf("a tone of %.0f Hz is in filter %d, want %d", point(i+1), got, i)
		}
		if got := float64(loud[i] - soft[i]); math.Abs(got-math.Log(4)) > 1e-5 {
			t.Errorf("twice as loud is %v more, want log 4", got)
		}
	}
	if silence := newExtractor(f).frames(make([]float64, 200)); silence[0] != float32(math.Log(1e-10)) {
		t.Errorf("silence is %v", silence[0])
	}
	for n, want := range map[int]int{199: 0, 200: 1, 279: 1, 280: 2, 1000: 11} {
		if got := len(newExtractor(f).frames(make([]float64, n))) / f.size(); got != want {
			t.Errorf("%d samples have %d frames, want %d", n, got, want)
		}
	}
}

// The deltas of a line are its slope, those of a parabola 2t, away from the ends.
func TestDeltas(t *testing.T) {
	const steps = 9
	frames := make([]float32, steps*6)
	for i := range steps {
		frames[i*6], frames[i*6+1] = float32(3*i), float32(i*i)
	}
	delta(frames, 6, 0, 2)
	delta(frames, 6, 2, 2)
	for i := 2; i < steps-2; i++ {
		if frames[i*6+2] != 3 || frames[i*6+3] != float32(2*i) {
			t.Errorf("deltas at %d are %v", i, frames[i*6+2:i*6+4])
		}
	}
	for i := 4; i < steps-4; i++ {
		if frames[i*6+4] != 0 || frames[i*6+5] != 2 {
			t.Errorf("second deltas at %d are %v", i, frames[i*6+4:i*6+6])
		}
	}
	if first := float32((1*3 + 2*6) / 10.0); frames[2] != first {
		t.Errorf("the first delta is %v, want %v: frame 0 is repeated before it", frames[2], first)
	}
}

// At another rate a tone that both have is the same tone, and what the new rate
// cannot have is gone.
func TestResampler(t *testing.T) {
	for _, r := range [][2]int{{44100, 16000}, {8000, 16000}, {16000, 8000}, {22050, 8000}, {48000, 16000}, {11025, 8000}, {7999, 8000}, {44101, 16001}} {
		in, out := r[0], r[1]
		low := float64(min(in, out))
		made := newResampler(in, out)
		for _, share := range []float64{0.02, 0.2, 0.4, 0.43} { // of the lower rate
			y := made.resample(sine(in/4, 0.7, share*low, float64(in)))
			if want := (in/4*out + in - 1) / in; len(y) != want {
				t.Fatalf("%d to %d: %d samples, want %d", in, out, len(y), want)
			}
			want := sine(len(y), 0.7, share*low, float64(out))
			edge := 2 * zeroCrossings * max(1, out/in)
			worst := 0.0
			for i := edge; i < len(y)-edge; i++ {
				worst = max(worst, math.Abs(y[i]-want[i]))
			}
			if !(worst < 1e-3*0.7) {
				t.Errorf("%d to %d: a tone of %.0f Hz is off by %v", in, out, share*low, worst)
			}
		}
		if in <= out {
			continue
		}
		for _, share := range []float64{0.5, 0.6, 0.9} {
			if share*float64(out) >= float64(in)/2 {
				continue
			}
			y := made.resample(sine(in/4, 1, share*float64(out), float64(in)))
			worst := 0.0
			for _, x := range y[2*zeroCrossings : len(y)-2*zeroCrossings] {
				worst = max(worst, math.Abs(x))
			}
			if !(worst < 5e-4) { // -66 dB
				t.Errorf("%d to %d: a tone of %.0f Hz leaves %v", in, out, share*float64(out), worst)
			}
		}
	}
}

// recorded writes recordings and a manifest, and returns the options that name it.
func recorded(t testing.TB, manifest string, files map[string][]byte) map[string]any {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "manifest.tsv")
	if err := os.WriteFile(path, []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"manifest": path, "sample_rate": 8000, "num_mel": 20}
}

const smallManifest = "path\ttranscript\tspeaker\tsplit\n" +
	"wav/a.wav\tone\tx\ttrain\n" +
	"wav/b.wav\ttwo\ty\ttrain\n" +
	"wav/c.wav\tten\tx\ttrain\n" +
	"wav/d.wav\tsix\ty\tvalid\n" +
	"wav/e.wav\ttoo\tx\ttest\n"

// smallFiles is the recordings of smallManifest.
func smallFiles() map[string][]byte {
	files := map[string][]byte{}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		files["wav/"+name+".wav"] = plainWAV(testSound(1000 + 200*i)...).bytes()
	}
	return files
}

func TestSpeech(t *testing.T) {
	d, err := loadText("speech", with(recorded(t, smallManifest, smallFiles()), "deltas", 1))
	if err != nil {
		t.Fatal(err)
	}
	if d.FrameSize != 40 || d.FrameSeconds != 0.01 || d.Source != nil {
		t.Errorf("frames of %d numbers every %v s, vocabulary %v", d.FrameSize, d.FrameSeconds, d.Source)
	}
	var got []string
	for _, s := range []components.Split{d.Train, d.Valid, d.Test} {
		for i := range s.Len() {
			p := s.Pair(i)
			path, text := s.(components.Texts).Text(i)
			got = append(got, fmt.Sprintf("%s %d %s %s", path, p.Frames.Steps(), text, d.TargetText(p.Target)))
		}
	}
	if want := []string{"wav/a.wav 11 one one", "wav/b.wav 13 two two", "wav/c.wav 16 ten ten", "wav/d.wav 18 six <unk><unk><unk>", "wav/e.wav 21 too too"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := notes(d); len(got) > 0 {
		t.Errorf("notes are %q", got)
	}
}

// What is odd or left out is told, and the rest is there.
func TestSpeechNotes(t *testing.T) {
	lines := strings.Replace(strings.ReplaceAll("\ufeff"+smallManifest, "\n", "\r\n"), "wav/e.wav\ttoo", "wav/a.wav\tone", 1) + "wav/d.wav\tTOO\tx\ttest\n"
	set := recorded(t, lines, smallFiles())
	d, err := loadText("speech", with(set, "lowercase", true))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := notes(d), []string{"train: 6 lines of the manifest end with CRLF, which is no part of them", "train: 1 manifest begins with a byte order mark, which is no part of it", "test: 1 recordings are in train, of 2"}; !slices.Equal(got, want) {
		t.Errorf("notes are %q, want %q", got, want)
	}
	if _, text := d.Test.(components.Texts).Text(1); text != "too" {
		t.Errorf("text is %q", text)
	}
	var many strings.Builder
	many.WriteString(smallManifest)
	for range 300 {
		many.WriteString("wav/a.wav\tone\tx\ttrain\n")
	}
	kept := 0
	for _, fraction := range []float64{0.2, 0.6} {
		d, err := loadText("speech", with(recorded(t, many.String(), smallFiles()), "fraction", fraction))
		if err != nil {
			t.Fatal(err)
		}
		if n := d.Train.Len(); math.Abs(float64(n)-fraction*303) > 30 || !slices.Contains(notes(d), fmt.Sprintf("train: %d recordings left out by fraction = %v", 303-n, fraction)) || n < kept {
			t.Errorf("fraction %v: %d recordings, notes %q", fraction, n, notes(d))
		}
		kept = d.Train.Len()
	}
}

// Paths are relative to the manifest, absolute, or in the folder of the data.
func TestSpeechPaths(t *testing.T) {
	files := smallFiles()
	elsewhere := write(t, "f.wav", string(files["wav/e.wav"]))
	set := recorded(t, strings.Replace(strings.Replace(smallManifest, "wav/e.wav", elsewhere, 1), "wav/d.wav", "../"+"d.wav", 1), files)
	dir := filepath.Dir(set["manifest"].(string))
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "d.wav"), files["wav/d.wav"], 0o644); err != nil {
		t.Fatal(err)
	}
	identity := func(set map[string]any) string {
		t.Helper()
		task, err := textTask("speech", set)
		if err != nil {
			t.Fatal(err)
		}
		id, err := task.Identity()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := task.Load(); err != nil {
			t.Fatal(err)
		}
		return id
	}
	want := identity(set)
	t.Setenv("EXP_DATA_DIR", dir)
	for name, text := range map[string]string{"m.tsv": smallManifest, "n.tsv": strings.ReplaceAll(smallManifest, "wav/", "$EXP_DATA_DIR/wav/")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if identity(with(set, "manifest", "$EXP_DATA_DIR/"+name)) != want {
			t.Errorf("%s: the same recordings elsewhere have another identity", name)
		}
	}
	// what counts is what is said, where, and of cmvn = speaker by whom
	other := func(old, new string, options ...any) string {
		files := smallFiles()
		if old == "" {
			files["wav/a.wav"] = files["wav/b.wav"]
		}
		return identity(with(recorded(t, strings.Replace(smallManifest, old, new, 1), files), options...))
	}
	if other("\tx\t", "\tz\t") != want {
		t.Error("a speaker counts who is not looked at")
	}
	ids := []string{want, other("one", "on"), other("", ""), other("c.wav\tten\tx\ttrain", "c.wav\tten\tx\ttest"), other("ten", "ten", "cmvn", "speaker"), other("\tx\t", "\tz\t", "cmvn", "speaker")}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 6 {
		t.Error("different recordings have one identity")
	}
}

// What is wrong is told with file and line.
func TestBadSpeech(t *testing.T) {
	manifest := func(old, new string) map[string]any {
		return recorded(t, strings.Replace(smallManifest, old, new, 1), smallFiles())
	}
	file := func(content []byte) map[string]any {
		files := smallFiles()
		files["wav/b.wav"] = content
		return recorded(t, smallManifest, files)
	}
	cases := map[string]map[string]any{
		"manifest: must be the file that names the recordings, is empty":                                                            {},
		"manifest: open nowhere: no such file":                                                                                      {"manifest": "nowhere"},
		"EXP_DATA_DIR is not set":                                                                                                   {"manifest": "$EXP_DATA_DIR/m.tsv"},
		"manifest.tsv: is empty; its first line must be the names of the columns":                                                   recorded(t, "", nil),
		`manifest.tsv:1: there is no column "transcript", which transcript_column asks for; did you mean "transcripts"?`:            manifest("transcript", "transcripts"),
		`manifest.tsv:1: there is no column "said", which transcript_column asks for; there is path, transcript, speaker and split`: with(manifest("", ""), "transcript_column", "said"),
		`manifest.tsv:1: there is no column "who", which speaker_column asks for`:                                                   with(manifest("", ""), "speaker_column", "who", "cmvn", "speaker"),
		`manifest.tsv:1: there are two columns "path"`:                                                                              manifest("speaker", "path"),
		"manifest.tsv:3: has 1 columns, and the first line names 4; tabs part them":                                                 manifest("wav/b.wav\ttwo\ty\ttrain", ""),
		`manifest.tsv:3: the column "path" is empty`:                                                                                manifest("wav/b.wav", ""),
		`manifest.tsv:3: the column "transcript" is empty; leave out a recording in which nothing is said`:                          manifest("two", " "),
		`manifest.tsv:3: the column "speaker" is empty; with cmvn = speaker`:                                                        with(manifest("\ty", "\t"), "cmvn", "speaker"),
		`manifest.tsv:5: the column "split" is "dev", and must be train, valid or test`:                                             manifest("valid", "dev"),
		`manifest.tsv: has no recording of the split valid; the column "split" must be that`:                                        manifest("valid", "test"),
		"manifest.tsv:3: byte 5 is 0xff, which is not UTF-8":                                                                        manifest("wav/b", "wav/\xff"),
		"manifest.tsv:3: wav/x.wav: open ":                                                                                          manifest("wav/b", "wav/x"),
		"no such file or directory; a path is relative to the manifest's folder":                                                    manifest("wav/b", "wav/x"),
		"manifest.tsv:3: $EXP_DATA_DIR/b.wav: $EXP_DATA_DIR/b.wav: EXP_DATA_DIR is not set":                                         manifest("wav/b", "$EXP_DATA_DIR/b"),
		"manifest.tsv:3: wav/b.wav: takes 24.9 ms, and a window 25 ms; leave it out":                                                file(plainWAV(testSound(199)...).bytes()),
		"manifest.tsv: every recording of the test is in train too":                                                                 manifest("wav/e.wav\ttoo", "wav/a.wav\tone"),
		"path_column: must be the name of a column, is empty":                                                                       {"path_column": ""},
		`split_column: must be another column than path_column, is "path" too`:                                                      {"split_column": "path"},
		"speaker_column: must be the name of a column with cmvn = speaker":                                                          {"speaker_column": "", "cmvn": "speaker"},
		"tokenizers: must be one, that of the transcripts, are 2":                                                                   {"tokenizers": []map[string]any{{"type": "words"}, {"type": "words"}}},
		"fraction: is 1e-09, and of the ":                                                                                           with(manifest("two", "two"), "fraction", 1e-9),
		"fraction: must be in (0, 1], is 0":                                                                                         {"fraction": 0.0},
		"sample_rate: must be from 1000 to 768000, is 100":                                                                          {"sample_rate": 100},
		"pre_emphasis: must be in [0, 1), is 1":                                                                                     {"pre_emphasis": 1.0},
		"window_ms: must be two samples or more, and 1000 at most, is 4000":                                                         {"window_ms": 4000.0},
		"hop_ms: must be a sample or more, and 1000 at most, is 0":                                                                  {"hop_ms": 0.0},
		"num_mel: must be at least 1, is 0":                                                                                         {"num_mel": 0},
		"num_mel: filter 3 of 200 is from 38 to 57 Hz, and the spectrum of a window has values 31 Hz apart":                         {"num_mel": 200},
		"low_hz: must be at least 0 and below high_hz, which is 4000, is 4000":                                                      {"low_hz": 4000.0, "sample_rate": 8000},
		"high_hz: must be at most half the sample rate, 4000, is 5000":                                                              {"high_hz": 5000.0, "sample_rate": 8000},
		"deltas: must be 0, 1 or 2, is 3":                                                                                           {"deltas": 3},
		"num_time_masks: must be at least 0, is -1":                                                                                 {"num_time_masks": -1},
		"time_mask_size: must be at least 1, is 0":                                                                                  {"time_mask_size": 0},
		"time_mask_share: must be in (0, 1], is 0":                                                                                  {"time_mask_share": 0.0},
		"num_frequency_masks: must be at least 0, is -1":                                                                            {"num_frequency_masks": -1},
		"frequency_mask_size: must be from 1 to num_mel = 80, is 81":                                                                {"num_frequency_masks": 1, "frequency_mask_size": 81},
		`cmvn: must be none, utterance, speaker or global, is "all"`:                                                                {"cmvn": "all"},
		`window: must be hann, hamming or rectangular, is "kaiser"`:                                                                 {"window": "kaiser"},
	}
	for want, content := range badWAVs() {
		cases["manifest.tsv:3: wav/b.wav: "+want] = file(content)
	}
	t.Setenv("EXP_DATA_DIR", "")
	for want, set := range cases {
		if _, err := loadText("speech", set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	// several at once
	files := map[string][]byte{}
	for name := range smallFiles() {
		files[name] = []byte("no")
	}
	var many strings.Builder
	many.WriteString(smallManifest)
	for range 20 {
		many.WriteString("wav/a.wav\tone\tx\ttrain\n")
	}
	_, err := loadText("speech", recorded(t, many.String(), files))
	if err == nil || !strings.Contains(err.Error(), "manifest.tsv:2:") || !strings.Contains(err.Error(), "manifest.tsv:11:") || !strings.Contains(err.Error(), "and 15 more recordings") || strings.Contains(err.Error(), "manifest.tsv:12:") {
		t.Errorf("error is %v", err)
	}
}

// The same sound has the same features, whatever the file is, to its quantum.
func TestEncodings(t *testing.T) {
	x := testSound(2000)
	for i := range x {
		x[i] += 0.1 * (2*rand.New(rand.NewPCG(1, uint64(i))).Float64() - 1) // no filter is near silence
	}
	load := func(w wav) []float32 {
		files := smallFiles()
		files["wav/a.wav"] = w.bytes()
		d, err := loadText("speech", with(recorded(t, smallManifest, files), "cmvn", "none"))
		if err != nil {
			t.Fatal(err)
		}
		return d.Train.Pair(0).Frames.Values
	}
	want := load(wav{encoding: wavFloat, channels: 1, bits: 32, rate: 8000, samples: x})
	for name, kind := range wavKinds {
		for _, channels := range []int{1, 2} {
			for _, extensible := range []bool{false, true} {
				got := load(wav{kind.encoding, channels, kind.bits, 8000, extensible, "", x})
				worst := 0.0
				for i := range want {
					worst = max(worst, math.Abs(float64(got[i]-want[i])))
				}
				if allowed := 60*kind.quantum + 1e-6; len(got) != len(want) || !(worst <= allowed) {
					t.Errorf("%s bits, %d channels: off by %v, at most %v is allowed", name, channels, worst, allowed)
				}
			}
		}
	}
}

// Features have mean 0 and variance 1 over what the option says.
func TestCMVN(t *testing.T) {
	for _, cmvn := range []CMVN{NoCMVN, Utterance, Speaker, Global} {
		files := smallFiles()
		for i, name := range []string{"a", "b", "c"} {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			x := make([]float64, 2000)
			for j := range x {
				x[j] = (0.1 + 0.1*float64(i)) * (2*rng.Float64() - 1)
			}
			files["wav/"+name+".wav"] = plainWAV(x...).bytes()
		}
		d, err := loadText("speech", with(recorded(t, smallManifest, files), "cmvn", string(cmvn), "deltas", 2, "num_time_masks", 1, "time_mask_size", 4))
		if err != nil {
			t.Fatal(err)
		}
		over := map[string]*moments{}
		for i, speaker := range []string{"x", "y", "x"} {
			key := map[CMVN]string{Utterance: fmt.Sprint(i), Speaker: speaker}[cmvn]
			if over[key] == nil {
				over[key] = &moments{}
			}
			over[key].add(d.Train.Pair(i).Frames.Values, d.FrameSize)
		}
		if want := map[CMVN]int{Utterance: 3, Speaker: 2}[cmvn]; len(over) != max(1, want) {
			t.Errorf("%s: over %d", cmvn, len(over))
		}
		for key, m := range over {
			for j := range d.FrameSize {
				mean := m.sum[j] / float64(m.n)
				variance := m.squares[j]/float64(m.n) - mean*mean
				normal := math.Abs(mean) < 1e-5 && math.Abs(variance-1) < 1e-4
				if normal == (cmvn == NoCMVN) {
					t.Errorf("%s %q: feature %d has mean %v and variance %v", cmvn, key, j, mean, variance)
				}
			}
		}
		if mean := d.Train.(augmented).task.mean; (mean[0] == 0) == (cmvn == NoCMVN) {
			t.Errorf("%s: what is masked becomes %v", cmvn, mean[0])
		}
	}
}

// Masks are as wide as the paper says, evenly, anywhere, and the same whoever asks
// in what order; held-out recordings have none.
func TestSpecAugment(t *testing.T) {
	set := with(recorded(t, smallManifest, smallFiles()), "cmvn", "global", "deltas", 1)
	d, err := loadText("speech", with(set, "num_time_masks", 1, "time_mask_size", 9, "time_mask_share", 0.5))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []components.Split{d.Valid, d.Test} {
		if _, ok := s.(components.Resampled); ok {
			t.Error("what is held out is masked")
		}
	}
	// masked counts the rows, or the columns and their deltas, that are all 0
	masked := func(p components.Pair, columns bool) (at []int) {
		steps, size, n := p.Frames.Steps(), p.Frames.Size, 20
		if columns {
			for j := range n {
				zero := true
				for i := range steps {
					zero = zero && p.Frames.Values[i*size+j] == 0 && p.Frames.Values[i*size+n+j] == 0
				}
				if zero {
					at = append(at, j)
				}
			}
			return at
		}
		for i := range steps {
			if !slices.ContainsFunc(p.Frames.Values[i*size:(i+1)*size], func(x float32) bool { return x != 0 }) {
				at = append(at, i)
			}
		}
		return at
	}
	const epochs = 6000
	check := func(d *components.Data, columns bool, places, widest int) {
		t.Helper()
		widths, starts := make([]int, widest+1), make([]int, places)
		for epoch := range epochs {
			at := masked(d.Train.(components.Resampled).Epoch(7, epoch).Pair(0), columns)
			if len(at) > widest || len(at) > 0 && at[len(at)-1]-at[0] != len(at)-1 {
				t.Fatalf("epoch %d masks %v", epoch, at)
			}
			widths[len(at)]++
			if len(at) == 1 {
				starts[at[0]]++
			}
		}
		for width, n := range widths {
			if want := float64(epochs) / float64(widest+1); math.Abs(float64(n)-want) > 5*math.Sqrt(want) {
				t.Errorf("width %d %d times, want about %.0f", width, n, want)
			}
		}
		for at, n := range starts {
			if want := float64(widths[1]) / float64(places); math.Abs(float64(n)-want) > 5*math.Sqrt(want) {
				t.Errorf("a mask of one at %d %d times, want about %.0f", at, n, want)
			}
		}
	}
	check(d, false, 11, 5) // 0.5 of 11 frames
	frequency, err := loadText("speech", with(set, "num_time_masks", 0, "num_frequency_masks", 1, "frequency_mask_size", 4))
	if err != nil {
		t.Fatal(err)
	}
	check(frequency, true, 20, 4)

	epoch := func(seed uint64, epoch int, order []int) string {
		s := d.Train.(components.Resampled).Epoch(seed, epoch)
		pairs := make([]string, s.Len())
		for _, i := range order {
			pairs[i] = fmt.Sprint(s.Pair(i).Frames.Values)
		}
		return strings.Join(pairs, "\n")
	}
	want := epoch(1, 3, []int{0, 1, 2})
	if epoch(1, 3, []int{2, 0, 1, 0}) != want {
		t.Error("masks depend on the order")
	}
	if epoch(1, 4, []int{0, 1, 2}) == want || epoch(2, 3, []int{0, 1, 2}) == want {
		t.Error("epochs and seeds have the same masks")
	}
	if plain := fmt.Sprint(d.Train.Pair(0).Frames.Values); strings.HasPrefix(want, plain) || fmt.Sprint(d.Train.Pair(0).Frames.Values) != plain {
		t.Error("masks do not come, or stay")
	}
}

// The number of cores changes no bit.
func TestSpeechCores(t *testing.T) {
	set := recorded(t, smallManifest, smallFiles())
	for _, name := range []string{"wav/b.wav", "wav/c.wav"} { // at another rate
		w := plainWAV(testSound(3000)...)
		w.rate = 22050
		if err := os.WriteFile(filepath.Join(filepath.Dir(set["manifest"].(string)), name), w.bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said := func(cores int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		d, err := loadText("speech", with(set, "cmvn", "global", "deltas", 2))
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for i := range d.Train.Len() {
			for _, x := range d.Train.Pair(i).Frames.Values {
				all = append(all, fmt.Sprint(math.Float32bits(x)))
			}
		}
		return strings.Join(all, " ")
	}
	if said(1) != said(7) {
		t.Error("the features depend on the number of cores")
	}
}

// A panic on another goroutine reaches who can recover it, with where it was.
func TestEachPanics(t *testing.T) {
	done := make([]bool, 100)
	defer func() {
		if r := fmt.Sprint(recover()); !strings.HasPrefix(r, "at 40") || !strings.Contains(r, "TestEachPanics") {
			t.Errorf("panics with %s", r)
		}
		if slices.Contains(done[:40], false) {
			t.Error("returns before all others have ended")
		}
	}()
	each(len(done), func() func(int) {
		return func(i int) {
			if i == 40 {
				panic("at 40")
			}
			done[i] = true
		}
	})
}

// A tokenizer that draws cuts transcripts anew, and learns from training alone.
func TestSpeechTokenizers(t *testing.T) {
	set := recorded(t, strings.ReplaceAll(smallManifest, "one", "one two two one two"), smallFiles())
	d, err := loadText("speech", with(set, "tokenizers", []map[string]any{{"type": "bpe", "num_merges": 20, "min_frequency": 1, "dropout": 0.5}}))
	if err != nil {
		t.Fatal(err)
	}
	lengths := map[int]bool{}
	for epoch := range 20 {
		p := d.Train.(components.Resampled).Epoch(1, epoch).Pair(0)
		if got := d.TargetText(p.Target); got != "one two two one two" {
			t.Errorf("the target is %q", got)
		}
		lengths[len(p.Target)] = true
		if !slices.Equal(p.Frames.Values, d.Train.Pair(0).Frames.Values) {
			t.Error("frames are masked")
		}
	}
	if len(lengths) < 2 {
		t.Error("the transcript is not cut anew")
	}
	task, err := textTask("speech", with(set, "tokenizers", []map[string]any{{"type": "words"}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Load(); err != nil {
		t.Fatal(err)
	}
	files, err := task.(components.Learning).Learned()
	if got, want := files["target.vocab.txt"], "<pad>\n<s>\n</s>\n<unk>\ntwo\none\nten\n"; err != nil || got != want {
		t.Errorf("learned %q, want %q", got, want)
	}
}

// Whatever a manifest is, every line of it is a recording, or there is an error.
func FuzzManifest(f *testing.F) {
	f.Add(smallManifest)
	f.Add(strings.ReplaceAll(smallManifest, "\n", "\r\n") + "\n")
	f.Add("split\tpath\ttranscript\ntrain\ta\tb\nvalid\ta\tb\ntest\ta\tc")
	f.Add("\ufeffpath\tpath\n\x00\t\xff\n")
	f.Fuzz(func(t *testing.T, content string) {
		o := speechOptions()
		o.Manifest = write(t, "m", content)
		made, err := NewSpeech(o, components.TaskDeps{})
		if err != nil {
			t.Fatal(err)
		}
		utterances, notes, err := made.(*Recordings).manifest()
		if err != nil || strings.HasPrefix(content, "\x1f\x8b") {
			return
		}
		lines := strings.Count(content, "\n")
		if !strings.HasSuffix(content, "\n") {
			lines++
		}
		if len(utterances) != lines-1 {
			t.Errorf("%d recordings of %d lines, notes %v", len(utterances), lines, notes)
		}
		for i, u := range utterances {
			if u.line != i+2 || u.path == "" || strings.TrimSpace(u.transcript) == "" || !slices.Contains(splitNames, u.split) || !strings.Contains(content, u.path) {
				t.Errorf("recording %d is %+v", i, u)
			}
		}
	})
}

// BenchmarkSpeech loads the published digits, 2,000 recordings.
func BenchmarkSpeech(b *testing.B) {
	manifest := filepath.Join(filepath.Dir(dataDir(b)), "fsdd", "manifest.tsv")
	for name, rate := range map[string]int{"8 kHz": 8000, "resampled to 16 kHz": 16000} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				d, err := loadText("speech", map[string]any{"manifest": manifest, "sample_rate": rate, "num_mel": 40, "deltas": 2})
				if err != nil || d.Train.Len() != 1600 {
					b.Fatalf("%v", err)
				}
			}
		})
	}
}
