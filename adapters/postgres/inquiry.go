package postgres

import (
	"context"
	"database/sql"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/oklog/ulid/v2"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
	"github.com/daybook-ledger/daybook/domain/seal"
	"github.com/daybook-ledger/daybook/projections"
)

// A Dossier is what is held of one person.
type Dossier struct {
	Identities []domain.Identity // theirs, sorted; also of badges that were issued before it was known to whom
	Others     []domain.Identity // who has the same e-mail address and was not asked for
	Texts      []HeldText        // in the log, in its order
	Deliveries []HeldDelivery    // that mention them, in the order of the log
	Keys       []HeldKey         // that open any of it, those of deliveries last
	Head       int64             // of the log that was looked through

	emails, names []string // opened
}

// A HeldText is a text about a person in a record.
type HeldText struct {
	Position int64
	Kind     domain.Kind
	Identity domain.Identity
	Path     string // of the field
	Text     string // opened, or [projections.Erased]
}

// A HeldDelivery is a delivery that mentions a person.
type HeldDelivery struct {
	ID         ulid.ULID
	Position   int64 // of its first record
	Source     string
	Topic      string
	Status     domain.Status
	ReceivedAt time.Time
	By         string // how it was found: one of the Found constants
	Erased     bool   // its bytes cannot be opened any more
	key        seal.ID
	epoch      int // that its key is wrapped in; 0: the key is destroyed
}

// How a delivery that mentions a person is found.
const (
	FoundByFacts = "facts"  // a record names them by their id, or has a text about them
	FoundByEmail = "e-mail" // its bytes have their e-mail address
	FoundByName  = "name"   // its bytes have their whole name: perhaps somebody else's of the same name
)

// A HeldKey is a key that opens what is held of a person.
type HeldKey struct {
	ID      string // base64
	Subject string // "source/type/id"; "" for a delivery's
	Epoch   int    // that it is wrapped in
}

// An Inquiry asks what is held of a person: of one identity, or of everybody with
// an e-mail address.
type Inquiry struct {
	Identity domain.Identity
	Email    string
}

// Run looks through the whole log, and through the bytes of all deliveries. Step is
// told what is being done, with how many are done, of how many.
func (i Inquiry) Run(ctx context.Context, db *sql.DB, keys *Keyring, step func(what string, done, total int64)) (*Dossier, error) {
	head, err := Head(ctx, db)
	if err != nil {
		return nil, err
	}
	d := &Dossier{Head: head}
	n := inquest{db: db, keys: keys, dossier: d, step: step}
	if err := n.identify(ctx, i); err != nil {
		return nil, err
	}
	if len(d.Identities) == 0 && i.Email == "" {
		return d, nil
	}
	facts, err := n.facts(ctx)
	if err != nil {
		return nil, err
	}
	if i.Email != "" {
		d.emails = append(d.emails, i.Email)
	}
	if err := n.deliveries(ctx, facts); err != nil {
		return nil, err
	}
	return d, n.keysOf(ctx)
}

// Search looks for the person in texts.
func (d *Dossier) Search() payload.Search { return payload.NewSearch(d.emails, d.names) }

// An inquest is an [Inquiry] under way.
type inquest struct {
	db      *sql.DB
	keys    *Keyring
	dossier *Dossier
	step    func(what string, done, total int64)
}

// each calls f with every record of the log, decoded.
func (n *inquest) each(ctx context.Context, what string, f func(*domain.Record)) error {
	var done int64
	for records, err := range Records(ctx, n.db, 0, n.dossier.Head) {
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := r.Decode(); err != nil {
				return err
			}
			f(r)
		}
		done += int64(len(records))
		n.step(what, done, n.dossier.Head)
	}
	return nil
}

// isPerson reports whether an identity is of a person, as opposed to a thing that
// texts can be about.
func isPerson(i domain.Identity) bool {
	return i.Type != domain.SubjectOrganization && i.Type != domain.SubjectGroup && i.Type != domain.SubjectName
}

// identify works out whose identities are asked for, and who else has the same
// e-mail address.
func (n *inquest) identify(ctx context.Context, asked Inquiry) error {
	emails := make(map[string]domain.Identity) // by sealed text: no two people have the same
	badges := make(map[domain.Identity]domain.Identity)
	known := make(map[domain.Identity]bool)
	err := n.each(ctx, "identify", func(r *domain.Record) {
		for _, s := range domain.Mentions(r.Event) {
			known[domain.Identity{Source: r.Source, Type: s.Type, ID: s.ID}] = true
		}
		for _, t := range domain.PersonalTexts(r.Event) {
			if strings.HasSuffix(t.Path, "email") && t.About.ID != "" {
				emails[t.Text] = domain.Identity{Source: r.Source, Type: t.About.Type, ID: t.About.ID}
			}
		}
		if b, ok := r.Event.(domain.BadgesReported); ok && b.User != "" {
			badges[domain.Identity{Source: r.Source, Type: domain.SubjectBadge, ID: b.Badge}] = domain.Identity{Source: r.Source, Type: domain.PersonUser, ID: b.User}
		}
	})
	if err != nil {
		return err
	}
	d := n.dossier
	tokens := sortedTokens(emails)
	opened, err := n.open(ctx, tokens)
	if err != nil {
		return err
	}
	wanted := []string{asked.Email}
	if asked.Email == "" {
		if !known[asked.Identity] {
			return nil
		}
		d.Identities, wanted = []domain.Identity{asked.Identity}, nil
		for i, t := range tokens {
			if emails[t] == asked.Identity && isOpen(opened[i]) {
				wanted = append(wanted, opened[i])
			}
		}
	}
	for i, t := range tokens {
		who := emails[t]
		same := slices.ContainsFunc(wanted, func(w string) bool { return payload.SameEmail(w, opened[i]) })
		switch {
		case !same || slices.Contains(d.Identities, who):
		case isPerson(who) && (asked.Email != "" || who.Type == domain.SubjectBadge):
			d.Identities = append(d.Identities, who)
		case !slices.Contains(d.Others, who):
			d.Others = append(d.Others, who)
		}
	}
	for badge, user := range badges {
		if slices.Contains(d.Identities, user) && !slices.Contains(d.Identities, badge) {
			d.Identities = append(d.Identities, badge)
		}
	}
	byText := func(a, b domain.Identity) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(d.Identities, byText)
	slices.SortFunc(d.Others, byText)
	return nil
}

func sortedTokens(m map[string]domain.Identity) []string {
	tokens := make([]string, 0, len(m))
	for t := range m {
		tokens = append(tokens, t)
	}
	slices.Sort(tokens)
	return tokens
}

// open opens texts, some at a time.
func (n *inquest) open(ctx context.Context, tokens []string) ([]string, error) {
	opened := make([]string, 0, len(tokens))
	for chunk := range slices.Chunk(tokens, keysAtOnce) {
		texts, err := n.keys.Open(ctx, chunk)
		if err != nil {
			return nil, err
		}
		opened = append(opened, texts...)
	}
	return opened, nil
}

// isOpen reports whether a text that was opened is not one of those that stand for
// any that cannot be.
func isOpen(text string) bool { return text != projections.Erased && text != projections.Unopened }

// facts finds the records that mention the person, and returns their deliveries.
func (n *inquest) facts(ctx context.Context) (map[ulid.ULID]bool, error) {
	d := n.dossier
	theirs := make(map[domain.Identity]bool)
	for _, i := range d.Identities {
		theirs[i] = true
	}
	deliveries := make(map[ulid.ULID]bool)
	err := n.each(ctx, "records", func(r *domain.Record) {
		for _, s := range domain.Mentions(r.Event) {
			if theirs[domain.Identity{Source: r.Source, Type: s.Type, ID: s.ID}] {
				deliveries[r.Delivery] = true
			}
		}
		for _, t := range domain.PersonalTexts(r.Event) {
			if who := (domain.Identity{Source: r.Source, Type: t.About.Type, ID: t.About.ID}); theirs[who] {
				deliveries[r.Delivery] = true
				d.Texts = append(d.Texts, HeldText{r.Position, r.Kind, who, t.Path, t.Text})
			}
		}
	})
	if err != nil {
		return nil, err
	}
	tokens := make([]string, len(d.Texts))
	for i, t := range d.Texts {
		tokens[i] = t.Text
	}
	opened, err := n.open(ctx, tokens)
	if err != nil {
		return nil, err
	}
	for i := range d.Texts {
		t := &d.Texts[i]
		t.Text = opened[i]
		switch {
		case !isOpen(t.Text):
		case strings.HasSuffix(t.Path, "email"):
			d.emails = append(d.emails, t.Text)
		case strings.HasSuffix(t.Path, "name"):
			d.names = append(d.names, t.Text)
		}
	}
	return deliveries, nil
}

// deliveryPage is how many deliveries are opened at a time.
const deliveryPage = 200

// deliveries finds the deliveries that mention the person: by their records, or by
// their bytes.
func (n *inquest) deliveries(ctx context.Context, byFacts map[ulid.ULID]bool) error {
	search := n.dossier.Search()
	for after := int64(0); ; {
		page, err := n.page(ctx, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, s := range page {
			after = s.Position
			s.By = ""
			if byFacts[s.ID] {
				s.By = FoundByFacts
			} else if !s.Erased && !search.Empty() {
				if s.By, err = n.search(ctx, search, s); err != nil {
					return err
				}
			}
			if s.By != "" {
				n.dossier.Deliveries = append(n.dossier.Deliveries, s.HeldDelivery)
			}
		}
		n.step("deliveries", after, n.dossier.Head)
	}
}

// A sealedDelivery is a delivery as it is stored, with its key.
type sealedDelivery struct {
	HeldDelivery
	header, body []byte
	wrapped      []byte
}

func (n *inquest) page(ctx context.Context, after int64) (page []sealedDelivery, err error) {
	rows, err := n.db.QueryContext(ctx, `SELECT d.position, d.id, d.source, d.topic, d.status, d.received_at, d.header, d.body, k.epoch, k.wrapped, e.destroyed_at IS NOT NULL
		FROM delivery d LEFT JOIN data_key k ON k.id = substring(d.body FOR 32) LEFT JOIN key_epoch e ON e.epoch = k.epoch
		WHERE d.position > $1 AND d.position <= $2 ORDER BY d.position LIMIT $3`, after, n.dossier.Head, deliveryPage)
	if err != nil {
		return nil, unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s sealedDelivery
		var id string
		var epoch sql.NullInt32
		var lost bool // a backup brought the key back, and what it is wrapped by is destroyed
		if err := rows.Scan(&s.Position, &id, &s.Source, &s.Topic, &s.Status, &s.ReceivedAt, &s.header, &s.body, &epoch, &s.wrapped, &lost); err != nil {
			return nil, err
		}
		if s.ID, err = ulid.ParseStrict(id); err != nil {
			return nil, domain.Errorf(domain.Differs, "read delivery", "%q: %w", id, err)
		}
		if s.key, err = seal.IDOfBytes(s.body); err != nil {
			return nil, err
		}
		s.ReceivedAt, s.Erased, s.epoch = s.ReceivedAt.UTC(), !epoch.Valid || lost, int(epoch.Int32)
		page = append(page, s)
	}
	return page, unreachable(rows.Err())
}

// search returns how a delivery's bytes mention the person, "" if they do not.
func (n *inquest) search(ctx context.Context, search payload.Search, s sealedDelivery) (by string, err error) {
	k := &dataKey{id: s.key, epoch: s.epoch, wrapped: s.wrapped}
	if err := n.keys.unwrap(ctx, k); err != nil {
		return "", err
	}
	id := s.ID.String()
	header, err := seal.OpenBytes(&k.Key, contextOf(id, partHeader), s.header)
	if err != nil {
		return "", err
	}
	body, err := seal.OpenBytes(&k.Key, contextOf(id, partBody), s.body)
	if err != nil {
		return "", err
	}
	byEmail, byName := search.Find(body)
	inHeader, nameInHeader := search.Find(header)
	switch {
	case byEmail || inHeader:
		return FoundByEmail, nil
	case byName || nameInHeader:
		return FoundByName, nil
	}
	return "", nil
}

// Namesakes returns how many deliveries that can be opened have the name alone.
func (d *Dossier) Namesakes() (n int) {
	for _, m := range d.Deliveries {
		if m.isNamesakes() {
			n++
		}
	}
	return n
}

// LeaveNamesakes takes those deliveries, and their keys, out of what is held.
func (d *Dossier) LeaveNamesakes() {
	left := make(map[string]bool)
	for _, m := range d.Deliveries {
		if m.isNamesakes() {
			left[base64.StdEncoding.EncodeToString(m.key[:])] = true
		}
	}
	d.Deliveries = slices.DeleteFunc(d.Deliveries, HeldDelivery.isNamesakes)
	d.Keys = slices.DeleteFunc(d.Keys, func(k HeldKey) bool { return left[k.ID] })
}

func (m HeldDelivery) isNamesakes() bool { return m.By == FoundByName && !m.Erased }

// keysOf finds the keys that open what was found.
func (n *inquest) keysOf(ctx context.Context) error {
	d := n.dossier
	subjects := pq.StringArray{}
	for _, i := range d.Identities {
		subjects = append(subjects, i.String())
	}
	named := pq.StringArray{}
	for _, name := range d.names {
		named = append(named, n.keys.name(macName, name))
	}
	rows, err := n.db.QueryContext(ctx, `SELECT id, subject, epoch FROM data_key
		WHERE subject = ANY ($1) OR (subject LIKE '%/name/%' AND split_part(subject, '/name/', 2) = ANY ($2)) ORDER BY subject`, subjects, named)
	if err != nil {
		return unreachable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		var k HeldKey
		if err := rows.Scan(&id, &k.Subject, &k.Epoch); err != nil {
			return err
		}
		k.ID = base64.StdEncoding.EncodeToString(id)
		d.Keys = append(d.Keys, k)
	}
	for _, s := range d.Deliveries {
		if s.epoch > 0 {
			d.Keys = append(d.Keys, HeldKey{ID: base64.StdEncoding.EncodeToString(s.key[:]), Epoch: s.epoch})
		}
	}
	return unreachable(rows.Err())
}
