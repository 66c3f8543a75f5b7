package tahdah

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// row reads one row of a list that was fetched from Tahdah's API. The same row is
// a repetition; a row that has changed is another delivery, never a conflict.
func (p *Provider) row(d *delivery, fetched string) error {
	list, of, _ := strings.Cut(fetched, "/")
	sum := sha256.Sum256(d.body)
	d.Topic, d.Key = payload.Topic(list), payload.Key(list, of, hex.EncodeToString(sum[:]))
	if list != "members" {
		d.Reason = "unknown list"
		return nil
	}
	v, err := d.decode(payload.Value.IsObject, "an object")
	if err != nil {
		return err
	}
	e := newElement(&d.reader, &p.members, v, "")
	entity, candidate := e.id("legal_entity"), e.id("candidate")
	member := e.id("group").Exists() && (entity.Exists() || candidate.Exists()) && e.field("status").Exists()
	if member {
		if !p.members.Confirmed {
			d.Flag(flagAssumed)
		}
		changed := e.memberChanged()
		d.Facts = append(d.Facts, domain.Fact{OccurredAt: changed.ChangedAt, Event: domain.TrustgroupsMemberListed(changed)})
	}
	if name := e.field("name"); !member || name.Exists() && entity.Exists() {
		listed := e.organization(v, name)
		listed.Organization = e.OptionalID(entity)
		d.Facts = append(d.Facts, domain.Fact{Event: domain.DirectoryOrganizationListed(listed)})
	}
	return d.Err()
}
