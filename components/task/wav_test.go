package task

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wav is a WAV file to be written.
type wav struct {
	encoding, channels, bits int
	rate                     int
	extensible               bool
	before                   string // chunks before the samples
	samples                  []float64
}

// bytes writes the file. Channels hold the same samples.
func (w wav) bytes() []byte {
	little := binary.LittleEndian
	var data []byte
	for _, x := range w.samples {
		for range w.channels {
			full := math.Round(x * float64(uint64(1)<<(w.bits-1)))
			full = min(full, float64(uint64(1)<<(w.bits-1)-1))
			switch {
			case w.encoding == wavFloat:
				data = little.AppendUint32(data, math.Float32bits(float32(x)))
			case w.bits == 8:
				data = append(data, byte(full+128))
			default:
				data = append(data, little.AppendUint32(nil, uint32(int32(full)))[:w.bits/8]...)
			}
		}
	}
	format := little.AppendUint16(nil, uint16(w.encoding))
	if w.extensible {
		format = little.AppendUint16(nil, wavExtensible)
	}
	format = little.AppendUint16(format, uint16(w.channels))
	format = little.AppendUint32(format, uint32(w.rate))
	format = little.AppendUint32(format, uint32(w.rate*w.channels*w.bits/8))
	format = little.AppendUint16(format, uint16(w.channels*w.bits/8))
	format = little.AppendUint16(format, uint16(w.bits))
	if w.extensible {
		format = little.AppendUint16(format, 22)
		format = little.AppendUint16(format, uint16(w.bits))
		format = little.AppendUint32(format, 0)
		format = little.AppendUint16(format, uint16(w.encoding))
		format = append(format, wavSubFormat...)
	}
	chunks := append([]byte("WAVE"), chunk("fmt ", string(format))...)
	chunks = append(chunks, w.before...)
	chunks = append(chunks, chunk("data", string(data))...)
	return []byte(chunk("RIFF", string(chunks)))
}

func chunk(id, content string) string {
	c := id + string(binary.LittleEndian.AppendUint32(nil, uint32(len(content)))) + content
	return c + strings.Repeat("\x00", len(content)%2)
}

// plainWAV is mono of 16 bits at 8 kHz.
func plainWAV(samples ...float64) wav {
	return wav{encoding: wavInteger, channels: 1, bits: 16, rate: 8000, samples: samples}
}

func sine(n int, amplitude, hz, rate float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = amplitude * math.Sin(2*math.Pi*hz*float64(i)/rate)
	}
	return x
}

// testSound is two tones and a little noise, as testdata/speech_reference.py has it.
func testSound(n int) []float64 {
	x, state := make([]float64, n), uint64(1)
	for i := range x {
		state = (state*1103515245 + 12345) % (1 << 31)
		t := float64(i) / 8000
		x[i] = 0.5*math.Sin(2*math.Pi*440*t) + 0.2*math.Sin(2*math.Pi*1730*t+1) + 0.05*(float64(state)/(1<<31)-0.5)
	}
	return x
}

// wavKinds is every kind of sample, with the largest error of one.
var wavKinds = map[string]struct {
	encoding, bits int
	quantum        float64
}{
	"8":     {wavInteger, 8, 1.0 / 256},
	"16":    {wavInteger, 16, 1.0 / (1 << 16)},
	"24":    {wavInteger, 24, 1.0 / (1 << 24)},
	"32":    {wavInteger, 32, 1.0 / (1 << 32)},
	"float": {wavFloat, 32, 1.0 / (1 << 25)},
}

func TestWAV(t *testing.T) {
	want := append(testSound(300), -1, 0, 0.5)
	for name, kind := range wavKinds {
		for _, channels := range []int{1, 2, 3} {
			for _, extensible := range []bool{false, true} {
				w := wav{kind.encoding, channels, kind.bits, 22050, extensible, chunk("LIST", "odd") + chunk("fact", "1234"), want}
				got, err := readWAV(append(w.bytes(), "trailing"...))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got.rate != 22050 || len(got.samples) != len(want) {
					t.Fatalf("%s: %d samples at %d", name, len(got.samples), got.rate)
				}
				for i, x := range want {
					if !(math.Abs(got.samples[i]-x) <= kind.quantum*(1+1e-9)) {
						t.Fatalf("%s of %d channels, extensible %v: sample %d is %v, want %v", name, channels, extensible, i, got.samples[i], x)
					}
				}
			}
		}
	}
}

// Channels are mixed to their mean, which opposite ones do not survive.
func TestWAVMix(t *testing.T) {
	w := plainWAV(0.5, -0.5, 0.25, 0.75)
	w.channels = 1
	b := w.bytes()
	little := binary.LittleEndian
	little.PutUint16(b[22:], 2) // channels
	little.PutUint16(b[32:], 4) // bytes of both
	got, err := readWAV(b)
	if err != nil || !slices.Equal(got.samples, []float64{0, 0.5}) {
		t.Errorf("%v, %v", got, err)
	}
}

// badWAVs is files that are refused, by what is said of them.
func badWAVs() map[string][]byte {
	good := func() []byte { return plainWAV(sine(400, 0.5, 440, 8000)...).bytes() }
	at := func(offset int, value any) []byte {
		b := good()
		switch v := value.(type) {
		case uint16:
			binary.LittleEndian.PutUint16(b[offset:], v)
		case uint32:
			binary.LittleEndian.PutUint32(b[offset:], v)
		case string:
			copy(b[offset:], v)
		}
		return b
	}
	float := wav{encoding: wavFloat, channels: 2, bits: 32, rate: 8000, samples: []float64{0, 1, math.NaN()}}
	infinite := wav{encoding: wavFloat, channels: 1, bits: 32, rate: 8000, samples: []float64{math.Inf(-1)}}
	extensible := wav{encoding: wavInteger, channels: 1, bits: 16, rate: 8000, extensible: true, samples: []float64{0}}.bytes()
	extensible[50]++ // in the GUID
	return map[string][]byte{
		"is not a WAV file: it does not begin with RIFF and WAVE": []byte("ID3 and the rest of an MP3"),
		"is not a WAV file": nil,
		`its chunk "data" is 801 bytes by its header, and the file ends after 800; the file is cut short`:  at(40, uint32(801)),
		`its chunk "data" is 4294967295 bytes by its header, and the file ends after 800`:                  at(40, uint32(math.MaxUint32)),
		`its chunk "fmt " is 4294967280 bytes by its header`:                                               at(16, uint32(0xFFFFFFF0)),
		`its chunk "fmt " is 14 bytes, and must be 16 or more`:                                             []byte("RIFF0000WAVE" + chunk("fmt ", strings.Repeat("\x01", 14))),
		"has 0 channels by its header, which is damaged":                                                   at(22, uint16(0)),
		"has 0 samples a second by its header, and must have 1000 to 768000":                               at(24, uint32(0)),
		"has 4294967295 samples a second by its header":                                                    at(24, uint32(math.MaxUint32)),
		"gives 3 bytes to a sample of its 1 channels of 16 bits, which are 2":                              at(32, uint16(3)),
		"its samples have 12 bits, and must have one of [8 16 24 32]":                                      at(34, uint16(12)),
		"its samples have 16 bits, and must have one of [32]":                                              at(20, uint16(wavFloat)),
		"its samples are MP3, and only integers and 32-bit floats are read; write it anew, as with ffmpeg": at(20, uint16(0x55)),
		"its samples are format 0x1234":                                                                    at(20, uint16(0x1234)),
		"its WAVE_FORMAT_EXTENSIBLE does not say what its samples are":                                     at(20, uint16(wavExtensible)),
		"its WAVE_FORMAT_EXTENSIBLE does not say":                                                          extensible,
		"has no samples; leave it out of the manifest":                                                     plainWAV().bytes(),
		`its chunk "data" is 799 bytes, which is no number of samples of 2 bytes`:                          at(40, uint32(799)),
		`has no chunk "data"`:                                              good()[:36],
		`has its chunk "data" before "fmt "`:                               at(12, "junk"),
		"sample 3 of channel 1 is NaN; leave the file out of the manifest": float.bytes(),
		"sample 1 of channel 1 is -Inf":                                    infinite.bytes(),
	}
}

func TestBadWAV(t *testing.T) {
	for want, file := range badWAVs() {
		if s, err := readWAV(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v and %v, want %s", s, err, want)
		}
	}
}

// Whatever a file is, what is read is as much as its header says, finite, and again
// the same when it is written anew.
func FuzzWAV(f *testing.F) {
	for _, kind := range wavKinds {
		for _, extensible := range []bool{false, true} {
			f.Add(wav{kind.encoding, 2, kind.bits, 16000, extensible, chunk("LIST", "abc"), []float64{0, 0.5, -1}}.bytes())
		}
	}
	for _, file := range badWAVs() {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := readWAV(file)
		if err != nil {
			if s != nil {
				t.Errorf("%v and a sound", err)
			}
			return
		}
		if len(s.samples) == 0 || len(s.samples) > len(file) || s.rate < lowestRate || s.rate > highestRate {
			t.Fatalf("%d samples at %d of %d bytes", len(s.samples), s.rate, len(file))
		}
		for i, x := range s.samples {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("sample %d is %v", i, x)
			}
			s.samples[i] = float64(float32(x))
		}
		again, err := readWAV(wav{encoding: wavFloat, channels: 1, bits: 32, rate: s.rate, samples: s.samples}.bytes())
		if err != nil || again.rate != s.rate || !slices.Equal(again.samples, s.samples) {
			t.Errorf("written anew: %v", err)
		}
	})
}

// The published recordings are mono of 16 bits, and read without fault.
func TestPublishedWAV(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(filepath.Dir(dataDir(t)), "fsdd", "wav", "theo", "3_theo_7.wav"))
	if err != nil {
		t.Skipf("no recordings: %v", err)
	}
	s, err := readWAV(file)
	if err != nil || s.rate != 8000 || fmt.Sprint(2*len(s.samples)) != fmt.Sprint(binary.LittleEndian.Uint32(file[40:])) {
		t.Errorf("%v, %v", s, err)
	}
}
