package checkpointer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// All yields every checkpoint that is kept, in the order of the names of their
// files: whoever has the key and signs a changed log again leaves the older ones as
// they are. Each may be whatever somebody else put there.
func (d *Directory) All(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		stopped := errors.New("stopped")
		err := filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), "."): // one that is being written
				return nil
			}
			note, err := readNote(path)
			if err != nil {
				return err
			}
			if !yield(note, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(nil, sinkFailed(err))
		}
	}
}

// readNote reads a file as far as a note may be long.
func readNote(path string) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxNote))
}
