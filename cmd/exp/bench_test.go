package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"exp/runner"
	"exp/runner/train"
)

// TestBenchInterrupted ends a benchmark in its second cell.
func TestBenchInterrupted(t *testing.T) {
	dir := t.TempDir()
	if err := writeScan(dir, 60); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("exp", "bench", "small.toml", "--json", "--steps", "100000000", "--seconds", "3")
	c.Dir = dir
	var stderr bytes.Buffer
	c.Stderr = &stderr
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, `{"cell":"gru",`) {
		t.Errorf("printed %q, %v", line, err)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	c.Wait() // the exit code says all
	if code := c.ProcessState.ExitCode(); code != exitInterrupted || stderr.String() != "exp: error: interrupted\n" {
		t.Errorf("exit code %d, want %d; printed %q", code, exitInterrupted, &stderr)
	}
}

// TestComparedModels builds the models that are compared with PyTorch's, and
// counts their parameters by its formulas.
func TestComparedModels(t *testing.T) {
	const V, H = 50, 8
	around := 2*V*H + V*H + V // embeddings, output
	layer := func(gates, in int) int { return gates * (H*(in+H) + 2*H) }
	attention, feedForward, norm := 4*H*H+4*H, 2*H*4*H+4*H+H, 2*H
	want := map[string]int{
		"rnn":                   around + layer(1, H) + layer(1, H) + 3*H*H,
		"gru":                   around + layer(3, H) + layer(3, H) + 3*H*H,
		"lstm":                  around + layer(4, H) + layer(4, H) + 3*H*H,
		"lstm_additive":         around + layer(4, H) + layer(4, H) + 4*H*H + H,
		"lstm_additive_feeding": around + layer(4, H) + layer(4, 2*H) + 4*H*H + H,
		"transformer":           around + 2*(attention+feedForward+2*norm) + 2*(2*attention+feedForward+3*norm),
	}
	for name, parameters := range want {
		t.Run(name, func(t *testing.T) {
			var set []string
			for _, side := range []string{"encoder", "decoder"} {
				sizes := map[string]int{"embedding_size": H, "hidden_size": H}
				if name == "transformer" {
					sizes = map[string]int{"model_size": H, "ffn_size": 4 * H}
				}
				for key, size := range sizes {
					set = append(set, fmt.Sprintf("model.%s.%s=%d", side, key, size))
				}
			}
			if strings.Contains(name, "additive") {
				set = append(set, fmt.Sprintf("model.attention.attention_size=%d", H))
			}
			e, _, err := load(filepath.Join("../../testdata/bench", name+".toml"), set)
			if err != nil {
				t.Fatal(err)
			}
			g, err := runner.PrepareBench(e, train.Shapes{Batch: 2, SourceLength: 3, TargetLength: 4, Vocabulary: V})
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Parameters(&g.Cells[0]); got != parameters {
				t.Errorf("%d parameters, want %d", got, parameters)
			}
		})
	}
}
