package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"exp/components"
	"exp/plots"
)

// alignment is the file of --attention: of JSON, written as it comes, or a picture,
// written at the end.
type alignment struct {
	path    string
	file    *os.File // of JSON
	out     *bufio.Writer
	written int
	pending []aligned
	panels  []plots.Alignment
	left    int // lines that the picture has no panel for
}

// maxPanels is how many lines a picture can show.
const maxPanels = 12

func pictureFormats() []string { return (*plots.Picture)(nil).Formats() }

// aligned is the weights of a line.
type aligned struct {
	Line    int           `json:"line"`
	Source  []string      `json:"source"`  // what weights are of: tokens, or numbers where a step of the memory is not one
	Target  []string      `json:"target"`  // the end included
	Weights [][][]float32 `json:"weights"` // [head][target][source]
}

func newAlignment(path string) (*alignment, error) {
	a := &alignment{path: path}
	if figureFormat(path) != "json" {
		_, err := os.Stat(filepath.Dir(path))
		return a, err
	}
	var err error
	if a.file, err = os.Create(path + ".tmp"); err != nil { // what is at path stays until all is written
		return nil, err
	}
	a.out = bufio.NewWriter(a.file)
	return a, nil
}

// align computes the weights of the best hypotheses of lines by reading them again.
func (p *predictor) align(texts []*prediction) {
	pairs := make([]components.Pair, len(texts))
	for i, one := range texts {
		pairs[i] = one.pair
		h := one.found[0]
		pairs[i].Target = h.Tokens
		if !h.Ended { // nothing was said after its last token, and there may be no position for it
			pairs[i].Target = h.Tokens[:len(h.Tokens)-1]
		}
	}
	p.batch.Fill(pairs)
	p.tape.Reset(false, false)
	p.tape.WithWeights(func() {
		memory := p.Model.Encode(p.tape, p.batch.Source)
		decoded, _ := p.Model.Decode(p.tape, memory, &p.batch)
		w := decoded.Weights
		heads, T, S, values := w.Dim(1), w.Dim(2), w.Dim(3), w.Float32s()
		for i, one := range texts {
			h, length := one.found[0], int(memory.Spans.Lengths[i])
			a := aligned{Line: one.Line, Source: one.tokens, Target: []string{}}
			if len(a.Source) != length {
				a.Source = make([]string, length)
				for s := range length {
					a.Source[s] = strconv.Itoa(s + 1)
				}
			}
			for _, token := range h.Tokens {
				a.Target = append(a.Target, p.Data.TargetToken(token))
			}
			if h.Ended {
				a.Target = append(a.Target, components.SpecialTokens()[components.Eos])
			}
			for n := range heads {
				rows := [][]float32{}
				for t := range a.Target {
					rows = append(rows, append([]float32{}, values[((i*heads+n)*T+t)*S:][:length]...))
				}
				a.Weights = append(a.Weights, rows)
			}
			p.alignment.pending = append(p.alignment.pending, a)
		}
	})
}

// write writes the weights that were computed since.
func (a *alignment) write() error {
	for _, one := range a.pending {
		if a.out == nil {
			if len(a.panels) == maxPanels {
				a.left++
			} else {
				a.panels = append(a.panels, one.panel())
			}
			continue
		}
		separator := "["
		if a.written > 0 {
			separator = ","
		}
		a.written++
		a.out.WriteString(separator) // an error stays until Flush
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false) // of the end, </s>
		if err := e.Encode(one); err != nil {
			return err
		}
	}
	a.pending = a.pending[:0]
	return nil
}

// panel is the mean over the heads.
func (a aligned) panel() plots.Alignment {
	p := plots.Alignment{Title: fmt.Sprintf("line %d", a.Line), Source: a.Source, Target: a.Target}
	for t := range a.Target {
		row := make([]float64, len(a.Source))
		for _, head := range a.Weights {
			for s, w := range head[t] {
				row[s] += float64(w) / float64(len(a.Weights))
			}
		}
		p.Weights = append(p.Weights, row)
	}
	return p
}

// discard leaves what was at path before.
func (a *alignment) discard() {
	if a.file != nil {
		a.file.Close()
		os.Remove(a.file.Name())
	}
}

// close completes the file.
func (a *alignment) close() error {
	if a.out != nil {
		end := "]\n"
		if a.written == 0 {
			end = "[]\n"
		}
		a.out.WriteString(end) // an error stays until Flush
		if err := errors.Join(a.out.Flush(), a.file.Close()); err != nil {
			os.Remove(a.file.Name())
			return err
		}
		return os.Rename(a.file.Name(), a.path)
	}
	if len(a.panels) == 0 {
		return fmt.Errorf("%s: no line has text, and there is nothing to draw", a.path)
	}
	picture, err := plots.Alignments(a.panels)
	if err != nil {
		return fmt.Errorf("%s: %w", a.path, err)
	}
	return writePicture(picture, a.path)
}
