package tahdah

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// legalEntity reads legalEntities.created. Tahdah sends no id of the entity, so
// it can be told by its name only, and a repetition only by its bytes.
func (d *delivery) legalEntity() error {
	v, err := d.decode(payload.Value.IsObject, "an object")
	if err != nil {
		return err
	}
	e := d.organization(v, v.Get("name"))
	if d.Err() != nil {
		return d.Err()
	}
	// It was created once, so its bytes tell it apart for ever.
	sum := sha256.Sum256([]byte(d.Topic + "\x00" + string(d.body)))
	d.Key = payload.Key("bytes", hex.EncodeToString(sum[:]))
	d.Facts = []domain.Fact{{OccurredAt: e.AddedAt, Event: e}}
	return nil
}

// organization reads a legal entity, which must have a name.
func (r *reader) organization(v, called payload.Value) domain.DirectoryOrganizationSeen {
	name := r.Label(called)
	if name == "" {
		r.Fail(called, "is missing")
	}
	return domain.DirectoryOrganizationSeen{
		Name:          name,
		TradingName:   r.TryLabel(v.Get("tradingName")),
		Town:          cmp.Or(r.TryLabel(v.Get("town")), r.TryLabel(v.Get("t"))), // Tahdah's other addresses have "t"
		Postcode:      r.TryLabel(v.Get("postcode")),
		VATNumber:     r.TryLabel(v.Get("vatNumber")),
		CharityNumber: r.TryLabel(v.Get("charityNumber")),
		CurrencyCode:  r.TryLabel(v.Get("currencyId")),
		Timezone:      r.TryLabel(v.Get("timezone")),
		Website:       r.TryText(v.Get("publicWebsiteAddress")),
		AddedAt:       r.TryTime(v.Get("addedAt")),
		Description:   domain.Personal(r.TryText(v.Get("description"))),
		Email:         domain.Personal(r.TryText(v.Get("contactEmail"))),
		Address:       r.address(v),
	}
}

// address returns the lines of an address that have no field of their own.
func (r *reader) address(v payload.Value) domain.Personal {
	var lines []string
	for _, name := range []string{"address1", "address2", "address3", "county"} {
		if line := r.TryLabel(v.Get(name)); line != "" {
			lines = append(lines, line)
		}
	}
	return domain.Personal(strings.Join(lines, "\n"))
}
