package components_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/optimizer"
	"exp/components/standard"
)

// embedded is a model whose sizes let its embeddings be shared and tied.
func embedded(t *testing.T, o components.Embeddings) components.Parts {
	c := standard.Catalog()
	return components.Parts{
		Encoder:    componenttest.Build(t, &c.Encoders, "gru", map[string]any{"embedding_size": 4, "hidden_size": 5}),
		Decoder:    componenttest.Build(t, &c.Decoders, "transformer", map[string]any{"model_size": 4, "num_heads": 2, "num_layers": 1, "ffn_size": 3, "positions": "learned", "max_length": 9}),
		Attention:  componenttest.Build(t, &c.Attentions, "dot", nil),
		Embeddings: o,
	}
}

// Models with other embeddings keep the contracts too, and have the parameters
// that the options leave.
func TestEmbeddings(t *testing.T) {
	const v, e = 11, 4
	count := func(o components.Embeddings) int {
		n, err := components.Check(embedded(t, o), v, v)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	plain := count(components.DefaultEmbeddings())
	for _, c := range []struct {
		o     components.Embeddings
		fewer int
	}{
		{components.Embeddings{Shared: true}, v * e},
		{components.Embeddings{Tied: true}, v * e},
		{components.Embeddings{Shared: true, Tied: true, Scale: components.SqrtScale}, 2 * v * e},
		{components.Embeddings{Scale: components.NoScale}, 0},
	} {
		t.Run(fmt.Sprintf("%+v", c.o), func(t *testing.T) {
			if got := count(c.o); got != plain-c.fewer {
				t.Errorf("%d parameters, want %d less than %d", got, c.fewer, plain)
			}
			componenttest.Model(t, embedded(t, c.o))
		})
	}
}

func TestEmbeddingsThatDoNotFit(t *testing.T) {
	c := standard.Catalog()
	narrow := func(o components.Embeddings) components.Parts {
		p := embedded(t, o)
		p.Decoder = componenttest.Build(t, &c.Decoders, "lstm", map[string]any{"embedding_size": 3, "hidden_size": 5})
		return p
	}
	for want, f := range map[string]func() error{
		"model.embeddings.shared: needs one vocabulary; the source has 9 tokens and the target 10": func() error {
			_, err := components.Check(embedded(t, components.Embeddings{Shared: true}), 9, 10)
			return err
		},
		"model.embeddings.shared: needs one size; the encoder's embedding has 4 and the decoder's 3": func() error {
			_, err := components.Check(narrow(components.Embeddings{Shared: true}), 9, 9)
			return err
		},
		"model.embeddings.tied: needs a decoder whose states are as wide as its embedding; they have 5 elements and the embedding 3": func() error {
			_, err := components.Check(narrow(components.Embeddings{Tied: true}), 9, 9)
			return err
		},
		"model.embeddings.shared: needs one vocabulary; those of the task's source and target have other tokens": func() error {
			m, err := components.NewModel(embedded(t, components.Embeddings{Shared: true}), autodiff.Declare(), 6, 6)
			if err != nil {
				t.Fatal(err)
			}
			return m.CheckEmbeddings(components.NewVocabulary([]string{"a", "b"}), components.NewVocabulary([]string{"b", "a"}), components.Loaded{})
		},
		"target_file: is beside shared, with which there is one table; give source_file alone": func() error {
			return components.Embeddings{Shared: true, TargetFile: "x"}.Validate()
		},
	} {
		if err := f(); err == nil || err.Error() != want {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// The factor is the one that is wanted, unless another one is stated.
func TestScale(t *testing.T) {
	for scale, factors := range map[components.Scale][2]float32{
		components.DefaultScale: {1, 3}, components.NoScale: {1, 1}, components.SqrtScale: {2, 2},
	} {
		parts := embedded(t, components.Embeddings{Scale: scale})
		build := parts.Encoder
		var embedder components.Embedder
		parts.Encoder = func(d components.EncoderDeps) (components.Encoder, error) {
			source := d.Source
			d.Source = func(size int) (components.Embedder, error) {
				var err error
				embedder, err = source(size)
				return embedder, err
			}
			return build(d)
		}
		params := autodiff.NewParams(autodiff.Float32, 1)
		if _, err := components.NewModel(parts, params, 9, 9); err != nil {
			t.Fatal(err)
		}
		for i, e := range []components.Embedder{embedder, components.ScaledBy(embedder, 3)} {
			tape := autodiff.NewTape(autodiff.Float32)
			tape.Reset(false, false)
			var s components.Sequences
			s.Add(5)
			got := e.Embed(tape, s).Float32s()
			for j, x := range params.Lookup("source_embedding.weight").Float32s()[5*4 : 6*4] {
				if got[j] != factors[i]*x {
					t.Errorf("scale %s: element %d is %v, want %v times %v", scale, j, got[j], factors[i], x)
				}
			}
		}
	}
}

// Frozen tables stay as they are to the bit, everything else is trained, and the
// step allocates nothing.
func TestFrozen(t *testing.T) {
	for _, o := range []components.Embeddings{{Frozen: true}, {Frozen: true, Tied: true}, {Frozen: true, Shared: true}} {
		params := autodiff.NewParams(autodiff.Float32, 1)
		m, err := components.NewModel(embedded(t, o), params, 9, 9)
		if err != nil {
			t.Fatal(err)
		}
		adam, err := optimizer.NewAdam(optimizer.AdamOptions{LR: 0.1, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}, components.OptimizerDeps{Params: params})
		if err != nil {
			t.Fatal(err)
		}
		before := map[string][]float32{}
		for _, p := range params.All() {
			before[p.Name()] = slices.Clone(p.Float32s())
		}
		var batch components.Batch
		tape := autodiff.NewTape(autodiff.Float32)
		pairs := []components.Pair{{Source: []int32{4, 5}, Target: []int32{6}}, {Source: []int32{7}, Target: []int32{8, 4, 5}}}
		norm := 0.0
		step := func() {
			batch.Fill(pairs)
			tape.Reset(true, true)
			params.ZeroGrad(tape)
			loss, _ := m.Loss(tape, &batch, 0)
			tape.Backward(loss)
			norm = optimizer.GradNorm(params)
			adam.Step(1, 0.1, 1)
			params.Changed()
		}
		step()
		sum := 0.0
		for _, p := range params.All() {
			frozen := slices.Contains(m.Embeddings(), p)
			if same := slices.Equal(p.Float32s(), before[p.Name()]); same != frozen {
				t.Errorf("%+v: %s is as before: %v, want %v", o, p.Name(), same, frozen)
			}
			if _, has := adam.State()["mean."+p.Name()]; has == frozen {
				t.Errorf("%+v: the optimizer has a state for %s: %v", o, p.Name(), has)
			}
			if !frozen {
				for _, g := range p.GradFloat32s() {
					sum += float64(g) * float64(g)
				}
			}
		}
		if !(norm*norm > 0.999*sum && norm*norm < 1.001*sum) {
			t.Errorf("%+v: the gradient's norm is %v, want the root of %v", o, norm, sum)
		}
		componenttest.NoAllocs(t, step)
	}
}

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vectors.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Both formats, tokens with spaces, tokens twice, tokens that the vocabulary lacks.
func TestReadVectors(t *testing.T) {
	v := components.NewVocabulary([]string{"a", "b b", "c", "3"})
	for name, text := range map[string]string{
		"glove":    "a 1 2e-1 -3\nz 4 4 4\nb b 0.5 6 7\na 9 9 9\n<s> 8 8 8\n",
		"word2vec": "5 3\na 1 0.2 -3 \nz 4 4 4 \nb b 0.5 6 7 \r\na 9 9 9\n</s> 8 8 8",
	} {
		t.Run(name, func(t *testing.T) {
			vectors, err := components.ReadVectors(write(t, text), v)
			if err != nil {
				t.Fatal(err)
			}
			if vectors.Found() != 2 || vectors.Wanted() != 4 || vectors.Size != 3 {
				t.Errorf("found %d of %d tokens with vectors of %d", vectors.Found(), vectors.Wanted(), vectors.Size)
			}
			params := autodiff.NewParams(autodiff.Float32, 1)
			c := standard.Catalog()
			parts := embedded(t, components.DefaultEmbeddings())
			parts.Encoder = componenttest.Build(t, &c.Encoders, "gru", map[string]any{"embedding_size": 3, "hidden_size": 5})
			m, err := components.NewModel(parts, params, v.Size(), v.Size())
			if err != nil {
				t.Fatal(err)
			}
			loaded := components.Loaded{Source: vectors}
			if err := m.CheckEmbeddings(v, v, loaded); err != nil {
				t.Fatal(err)
			}
			before := slices.Clone(params.Lookup("source_embedding.weight").Float32s())
			if err := m.LoadEmbeddings(loaded); err != nil {
				t.Fatal(err)
			}
			want := slices.Concat(before[:4*3], []float32{1, 0.2, -3, 0.5, 6, 7}, before[6*3:])
			if got := params.Lookup("source_embedding.weight").Float32s(); !slices.Equal(got, want) {
				t.Errorf("the table is\n%v\nwant\n%v", got, want)
			}
			if err := m.CheckEmbeddings(v, v, components.Loaded{Target: vectors}); err == nil || !strings.HasSuffix(err.Error(), "has vectors of 3 numbers; the embedding has a size of 4") {
				t.Errorf("error is %v, want one of the size", err)
			}
		})
	}
	for want, text := range map[string]string{
		":2: has 2 numbers, and the vectors before have 3": "a 1 2 3\nb 1 2\n",
		":3: \"x\" is not a number":                        "4 3\nz q q q\na 1 x 3\n",
		":1: \"inf\" is not a number":                      "a 1 inf 3\n",
		":1: \"a\" has no numbers":                         "a\n",
		": has no vectors":                                 "\n4 3\n"[1:],
		": has none of the 4 tokens of the vocabulary":     "z 1 2\n",
	} {
		path := write(t, text)
		if _, err := components.ReadVectors(path, v); err == nil || err.Error() != path+want {
			t.Errorf("%q: error is %v, want %s", text, err, want)
		}
	}
	if _, err := components.ReadVectors(filepath.Join(t.TempDir(), "none"), v); !os.IsNotExist(err) {
		t.Errorf("error is %v", err)
	}
}

// Whatever a file is, its vectors are of one size and of tokens of the vocabulary,
// or the error names it.
func FuzzVectors(f *testing.F) {
	for _, seed := range []string{"a 1 2e-1 -3\nz 4 4 4\nb b 0.5 6 7\n", "5 3\na 1 0.2 -3 \r\n3 1 2 3", "a 0x1p-2 1_0\n", "a\n", "\n4 3\n", " 1\n  1\n", "a 1e39\n"} {
		f.Add(seed)
	}
	v := components.NewVocabulary([]string{"a", "b b", "", " ", "3"})
	f.Fuzz(func(t *testing.T, text string) {
		path := write(t, text)
		vectors, err := components.ReadVectors(path, v)
		if err != nil {
			if !strings.HasPrefix(err.Error(), path+":") {
				t.Errorf("the error %q does not name the file", err)
			}
			return
		}
		if vectors.Found() < 1 || vectors.Found() > vectors.Wanted() || vectors.Size < 1 || vectors.Line < 1 || vectors.Line > 1+strings.Count(text, "\n") {
			t.Errorf("of %q: %d of %d tokens, vectors of %d from line %d on", text, vectors.Found(), vectors.Wanted(), vectors.Size, vectors.Line)
		}
	})
}
