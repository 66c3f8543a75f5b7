package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/seal"
)

// KeyFiles are the keys of a book that are kept outside the database. Make…
// returns what is there already, and makes it only if it is not.
type KeyFiles interface {
	Index() (*seal.Key, error)
	KEK(epoch int) (*seal.Key, error)
	MakeIndex() (*seal.Key, error)
	MakeKEK(epoch int) (*seal.Key, error)
}

// A Keyring has the keys that what is personal is sealed with. Those are in the
// database, each wrapped by a key-encryption key that is not.
type Keyring struct {
	db    *sql.DB
	files KeyFiles
	index *seal.Key
	now   func() time.Time

	mu       sync.Mutex
	epoch    int                 // that new keys are wrapped in, unless a newer one has begun
	keks     map[int]*seal.Key   // by epoch
	subjects map[string]*dataKey // those used lately
	wanted   []*subjectRead      // by those who wait for reading

	reading sync.Mutex // held by who reads keys of subjects
}

// A dataKey is one key that seals.
type dataKey struct {
	seal.Key
	id      seal.ID
	subject string // "": of one delivery
	epoch   int
	wrapped []byte
	stored  bool      // it is in the database; belongs to Keyring.mu
	readAt  time.Time // when that was so; belongs to Keyring.mu
}

// Book returns the name of the log in a database.
func Book(ctx context.Context, q querier) (book string, err error) {
	err = q.QueryRowContext(ctx, `SELECT id FROM book`).Scan(&book)
	return book, unreachable(err)
}

// SetupKeys makes the first keys of a book that has none. It wants the pool of the
// role [RoleOwner].
func SetupKeys(ctx context.Context, owner *sql.DB, files KeyFiles) error {
	return inTx(ctx, owner, nil, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `LOCK TABLE key_epoch IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		var some bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM key_epoch)`).Scan(&some); err != nil || some {
			return err
		}
		if _, err := files.MakeIndex(); err != nil {
			return err
		}
		kek, err := files.MakeKEK(1)
		if err != nil {
			return err
		}
		id := kek.ID()
		_, err = tx.ExecContext(ctx, `INSERT INTO key_epoch (epoch, id) VALUES (1, $1)`, id[:])
		return err
	})
}

// NewKeyring returns the keys of the book in db. Without its files, or with some of
// them, it opens what it can; see [Keyring.Ready].
func NewKeyring(ctx context.Context, db *sql.DB, files KeyFiles) (*Keyring, error) {
	k := &Keyring{db: db, files: files, now: time.Now, keks: make(map[int]*seal.Key), subjects: make(map[string]*dataKey)}
	var err error
	if k.index, err = files.Index(); err != nil && domain.CodeOf(err) != domain.NotFound {
		return nil, err
	}
	k.epoch, err = newestEpoch(ctx, db)
	return k, err
}

// Ready reports whether everything can be sealed that is to come. Without the
// files of this book it is an error with code NotFound, with those of another one
// with code Refused.
func (k *Keyring) Ready(ctx context.Context) error {
	if _, err := k.files.Index(); err != nil {
		return err
	}
	_, err := k.kek(ctx, k.current())
	if domain.CodeOf(err) == domain.NotFound {
		return domain.Errorf(domain.NotFound, "", "%w", err).
			WithHint("Copy the directory of keys from where this book is kept. If the key was destroyed (daybook privacy rotate), the database is a backup from before that: its personal data cannot be opened, and it goes on after another daybook privacy rotate.")
	}
	return err
}

// current returns the epoch that new keys are wrapped in.
func (k *Keyring) current() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.epoch
}

// rewrap wraps keys that are not in the database yet in the newest epoch: the one
// that they are wrapped in has passed. The keys remain the same.
func (k *Keyring) rewrap(ctx context.Context, keys []*dataKey) error {
	epoch, err := newestEpoch(ctx, k.db)
	if err != nil {
		return err
	}
	kek, err := k.kek(ctx, epoch)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.epoch = epoch
	for _, d := range keys {
		if !d.stored {
			d.epoch, d.wrapped = epoch, seal.Wrap(kek, &d.Key)
		}
	}
	return nil
}

func newestEpoch(ctx context.Context, q querier) (epoch int, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(epoch), 0) FROM key_epoch`).Scan(&epoch)
	return epoch, unreachable(err)
}

// kek returns the key-encryption key of an epoch.
func (k *Keyring) kek(ctx context.Context, epoch int) (*seal.Key, error) {
	k.mu.Lock()
	kek := k.keks[epoch]
	k.mu.Unlock()
	if kek != nil {
		return kek, nil
	}
	kek, err := k.files.KEK(epoch)
	if err != nil {
		return nil, err
	}
	var id []byte
	if err := k.db.QueryRowContext(ctx, `SELECT id FROM key_epoch WHERE epoch = $1`, epoch).Scan(&id); err != nil {
		return nil, unreachable(err)
	}
	if seal.ID(id) != kek.ID() {
		return nil, domain.Errorf(domain.Refused, "keys", "the key-encryption key of epoch %d is not the one this book was sealed with", epoch).
			WithHint("Copy the directory of keys from where this book was kept, or from its backup.")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keks[epoch] = kek
	return kek, nil
}

// mac returns what stands in the database for a message that must be recognised
// again, and nobody may guess.
func (k *Keyring) mac(context string, message []byte) [32]byte {
	return seal.MAC(k.index, context, message)
}

// What a MAC is of. The same text does not have the same MAC as a key and as a
// scope.
const (
	macKey   = "key"
	macBytes = "bytes" // topic and body, of what has neither key nor scopes
	macScope = "scope"
	macBody  = "body"
	macName  = "name"
)

// bodyMAC returns what a body is recognised by.
func (k *Keyring) bodyMAC(body []byte) [32]byte { return k.mac(macBody, body) }

// scopes returns scopes as they are stored.
func (k *Keyring) scopes(scopes []string) []string {
	list := make([]string, len(scopes))
	for i, s := range scopes {
		list[i] = k.name(macScope, s)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// name returns the MAC of a deduplication key or scope as text.
func (k *Keyring) name(context, s string) string {
	mac := k.mac(context, []byte(s))
	return base64.RawURLEncoding.EncodeToString(mac[:])
}

// subjectLife is how long a key is used without looking whether it is still there:
// what is sealed with one that was destroyed meanwhile can never be opened.
const subjectLife = 5 * time.Second

// maxSubjects is how many keys are remembered.
const maxSubjects = 50_000

// newKey makes a key, which is not in the database yet.
func (k *Keyring) newKey(ctx context.Context, subject string) (*dataKey, error) {
	epoch := k.current()
	kek, err := k.kek(ctx, epoch)
	if err != nil {
		return nil, err
	}
	d := &dataKey{subject: subject, epoch: epoch}
	rand.Read(d.Key[:]) // never fails
	d.id, d.wrapped = d.ID(), seal.Wrap(kek, &d.Key)
	return d, nil
}

// subject returns the key of a subject, a new one if there is none.
func (k *Keyring) subject(ctx context.Context, subject string) (*dataKey, error) {
	if d := k.remembered(subject); d != nil {
		return d, nil
	}
	d, err := k.readSubject(ctx, subject)
	if err != nil {
		return nil, err
	}
	if d == nil {
		if d, err = k.newKey(ctx, subject); err != nil {
			return nil, err
		}
	}
	return k.remember(d), nil
}

func (k *Keyring) remembered(subject string) *dataKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.subjects[subject]
	if d == nil || d.stored && k.now().Sub(d.readAt) > subjectLife {
		return nil
	}
	return d
}

// remember returns the key to use for d's subject: another one if somebody made or
// read it meanwhile.
func (k *Keyring) remember(d *dataKey) *dataKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if other := k.subjects[d.subject]; other != nil && !other.stored && !d.stored {
		return other
	}
	if len(k.subjects) >= maxSubjects {
		for subject := range k.subjects { // any one
			delete(k.subjects, subject)
			break
		}
	}
	d.readAt = k.now()
	k.subjects[d.subject] = d
	return d
}

// A subjectRead is somebody's wish to read the key of a subject.
type subjectRead struct {
	subject string
	done    bool
	key     *dataKey // nil: there is none
	err     error
}

// readSubject returns the key of a subject, nil if there is none. Those who ask
// while somebody is asking are answered together, by one statement.
func (k *Keyring) readSubject(ctx context.Context, subject string) (*dataKey, error) {
	r := &subjectRead{subject: subject}
	k.mu.Lock()
	k.wanted = append(k.wanted, r)
	k.mu.Unlock()
	k.reading.Lock()
	defer k.reading.Unlock()
	if !r.done {
		k.mu.Lock()
		batch := k.wanted
		k.wanted = nil
		k.mu.Unlock()
		// The others do not want to fail with the one who asks for them.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
		defer cancel()
		k.readSubjects(ctx, batch)
	}
	return r.key, r.err
}

func (k *Keyring) readSubjects(ctx context.Context, batch []*subjectRead) {
	subjects := make(pq.StringArray, len(batch))
	for i, r := range batch {
		subjects[i] = r.subject
	}
	found, err := k.query(ctx, k.db, `SELECT id, coalesce(subject, ''), epoch, wrapped FROM data_key WHERE subject = ANY ($1)`, subjects)
	bySubject := make(map[string]*dataKey, len(found))
	for _, d := range found {
		bySubject[d.subject] = d
	}
	for _, r := range batch {
		r.done, r.err = true, err
		d := bySubject[r.subject]
		if d == nil || err != nil {
			continue
		}
		r.err = k.unwrap(ctx, d)
		if domain.CodeOf(r.err) == domain.NotFound { // as in read
			var again []*dataKey
			again, r.err = k.query(ctx, k.db, `SELECT id, coalesce(subject, ''), epoch, wrapped FROM data_key WHERE subject = $1`, r.subject)
			if len(again) == 0 || r.err != nil {
				continue
			}
			d = again[0]
			r.err = k.unwrap(ctx, d)
		}
		if r.err == nil {
			r.key = d
		}
	}
}

// query returns keys as they are stored, not yet unwrapped.
func (k *Keyring) query(ctx context.Context, q querier, query string, args ...any) (keys []*dataKey, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		d := &dataKey{stored: true}
		var id []byte
		if err := rows.Scan(&id, &d.subject, &d.epoch, &d.wrapped); err != nil {
			return nil, err
		}
		d.id = seal.ID(id)
		keys = append(keys, d)
	}
	return keys, unreachable(rows.Err())
}

// unwrap sets the key of d, which must be the one that its id says.
func (k *Keyring) unwrap(ctx context.Context, d *dataKey) error {
	kek, err := k.kek(ctx, d.epoch)
	if err != nil {
		return err
	}
	key, err := seal.Unwrap(kek, d.wrapped)
	if err != nil || key.ID() != d.id {
		return domain.Errorf(domain.Differs, "keys", "the key with the id %x was changed", d.id[:8]).WithHint("Restore data_key from a backup.")
	}
	d.Key = *key
	return nil
}

// isStored reports whether d is in the database.
func (k *Keyring) isStored(d *dataKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return d.stored
}

// stored notes that keys are in the database.
func (k *Keyring) stored(keys []*dataKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range keys {
		d.stored, d.readAt = true, k.now()
	}
}

// forget forgets keys that may not be the ones of their subjects.
func (k *Keyring) forget(keys []*dataKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range keys {
		if k.subjects[d.subject] == d {
			delete(k.subjects, d.subject)
		}
	}
}

// A sealing seals what one delivery holds, and knows the keys it took.
type sealing struct {
	keys     *Keyring
	source   string
	delivery *dataKey
	used     []*dataKey // the delivery's first
}

func (k *Keyring) sealing(ctx context.Context, source string) (*sealing, error) {
	d, err := k.newKey(ctx, "")
	return &sealing{keys: k, source: source, delivery: d, used: []*dataKey{d}}, err
}

// text implements [domain.Sealer].
func (s *sealing) text(ctx context.Context, about domain.DataSubject, text domain.Personal) (domain.Personal, error) {
	key := s.delivery
	if about.Type == domain.SubjectName {
		about.ID = s.keys.name(macName, string(text))
	}
	if about != (domain.DataSubject{}) {
		var err error
		if key, err = s.keys.subject(ctx, SubjectKey(s.source, about)); err != nil {
			return "", err
		}
		s.used = append(s.used, key)
	}
	return domain.Personal(seal.Text(&key.Key, string(text))), nil
}

// SubjectKey returns how a data subject is named in data_key.
func SubjectKey(source string, about domain.DataSubject) string {
	return source + "/" + about.Type + "/" + about.ID
}
