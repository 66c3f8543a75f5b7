package checkpointer

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A Witness is asked to cosign checkpoints, by c2sp.org/tlog-witness.
type Witness struct {
	URL      string // what add-checkpoint stands behind
	Verifier note.Verifier
}

// NewWitness returns the witness at a URL of http or https with the given public
// key.
func NewWitness(at, vkey string) (Witness, error) {
	if err := checkURL(at, "http", "https"); err != nil {
		return Witness{}, err
	}
	v, err := checkpoint.NewVerifier(vkey)
	if err == nil && !checkpoint.IsWitness(v) {
		err = domain.Errorf(domain.Usage, "checkpoint", "the key %s is not a witness's", v.Name()).
			WithHint(`A witness prints its own: "daybook witness" at its start.`)
	}
	return Witness{strings.TrimSuffix(at, "/"), v}, err
}

// sizeType is the media type of an answer that says how far a witness is.
const sizeType = "text/x.tlog.size"

// cosign asks every witness that has not cosigned s, and reports whether one did.
func (c *Checkpointer) cosign(ctx context.Context, s checkpoint.Signed) (added bool) {
	var wg sync.WaitGroup
	lines := make([]string, len(c.Witnesses))
	for i, w := range c.Witnesses {
		p := c.witnesses[i]
		if !c.due(p, func() bool { return bytes.Equal(p.holds, []byte(s.Text())) || cosigned(s, w) }) {
			continue
		}
		wg.Go(func() {
			c.mu.Lock()
			size := p.size
			c.mu.Unlock()
			line, has, err := c.witness(ctx, w, s, size)
			c.mu.Lock()
			p.size = has
			c.mu.Unlock()
			lines[i] = line
			c.settle(ctx, p, "witness", err, func() { p.holds, p.size = []byte(s.Text()), s.Size })
		})
	}
	wg.Wait()
	text := string(s.Note)
	for _, line := range lines {
		text += line
	}
	if len(text) == len(s.Note) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current.Text() != s.Text() {
		return false
	}
	with := *c.current
	with.Note = []byte(text)
	c.current = &with
	return true
}

// cosigned reports whether a witness's signature is among those of s.
func cosigned(s checkpoint.Signed, w Witness) bool {
	signed, err := checkpoint.Open(s.Note, w.Verifier)
	return err == nil && signed.SignedBy(w.Verifier)
}

// witness has w cosign s, of which it has a tree of the given size as far as is
// known. It returns the line of the signature, and the size that the witness has
// then.
//
// One that knows of a greater tree, or of another one of the same size, or to whom
// no proof leads, has seen another log: that is an error with code Differs.
func (c *Checkpointer) witness(ctx context.Context, w Witness, s checkpoint.Signed, size int64) (line string, has int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if size > s.Size {
		size = 0
	}
	// Somebody else may ask it at the same time, in vain.
	for range 3 {
		status, body, isSize, err := c.submit(ctx, w, s, size)
		if err != nil {
			return "", size, err
		}
		switch {
		case status == http.StatusOK:
			line, err := cosignature(w, s, body)
			return line, s.Size, err
		case status == http.StatusConflict && isSize:
			n, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
			if err != nil || n < 0 {
				return "", size, witnessFailed("it says %.20q instead of a size", body)
			}
			if n > s.Size {
				return "", n, witnessRefused("it has seen %d records, and the log that is signed has %d", n, s.Size)
			}
			if n == size {
				return "", n, witnessRefused("it has seen another log of %d records: the root differs", n)
			}
			size = n
		case status == http.StatusConflict:
			return "", size, witnessRefused("it has seen another log of %d records", size)
		case status == http.StatusUnprocessableEntity:
			return "", size, witnessRefused("it does not see how %d records follow from the %d that it has seen", s.Size, size)
		case status == http.StatusNotFound, status == http.StatusForbidden:
			return "", size, witnessFailed("it answered %d: it does not know %s, or not our key", status, s.Origin).
				WithHint("Have whoever runs it start it with --log ORIGIN=VKEY for this origin and our present key: daybook checkpoint show")
		default:
			return "", size, witnessFailed("it answered %d %s", status, http.StatusText(status))
		}
	}
	return "", size, witnessFailed("somebody else asks it to cosign this log")
}

// submit sends one request and returns its answer, and whether that says how far
// the witness is.
func (c *Checkpointer) submit(ctx context.Context, w Witness, s checkpoint.Signed, older int64) (status int, body []byte, isSize bool, err error) {
	var proof []tree.Hash
	if older > 0 && older < s.Size {
		if proof, err = c.prove(ctx, older, s); err != nil {
			return 0, nil, false, err
		}
	}
	request := fmt.Appendf(nil, "old %d\n", older)
	for _, h := range proof {
		request = base64.StdEncoding.AppendEncode(request, h[:])
		request = append(request, '\n')
	}
	request = append(request, '\n')
	request = append(request, s.Note...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", bytes.NewReader(request))
	if err != nil {
		return 0, nil, false, err
	}
	status, header, body, err := send(c.client, r)
	if err != nil {
		return 0, nil, false, witnessFailed("%w", err)
	}
	return status, body, header.Get("Content-Type") == sizeType, nil
}

// prove returns the proof that s goes on from an older size. That it does is
// checked first: a proof from tiles that were changed would look as if the log
// were.
func (c *Checkpointer) prove(ctx context.Context, older int64, s checkpoint.Signed) ([]tree.Hash, error) {
	proof, err := c.Prover.Prove(ctx, older, s.Size)
	if err != nil {
		return nil, err
	}
	root, err := c.Log.Root(ctx, older)
	if err != nil {
		return nil, err
	}
	if err := tree.CheckConsistency(proof, older, root, s.Size, s.Root); err != nil {
		return nil, domain.Errorf(domain.Internal, "witness", "the stored tree is damaged: %w", err).WithHint("Run: daybook log verify")
	}
	return proof, nil
}

// cosignature returns the line of the witness's own signature in its answer.
func cosignature(w Witness, s checkpoint.Signed, lines []byte) (string, error) {
	signed, err := checkpoint.Open(append([]byte(s.Text()+"\n"), lines...), w.Verifier)
	if err != nil {
		return "", witnessFailed("its answer holds no signature of its key: %w", err)
	}
	for _, by := range signed.By {
		return by.Line + "\n", nil
	}
	return "", witnessFailed("its answer holds no signature of its key")
}

func witnessFailed(format string, args ...any) *domain.Error {
	return domain.Errorf(domain.Unavailable, "witness", format, args...)
}

// witnessRefused is the alarm: a witness does not cosign what is no continuation
// of what it cosigned before.
func witnessRefused(format string, args ...any) error {
	return domain.Errorf(domain.Differs, "witness", format, args...).
		WithHint("Either the log was changed or the witness was asked to cosign another one in our name. Compare its newest checkpoint with: daybook checkpoint show")
}

// AskWitnesses has every witness cosign s again, which tells how far it is: what is
// returned of one that does is s with its signature. A zero s is not asked about.
func (c *Checkpointer) AskWitnesses(ctx context.Context, s checkpoint.Signed) []Known {
	list := make([]Known, len(c.Witnesses))
	var wg sync.WaitGroup
	for i, w := range c.Witnesses {
		list[i].Where = w.Verifier.Name()
		if s.Origin == "" {
			continue
		}
		wg.Go(func() {
			line, _, err := c.witness(ctx, w, s, s.Size)
			if err != nil {
				list[i].Err = err
				return
			}
			list[i].Signed, list[i].Err = checkpoint.Open([]byte(s.Text()+"\n"+line), w.Verifier)
			if list[i].Err == nil {
				list[i].At = list[i].Signed.By[0].Time
			}
		})
	}
	wg.Wait()
	return list
}
