package tahdah

import (
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
	name := d.Label(v.Get("name"))
	if name == "" {
		d.Fail(v.Get("name"), "is missing")
	}
	e := domain.DirectoryOrganizationSeen{
		Name:          name,
		TradingName:   d.TryLabel(v.Get("tradingName")),
		Town:          d.TryLabel(v.Get("town")),
		Postcode:      d.TryLabel(v.Get("postcode")),
		VATNumber:     d.TryLabel(v.Get("vatNumber")),
		CharityNumber: d.TryLabel(v.Get("charityNumber")),
		CurrencyCode:  d.TryLabel(v.Get("currencyId")),
		Timezone:      d.TryLabel(v.Get("timezone")),
		Website:       d.TryText(v.Get("publicWebsiteAddress")),
		AddedAt:       d.TryTime(v.Get("addedAt")),
		Description:   domain.Personal(d.TryText(v.Get("description"))),
		Email:         domain.Personal(d.TryText(v.Get("contactEmail"))),
		Address:       d.address(v),
	}
	if d.Err() != nil {
		return d.Err()
	}
	d.Facts = []domain.Fact{{OccurredAt: e.AddedAt, Event: e}}
	return nil
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
