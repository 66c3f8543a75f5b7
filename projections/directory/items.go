package directory

import (
	"cmp"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// An item is something that can be bought, learnt or earned. Its id is unique
// within its type only.
type item struct {
	source, itemType, item string

	name   said
	price  said // as sent: for reading, not for counting
	slug   said
	stated said // status, as the provider says it
	status string
	life
}

var items = projections.NewKeyed("items", 3, slices.Concat(
	[]projections.Field[item]{
		projections.Text("source", func(i *item) *string { return &i.source }),
		projections.Text("item_type", func(i *item) *string { return &i.itemType }),
		projections.Text("item", func(i *item) *string { return &i.item }),
	},
	mentionable("name", func(i *item) *said { return &i.name }),
	attribute("price", func(i *item) *said { return &i.price }),
	attribute("slug", func(i *item) *said { return &i.slug }),
	attribute("stated_status", func(i *item) *said { return &i.stated }),
	[]projections.Field[item]{
		projections.Text("status", func(i *item) *string { return &i.status }),
		projections.Time("seen_at", func(i *item) *time.Time { return &i.seenAt }),
		projections.Time("removed_at", func(i *item) *time.Time { return &i.removedAt }),
	},
)...)

// withItem has f change the row of an item.
func withItem(tx *projections.Tx, r *domain.Record, itemType, id string, f func(*item)) {
	i, _ := items.Get(tx, r.Source, itemType, id)
	i.source, i.itemType, i.item = r.Source, itemType, id
	f(&i)
	i.status = i.life.status(cmp.Or(i.stated.text, statusActive))
	items.Put(tx, i)
}

func itemSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryItemSeen) {
	withItem(tx, r, e.ItemType, e.Item, func(i *item) {
		i.seen(r.OccurredAt)
		i.name.hear(said{text: e.Name, at: r.OccurredAt})
		i.price.hear(said{text: e.Price, at: r.OccurredAt})
		i.slug.hear(said{text: e.Slug, at: r.OccurredAt})
		i.stated.hear(said{text: e.Status, at: r.OccurredAt})
	})
}

func itemRemoved(tx *projections.Tx, r *domain.Record, e domain.DirectoryItemRemoved) {
	withItem(tx, r, e.ItemType, e.Item, func(i *item) { i.removed(r.OccurredAt) })
}

// mentionItem takes up what an item is called in passing.
func mentionItem(tx *projections.Tx, r *domain.Record, itemType, id, name string) {
	if id == "" {
		return
	}
	withItem(tx, r, itemType, id, func(i *item) {
		i.name.hear(said{text: name, at: r.OccurredAt, mentioned: true})
	})
}

// A group is a group of learners. It is not a trust group.
type group struct {
	source, group string

	name        said
	description said
	seenAt      time.Time
}

var groups = projections.NewKeyed("groups", 2, slices.Concat(
	[]projections.Field[group]{
		projections.Text("source", func(g *group) *string { return &g.source }),
		projections.Text("group", func(g *group) *string { return &g.group }),
	},
	attribute("name", func(g *group) *said { return &g.name }),
	attribute("description", func(g *group) *said { return &g.description }),
	[]projections.Field[group]{
		projections.Time("seen_at", func(g *group) *time.Time { return &g.seenAt }),
	},
)...)

func groupSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryGroupSeen) {
	g, _ := groups.Get(tx, r.Source, e.Group)
	g.source, g.group = r.Source, e.Group
	l := life{seenAt: g.seenAt}
	l.seen(r.OccurredAt)
	g.seenAt = l.seenAt
	g.name.hear(said{text: e.Name, at: r.OccurredAt})
	g.description.hear(said{text: e.Description, at: r.OccurredAt})
	groups.Put(tx, g)
}
