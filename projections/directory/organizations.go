package directory

import (
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An organization is one legal entity. The key is "id/" and its id or, if no id
// was sent, "name/" and its name: nothing says that the two are the same.
type organization struct {
	source, key string

	organization  string // id
	name          said
	tradingName   said
	town          said
	postcode      said
	vatNumber     said
	charityNumber said
	timezone      said // as sent; may be no IANA name
	website       said
	entityType    said // the provider's undocumented code
	status        string
	seenAt        time.Time
}

var organizations = projections.NewKeyed("organizations", 2, slices.Concat(
	[]projections.Field[organization]{
		projections.Text("source", func(o *organization) *string { return &o.source }),
		projections.Text("key", func(o *organization) *string { return &o.key }),
		projections.Text("organization", func(o *organization) *string { return &o.organization }),
	},
	attribute("name", func(o *organization) *said { return &o.name }),
	attribute("trading_name", func(o *organization) *said { return &o.tradingName }),
	attribute("town", func(o *organization) *said { return &o.town }),
	attribute("postcode", func(o *organization) *said { return &o.postcode }),
	attribute("vat_number", func(o *organization) *said { return &o.vatNumber }),
	attribute("charity_number", func(o *organization) *said { return &o.charityNumber }),
	attribute("timezone", func(o *organization) *said { return &o.timezone }),
	attribute("website", func(o *organization) *said { return &o.website }),
	attribute("entity_type", func(o *organization) *said { return &o.entityType }),
	[]projections.Field[organization]{
		projections.Text("status", func(o *organization) *string { return &o.status }),
		projections.Time("seen_at", func(o *organization) *time.Time { return &o.seenAt }),
	},
)...)

// withOrganization has f change the row of a legal entity.
func withOrganization(tx *projections.Tx, r *domain.Record, id, name string, f func(*organization, *life)) {
	key := "id/" + id
	if id == "" {
		key = "name/" + name
	}
	o, _ := organizations.Get(tx, r.Source, key)
	o.source, o.key, o.organization = r.Source, key, id
	l := life{seenAt: o.seenAt}
	f(&o, &l)
	o.seenAt, o.status = l.seenAt, l.status(statusActive)
	organizations.Put(tx, o)
}

func organizationSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryOrganizationSeen) {
	withOrganization(tx, r, e.Organization, e.Name, func(o *organization, l *life) {
		l.seen(r.OccurredAt, stated)
		o.name.hear(said{text: e.Name, at: r.OccurredAt})
		o.tradingName.hear(said{text: e.TradingName, at: r.OccurredAt})
		o.town.hear(said{text: e.Town, at: r.OccurredAt})
		o.postcode.hear(said{text: e.Postcode, at: r.OccurredAt})
		o.vatNumber.hear(said{text: e.VATNumber, at: r.OccurredAt})
		o.charityNumber.hear(said{text: e.CharityNumber, at: r.OccurredAt})
		o.timezone.hear(said{text: e.Timezone, at: r.OccurredAt})
		o.website.hear(said{text: e.Website, at: r.OccurredAt})
	})
}

// party takes up a party of a ledger entry, which is the only place where the
// ids of legal entities are told.
func party(tx *projections.Tx, r *domain.Record, p domain.Party) {
	if p.ID == "" {
		return
	}
	withOrganization(tx, r, p.ID, "", func(o *organization, _ *life) {
		o.name.hear(said{text: string(p.Name), at: r.OccurredAt})
		o.entityType.hear(said{text: p.EntityType, at: r.OccurredAt})
	})
}
