package standard_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/optimizer"
	"exp/components/standard"
)

var update = flag.Bool("update", false, "write the hashes of testdata anew")

const (
	bitsFile = "testdata/bits.txt"
	// printBits makes TestBits write what it gets.
	printBits = "EXP_TEST_PRINT_BITS"
)

// TestBits compares the bits of a training run of each architecture with those
// on file: they are the same on every path of the kernels and every processor,
// and change with intent alone. The path is chosen at the start of a process, so
// the test starts itself again.
func TestBits(t *testing.T) {
	if os.Getenv(printBits) != "" {
		for _, c := range bitModels {
			fmt.Printf("%-24s %016x\n", c.name, trainBits(t, c))
		}
		return
	}
	for _, path := range []string{"", "avx512", "avx2", "neon", "portable", "reference"} {
		t.Run(path, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestBits$")
			cmd.Env = append(os.Environ(), printBits+"=1", "EXP_KERNEL="+path)
			out, err := cmd.CombinedOutput()
			if strings.Contains(string(out), "this processor does not run it") {
				t.Skipf("this processor does not run %s", path)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got, _, _ := strings.Cut(string(out), "PASS")
			if *update && path == "" {
				if err := os.WriteFile(bitsFile, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(bitsFile)
			if err != nil {
				t.Fatalf("%v; -update writes it", err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant, in %s,\n%swhere results are meant to change, run with -update", got, bitsFile, want)
			}
		})
	}
}

type options = map[string]any

// bitModel is an encoder and a decoder of one kind with an attention.
type bitModel struct {
	name, kind       string
	encoder, decoder options
	attention        string
	heads            options // of the attention
}

var bitModels = []bitModel{
	{"rnn", "rnn", recurrentBits(nil), recurrentBits(nil), "none", nil},
	{"lstm", "lstm", recurrentBits(nil), recurrentBits(nil), "none", nil},
	{"gru attention", "gru", recurrentBits(options{"bidirectional": true}), recurrentBits(nil), "dot", nil},
	{"lstm input feeding", "lstm", recurrentBits(nil), recurrentBits(options{"input_feeding": true}), "additive", nil},
	{"lstm norms", "lstm", recurrentBits(options{"layer_norm": true, "variational_dropout": 0.2}), recurrentBits(options{"layer_norm": true, "recurrent_dropout": 0.2}), "dot", nil},
	{"gru reset before", "gru", recurrentBits(options{"reset": "before", "recurrent_dropout": 0.2}), recurrentBits(options{"reset": "before", "layer_norm": true}), "dot", nil},
	{"transformer pre-norm", "transformer", transformerBits("pre"), transformerBits("pre"), "multihead", options{"num_heads": 2}},
	{"transformer post-norm", "transformer", transformerBits("post"), transformerBits("post"), "multihead", options{"num_heads": 2}},
}

func recurrentBits(more options) options {
	o := options{"embedding_size": 13, "hidden_size": 19, "num_layers": 2, "dropout": 0.2}
	for key, value := range more {
		o[key] = value
	}
	return o
}

func transformerBits(norm string) options {
	return options{"model_size": 18, "num_heads": 2, "ffn_size": 37, "num_layers": 2, "norm": norm, "activation": "gelu", "dropout": 0.2}
}

// trainBits hashes the loss and the gradient norm of each of 20 steps and the
// parameters after them.
func trainBits(t *testing.T, c bitModel) uint64 {
	const vocabulary = 41
	catalog, params := standard.Catalog(), autodiff.NewParams(autodiff.Float32, 1)
	model, err := components.NewModel(components.Parts{
		Encoder:   componenttest.Build(t, &catalog.Encoders, c.kind, c.encoder),
		Decoder:   componenttest.Build(t, &catalog.Decoders, c.kind, c.decoder),
		Attention: componenttest.Build(t, &catalog.Attentions, c.attention, c.heads),
	}, params, vocabulary, vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	adam, err := componenttest.Build(t, &catalog.Optimizers, "adam", options{"lr": 0.01})(components.OptimizerDeps{Params: params})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() []int32 {
		tokens := make([]int32, 1+rng.IntN(9))
		for i := range tokens {
			tokens[i] = components.NumSpecial + rng.Int32N(vocabulary-components.NumSpecial)
		}
		return tokens
	}
	hash := fnv.New64a()
	add := func(data any) {
		if err := binary.Write(hash, binary.LittleEndian, data); err != nil {
			t.Fatal(err)
		}
	}
	tape := autodiff.NewTape(autodiff.Float32)
	var batch components.Batch
	for step := range 20 {
		pairs := make([]components.Pair, 11)
		for i := range pairs {
			pairs[i] = components.Pair{Source: draw(), Target: draw()}
		}
		batch.Fill(pairs)
		tape.Seed(uint64(step))
		tape.Reset(true, true)
		params.ZeroGrad(tape)
		loss, _ := model.Loss(tape, &batch, 0.1)
		tape.Backward(loss)
		norm := optimizer.GradNorm(params)
		add([]float64{loss.Scalar(), norm})
		adam.Step(step+1, adam.LearningRate(), optimizer.ClipScale(norm, 1))
		params.Changed()
	}
	for _, p := range params.All() {
		add(autodiff.Values[float32](p))
	}
	return hash.Sum64()
}
