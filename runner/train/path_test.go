package train

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"exp/components/componenttest"
	"exp/components/standard"
)

// printRecords makes TestSameBitsOnEveryPath write what a trial records.
const printRecords = "EXP_TEST_PRINT_RECORDS"

// A trial gives the same bits whatever the kernels run. Which path they take is
// decided at the start of a process, so the test starts itself again.
func TestSameBitsOnEveryPath(t *testing.T) {
	if os.Getenv(printRecords) != "" {
		os.Stdout.WriteString(recordsOfBothFamilies(t))
		return
	}
	outputs := map[string]string{}
	for _, path := range []string{"", "portable", "reference"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSameBitsOnEveryPath$")
		cmd.Env = append(os.Environ(), printRecords+"=1", "EXP_KERNEL="+path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("EXP_KERNEL=%s: %v\n%s", path, err, out)
		}
		records, _, _ := strings.Cut(string(out), "PASS") // and what the test binary says of its own
		if !strings.Contains(records, "test/loss") {
			t.Fatalf("EXP_KERNEL=%s records nothing:\n%s", path, out)
		}
		outputs[path] = records
	}
	for path, records := range outputs {
		if records != outputs["reference"] {
			t.Errorf("EXP_KERNEL=%q records\n%s\nthe reference\n%s", path, records, outputs["reference"])
		}
	}
}

func recordsOfBothFamilies(t *testing.T) string {
	text := uninterrupted(t).text()
	catalog, c, sink := standard.Catalog(), config(t), newMemory()
	options := map[string]any{"model_size": 12, "num_heads": 3, "num_layers": 2, "ffn_size": 20, "activation": "gelu", "dropout": 0.1}
	c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, "transformer", options)
	c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, "transformer", options)
	c.Parts.Attention = componenttest.Build(t, &catalog.Attentions, "additive", map[string]any{"attention_size": 7})
	if err := Run(context.Background(), c, sink); err != nil {
		t.Fatal(err)
	}
	return text + "\n" + sink.text() + "\n"
}
