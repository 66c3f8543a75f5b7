// Package trustgroups keeps who is a member of which trust group, since and
// until when, and why we think so.
//
// What it holds does not depend on the order in which facts arrive: a
// membership is derived from the set of everything that was ever said of it, in
// the order of the provider's clock. A fact that comes late takes its place
// among the others; it never undoes what is newer.
//
// The clock of a fact is the provider's changed_at, or when it occurred if the
// provider does not say. Two facts with the same clock are put in order by what
// they say, never by which came first; see [statement].
//
// What a provider's API listed when it was asked fills in and outranks nothing: it
// counts only while no webhook has said anything of that membership, whichever was
// heard first. A list that says when something changed may mean what it lists, such
// as a legal entity, and not the membership: its clock only tells one list from
// another. A name from a list counts only while nobody else has said one.
package trustgroups

import (
	"cmp"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
)

// Effects of a fact, as the history shows them.
const (
	effectJoined   = "joined"   // was no member, is one now
	effectChanged  = "changed"  // neither joined nor left
	effectLeft     = "left"     // is no member any more
	effectLate     = "late"     // older than what is known: at most the start of a membership moves
	effectRepeated = "repeated" // known already, word for word
)

// A member is one membership as it is now.
type member struct {
	source, group, memberType, member string

	groupName string
	name      string
	status    string
	since     time.Time // zero: not known
	until     time.Time // zero: no end is known
	changedAt time.Time // clock of the statement that decides
	assumed   bool      // that statement was read by a mapping nobody confirmed
	position  int64     // of the record that made it
	event     string
	facts     string // all statements; see [statements]
}

// A name is what a legal entity or a candidate is called, known or not yet, and
// the groups whose rows show it.
type name struct {
	source, memberType, member string

	name   string
	nameAt time.Time
	listed bool   // nobody but a list says the name
	groups string // ids of groups, sorted, one a line
}

// A change is one thing that was said of a membership.
type change struct {
	group, memberType, member string

	status    string
	from      time.Time
	until     time.Time
	changedAt time.Time // as the provider states it
	assumed   bool
	effect    string
}

var members = projections.NewKeyed("members", 4,
	projections.Text("source", func(m *member) *string { return &m.source }),
	projections.Text("group", func(m *member) *string { return &m.group }),
	projections.Text("member_type", func(m *member) *string { return &m.memberType }),
	projections.Text("member", func(m *member) *string { return &m.member }),
	projections.Text("group_name", func(m *member) *string { return &m.groupName }),
	projections.Personal("name", func(m *member) *string { return &m.name }),
	projections.Text("status", func(m *member) *string { return &m.status }),
	projections.Time("since", func(m *member) *time.Time { return &m.since }),
	projections.Time("until", func(m *member) *time.Time { return &m.until }),
	projections.Time("changed_at", func(m *member) *time.Time { return &m.changedAt }),
	projections.Bool("assumed", func(m *member) *bool { return &m.assumed }),
	projections.Integer("position", func(m *member) *int64 { return &m.position }),
	projections.Text("event", func(m *member) *string { return &m.event }),
	projections.Text("facts", func(m *member) *string { return &m.facts }),
)

var names = projections.NewKeyed("names", 3,
	projections.Text("source", func(n *name) *string { return &n.source }),
	projections.Text("member_type", func(n *name) *string { return &n.memberType }),
	projections.Text("member", func(n *name) *string { return &n.member }),
	projections.Personal("name", func(n *name) *string { return &n.name }),
	projections.Time("name_at", func(n *name) *time.Time { return &n.nameAt }),
	projections.Bool("listed", func(n *name) *bool { return &n.listed }),
	projections.Text("groups", func(n *name) *string { return &n.groups }),
)

var history = projections.NewJournal("history",
	projections.Text("group", func(c *change) *string { return &c.group }),
	projections.Text("member_type", func(c *change) *string { return &c.memberType }),
	projections.Text("member", func(c *change) *string { return &c.member }),
	projections.Text("status", func(c *change) *string { return &c.status }),
	projections.Time("from", func(c *change) *time.Time { return &c.from }),
	projections.Time("until", func(c *change) *time.Time { return &c.until }),
	projections.Time("changed_at", func(c *change) *time.Time { return &c.changedAt }),
	projections.Bool("assumed", func(c *change) *bool { return &c.assumed }),
	projections.Text("effect", func(c *change) *string { return &c.effect }),
).Indexed("group", "member")

// Projection returns the projection.
func Projection() *projections.Projection {
	return &projections.Projection{
		Name:    "trustgroups",
		Version: 4,
		Tables:  []projections.Table{members, names, history},
		Kinds: domain.KindsOf(
			domain.TrustgroupsMemberChanged{},
			domain.TrustgroupsMemberListed{},
			domain.DirectoryOrganizationSeen{},
			domain.DirectoryOrganizationListed{},
			domain.DirectoryPersonSeen{},
			domain.SalesEntryPosted{},
		),
		Fold: fold,
		Views: []projections.View{
			projections.NewView("members", "Trust group members", members,
				"source", "group", "member_type", "member", "name", "status", "since", "until",
				"group_name", projections.Computed("current", projections.TypeBool, current), "assumed", "changed_at"),
			projections.NewView("history", "Trust group history", history,
				"position", "event", "source", "group", "member_type", "member", "status",
				"from", "until", "changed_at", "effect", "assumed", "occurred_at"),
		},
	}
}

func fold(tx *projections.Tx, r *domain.Record) error {
	switch e := r.Event.(type) {
	case domain.TrustgroupsMemberChanged:
		return memberChanged(tx, r, e, newStatement(r, e))
	case domain.TrustgroupsMemberListed:
		s := newStatement(r, domain.TrustgroupsMemberChanged(e))
		s.Listed = true
		return memberChanged(tx, r, domain.TrustgroupsMemberChanged(e), s)
	case domain.DirectoryOrganizationSeen:
		called(tx, r, domain.MemberLegalEntity, e.Organization, e.Name, false)
	case domain.DirectoryOrganizationListed:
		called(tx, r, domain.MemberLegalEntity, e.Organization, e.Name, true)
	case domain.DirectoryPersonSeen:
		if e.PersonType == domain.PersonCandidate {
			called(tx, r, domain.MemberCandidate, e.Person, string(e.Name), e.Activity == domain.ActivityListed)
		}
	case domain.SalesEntryPosted:
		// Who posted an entry may be a person; the other two are legal entities.
		called(tx, r, domain.MemberLegalEntity, e.Beneficiary.ID, string(e.Beneficiary.Name), false)
		called(tx, r, domain.MemberLegalEntity, e.Payer.ID, string(e.Payer.Name), false)
	}
	return nil
}

// memberChanged takes up one statement about a membership.
func memberChanged(tx *projections.Tx, r *domain.Record, e domain.TrustgroupsMemberChanged, s statement) error {
	row, known := members.Get(tx, r.Source, e.Group, e.MemberType, e.Member)
	all, err := parseStatements(row.facts)
	if err != nil {
		return err
	}
	before := all.phase()
	all, at := all.with(s)
	history.Append(tx, change{
		group: e.Group, memberType: e.MemberType, member: e.Member,
		status: e.Status, from: e.From, until: e.Until, changedAt: e.ChangedAt, assumed: e.Assumed,
		effect: all.effect(at, before),
	})
	switch {
	case at < 0:
		return nil // a repetition
	case at == len(all)-1:
		row.position, row.event = r.Position, r.ID.String()
	}
	if !known {
		row.source, row.group, row.memberType, row.member = r.Source, e.Group, e.MemberType, e.Member
		row.name = joined(tx, row)
	}
	if row.facts, err = all.text(); err != nil {
		return err
	}
	all.describe(&row)
	members.Put(tx, row)
	return nil
}

// joined notes that the member's name is shown in a new row, and returns the
// name.
func joined(tx *projections.Tx, m member) string {
	n, _ := names.Get(tx, m.source, m.memberType, m.member)
	n.source, n.memberType, n.member = m.source, m.memberType, m.member
	n.groups = addLine(n.groups, m.group)
	names.Put(tx, n)
	return n.name
}

// called takes up what a member is called, and shows it in the rows that are
// there. A name from a list counts only if there is no other; then the name with
// the latest clock counts, and of two with the same the greater one, of sealed ones
// the greater token. Nothing said is nothing known: it erases no name.
func called(tx *projections.Tx, r *domain.Record, memberType, id, text string, listed bool) {
	if id == "" || text == "" {
		return
	}
	n, _ := names.Get(tx, r.Source, memberType, id)
	if n.name != "" && cmp.Or(compareBool(n.listed, listed), r.OccurredAt.Compare(n.nameAt), cmp.Compare(text, n.name)) <= 0 {
		return
	}
	n.source, n.memberType, n.member = r.Source, memberType, id
	n.name, n.nameAt, n.listed = text, r.OccurredAt, listed
	names.Put(tx, n)
	if n.groups == "" {
		return
	}
	for group := range strings.SplitSeq(n.groups, "\n") {
		if row, ok := members.Get(tx, r.Source, group, memberType, id); ok {
			row.name = text
			members.Put(tx, row)
		}
	}
}

// current reports whether the member is one at the given moment. Without a
// moment, the status alone says.
func current(m member, at time.Time) projections.Cell {
	is := phaseOf(m.status) == phaseMember
	if !at.IsZero() {
		is = is && !m.since.After(at) && (m.until.IsZero() || !m.until.Before(at))
	}
	if is {
		return projections.Cell{Text: "true"}
	}
	return projections.Cell{Text: "false"}
}
