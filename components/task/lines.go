package task

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"exp/components"
)

// dataVariable names the folder of data that is not the project's own.
const dataVariable = "EXP_DATA_DIR"

// located is the file that a path names: what begins with $EXP_DATA_DIR is in the
// folder that this variable of the environment names, and all else is as the
// program sees it.
func located(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "$"+dataVariable+"/")
	if !ok {
		return path, nil
	}
	dir := os.Getenv(dataVariable)
	if dir == "" {
		return "", fmt.Errorf("%s: %s is not set in the environment; it names the folder of the data", path, dataVariable)
	}
	return filepath.Join(dir, rest), nil
}

// openText opens a file to read its text, unzipped where it is gzip.
func openText(path string) (text io.Reader, close func() error, err error) {
	path, err = located(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	buffered := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := buffered.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, f.Close, nil
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		f.Close()
		return nil, nil, damaged(path, err)
	}
	return unzipped{z, path}, f.Close, nil
}

// unzipped says of an error in which file it is.
type unzipped struct {
	io.Reader
	path string
}

func (u unzipped) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = damaged(u.path, err)
	}
	return n, err
}

func damaged(path string, err error) error {
	return fmt.Errorf("%s: %w; the file is cut short or damaged", path, err)
}

// byteOrderMark is what some programs begin a text with; it is no part of it.
const byteOrderMark = "\ufeff"

// maxLine bounds a line, in bytes: what is longer is no sentence, and is most
// often a file without line ends.
const maxLine = 1 << 20

// lines reads a text line by line: text is the line after each next, number its
// number from 1. A line ends with LF or CRLF, the last one with the file too. CR
// within a line is part of it, but in a file that has no LF an error.
type lines struct {
	path    string
	scanner *bufio.Scanner
	close   func() error

	number int
	text   string
	err    error

	lf   bool // there was one
	cr   bool // there was one within what has been read of a line, and no LF yet
	crlf int  // lines that ended with CRLF
	bom  bool // the text began with a byte order mark
}

// openLines opens a file to read lines.
func openLines(path string) (*lines, error) {
	text, close, err := openText(path)
	if err != nil {
		return nil, err
	}
	return newLines(path, text, close), nil
}

func newLines(path string, text io.Reader, close func() error) *lines {
	l := &lines{path: path, scanner: bufio.NewScanner(text), close: close}
	l.scanner.Buffer(make([]byte, 0, 1<<16), maxLine)
	l.scanner.Split(l.split)
	return l
}

// split is [bufio.ScanLines], and counts the ends that are CRLF. It looks for CR
// where there is no LF.
func (l *lines) split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	switch i := bytes.IndexByte(data, '\n'); {
	case i >= 0:
		l.lf, l.cr = true, false
		if i > 0 && data[i-1] == '\r' {
			l.crlf++
		}
	case !l.lf:
		l.cr = bytes.IndexByte(bytes.TrimSuffix(data, []byte("\r")), '\r') >= 0
	}
	return bufio.ScanLines(data, atEOF)
}

// next reads the next line. It returns false at the end, and where err says why
// there is none.
func (l *lines) next() bool {
	if l.err != nil {
		return false
	}
	scanned := l.scanner.Scan()
	if err := l.scanner.Err(); l.cr && (err == nil || errors.Is(err, bufio.ErrTooLong)) {
		l.number++
		l.err = l.fault("has CR in it and no LF: CR alone ends no line; convert the line ends of the file to LF")
		return false
	}
	if !scanned {
		l.err = l.scanner.Err()
		if errors.Is(l.err, bufio.ErrTooLong) {
			l.number++
			l.err = l.fault("is longer than %d bytes, which no sentence is; each pair has a line of its own", maxLine)
		}
		return false
	}
	l.number++
	line := l.scanner.Bytes()
	if l.number == 1 {
		line, l.bom = bytes.CutPrefix(line, []byte(byteOrderMark))
	}
	if !utf8.Valid(line) {
		at := 0
		for at < len(line) {
			r, width := utf8.DecodeRune(line[at:])
			if r == utf8.RuneError && width == 1 {
				break
			}
			at += width
		}
		l.err = l.fault("byte %d is 0x%02x, which is not UTF-8 there", at+1, line[at])
		return false
	}
	l.text = string(line)
	return true
}

// fault is an error of the line.
func (l *lines) fault(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", l.path, l.number, fmt.Sprintf(format, args...))
}

// readVocabulary reads the tokens of a file, without the special ones: one a line,
// up to a tab where there is one, as sentencepiece writes them; or, where the name
// ends with .json or .json.gz, a JSON object of their numbers, as is usual beside
// merges.
func readVocabulary(path string) ([]string, error) {
	if strings.HasSuffix(strings.TrimSuffix(strings.ToLower(path), ".gz"), ".json") {
		return readVocabularyTable(path)
	}
	l, err := openLines(path)
	if err != nil {
		return nil, err
	}
	defer l.close()
	var tokens []string
	known := map[string]int{}
	for l.next() {
		token, _, _ := strings.Cut(l.text, "\t")
		if l.text == "\t" || strings.HasPrefix(l.text, "\t\t") {
			token = "\t"
		}
		if token == "" {
			return nil, l.fault("there is no token")
		}
		if other := known[token]; other > 0 {
			return nil, l.fault("%q is on line %d already", token, other)
		}
		known[token] = l.number
		if !slices.Contains(components.SpecialTokens(), token) {
			tokens = append(tokens, token)
		}
	}
	if l.err == nil && len(tokens) == 0 {
		return nil, fmt.Errorf("%s: has no token but the special ones", path)
	}
	return tokens, l.err
}

func readVocabularyTable(path string) ([]string, error) {
	table, err := readText(path)
	if err != nil {
		return nil, err
	}
	var numbers map[string]int
	if err := json.Unmarshal(bytes.TrimPrefix(table, []byte(byteOrderMark)), &numbers); err != nil {
		return nil, fmt.Errorf("%s: not a JSON object of the tokens' numbers: %w", path, err)
	}
	for _, token := range components.SpecialTokens() {
		delete(numbers, token)
	}
	delete(numbers, "")
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%s: has no token but the special ones", path)
	}
	byNumber := map[int]string{}
	for _, token := range slices.Sorted(maps.Keys(numbers)) {
		if other, taken := byNumber[numbers[token]]; taken {
			return nil, fmt.Errorf("%s: %q and %q have the number %d", path, other, token, numbers[token])
		}
		byNumber[numbers[token]] = token
	}
	var tokens []string
	for _, number := range slices.Sorted(maps.Keys(byNumber)) {
		tokens = append(tokens, byNumber[number])
	}
	return tokens, nil
}
