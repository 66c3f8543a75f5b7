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
	ranked("name", func(i *item) *said { return &i.name }),
	ranked("price", func(i *item) *said { return &i.price }),
	ranked("slug", func(i *item) *said { return &i.slug }),
	ranked("stated_status", func(i *item) *said { return &i.stated }),
	[]projections.Field[item]{
		projections.Text("status", func(i *item) *string { return &i.status }),
	},
	lifetime(func(i *item) *life { return &i.life }),
)...)

// withItem has f change the row of an item.
func withItem(tx *projections.Tx, r *domain.Record, itemType, id string, f func(*item)) {
	i, _ := items.Copy(tx, r.Source, itemType, id)
	i.source, i.itemType, i.item = r.Source, itemType, id
	f(i)
	i.status = i.life.status(cmp.Or(i.stated.text, statusActive))
	items.Give(tx, i)
}

func itemSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryItemSeen) {
	how := standingOf(e.Activity)
	withItem(tx, r, e.ItemType, e.Item, func(i *item) {
		i.seen(r.OccurredAt, how)
		i.name.hear(said{e.Name, r.OccurredAt, how})
		i.price.hear(said{e.Price, r.OccurredAt, how})
		i.slug.hear(said{e.Slug, r.OccurredAt, how})
		i.stated.hear(said{e.Status, r.OccurredAt, how})
	})
}

func itemRemoved(tx *projections.Tx, r *domain.Record, e domain.DirectoryItemRemoved) {
	withItem(tx, r, e.ItemType, e.Item, func(i *item) { i.removed(r.OccurredAt) })
}

// mentionItem takes up what an item is called in passing.
func mentionItem(tx *projections.Tx, r *domain.Record, itemType, id, name string, how word) {
	if id == "" {
		return
	}
	withItem(tx, r, itemType, id, func(i *item) {
		i.name.hear(said{name, how.at, how.standing})
	})
}

// A group is a group of learners. It is not a trust group.
type group struct {
	source, group string

	name        said
	description said
	life        // nothing removes a group
}

var groups = projections.NewKeyed("groups", 2, slices.Concat(
	[]projections.Field[group]{
		projections.Text("source", func(g *group) *string { return &g.source }),
		projections.Text("group", func(g *group) *string { return &g.group }),
	},
	ranked("name", func(g *group) *said { return &g.name }),
	personal("description", func(g *group) *said { return &g.description }),
	[]projections.Field[group]{
		projections.Time("seen_at", func(g *group) *time.Time { return &g.seenAt }),
		projections.Bool("listed", func(g *group) *bool { return &g.listed }),
	},
)...)

func groupSeen(tx *projections.Tx, r *domain.Record, e domain.DirectoryGroupSeen, how standing) {
	g, _ := groups.Get(tx, r.Source, e.Group)
	g.source, g.group = r.Source, e.Group
	g.seen(r.OccurredAt, how)
	g.name.hear(said{e.Name, r.OccurredAt, how})
	g.description.hear(said{string(e.Description), r.OccurredAt, how})
	groups.Put(tx, g)
}
