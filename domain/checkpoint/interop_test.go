package checkpoint_test

import (
	"bytes"
	"testing"

	formats "github.com/transparency-dev/formats/log"
	cosig "github.com/transparency-dev/formats/note"
	formatsproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// TestOthersRead has another implementation of the formats read what is written
// here: checkpoint, cosignature and proof.
func TestOthersRead(t *testing.T) {
	signer, _, witness, _ := keys(t)
	c := checkpoint.Checkpoint{Origin: checkpoint.Origin(log, 1), Size: 2, Root: root(records...)}
	msg, err := c.Sign(signer, witness)
	if err != nil {
		t.Fatal(err)
	}
	_, vkey, err := checkpoint.GenerateLogKey(seed(1), log)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	_, vkey, err = checkpoint.GenerateWitnessKey(seed(2), "witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	witnessKey, err := cosig.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	theirs, rest, n, err := formats.ParseCheckpoint(msg, c.Origin, key, witnessKey)
	if err != nil {
		t.Fatal(err)
	}
	if theirs.Size != 2 || !bytes.Equal(theirs.Hash, c.Root[:]) || len(rest) != 0 || len(n.Sigs) != 2 {
		t.Errorf("they read %+v, %q, %+v", theirs, rest, n)
	}
	at, err := cosig.CoSigV1Timestamp(n.Sigs[1])
	if err != nil || !at.Equal(noon()) {
		t.Errorf("they read the time %v, %v", at, err)
	}

	mine := checkpoint.Proof{Extra: records[1], Index: 1, Hashes: []tree.Hash{tree.Leaf(records[0])}, Checkpoint: msg}
	var p formatsproof.TLogProof
	if err := p.Unmarshal(mine.Bytes()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.ExtraData, records[1]) || !bytes.Equal(p.Checkpoint, msg) || !bytes.Equal(p.Marshal(), mine.Bytes()) {
		t.Errorf("they read %+v", p)
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(p.ExtraData)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, theirs.Size, leaf, [][]byte{p.Hashes[0][:]}, theirs.Hash); err != nil {
		t.Error(err)
	}
}

// TestReadOthers reads what another implementation wrote.
func TestReadOthers(t *testing.T) {
	logKey, _, err := checkpoint.GenerateLogKey(seed(1), log)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(logKey)
	if err != nil {
		t.Fatal(err)
	}
	witnessKey, vkey, err := checkpoint.GenerateWitnessKey(seed(2), "witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	witness, err := cosig.NewSignerForCosignatureV1(witnessKey)
	if err != nil {
		t.Fatal(err)
	}
	root := root(records...)
	text := formats.Checkpoint{Origin: log, Size: 2, Hash: root[:]}.Marshal()
	msg, err := note.Sign(&note.Note{Text: string(text)}, signer, witness)
	if err != nil {
		t.Fatal(err)
	}
	v, err := checkpoint.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	theirs := formatsproof.TLogProof{Index: 1, Hashes: [][32]byte{tree.Leaf(records[0])}, Checkpoint: msg}
	p, err := checkpoint.ParseProof(theirs.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Check(records[1], v)
	if err != nil || s.Text() != string(text) || !s.SignedBy(v) || s.By[0].Time.IsZero() || len(s.Unknown) != 1 {
		t.Errorf("read %+v, %v", s, err)
	}
}

// TestSpecification reads the example of c2sp.org/tlog-cosignature.
func TestSpecification(t *testing.T) {
	const example = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`
	s, err := checkpoint.Unverified([]byte(example))
	if err != nil || s.Size != 20852163 || s.Origin != "example.com/behind-the-sofa" || len(s.Unknown) != 2 || s.Unknown[1].ID != 0x8d66cf3f {
		t.Errorf("read %+v, %v", s, err)
	}
}
