package domain_test

import (
	"testing"

	"github.com/daybook-ledger/daybook/domain"
)

func TestLost(t *testing.T) {
	origin, size, root, ok := domain.LogForked{Checkpoint: lostCheckpoint}.Lost()
	if !ok || origin != "example.com/behind-the-sofa/1" || size != 20852163 || root != "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=" {
		t.Errorf("Lost = %q, %d, %q, %t", origin, size, root, ok)
	}
	const hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
	for _, text := range []string{
		"", "a\n1\n", "a\n1\n" + hash, "\n1\n" + hash + "\n", "a\n01\n" + hash + "\n", "a\n-1\n" + hash + "\n", "a\n+1\n" + hash + "\n",
		"a\n1\nAAAA\n", "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n", "a\n99999999999999999999\n" + hash + "\n",
	} {
		if _, _, _, ok := (domain.LogForked{Checkpoint: text}).Lost(); ok {
			t.Errorf("%q is read as a checkpoint", text)
		}
	}
}
