package directory

import (
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An organization is one legal entity. The key is "id/" and its id or, if no id
// was sent, "name/" and its name: nothing says that the two are the same. What a
// legal entity says its name is, is a fact; what a ledger entry calls a party may
// be a person's name.
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
	life          // nothing removes a legal entity
}

var organizations = projections.NewKeyed("organizations", 2, slices.Concat(
	[]projections.Field[organization]{
		projections.Text("source", func(o *organization) *string { return &o.source }),
		projections.Text("key", func(o *organization) *string { return &o.key }),
		projections.Text("organization", func(o *organization) *string { return &o.organization }),
	},
	personal("name", func(o *organization) *said { return &o.name }),
	ranked("trading_name", func(o *organization) *said { return &o.tradingName }),
	ranked("town", func(o *organization) *said { return &o.town }),
	ranked("postcode", func(o *organization) *said { return &o.postcode }),
	ranked("vat_number", func(o *organization) *said { return &o.vatNumber }),
	ranked("charity_number", func(o *organization) *said { return &o.charityNumber }),
	ranked("timezone", func(o *organization) *said { return &o.timezone }),
	ranked("website", func(o *organization) *said { return &o.website }),
	attribute("entity_type", func(o *organization) *said { return &o.entityType }),
	[]projections.Field[organization]{
		projections.Text("status", func(o *organization) *string { return &o.status }),
		projections.Time("seen_at", func(o *organization) *time.Time { return &o.seenAt }),
		projections.Bool("listed", func(o *organization) *bool { return &o.listed }),
	},
)...)

// withOrganization has f change the row of a legal entity.
func withOrganization(tx *projections.Tx, r *domain.Record, id, name string, f func(*organization)) {
	key := "id/" + id
	if id == "" {
		key = "name/" + name
	}
	o, _ := organizations.Get(tx, r.Source, key)
	o.source, o.key, o.organization = r.Source, key, id
	f(&o)
	o.status = o.life.status(statusActive)
	organizations.Put(tx, o)
}

func organizationSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryOrganizationSeen, how standing) {
	withOrganization(tx, r, e.Organization, e.Name, func(o *organization) {
		o.seen(r.OccurredAt, how)
		o.name.hear(said{e.Name, r.OccurredAt, how})
		o.tradingName.hear(said{e.TradingName, r.OccurredAt, how})
		o.town.hear(said{e.Town, r.OccurredAt, how})
		o.postcode.hear(said{e.Postcode, r.OccurredAt, how})
		o.vatNumber.hear(said{e.VATNumber, r.OccurredAt, how})
		o.charityNumber.hear(said{e.CharityNumber, r.OccurredAt, how})
		o.timezone.hear(said{e.Timezone, r.OccurredAt, how})
		o.website.hear(said{e.Website, r.OccurredAt, how})
	})
}

// party takes up a party of a ledger entry, which is the only place where the
// ids of legal entities are told.
func party(tx *projections.Tx, r *domain.Record, p domain.Party) {
	if p.ID == "" {
		return
	}
	withOrganization(tx, r, p.ID, "", func(o *organization) {
		o.name.hear(said{text: string(p.Name), at: r.OccurredAt})
		o.entityType.hear(said{text: p.EntityType, at: r.OccurredAt})
	})
}
