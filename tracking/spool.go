package tracking

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// A spool is a file of one run, which only grows:
//
//	file   = magic record*
//	record = length uint32, hash uint64, payload
//
// Numbers are little-endian; hash is the xxHash64 of the payload. A reader takes
// records up to the first that is not whole, so a write that was cut short
// drops itself and nothing else.
//
//	payload = kind byte, step uint64, value float64, split string, name string
//	string  = length byte, bytes
const (
	spoolMagic   = "exp spool 1\n"
	recordHeader = 4 + 8
	payloadFixed = 1 + 8 + 8
	maxName      = math.MaxUint8
	maxPayload   = payloadFixed + 2*(1+maxName)
)

type recordKind byte

const (
	metricRecord      recordKind = 'm' // step, value, split, name
	measurementRecord recordKind = 't' // step, value, name
	resumeRecord      recordKind = 'r' // step: what was recorded after it is void
	readingRecord     recordKind = 'd' // step, split: was read
)

type record struct {
	kind        recordKind
	step        int
	value       float64
	split, name string
}

// appendRecord appends the encoding of r, whose names have at most maxName bytes.
func appendRecord(b []byte, r record) []byte {
	start := len(b)
	b = append(b, make([]byte, recordHeader)...)
	b = append(b, byte(r.kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.step))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.value))
	b = append(b, byte(len(r.split)))
	b = append(b, r.split...)
	b = append(b, byte(len(r.name)))
	b = append(b, r.name...)
	payload := b[start+recordHeader:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(b[start+4:], xxhash.Sum64(payload))
	return b
}

// decodePayload is the inverse of appendRecord, less the header.
func decodePayload(p []byte) (r record, ok bool) {
	if len(p) < payloadFixed {
		return r, false
	}
	step := binary.LittleEndian.Uint64(p[1:])
	if step > math.MaxInt {
		return r, false
	}
	r.kind = recordKind(p[0])
	r.step = int(step)
	r.value = math.Float64frombits(binary.LittleEndian.Uint64(p[9:]))
	p = p[payloadFixed:]
	for _, s := range []*string{&r.split, &r.name} {
		if len(p) == 0 || len(p) < 1+int(p[0]) {
			return r, false
		}
		*s = string(p[1 : 1+int(p[0])])
		p = p[1+int(p[0]):]
	}
	known := r.kind == metricRecord || r.kind == measurementRecord || r.kind == resumeRecord || r.kind == readingRecord
	return r, known && len(p) == 0
}

// readRecords calls yield with each whole record of r and returns how many
// bytes they took. An error is yield's, or a failure to read; the end of r, a
// torn record and a corrupt one all just end the reading.
func readRecords(r io.Reader, yield func(record) error) (int64, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var header [recordHeader]byte
	var payload [maxPayload]byte
	var size int64
	for {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return size, ignoreEnd(err)
		}
		n := binary.LittleEndian.Uint32(header[:])
		if n > maxPayload {
			return size, nil
		}
		if _, err := io.ReadFull(in, payload[:n]); err != nil {
			return size, ignoreEnd(err)
		}
		if xxhash.Sum64(payload[:n]) != binary.LittleEndian.Uint64(header[4:]) {
			return size, nil
		}
		rec, ok := decodePayload(payload[:n])
		if !ok {
			return size, nil
		}
		if err := yield(rec); err != nil {
			return size, err
		}
		size += recordHeader + int64(n)
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// readSpool calls yield with each whole record of the file at path from offset
// on, but reads nothing past limit. It returns the offset behind the last one.
// A file that is missing or is not a spool has no records.
func readSpool(path string, offset, limit int64, yield func(record) error) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return offset, nil
	}
	if err != nil {
		return offset, err
	}
	defer f.Close()
	if offset == 0 {
		var magic [len(spoolMagic)]byte
		if _, err := f.ReadAt(magic[:], 0); err != nil || string(magic[:]) != spoolMagic {
			return 0, ignoreEnd(err)
		}
		offset = int64(len(spoolMagic))
	}
	n, err := readRecords(io.NewSectionReader(f, offset, max(0, limit-offset)), yield)
	return offset + n, err
}

// spool is the writer of one.
type spool struct {
	file    *os.File
	pending []byte // not yet given to the file
	size    int64  // bytes of the file that hold whole records
}

// createSpool makes the file, which must not exist, and its directory entry durable.
func createSpool(dir, name string) (*spool, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	s := &spool{file: f, pending: []byte(spoolMagic)}
	if err := errors.Join(s.sync(), syncDir(dir)); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// syncDir makes a directory's entries durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// add encodes a record; it reaches the file with the next flush.
func (s *spool) add(r record) error {
	if len(r.split) > maxName || len(r.name) > maxName {
		return fmt.Errorf("metric %q of split %q: a name has at most %d bytes", r.name, r.split, maxName)
	}
	s.pending = appendRecord(s.pending, r)
	if len(s.pending) < 1<<16 {
		return nil
	}
	return s.flush()
}

// flush gives the file what is pending: it survives the process, but not a
// loss of power. After an error the file may end in a torn record, behind which
// nothing may be written.
func (s *spool) flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	if _, err := s.file.Write(s.pending); err != nil {
		return err
	}
	s.size += int64(len(s.pending))
	s.pending = s.pending[:0]
	return nil
}

// sync makes all records durable.
func (s *spool) sync() error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.file.Sync()
}
