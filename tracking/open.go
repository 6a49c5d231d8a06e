package tracking

import (
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"
)

// applicationID is "expt", and marks a SQLite file as ours.
const applicationID = 0x65787074

// busyTimeout is how long a writer waits for another process's. Whoever waits is
// served in no order, and so it may take long where many write on a busy disk.
const busyTimeout = time.Minute

//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the number of migrations, each raising PRAGMA user_version by one.
var schemaVersion = func() int {
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		panic(err)
	}
	return len(files)
}()

// migration is the SQL that leads from version-1 to version.
func migration(version int) string {
	files, err := fs.Glob(migrations, fmt.Sprintf("migrations/%04d_*.sql", version))
	if err != nil || len(files) != 1 {
		panic(fmt.Sprintf("tracking: %d migrations to version %d", len(files), version))
	}
	b, err := migrations.ReadFile(files[0])
	if err != nil {
		panic(err)
	}
	return string(b)
}

// connect opens a pool of connections. Settings are part of the address, so
// that every connection of the pool has them.
func connect(path string, settings map[string]string) *sql.DB {
	query := url.Values{"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())}, "_foreign_keys": {"1"}}
	for k, v := range settings {
		query.Set(k, v)
	}
	address := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite3", address.String())
	if err != nil {
		panic(err) // the driver is registered by our own import
	}
	return db
}

// connectWriter is for the one connection that writes. Commits are durable
// (synchronous=FULL), because a spool is removed once its records are in.
func connectWriter(path string) *sql.DB {
	db := connect(path, map[string]string{"_journal_mode": "WAL", "_synchronous": "FULL", "_txlock": "immediate"})
	db.SetMaxOpenConns(1)
	return db
}

func connectReader(path string, settings map[string]string) *sql.DB {
	all := map[string]string{"mode": "ro", "_query_only": "1"}
	for k, v := range settings {
		all[k] = v
	}
	return connect(path, all)
}

// checkFile refuses a file that is not ours, reading its first bytes only. It
// reports whether there is a file that is not empty. An empty one will do: SQLite
// makes it before it writes.
func checkFile(path string) (exists bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	var header [72]byte // https://www.sqlite.org/fileformat.html section 1.3
	n, err := io.ReadFull(f, header[:])
	switch {
	case err == io.EOF:
		return false, nil
	case err != nil && err != io.ErrUnexpectedEOF:
		return false, err
	case n < len(header) || string(header[:16]) != "SQLite format 3\x00":
		return false, fmt.Errorf("%s: is not a SQLite database; name another file", path)
	case binary.BigEndian.Uint32(header[68:]) != applicationID:
		return false, fmt.Errorf("%s: is a SQLite database of another program; name another file", path)
	}
	// A WAL may raise the version further, and never lowers it.
	if err := checkNewer(int(binary.BigEndian.Uint32(header[60:]))); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return true, nil
}

// undone says that there is the journal of a process that was killed before its
// database was a WAL: to open the database undoes what that process wrote, which may
// be the mark.
func undone(path string) bool {
	_, err := os.Stat(path + "-journal")
	return err == nil
}

// create makes the file at path ours. The mark is written before the journal
// becomes a WAL: a process killed in between leaves an empty file or a marked
// one, both of which checkFile accepts.
func create(path string) error {
	db := connect(path, map[string]string{"_txlock": "immediate"})
	defer db.Close()
	return retryBusy(func() error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		var id, tables int
		if err := tx.QueryRow("SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id").Scan(&id, &tables); err != nil {
			return err
		}
		if id == applicationID { // by another process, just now
			return nil
		}
		if id != 0 || tables != 0 {
			return errors.New("is a SQLite database of another program; name another file")
		}
		if _, err := tx.Exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return err
		}
		return tx.Commit()
	})
}

// migrate brings the schema to this program's version.
func migrate(db *sql.DB) error {
	return retryBusy(func() error {
		version, err := checkVersion(db)
		for err == nil && version < schemaVersion {
			version, err = migrateOnce(db)
		}
		return err
	})
}

func migrateOnce(db *sql.DB) (version int, err error) {
	tx, err := db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	version, err = checkVersion(tx) // another process may have been first
	if err != nil || version == schemaVersion {
		return version, err
	}
	version++
	if _, err := tx.Exec(migration(version)); err != nil {
		return 0, fmt.Errorf("migration to schema version %d: %w", version, err)
	}
	if _, err := tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return 0, err
	}
	return version, tx.Commit()
}

// checkVersion returns the schema's version, with an error if it is newer than
// this program's.
func checkVersion(db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (int, error) {
	var version int
	if err := db.QueryRowContext(context.Background(), "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	return version, checkNewer(version)
}

func checkNewer(version int) error {
	if version > schemaVersion {
		return fmt.Errorf("has schema version %d, and this program knows versions up to %d; use a newer program", version, schemaVersion)
	}
	return nil
}

// retryBusy calls f again while the database is locked. SQLite's own busy
// timeout does not cover the change to a WAL.
func retryBusy(f func() error) error {
	deadline := time.Now().Add(busyTimeout)
	for {
		err := f()
		if !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func isBusy(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}
