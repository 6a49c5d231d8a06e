package tracking

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var someRecords = []record{
	{kind: resumeRecord, step: 0},
	{kind: metricRecord, step: 1, value: 2.5, split: "train", name: "loss"},
	{kind: metricRecord, step: math.MaxInt, value: math.Inf(-1), split: "", name: ""},
	{kind: measurementRecord, step: 1, value: -1e-300, name: "steps_per_second"},
	{kind: metricRecord, step: 2, value: 1, split: strings.Repeat("s", maxName), name: strings.Repeat("é", maxName/2)},
	{kind: resumeRecord, step: 1 << 40},
}

func encodeRecords(records []record) []byte {
	var b []byte
	for _, r := range records {
		b = appendRecord(b, r)
	}
	return b
}

// readAll returns the whole records of b and how many bytes they take.
func readAll(t testing.TB, b []byte) ([]record, int64) {
	t.Helper()
	var got []record
	n, err := readRecords(bytes.NewReader(b), func(r record) error {
		got = append(got, r)
		return nil
	})
	check(t, err)
	return got, n
}

func sameRecords(a, b []record) bool {
	return bytes.Equal(encodeRecords(a), encodeRecords(b)) // NaN too
}

// Cut anywhere, a spool has the records before the cut.
func TestTornSpool(t *testing.T) {
	whole := encodeRecords(someRecords)
	for cut := range len(whole) + 1 {
		for _, tail := range [][]byte{nil, make([]byte, 64), bytes.Repeat([]byte{0xff}, 64)} {
			torn := append(whole[:cut:cut], tail...)
			want := 0
			// A tail may happen to be what was cut.
			for want < len(someRecords) && bytes.HasPrefix(torn, encodeRecords(someRecords[:want+1])) {
				want++
			}
			if tail == nil && cut == len(whole)-1 && want != len(someRecords)-1 {
				t.Fatalf("want %d records of %d without a byte", want, len(someRecords))
			}
			got, n := readAll(t, torn)
			if !sameRecords(got, someRecords[:want]) || n != int64(len(encodeRecords(someRecords[:want]))) {
				t.Fatalf("cut at %d with %d bytes of rubbish: got %d records of %d bytes, want %d", cut, len(tail), len(got), n, want)
			}
		}
	}
}

// A bit that flips anywhere ends the spool before its record.
func TestCorruptSpool(t *testing.T) {
	whole := encodeRecords(someRecords)
	for i := range whole {
		want := 0
		for len(encodeRecords(someRecords[:want+1])) <= i {
			want++
		}
		spoilt := bytes.Clone(whole)
		spoilt[i] ^= 1 << (i % 8)
		if got, _ := readAll(t, spoilt); !sameRecords(got, someRecords[:want]) {
			t.Fatalf("bit %d of byte %d flipped: got %d records, want %d", i%8, i, len(got), want)
		}
	}
}

func TestReadSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a"+spoolExt)
	read := func(offset, limit int64) (n int, end int64) {
		end, err := readSpool(path, offset, limit, func(record) error { n++; return nil })
		check(t, err)
		return n, end
	}
	if n, end := read(0, math.MaxInt64); n != 0 || end != 0 {
		t.Errorf("a missing file: got %d records up to %d", n, end)
	}
	for _, text := range []string{"", "exp", "another format\n"} {
		check(t, os.WriteFile(path, []byte(text), 0o644))
		if n, end := read(0, math.MaxInt64); n != 0 || end != 0 {
			t.Errorf("%q: got %d records up to %d", text, n, end)
		}
	}
	check(t, os.WriteFile(path, append([]byte(spoolMagic), encodeRecords(someRecords)...), 0o644))
	size := int64(len(spoolMagic) + len(encodeRecords(someRecords)))
	half := int64(len(spoolMagic) + len(encodeRecords(someRecords[:2])))
	for _, test := range []struct {
		offset, limit int64
		n             int
		end           int64
	}{
		{0, math.MaxInt64, 6, size},
		{0, half, 2, half},
		{0, half + 1, 2, half},
		{half, size, 4, size},
		{size, size, 0, size},
		{size, half, 0, size},
	} {
		if n, end := read(test.offset, test.limit); n != test.n || end != test.end {
			t.Errorf("from %d to %d: got %d records up to %d, want %d up to %d", test.offset, test.limit, n, end, test.n, test.end)
		}
	}
	stop := errors.New("stop")
	end, err := readSpool(path, half, size, func(record) error { return stop })
	if end != half || !errors.Is(err, stop) {
		t.Errorf("yield's error: got %d, %v", end, err)
	}
}

func TestLongName(t *testing.T) {
	s := openTest(t, tempPath(t))
	register(t, s, grid("copy", 1, 1))
	r := begin(t, s, "a-0")
	name := strings.Repeat("x", maxName)
	check(t, r.Metric(1, name, name, 1))
	err := r.Metric(1, "train", name+"x", 1)
	if err == nil || !strings.Contains(err.Error(), "at most 255 bytes") {
		t.Errorf("got %v", err)
	}
	if got := s.End(context.Background(), r, Finished, "", ""); !errors.Is(got, err) {
		t.Errorf("end: got %v, want %v", got, err)
	}
}

// What is read from any bytes is a prefix of them, encoded.
func FuzzSpool(f *testing.F) {
	whole := encodeRecords(someRecords)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(whole[:40:40], whole...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, n := readAll(t, b)
		if encoded := encodeRecords(got); !bytes.Equal(encoded, b[:n]) {
			t.Fatalf("read %d records of %d bytes, which encode to %d others", len(got), n, len(encoded))
		}
	})
}

// Any record comes back as it was, and a tail of any bytes adds none but those it encodes.
func FuzzRecord(f *testing.F) {
	f.Add(byte(0), 0, uint64(0), "train", "loss", []byte("tail"))
	f.Add(byte(1), math.MaxInt, math.Float64bits(math.NaN()), "", "\xff\x00", []byte{})
	kinds := []recordKind{metricRecord, measurementRecord, resumeRecord}
	f.Fuzz(func(t *testing.T, kind byte, step int, bits uint64, split, name string, tail []byte) {
		if step < 0 || len(split) > maxName || len(name) > maxName {
			t.Skip()
		}
		want := record{kinds[int(kind)%len(kinds)], step, math.Float64frombits(bits), split, name}
		got, _ := readAll(t, append(encodeRecords([]record{want}), tail...))
		after, _ := readAll(t, tail)
		if !sameRecords(got, append([]record{want}, after...)) {
			t.Fatalf("got %v, want %v and %v", got, want, after)
		}
	})
}
