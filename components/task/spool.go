package task

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"syscall"
	"unsafe"

	"exp/components"
)

// entry is where a pair is in a spool: 16 bytes, all that is kept of it in memory.
type entry struct {
	offset         uint64 // in bytes
	source, target uint32 // tokens
}

// spool writes pairs to a temporary file, which is without a name from the start
// and goes with the process: the tokens of both sides, then the texts that these
// do not give back.
type spool struct {
	file  *os.File
	w     *bufio.Writer
	size  uint64
	index []entry

	firsts []int32 // for each pair the first of its source; nil where pairs are not grouped
}

func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "exp-pairs-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, 1<<16)}, nil
}

// none is the length of a text that is not written.
const none = math.MaxUint32

// add writes a pair. A text is nil where its tokens give it back.
func (s *spool) add(source, target []int32, sourceText, targetText *string) error {
	s.index = append(s.index, entry{s.size, uint32(len(source)), uint32(len(target))})
	var word [4]byte
	write := func(n uint32) {
		binary.NativeEndian.PutUint32(word[:], n)
		s.w.Write(word[:]) // an error stays until Flush
		s.size += 4
	}
	for _, ids := range [][]int32{source, target} {
		for _, id := range ids {
			write(uint32(id))
		}
	}
	for _, text := range []*string{sourceText, targetText} {
		if text == nil {
			write(none)
			continue
		}
		write(uint32(len(*text)))
		s.w.WriteString(*text)
		s.size += uint64(len(*text))
		for ; s.size%4 != 0; s.size++ { // what follows is read as numbers of 4 bytes
			s.w.WriteByte(0)
		}
	}
	if _, err := s.w.Write(nil); err != nil {
		return fmt.Errorf("writing pairs to %s: %w", os.TempDir(), err)
	}
	return nil
}

// split returns the pairs that were written. They lie in the file, which is mapped
// into memory for as long as the process lives: what is read often stays there, and
// the system takes it away where it wants memory.
func (s *spool) split(t *Text) (*textSplit, error) {
	defer s.file.Close()
	if err := s.w.Flush(); err != nil {
		return nil, fmt.Errorf("writing pairs to %s: %w", os.TempDir(), err)
	}
	made := &textSplit{text: t, index: make([]entry, len(s.index)), firsts: s.firsts}
	copy(made.index, s.index) // without the room to grow
	if s.size == 0 {
		return made, nil
	}
	var err error
	made.data, err = syscall.Mmap(int(s.file.Fd()), 0, int(s.size), syscall.PROT_READ, syscall.MAP_SHARED)
	return made, err
}

// textSplit is a [components.Split] of pairs in a file.
type textSplit struct {
	text  *Text
	index []entry
	data  []byte

	firsts []int32 // see spool
}

func (s *textSplit) Len() int { return len(s.index) }

// First returns the first pair that has the source of pair i, or i where pairs are
// not grouped.
func (s *textSplit) First(i int) int {
	if s.firsts == nil {
		return i
	}
	return int(s.firsts[i])
}

// Pair returns slices of the file itself.
func (s *textSplit) Pair(i int) components.Pair {
	e := s.index[i]
	ids := s.ids(e.offset, int(e.source+e.target))
	return components.Pair{Source: ids[:e.source:e.source], Target: ids[e.source:]}
}

func (s *textSplit) ids(offset uint64, n int) []int32 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(&s.data[offset])), n)
}

// Text returns what pair i was, after what the options do to characters.
func (s *textSplit) Text(i int) (source, target string) {
	e, p := s.index[i], s.Pair(i)
	at := e.offset + 4*uint64(e.source+e.target)
	next := func() (text string, written bool) {
		n := binary.NativeEndian.Uint32(s.data[at:])
		at += 4
		if n == none {
			return "", false
		}
		text = string(s.data[at : at+uint64(n)])
		at += (uint64(n) + 3) &^ 3
		return text, true
	}
	var written bool
	if source, written = next(); !written {
		source = s.text.sourceTokenizer.Join(s.text.said(p.Source, s.text.data.Source.Token))
	}
	if target, written = next(); !written {
		target = s.text.targetTokenizer.Join(s.text.said(p.Target, s.text.data.TargetToken))
	}
	return source, target
}

// CutOff returns the tokens of target i beyond max_length.
func (s *textSplit) CutOff(i int) []int32 {
	n := int(s.index[i].target)
	if n != s.text.o.MaxLength {
		return nil
	}
	_, target := s.Text(i)
	if tokens := s.text.targetTokenizer.Cut(target); len(tokens) > n {
		return s.text.targetIDs(tokens[n:])
	}
	return nil
}

// sampledSplit is cut anew for each epoch.
type sampledSplit struct{ *textSplit }

// Epoch returns the pairs as they are in an epoch.
func (s sampledSplit) Epoch(seed uint64, epoch int) components.Split {
	return epochSplit{s.textSplit, rand.NewPCG(seed, uint64(epoch)).Uint64()}
}

type epochSplit struct {
	*textSplit
	seed uint64
}

// Pair cuts the texts of pair i, the same whenever it is asked for. A cut that is no
// source, for it has the separator of a dialogue in it, gives way to that without
// dropout, which is one.
func (s epochSplit) Pair(i int) components.Pair {
	source, target := s.Text(i)
	rng := rand.New(rand.NewPCG(s.seed, uint64(i)))
	p, _, err := s.text.encode(source, target, func(t components.Tokenizer) func(string) []string {
		sampler, ok := t.(sampling)
		if !ok || !sampler.Samples() {
			return t.Cut
		}
		return func(text string) []string { return sampler.Sample(text, rng) }
	})
	if err != nil {
		return s.textSplit.Pair(i)
	}
	return p
}

// sampling is a tokenizer that can cut a text in several ways.
type sampling interface {
	Samples() bool
	Sample(text string, rng *rand.Rand) []string
}
