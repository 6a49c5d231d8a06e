package main

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"exp/components/task"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"exp": main})
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			return errors.Join(writeScan(env.WorkDir, 60), writeTones(filepath.Join(env.WorkDir, "tones")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sqlite":          querySQLite,
			"env-from-stdout": setFromStdout,
		},
	})
}

// writeScan writes small.toml, a grid of two variants and two seeds on n commands
// of SCAN, and the files with these commands.
func writeScan(dir string, n int) error {
	var train, test strings.Builder
	for i, c := range task.Commands()[:n] {
		into := &train
		if i%6 == 0 {
			into = &test
		}
		fmt.Fprintf(into, "IN: %s OUT: %s\n", strings.Join(c.Words(), " "), strings.Join(c.Actions(), " "))
	}
	for name, text := range map[string]string{"train.txt": train.String(), "test.txt": test.String(), "small.toml": small} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeTones writes recordings of 16 bits at 8 kHz, a manifest of them, one with a
// header that lies too, and one that trains and tests on the same recording. Each is two
// of three tones, and its transcript their names.
func writeTones(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	names := []string{"do", "re", "mi"}
	manifest := "path\ttranscript\tsinger\tsplit\n"
	var errs []error
	for i := range 63 {
		first, second := i%3, i/3%3
		samples := make([]byte, 0, 8000)
		for t := range 1600 + 40*(i%7) {
			tone := first
			if t > 800 {
				tone = second
			}
			x := 9000 * math.Sin(2*math.Pi*float64(t)*float64(300+400*tone+5*(i%4))/8000)
			samples = binary.LittleEndian.AppendUint16(samples, uint16(int16(x)))
		}
		size := binary.LittleEndian.AppendUint32(nil, uint32(len(samples)))
		wav := "RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data" + string(size) + string(samples)
		errs = append(errs, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.wav", i)), []byte(wav), 0o644))
		if i == 0 {
			errs = append(errs, os.WriteFile(filepath.Join(dir, "lying.wav"), []byte(wav[:2000]), 0o644))
		}
		split := "train"
		if i >= 45 {
			split = []string{"valid", "test"}[i%2]
		}
		manifest += fmt.Sprintf("%d.wav\t%s %s\tsinger %d\t%s\n", i, names[first], names[second], i%4/2, split)
	}
	return errors.Join(append(errs,
		os.WriteFile(filepath.Join(dir, "manifest.tsv"), []byte(manifest), 0o644),
		os.WriteFile(filepath.Join(dir, "lying.tsv"), []byte(manifest+"lying.wav\tdo\tsinger 0\ttrain\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "leaking.tsv"), []byte(manifest+"0.wav\tdo do\tsinger 0\ttest\n"), 0o644),
	)...)
}

const small = `name = "small"

[task]
type = "scan"
split = "files"
train_file = "train.txt"
test_file = "test.txt"
valid_fraction = 0.2

[model]
encoder = { type = "gru", hidden_size = 8, embedding_size = 8, dropout = 0.1 }
decoder = { type = "gru", hidden_size = 8, embedding_size = 8 }
attention = { type = "dot" }

[train]
steps = 30
batch_size = 4

[evaluate]
every = 10
max_length = 12
metrics = ["loss", "exact_match"]

[sweep]
seeds = 2

[sweep.variants.gru]

[sweep.variants.lstm]
model.encoder = { type = "lstm", hidden_size = 8, embedding_size = 8 }
model.decoder = { type = "lstm", hidden_size = 8, embedding_size = 8 }

[[figures]]
type = "learning_curve"
y = "valid/loss"
by = ["variant"]

[[figures]]
type = "results_table"
name = "results"
by = ["variant"]
`

// querySQLite is the script command "sqlite FILE QUERY": it writes the rows to
// stdout, columns separated by a bar.
func querySQLite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sqlite FILE QUERY")
	}
	rows, err := queryRows(ts.MkAbs(args[0]), args[1])
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), rows)
}

// setFromStdout is the script command "env-from-stdout NAME": it sets a variable
// to what the last command wrote.
func setFromStdout(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: env-from-stdout NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func queryRows(path, query string) (string, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		return "", err
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return "", err
		}
		for i, v := range values {
			if i > 0 {
				b.WriteByte('|')
			}
			b.WriteString(v.String)
		}
		b.WriteByte('\n')
	}
	return b.String(), rows.Err()
}
