package checkpointer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
)

// A Sink keeps checkpoints where whoever rules the database does not.
type Sink interface {
	// Put keeps s as the newest checkpoint. Putting the same one again, perhaps
	// with more signatures, changes nothing else.
	Put(ctx context.Context, s checkpoint.Signed) error

	// Newest returns the newest checkpoint that is kept, nil if there is none. It
	// may be whatever somebody else put there.
	Newest(ctx context.Context) ([]byte, error)
}

// maxNote is how long a note from outside may be.
const maxNote = 64 << 10

// A Directory is a sink of files, of one log alone: one for each checkpoint, named
// after epoch and size,
//
//	1/000000001/234/000000001234567
//
// and the newest one under the name latest. Each is written whole or not at all.
type Directory struct{ path string }

// NewDirectory returns the sink in the directory at path, which is made when it
// is needed.
func NewDirectory(path string) *Directory { return &Directory{path} }

const latestName = "latest"

// Put implements [Sink]. A checkpoint of the same size with another root is
// refused with code Differs.
func (d *Directory) Put(_ context.Context, s checkpoint.Signed) error {
	_, epoch, ok := checkpoint.SplitOrigin(s.Origin)
	if !ok {
		return domain.Errorf(domain.Internal, "checkpoint", "the origin %q has no epoch", s.Origin)
	}
	path := d.file(epoch, s.Size)
	there, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return sinkFailed(err)
	case !strings.HasPrefix(string(there), s.Text()+"\n"):
		return domain.Errorf(domain.Differs, "checkpoint", "%s holds another checkpoint of this size", path).
			WithHint("Compare the two: one of them was signed for a log that was changed.")
	}
	if !bytes.Equal(there, s.Note) {
		if err := writeFile(path, s.Note); err != nil {
			return sinkFailed(err)
		}
	}
	if err := writeFile(filepath.Join(d.path, latestName), s.Note); err != nil {
		return sinkFailed(err)
	}
	return nil
}

// file returns where the checkpoint of that epoch and size is.
func (d *Directory) file(epoch, size int64) string {
	return filepath.Join(d.path, strconv.FormatInt(epoch, 10),
		fmt.Sprintf("%09d", size/1_000_000), fmt.Sprintf("%03d", size/1000%1000), fmt.Sprintf("%015d", size))
}

// At returns the checkpoint of that epoch and size, nil if there is none. It may be
// whatever somebody else put there.
func (d *Directory) At(epoch, size int64) ([]byte, error) {
	b, err := os.ReadFile(d.file(epoch, size))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, sinkFailed(err)
	}
	return b, nil
}

// Newest implements [Sink]. It is the file of the greatest epoch and size if that
// is newer than the one called latest.
func (d *Directory) Newest(context.Context) ([]byte, error) {
	latest, err := os.ReadFile(filepath.Join(d.path, latestName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, sinkFailed(err)
	}
	path, err := d.greatest()
	if err != nil || path == "" {
		return latest, err
	}
	last, err := os.ReadFile(path)
	if err != nil {
		return nil, sinkFailed(err)
	}
	a, errA := checkpoint.Unverified(latest)
	b, errB := checkpoint.Unverified(last)
	if errA != nil || errB == nil && newer(b, a) {
		return last, nil
	}
	return latest, nil
}

// greatest returns the path of the checkpoint of the greatest epoch and size, ""
// if there is none.
func (d *Directory) greatest() (string, error) {
	path := d.path
	for range 4 {
		entries, err := os.ReadDir(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil {
			return "", sinkFailed(err)
		}
		most, name := int64(-1), ""
		for _, e := range entries {
			if n, err := strconv.ParseInt(e.Name(), 10, 64); err == nil && n > most {
				most, name = n, e.Name()
			}
		}
		if name == "" {
			return "", nil
		}
		path = filepath.Join(path, name)
	}
	return path, nil
}

// newer reports whether a is of a later epoch than b, or of the same one and
// greater.
func newer(a, b checkpoint.Signed) bool {
	_, epochA, _ := checkpoint.SplitOrigin(a.Origin)
	_, epochB, _ := checkpoint.SplitOrigin(b.Origin)
	return epochA > epochB || epochA == epochB && a.Size > b.Size
}

func sinkFailed(err error) error {
	return domain.Errorf(domain.Unavailable, "checkpoint", "%w", err)
}
