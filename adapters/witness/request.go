package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// A request is what add-checkpoint is sent:
//
//	old 20852014
//	PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//	…
//
//	a signed checkpoint
type request struct {
	older      int64
	proof      []tree.Hash
	note       []byte
	unverified checkpoint.Signed
}

// maxProofLines is how many hashes c2sp.org/tlog-witness allows.
const maxProofLines = 63

// parseRequest reads a request and checks nothing but its form.
func parseRequest(body []byte) (q request, err error) {
	head, text, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok {
		return q, errors.New("there is no empty line before the checkpoint")
	}
	q.note = text
	lines := strings.Split(string(head), "\n")
	old, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return q, errors.New("the first line does not begin with old")
	}
	q.older, err = strconv.ParseInt(old, 10, 64)
	if err != nil || q.older < 0 || strconv.FormatInt(q.older, 10) != old {
		return q, errors.New("the old size is not a decimal number")
	}
	if len(lines)-1 > maxProofLines {
		return q, fmt.Errorf("the proof has more than %d hashes", maxProofLines)
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(h) != tree.HashSize || base64.StdEncoding.EncodeToString(h) != line {
			return q, errors.New("a line of the proof is not a hash in base64")
		}
		q.proof = append(q.proof, tree.Hash(h))
	}
	if q.unverified, err = checkpoint.Unverified(text); err != nil {
		return q, errors.New("what follows the empty line is not a checkpoint")
	}
	return q, nil
}
