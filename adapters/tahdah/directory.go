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
	r := d.reader()
	name := r.Label(v.Get("name"))
	if name == "" {
		r.Fail(v.Get("name"), "is missing")
	}
	e := domain.DirectoryOrganizationSeen{
		Name:          name,
		TradingName:   r.tryLabel(v.Get("tradingName")),
		Town:          r.tryLabel(v.Get("town")),
		Postcode:      r.tryLabel(v.Get("postcode")),
		VATNumber:     r.tryLabel(v.Get("vatNumber")),
		CharityNumber: r.tryLabel(v.Get("charityNumber")),
		CurrencyCode:  r.tryLabel(v.Get("currencyId")),
		Timezone:      r.tryLabel(v.Get("timezone")),
		Website:       string(r.tryText(v.Get("publicWebsiteAddress"))),
		AddedAt:       r.tryTime(v.Get("addedAt")),
		Description:   r.tryText(v.Get("description")),
		Email:         r.tryText(v.Get("contactEmail")),
		Address:       r.address(v),
	}
	if r.Err() != nil {
		return r.Err()
	}
	d.Facts = []domain.Fact{{OccurredAt: e.AddedAt, Event: e}}
	return nil
}

// address returns the lines of an address that have no field of their own.
func (r *reader) address(v payload.Value) domain.Personal {
	var lines []string
	for _, name := range []string{"address1", "address2", "address3", "county"} {
		if line := r.tryLabel(v.Get(name)); line != "" {
			lines = append(lines, line)
		}
	}
	return domain.Personal(strings.Join(lines, "\n"))
}
