package credits

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/projections"
)

// A balance is what is left of one credit line.
type balance struct {
	source     string
	line       string
	template   string // unit of all quantities of the line
	order      string
	remaining  decimal.Decimal  // our own sum of its available entries
	claimed    *decimal.Decimal // the provider's last level; nil: it never reported the line
	claim      string           // agrees, differs or none
	difference *decimal.Decimal // claimed less remaining
	consumed   decimal.Decimal  // consumption lines so far
	flags      string
	reportedAt time.Time // of the last report
	position   int64     // of the last record that touched the line
}

// balances has one row per credit line.
var balances = projections.NewKeyed("balances", 2,
	projections.Text("source", func(r *balance) *string { return &r.source }),
	projections.Text("line", func(r *balance) *string { return &r.line }),
	projections.Text("template", func(r *balance) *string { return &r.template }),
	projections.Text("order", func(r *balance) *string { return &r.order }),
	projections.Decimal("remaining", func(r *balance) *decimal.Decimal { return &r.remaining }),
	projections.OptionalDecimal("claimed", func(r *balance) **decimal.Decimal { return &r.claimed }),
	projections.Text("claim", func(r *balance) *string { return &r.claim }),
	projections.OptionalDecimal("difference", func(r *balance) **decimal.Decimal { return &r.difference }),
	projections.Decimal("consumed", func(r *balance) *decimal.Decimal { return &r.consumed }),
	projections.Text("flags", func(r *balance) *string { return &r.flags }),
	projections.Time("reported_at", func(r *balance) *time.Time { return &r.reportedAt }),
	projections.Integer("position", func(r *balance) *int64 { return &r.position }),
)

// An orderRow says which line has the credits of one template of one order.
type orderRow struct {
	source   string
	order    string
	template string
	line     string
}

// orders has one row per order and template that a line or a grant named.
var orders = projections.NewKeyed("orders", 3,
	projections.Text("source", func(r *orderRow) *string { return &r.source }),
	projections.Text("order", func(r *orderRow) *string { return &r.order }),
	projections.Text("template", func(r *orderRow) *string { return &r.template }),
	projections.Text("line", func(r *orderRow) *string { return &r.line }),
)

// An entry is one side of a movement.
type entry struct {
	line     string
	template string
	order    string
	account  string
	quantity decimal.Decimal
	note     string // what was consumed, or why
}

// entries has every movement twice, once per account.
var entries = projections.NewJournal("entries",
	projections.Text("line", func(r *entry) *string { return &r.line }),
	projections.Text("template", func(r *entry) *string { return &r.template }),
	projections.Text("order", func(r *entry) *string { return &r.order }),
	projections.Text("account", func(r *entry) *string { return &r.account }),
	projections.Decimal("quantity", func(r *entry) *decimal.Decimal { return &r.quantity }),
	projections.Text("note", func(r *entry) *string { return &r.note }),
).Indexed("source", "line").Indexed("template", "account")
