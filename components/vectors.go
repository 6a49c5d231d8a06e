package components

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"exp/components/autodiff"
	"exp/registry"
)

// Vectors is what a file of token vectors has for a vocabulary.
type Vectors struct {
	Path string
	Line int // of the first vector
	Size int // numbers a vector

	vocabulary *Vocabulary
	rows       map[int32][]float32
}

// Found is how many tokens of the vocabulary the file has.
func (v *Vectors) Found() int { return len(v.rows) }

// Wanted is how many tokens the vocabulary has, the special ones left out.
func (v *Vectors) Wanted() int { return v.vocabulary.Size() - int(NumSpecial) }

// ReadVectors reads of the file at path the vectors of the tokens of v: lines of
// a token and its numbers, separated by spaces, as word2vec and GloVe write them.
// A first line of two counts is word2vec's. A token may hold spaces: the numbers
// are the last of the line. The first vector of a token counts. The special
// tokens are not looked for. An error says which line is wrong.
func ReadVectors(path string, vocabulary *Vocabulary) (*Vectors, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v := &Vectors{Path: path, vocabulary: vocabulary, rows: map[int32][]float32{}}
	in := bufio.NewReaderSize(f, 1<<20)
	for line := 1; ; line++ {
		text, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		if trimmed := strings.TrimRight(text, " \r\n"); trimmed != "" {
			if err := v.add(trimmed, line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, line, err)
			}
		}
		if err != nil {
			break
		}
	}
	if v.Size == 0 {
		return nil, fmt.Errorf("%s: has no vectors", path)
	}
	if len(v.rows) == 0 {
		return nil, fmt.Errorf("%s: has none of the %d tokens of the vocabulary", path, v.Wanted())
	}
	return v, nil
}

// add reads a line.
func (v *Vectors) add(text string, line int) error {
	fields := strings.Split(text, " ")
	if line == 1 && len(fields) == 2 && count(fields[0]) && count(fields[1]) {
		return nil // how many vectors of how many numbers
	}
	if v.Size == 0 {
		v.Size, v.Line = len(fields)-1, line
		if v.Size == 0 {
			return fmt.Errorf("%q has no numbers", text)
		}
	}
	at := len(fields) - v.Size
	if at < 1 {
		return fmt.Errorf("has %d numbers, and the vectors before have %d", len(fields)-1, v.Size)
	}
	id, known := v.vocabulary.ids[strings.Join(fields[:at], " ")]
	if _, again := v.rows[id]; !known || again {
		return nil
	}
	row := make([]float32, v.Size)
	for i, field := range fields[at:] {
		x, err := strconv.ParseFloat(field, 32)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%q is not a number", field)
		}
		row[i] = float32(x)
	}
	v.rows[id] = row
	return nil
}

func count(field string) bool {
	_, err := strconv.ParseUint(field, 10, 64)
	return err == nil
}

// Loaded is the vectors that the embeddings of a model start from, nil for none.
type Loaded struct{ Source, Target *Vectors }

// CheckEmbeddings says whether the embeddings of the model fit the vocabularies
// and the vectors.
func (m *Model) CheckEmbeddings(source, target *Vocabulary, loaded Loaded) error {
	var errs []error
	if m.tables.Shared && m.tables.source != nil && m.tables.target != nil && !source.Equal(target) {
		errs = append(errs, registry.Fault{Key: "model.embeddings.shared", Problem: "needs one vocabulary; those of the task's source and target have other tokens"})
	}
	for _, side := range m.sides(loaded) {
		switch {
		case side.vectors == nil:
		case side.table == nil:
			errs = append(errs, registry.Fault{Key: side.key, Problem: "is for an embedding that the model does not have"})
		case side.vectors.Size != side.table.Dim(1):
			errs = append(errs, registry.Fault{Key: side.key, Problem: fmt.Sprintf("%s:%d: has vectors of %d numbers; the embedding has a size of %d",
				side.vectors.Path, side.vectors.Line, side.vectors.Size, side.table.Dim(1))})
		}
	}
	return errors.Join(errs...)
}

// LoadEmbeddings gives the tokens that the vectors have these as embeddings. They
// have passed CheckEmbeddings.
func (m *Model) LoadEmbeddings(loaded Loaded) error {
	for _, side := range m.sides(loaded) {
		if side.vectors == nil {
			continue
		}
		values := side.table.Float32s()
		for id, row := range side.vectors.rows {
			copy(values[int(id)*len(row):], row)
		}
		if err := m.Params.Set(side.table, values); err != nil {
			return err
		}
	}
	return nil
}

// side is an embedding and what it starts from.
type side struct {
	key     string
	table   *autodiff.Var
	vectors *Vectors
}

func (m *Model) sides(loaded Loaded) []side {
	return []side{
		{"model.embeddings.source_file", m.tables.source, loaded.Source},
		{"model.embeddings.target_file", m.tables.target, loaded.Target},
	}
}
