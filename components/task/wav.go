package task

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// sound is what a recording holds.
type sound struct {
	rate    int       // samples a second
	samples []float64 // the mean of all channels; full scale is 1
}

// What a WAV file says of its samples, and limits of what is believed.
const (
	wavInteger    = 0x0001
	wavFloat      = 0x0003
	wavExtensible = 0xFFFE

	lowestRate, highestRate = 1000, 768_000
)

// wavSubFormat is what follows the format's number in the GUID of
// WAVE_FORMAT_EXTENSIBLE.
const wavSubFormat = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

// codecs names formats that files called WAV have too.
var codecs = map[uint16]string{
	0x0002: "Microsoft ADPCM", 0x0006: "A-law", 0x0007: "mu-law", 0x0011: "IMA ADPCM", 0x0031: "GSM 6.10", 0x0050: "MPEG", 0x0055: "MP3", 0x0161: "WMA",
}

// convert is the way out for a file that is sound but not read here.
const convert = "write it anew, as with ffmpeg -i OLD -c:a pcm_s16le NEW"

// wavFormat is the chunk "fmt ".
type wavFormat struct {
	encoding       uint16
	channels, bits int
	rate           int
}

// readWAV reads a WAV file: integers of 8 bits (unsigned), 16, 24 and 32, and
// floats of 32, also where the format is WAVE_FORMAT_EXTENSIBLE. The size that the
// file gives of itself is not looked at, which programs that write to a pipe leave
// open; that of each chunk up to the samples must be right.
func readWAV(file []byte) (*sound, error) {
	if len(file) < 12 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WAVE" {
		return nil, fmt.Errorf("is not a WAV file: it does not begin with RIFF and WAVE; %s", convert)
	}
	var format *wavFormat
	for rest := file[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		if size > int64(len(rest)) {
			return nil, fmt.Errorf("its chunk %q is %d bytes by its header, and the file ends after %d; the file is cut short, or was written to a pipe: copy it again, or %s", id, size, len(rest), convert)
		}
		chunk := rest[:size]
		rest = rest[min(int64(len(rest)), size+size%2):] // chunks begin at even places
		var err error
		switch id {
		case "fmt ":
			if format, err = readWAVFormat(chunk); err != nil {
				return nil, err
			}
		case "data":
			if format == nil {
				return nil, errors.New(`has its chunk "data" before "fmt ", which says what the samples are; ` + convert)
			}
			return format.sound(chunk)
		}
	}
	return nil, errors.New(`has no chunk "data", which the samples are in; the file is cut short`)
}

func readWAVFormat(chunk []byte) (*wavFormat, error) {
	if len(chunk) < 16 {
		return nil, fmt.Errorf(`its chunk "fmt " is %d bytes, and must be 16 or more`, len(chunk))
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint16(chunk[at:])) }
	f := &wavFormat{encoding: uint16(word(0)), channels: word(2), bits: word(14)}
	rate := binary.LittleEndian.Uint32(chunk[4:])
	if f.encoding == wavExtensible {
		if len(chunk) < 40 || string(chunk[26:40]) != wavSubFormat {
			return nil, errors.New("its WAVE_FORMAT_EXTENSIBLE does not say what its samples are; " + convert)
		}
		f.encoding = uint16(word(24))
	}
	bits := []int{8, 16, 24, 32}
	switch f.encoding {
	case wavInteger:
	case wavFloat:
		bits = []int{32}
	default:
		name := fmt.Sprintf("format 0x%04x", f.encoding)
		if known := codecs[f.encoding]; known != "" {
			name = known
		}
		return nil, fmt.Errorf("its samples are %s, and only integers and 32-bit floats are read; %s", name, convert)
	}
	supported := false
	for _, n := range bits {
		supported = supported || n == f.bits
	}
	switch {
	case !supported:
		return nil, fmt.Errorf("its samples have %d bits, and must have one of %v; %s", f.bits, bits, convert)
	case f.channels == 0:
		return nil, errors.New("has 0 channels by its header, which is damaged")
	case rate < lowestRate || rate > highestRate:
		return nil, fmt.Errorf("has %d samples a second by its header, and must have %d to %d; the header is damaged", rate, lowestRate, highestRate)
	case word(12) != f.frame():
		return nil, fmt.Errorf("gives %d bytes to a sample of its %d channels of %d bits, which are %d; the header is damaged", word(12), f.channels, f.bits, f.frame())
	}
	f.rate = int(rate)
	return f, nil
}

// frame is the bytes of a sample of all channels.
func (f *wavFormat) frame() int { return f.channels * f.bits / 8 }

// sound reads the samples.
func (f *wavFormat) sound(data []byte) (*sound, error) {
	n := len(data) / f.frame()
	switch {
	case n == 0:
		return nil, errors.New("has no samples; leave it out of the manifest")
	case n*f.frame() != len(data):
		return nil, fmt.Errorf(`its chunk "data" is %d bytes, which is no number of samples of %d bytes; the file is cut short or its header is damaged`, len(data), f.frame())
	}
	s := &sound{rate: f.rate, samples: make([]float64, n)}
	for i := range s.samples {
		sum := 0.0
		for c := range f.channels {
			x := f.sample(data[i*f.frame()+c*f.bits/8:])
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("sample %d of channel %d is %v; leave the file out of the manifest, or mend it", i+1, c+1, x)
			}
			sum += x
		}
		s.samples[i] = sum / float64(f.channels)
	}
	return s, nil
}

// sample is the sample that b begins with.
func (f *wavFormat) sample(b []byte) float64 {
	switch {
	case f.encoding == wavFloat:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case f.bits == 8:
		return (float64(b[0]) - 128) / 128
	case f.bits == 16:
		return float64(int16(binary.LittleEndian.Uint16(b))) / (1 << 15)
	case f.bits == 24:
		return float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 31)
	}
	return float64(int32(binary.LittleEndian.Uint32(b))) / (1 << 31)
}
