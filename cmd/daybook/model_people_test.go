package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// certifications: the best that ever happened. A pass stands, then a completion,
// then the latest attempt; what nobody scored, or gave no pass mark for, is
// pending. A badge is what its latest state says, and deleted for ever.
func (b *book) certifications() (rows []string) {
	type done struct {
		row                  lesson
		passed, completed    time.Time
		attempted            time.Time
		outcome              string
		progressed, enrolled bool
	}
	all := make(map[string]*done)
	for _, l := range of[lesson](b) {
		if l.subjectType != "course" && l.subjectType != "test" && l.subjectType != "pathway" {
			continue
		}
		key := row(l.person, l.subjectType, l.subject)
		if all[key] == nil {
			all[key] = &done{row: l}
		}
		d := all[key]
		switch l.what {
		case "enrolled":
			d.enrolled = true
		case "progressed":
			d.progressed = true
		case "completed":
			d.completed = sooner(d.completed, l.when)
		case "passed":
			d.passed = sooner(d.passed, l.when)
		default:
			worth := []string{"unknown", "pending", "failed"}
			c := l.when.Compare(d.attempted)
			if d.outcome == "" || c > 0 || c == 0 && slices.Index(worth, l.what) > slices.Index(worth, d.outcome) {
				d.attempted, d.outcome = l.when, l.what
			}
		}
	}
	for key, d := range all {
		status, at := "enrolled", ""
		if first := sooner(d.passed, d.completed); !first.IsZero() {
			at = first.Format(time.RFC3339Nano)
		}
		switch {
		case !d.passed.IsZero():
			status = "passed"
		case !d.completed.IsZero():
			status = "completed"
		case d.outcome == "failed":
			status = "failed"
		case d.outcome != "":
			status = "pending"
		case d.progressed:
			status = "in-progress"
		}
		rows = append(rows, row(key, status, at))
	}
	return append(rows, b.badges()...)
}

// badges: a badge is in the state that was reported with the latest clock. What
// an employer's list says is worth less: it counts if nothing else was said, or
// if it is later than all that was and moves a badge on that has not ended.
// Deleted is deleted.
func (b *book) badges() (rows []string) {
	type card struct {
		reports []badge
		said    time.Time // when it was last reported
		list    badge     // the last one
		deleted bool
	}
	all := make(map[string]*card)
	for _, e := range b.said {
		g, ok := e.thing.(badge)
		if !ok {
			continue
		}
		if all[g.id] == nil {
			all[g.id] = new(card)
		}
		c := all[g.id]
		g.said = e.at
		switch {
		case g.deleted:
			c.deleted = true
		case !g.listed:
			c.reports = append(c.reports, g)
			c.said = later(c.said, e.at)
		case cmp.Or(g.clock.Compare(c.list.clock), cmp.Compare(stages[g.state], stages[c.list.state]), cmp.Compare(g.earner, c.list.earner), cmp.Compare(g.user, c.list.user)) > 0:
			c.list = g
		}
	}
	for id, c := range all {
		slices.SortFunc(c.reports, func(a, b badge) int {
			return cmp.Or(a.clock.Compare(b.clock), a.said.Compare(b.said), cmp.Compare(stages[a.state], stages[b.state]), cmp.Compare(a.earner, b.earner), cmp.Compare(a.user, b.user))
		})
		state, earner, user := c.list.state, "", ""
		for _, r := range c.reports {
			state, earner, user = r.state, cmp.Or(r.earner, earner), cmp.Or(r.user, user)
		}
		if n := len(c.reports); n > 0 && c.list.clock.After(c.reports[n-1].clock) && c.list.clock.After(c.said) &&
			stages[state] <= stages["accepted"] && stages[c.list.state] > stages[state] {
			state = c.list.state
		}
		if c.deleted {
			state = "deleted"
		}
		rows = append(rows, row(cmp.Or(earner, user, c.list.earner, c.list.user), "badge", id, state, ""))
	}
	return rows
}

// stages are the states of a badge in the order of its life.
var stages = map[string]int{"pending": 1, "accepted": 2, "rejected": 3, "replaced": 4, "revoked": 5}

// sooner returns the earlier of two moments; the zero time is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// later returns the later of two moments.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// either stands for one of some texts in a row that is wanted: {a|b}.
func either(texts, other string) string {
	list := strings.Split(strings.Trim(texts, "{}"), "|")
	if !slices.Contains(list, other) {
		list = append(list, other)
	}
	if len(list) == 1 {
		return other
	}
	slices.Sort(list)
	return "{" + strings.Join(list, "|") + "}"
}

// settle writes into wanted rows which of [either] texts the rows have.
func settle(want, rows []string) []string {
	settled := slices.Clone(want)
	for i, w := range want {
		if !strings.Contains(w, "{") {
			continue
		}
		pattern := strings.NewReplacer(`\{`, "(", `\|`, "|", `\}`, ")").Replace(regexp.QuoteMeta(w))
		one := regexp.MustCompile("^" + pattern + "$")
		if at := slices.IndexFunc(rows, one.MatchString); at >= 0 {
			settled[i] = rows[at]
		}
	}
	slices.Sort(settled)
	return settled
}

// names: the latest name and address that were said of an id; of two at the same
// moment the greater, or either of them ([either]) if it is about people: only who
// has the keys could tell which is greater when it is sealed. What is said in passing counts if nothing else was. What
// was seen, and not removed since, is there.
func (b *book) names(table string) (rows []string) {
	type text struct {
		text      string
		at        time.Time
		inPassing bool
	}
	hear := func(t, o text) text {
		switch {
		case o.text == "":
			return t
		case t.text == "", t.inPassing && !o.inPassing:
			return o
		case t.inPassing != o.inPassing || o.at.Before(t.at):
			return t
		case o.at.Equal(t.at) && table != "items":
			t.text = either(t.text, o.text)
			return t
		case o.at.After(t.at) || o.text > t.text:
			return o
		}
		return t
	}
	type card struct {
		name
		called, email text
		seen, removed time.Time
	}
	all := make(map[string]card)
	for _, e := range b.said {
		n, ok := e.thing.(name)
		if !ok || n.table != table {
			continue
		}
		key := row(n.kind, n.id)
		if table == "organizations" && n.id == "" {
			key = "called " + n.name
		}
		c := all[key]
		c.kind, c.id = n.kind, n.id
		c.called = hear(c.called, text{n.name, e.at, n.inPassing})
		c.email = hear(c.email, text{n.email, e.at, n.inPassing})
		switch {
		case n.gone && e.at.After(c.removed):
			c.removed = e.at
		case !n.gone && !n.inPassing && e.at.After(c.seen):
			c.seen = e.at
		}
		all[key] = c
	}
	for _, c := range all {
		status := "active"
		switch {
		case !c.removed.IsZero() && !c.seen.After(c.removed):
			status = "removed"
		case c.seen.IsZero():
			status = "mentioned"
		}
		switch table {
		case "people":
			rows = append(rows, row(c.kind, c.id, c.called.text, c.email.text, status))
		case "items":
			rows = append(rows, row(c.kind, c.id, c.called.text, status))
		default:
			rows = append(rows, row(c.id, c.called.text))
		}
	}
	return rows
}
