package tracking

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// schema is the SQL that makes an empty database of a file's schema.
func schema(t *testing.T, path string) string {
	t.Helper()
	db := connectReader(path, nil)
	defer db.Close()
	var id, version int
	check(t, db.QueryRow("PRAGMA application_id").Scan(&id), db.QueryRow("PRAGMA user_version").Scan(&version))
	return fmt.Sprintf("PRAGMA application_id = %d;\nPRAGMA user_version = %d;\n", id, version) +
		dump(t, db, "SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
}

// Every schema there ever was becomes this program's, and the last of them is it.
func TestMigration(t *testing.T) {
	fresh := tempPath(t)
	openTest(t, fresh)
	want := schema(t, fresh)
	golden := fmt.Sprintf("testdata/schemas/%04d.sql", schemaVersion)
	if *update {
		check(t, os.WriteFile(golden, []byte(want), 0o644))
	}
	last, err := os.ReadFile(golden)
	check(t, err)
	if string(last) != want {
		t.Errorf("%s: a new database differs; add a migration rather than change one, then -update; got\n%s", golden, want)
	}
	files, err := filepath.Glob("testdata/schemas/*.sql")
	check(t, err)
	if len(files) != schemaVersion {
		t.Fatalf("got %d schemas, want one for each of %d versions", len(files), schemaVersion)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			check(t, err)
			path := filepath.Join(t.TempDir(), "exp.db")
			execute(t, path, string(text))
			s := openTest(t, path)
			if got := schema(t, path); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			register(t, s, grid("copy", 1, 1))
			end(t, s, begin(t, s, "a-0"), Finished)
		})
	}
}

// execute runs SQL on the database at path, as another program would.
func execute(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	check(t, err)
	_, err = db.Exec(text)
	check(t, err, db.Close())
}

// A file that is refused is left as it is, alone in its directory.
func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		write func(*testing.T, string)
		want  string
	}{
		{"text", func(t *testing.T, path string) {
			check(t, os.WriteFile(path, []byte(strings.Repeat("results\n", 100)), 0o644))
		}, "is not a SQLite database"},
		{"short text", func(t *testing.T, path string) { check(t, os.WriteFile(path, []byte("x"), 0o644)) }, "is not a SQLite database"},
		{"another program's", func(t *testing.T, path string) {
			execute(t, path, "CREATE TABLE experiment (name); INSERT INTO experiment VALUES ('theirs')")
		}, "of another program"},
		{"another program's mark", func(t *testing.T, path string) {
			execute(t, path, "PRAGMA application_id = 7; CREATE TABLE experiment (name)")
		}, "of another program"},
		{"newer", func(t *testing.T, path string) {
			execute(t, path, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, schemaVersion+1))
		}, "use a newer program"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "exp.db")
			test.write(t, path)
			before, err := os.ReadFile(path)
			check(t, err)
			_, err = Open(path)
			_, errReadOnly := OpenReadOnly(path)
			for _, err := range []error{err, errReadOnly} {
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), path+": ") {
					t.Errorf("got %v, want %q", err, test.want)
				}
			}
			after, err := os.ReadFile(path)
			check(t, err)
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
				t.Errorf("got %v, %v beside it", entries, err)
			}
		})
	}
}

func TestOpenReadOnlyWithoutDatabase(t *testing.T) {
	path := tempPath(t)
	if _, err := OpenReadOnly(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a reader made a directory")
	}
	path = filepath.Join(t.TempDir(), "exp.db")
	execute(t, path, fmt.Sprintf("PRAGMA application_id = %d", applicationID)) // killed at its creation
	if _, err := OpenReadOnly(path); err == nil || !strings.Contains(err.Error(), "schema version 0") {
		t.Errorf("got %v, want schema version 0", err)
	}
	openTest(t, path)
}

func TestReaderCannotWrite(t *testing.T) {
	path := tempPath(t)
	s := openTest(t, path)
	r, err := OpenReadOnly(path)
	check(t, err)
	defer r.Close()
	for _, db := range []*sql.DB{r.db, s.Reader.db} {
		if _, err := db.Exec("DELETE FROM experiment"); err == nil {
			t.Error("a reader writes")
		}
	}
}

// Settings hold on every connection, not only the first of a pool.
func TestSettings(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	for name, db := range map[string]*sql.DB{"writer": s.db, "reader": s.Reader.db} {
		conns := 1
		if name == "reader" {
			conns = 3
		}
		for range conns {
			c, err := db.Conn(ctx)
			check(t, err)
			defer c.Close()
			var keys, timeout int
			var journal string
			check(t,
				c.QueryRowContext(ctx, "PRAGMA foreign_keys").Scan(&keys),
				c.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&timeout),
				c.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal))
			if keys != 1 || timeout != int(busyTimeout.Milliseconds()) || journal != "wal" {
				t.Errorf("%s: got foreign keys %d, timeout %d, journal %s", name, keys, timeout, journal)
			}
			if name == "writer" {
				var synchronous int
				check(t, c.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous))
				if synchronous != 2 {
					t.Errorf("synchronous: got %d, want 2 (FULL)", synchronous)
				}
			}
		}
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b.db", "q?mode=memory.db", "50%25.db", "#1.db", "é&=+.db"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		openTest(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		r, err := OpenReadOnly(path)
		if err != nil {
			t.Error(err)
			continue
		}
		check(t, r.Close())
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	s := openTest(t, "exp.db")
	t.Chdir(t.TempDir())
	register(t, s, grid("copy", 1, 1))
	r := begin(t, s, "a-0")
	check(t, r.Metric(1, "train", "loss", 1))
	end(t, s, r, Finished)
	if _, err := s.Trials(context.Background(), "copy"); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v in the other directory", entries, err)
	}
}

func TestOpenAtOnce(t *testing.T) {
	for range 5 {
		path := tempPath(t)
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				s, err := Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Register(context.Background(), grid(fmt.Sprint(i), 2, 2)); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		experiments, err := openTest(t, path).Experiments(context.Background())
		check(t, err)
		if len(experiments) != 8 {
			t.Errorf("got %d experiments, want 8", len(experiments))
		}
	}
}
