package components

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"exp/components/autodiff"
	"exp/components/nn"
	"exp/registry"
)

// Embeddings is the [model.embeddings] table: what the tables of token vectors of
// both sides have in common. Their sizes are those that the encoder and the
// decoder ask for.
type Embeddings struct {
	Shared     bool   `toml:"shared" doc:"one table for source and target, whose vocabularies must be the same, and the sizes too"`
	Tied       bool   `toml:"tied" doc:"the output layer's weight is the target's table (Press & Wolf 2017), whose size must be that of the decoder's states"`
	Scale      Scale  `toml:"scale" doc:"factor of the vectors: √E (Vaswani et al. 2017), none, or default: √E in a Transformer and none elsewhere"`
	Frozen     bool   `toml:"frozen" doc:"the tables stay as they start, a tied output layer's weight too"`
	SourceFile string `toml:"source_file" content:"file" doc:"text of word2vec or GloVe from which the source tokens that it has start, and both sides' where shared"`
	TargetFile string `toml:"target_file" content:"file" doc:"the same for the target tokens"`
}

// DefaultEmbeddings is a [model.embeddings] table that says nothing.
func DefaultEmbeddings() Embeddings { return Embeddings{Scale: DefaultScale} }

// Doc describes the table.
func (Embeddings) Doc() string {
	return "The tables of token vectors [V, E]. A vector's elements start normal with variance 1/E, or as a file of vectors has them: " +
		"lines of a token and E numbers, after an optional line of two counts, the first of equal tokens counting. " +
		"With tied, logits = T h + b for the target's table T before its factor, and a bias of their own."
}

// Validate reports what does not go together.
func (o Embeddings) Validate() error {
	if o.Shared && o.TargetFile != "" {
		return registry.Fault{Key: "target_file", Problem: "is beside shared, with which there is one table; give source_file alone"}
	}
	return nil
}

// Identity is a hash of the content of the files, empty where there is none.
func (o Embeddings) Identity() (string, error) {
	if o.SourceFile == "" && o.TargetFile == "" {
		return "", nil
	}
	h := sha256.New()
	var errs []error
	for _, file := range o.files() {
		fmt.Fprintf(h, "%s\n", file.key)
		if err := hashFile(h, file.path); err != nil {
			errs = append(errs, registry.Fault{Key: file.key, Problem: err.Error()})
		}
	}
	return hex.EncodeToString(h.Sum(nil)), errors.Join(errs...)
}

type vectorFile struct{ key, path string }

func (o Embeddings) files() []vectorFile {
	var files []vectorFile
	for _, f := range []vectorFile{{"source_file", o.SourceFile}, {"target_file", o.TargetFile}} {
		if f.path != "" {
			files = append(files, f)
		}
	}
	return files
}

func hashFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// Scale is what token vectors are multiplied by.
type Scale string

const (
	DefaultScale Scale = "default" // as the encoder or the decoder wants it
	NoScale      Scale = "none"
	SqrtScale    Scale = "sqrt" // √E
)

// Values lists what is allowed.
func (Scale) Values() []string {
	return []string{string(DefaultScale), string(NoScale), string(SqrtScale)}
}

// UnmarshalText accepts one of Values.
func (s *Scale) UnmarshalText(text []byte) error { return registry.OneOf(s, text) }

// Embedding is a table of one vector a token, with a factor.
type Embedding struct {
	Table  *autodiff.Var // [V, E]
	factor float64       // 0: none
	stated bool          // the configuration says the factor
}

// Embed returns the rows of the table that s names times the factor, [Σ lengths, E].
func (e Embedding) Embed(t *autodiff.Tape, s Sequences) *autodiff.Var {
	return scale(t, autodiff.Embed(t, e.Table, s.Tokens), e.factor)
}

func scale(t *autodiff.Tape, x *autodiff.Var, factor float64) *autodiff.Var {
	if factor != 0 {
		autodiff.ScaleInPlace(t, x, factor)
	}
	return x
}

// ScaledBy returns e with its vectors times factor, as the caller wants them by
// default: where the configuration says a factor, it is that one.
func ScaledBy(e Embedder, factor float64) Embedder {
	if table, ok := e.(Embedding); ok {
		if !table.stated {
			table.factor = factor
		}
		return table
	}
	return scaled{e, factor}
}

type scaled struct {
	Embedder
	factor float64
}

func (s scaled) Embed(t *autodiff.Tape, sequences Sequences) *autodiff.Var {
	return scale(t, s.Embedder.Embed(t, sequences), s.factor)
}

// tables makes the embeddings of a model as its parts ask for them.
type tables struct {
	Embeddings
	params         *autodiff.Params
	source, target *autodiff.Var // [V, E]; one where shared; nil where none was asked for
}

func (m *tables) sourceEmbedder(vocabulary int) func(size int) (Embedder, error) {
	return func(size int) (Embedder, error) { return m.embedder(&m.source, "source_embedding", vocabulary, size) }
}

func (m *tables) targetEmbedder(vocabulary int) func(size int) (Embedder, error) {
	return func(size int) (Embedder, error) { return m.embedder(&m.target, "target_embedding", vocabulary, size) }
}

func (m *tables) embedder(table **autodiff.Var, name string, vocabulary, size int) (Embedder, error) {
	switch {
	case !m.Shared:
		*table = m.newTable(name, vocabulary, size)
	case m.source == nil:
		*table = m.newTable("embedding", vocabulary, size)
	case m.source.Dim(0) != vocabulary:
		return nil, registry.Fault{Key: "model.embeddings.shared", Problem: fmt.Sprintf("needs one vocabulary; the source has %d tokens and the target %d", m.source.Dim(0), vocabulary)}
	case m.source.Dim(1) != size:
		return nil, registry.Fault{Key: "model.embeddings.shared", Problem: fmt.Sprintf("needs one size; the encoder's embedding has %d and the decoder's %d", m.source.Dim(1), size)}
	default:
		*table = m.source
	}
	e := Embedding{Table: *table}
	switch m.Scale {
	case NoScale:
		e.stated = true
	case SqrtScale:
		e.factor, e.stated = math.Sqrt(float64(size)), true
	}
	return e, nil
}

func (m *tables) newTable(name string, vocabulary, size int) *autodiff.Var {
	v := nn.NewEmbedding(m.params, name, vocabulary, size)
	if m.Frozen {
		v.Freeze()
	}
	return v
}

// tied returns the table that the output layer of states of the size given has for
// its weight, nil where it has one of its own.
func (m *tables) tied(size int) (*autodiff.Var, error) {
	switch {
	case !m.Tied:
		return nil, nil
	case m.target == nil:
		return nil, registry.Fault{Key: "model.embeddings.tied", Problem: "needs an embedding of the target, which the decoder does not have"}
	case m.target.Dim(1) != size:
		return nil, registry.Fault{Key: "model.embeddings.tied",
			Problem: fmt.Sprintf("needs a decoder whose states are as wide as its embedding; they have %d elements and the embedding %d", size, m.target.Dim(1))}
	}
	return m.target, nil
}
