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
	holder     string           // legal entity whose order it is; "": not known
	noted      bool             // among the lines of its order's holder row
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
	projections.Text("holder", func(r *balance) *string { return &r.holder }),
	projections.Bool("noted", func(r *balance) *bool { return &r.noted }),
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
	projections.Personal("note", func(r *entry) *string { return &r.note }),
).Indexed("source", "line").Indexed("template", "account")

// A grantRow is a grant and what became of it.
type grantRow struct {
	source       string
	reference    string
	event        string // id of the record that made it, if nobody asked for it first; else ""
	order        string
	template     string
	quantity     decimal.Decimal
	holder       string
	unitPrice    *decimal.Decimal // nil: not known
	currency     string
	expiresAt    time.Time
	outcome      string // requested, granted, refused or unknown: what the provider said
	status       string // outcome, or probably-granted
	reason       string // of the answer, or of the grant
	by           string
	requestedAt  time.Time // first time
	answeredAt   time.Time // last time
	shownLine    string    // line on which a report showed as many credits more; ""
	shownAccount string    // and where these were booked
	position     int64
}

// grants has one row per grant: one that was asked for under its reference.
var grants = projections.NewKeyed("grants", 3,
	projections.Text("source", func(r *grantRow) *string { return &r.source }),
	projections.Text("reference", func(r *grantRow) *string { return &r.reference }),
	projections.Text("event", func(r *grantRow) *string { return &r.event }),
	projections.Text("order", func(r *grantRow) *string { return &r.order }),
	projections.Text("template", func(r *grantRow) *string { return &r.template }),
	projections.Decimal("quantity", func(r *grantRow) *decimal.Decimal { return &r.quantity }),
	projections.Text("holder", func(r *grantRow) *string { return &r.holder }),
	projections.OptionalDecimal("unit_price", func(r *grantRow) **decimal.Decimal { return &r.unitPrice }),
	projections.Text("currency", func(r *grantRow) *string { return &r.currency }),
	projections.Time("expires_at", func(r *grantRow) *time.Time { return &r.expiresAt }),
	projections.Text("outcome", func(r *grantRow) *string { return &r.outcome }),
	projections.Text("status", func(r *grantRow) *string { return &r.status }),
	projections.Personal("reason", func(r *grantRow) *string { return &r.reason }),
	projections.Text("by", func(r *grantRow) *string { return &r.by }),
	projections.Time("requested_at", func(r *grantRow) *time.Time { return &r.requestedAt }),
	projections.Time("answered_at", func(r *grantRow) *time.Time { return &r.answeredAt }),
	projections.Text("shown_line", func(r *grantRow) *string { return &r.shownLine }),
	projections.Text("shown_account", func(r *grantRow) *string { return &r.shownAccount }),
	projections.Integer("position", func(r *grantRow) *int64 { return &r.position }),
)

// A pendingRow lists the references of the grants of one template of one order
// that the provider has neither confirmed nor refused, and not shown.
type pendingRow struct {
	source     string
	order      string
	template   string
	references string // joined, oldest first
}

// pending has a row where there are such grants.
var pending = projections.NewKeyed("pending", 3,
	projections.Text("source", func(r *pendingRow) *string { return &r.source }),
	projections.Text("order", func(r *pendingRow) *string { return &r.order }),
	projections.Text("template", func(r *pendingRow) *string { return &r.template }),
	projections.Text("references", func(r *pendingRow) *string { return &r.references }),
)

// A holderRow says whose an order is.
type holderRow struct {
	source  string
	order   string
	holder  string // "": not known
	sure    bool   // a grant says so, not only a request for one
	differs bool   // another was named too
	lines   string // lines of the order, joined
}

// holders has one row per order.
var holders = projections.NewKeyed("holders", 2,
	projections.Text("source", func(r *holderRow) *string { return &r.source }),
	projections.Text("order", func(r *holderRow) *string { return &r.order }),
	projections.Text("holder", func(r *holderRow) *string { return &r.holder }),
	projections.Bool("sure", func(r *holderRow) *bool { return &r.sure }),
	projections.Bool("differs", func(r *holderRow) *bool { return &r.differs }),
	projections.Text("lines", func(r *holderRow) *string { return &r.lines }),
)
