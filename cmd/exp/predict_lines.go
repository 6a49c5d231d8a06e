package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxSourceLine bounds a line, in bytes, as in the files of tasks.
const maxSourceLine = 1 << 20

// sourceLine is a line of the input, or why there is none.
type sourceLine struct {
	file   string
	number int // from 1
	text   string
	err    error // io.EOF at the end
}

func (l sourceLine) fault(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", l.file, l.number, fmt.Errorf(format, args...))
}

// readSources reads lines, up to so many ahead, until one is an error. A line ends
// with LF or CRLF, the last one with the input too; a byte order mark is no part of the
// first.
func readSources(ctx context.Context, name string, r io.Reader, ahead int) <-chan sourceLine {
	lines := make(chan sourceLine, ahead)
	go func() {
		scanner := bufio.NewScanner(r)
		scanner.Buffer(make([]byte, 0, 1<<16), maxSourceLine)
		for number := 1; ; number++ {
			line := sourceLine{file: name, number: number}
			if !scanner.Scan() {
				switch err := scanner.Err(); {
				case err == nil:
					line.err = io.EOF
				case errors.Is(err, bufio.ErrTooLong):
					line.err = line.fault("is longer than %d bytes", maxSourceLine)
				default:
					line.err = line.fault("%w", err)
				}
			} else {
				text := scanner.Bytes()
				if number == 1 {
					text = bytes.TrimPrefix(text, []byte("\ufeff"))
				}
				line.text = string(text)
				if at := invalid(text); at >= 0 {
					line.err = line.fault("byte %d is 0x%02x, which is not UTF-8 there", at+1, text[at])
				}
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
			if line.err != nil {
				return
			}
		}
	}()
	return lines
}

// invalid returns where text is not UTF-8, -1 for nowhere.
func invalid(text []byte) int {
	for at := 0; at < len(text); {
		r, width := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && width == 1 {
			return at
		}
		at += width
	}
	return -1
}
