package tahdah

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// entry reads finance.entry.created: one entry of Tahdah's finance ledger. It is
// told apart by what is written in it, since it has no id; see [entryKey].
func (d *delivery) entry() error {
	v, err := d.decode(payload.Value.IsObject, "an object")
	if err != nil {
		return err
	}
	items := v.Get("invoiceDetail", "items")
	d.Key = entryKey(v, canonical(nil, items))
	if !v.Get("header").IsObject() {
		d.Fail(v.Get("header"), "is missing") // the verb is not signed: the body must fit it
	}
	e := d.entryPosted(v)
	e.Entry = bounded(entryKey(v, canonicalFacts(items)))
	if d.Err() != nil {
		return d.Err()
	}
	d.Facts = []domain.Fact{{OccurredAt: e.CreatedAt, Event: e}}
	return nil
}

func (r *reader) entryPosted(v payload.Value) domain.SalesEntryPosted {
	header := v.Get("header")
	invoice := r.Object(v.Get("invoiceDetail"))
	payment := r.Object(v.Get("paymentDetail"))
	e := domain.SalesEntryPosted{
		Number:            r.Label(invoice.Get("number")),
		PurchaseOrder:     r.TryLabel(invoice.Get("poNumber")),
		ItemType:          r.Label(v.Get("itemType")),
		Beneficiary:       r.party(header.Get("beneficiary")),
		Payer:             r.party(header.Get("payer")),
		PostedBy:          r.party(header.Get("postedBy")),
		PaymentReference:  r.Label(payment.Get("paymentReference")),
		PaymentMethodCode: r.TryLabel(payment.Get("paymentMethod")),
		PaymentStatusCode: r.TryLabel(payment.Get("paymentStatus")),
		Currency:          domain.NormalCurrency(r.ID(v.Get("currency", "isoCode"))),
		CreatedAt:         r.Time(header.Get("createdDate")),
		DueAt:             r.TryTime(header.Get("dueDate")),
		PostingAt:         r.Time(header.Get("postingDate")),
		Description:       domain.Personal(r.TryText(header.Get("description"))),
	}
	e.Debit, e.Credit = r.sides(v.Get("debit"), v.Get("credit"))
	for _, item := range r.Elements(invoice.Get("items")) {
		e.Items = append(e.Items, r.item(item))
	}
	for _, p := range r.Elements(invoice.Get("payments")) {
		e.Payments = append(e.Payments, r.payment(p))
	}
	return e
}

// sides returns debit and credit. One that is not there is zero if the other
// is, which is flagged; an entry without either says nothing.
func (r *reader) sides(debit, credit payload.Value) (d, c decimal.Decimal) {
	onDebit, onCredit := r.OptionalDecimal(debit), r.OptionalDecimal(credit)
	switch {
	case r.Err() != nil:
		return d, c // not missing, but no number
	case onDebit == nil && onCredit == nil:
		r.Fail(debit, "is missing, and so is credit")
		return d, c
	case onDebit == nil:
		r.Flag("debit-missing")
		return d, *onCredit
	case onCredit == nil:
		r.Flag("credit-missing")
		return *onDebit, c
	}
	return *onDebit, *onCredit
}

func (r *reader) party(v payload.Value) domain.Party {
	r.Object(v)
	return domain.Party{
		ID:         r.OptionalID(v.Get("id")),
		EntityType: r.TryLabel(v.Get("entityType")),
		Name:       domain.Personal(r.TryText(v.Get("name"))),
	}
}

func (r *reader) item(v payload.Value) domain.EntryItem {
	r.Object(v)
	return domain.EntryItem{
		ID:          r.TryLabel(v.Get("id")),
		Description: domain.Personal(r.TryText(v.Get("description"))),
		TypeCode:    r.TryLabel(v.Get("itemType")),
		TypeName:    r.TryLabel(v.Get("itemTypeName")),
		NominalCode: r.TryLabel(v.Get("nominalCode")),
		Quantity:    r.DecimalOrZero(v.Get("quantity")),
		UnitCost:    r.DecimalOrZero(v.Get("unitCost")),
		Amount:      r.DecimalOrZero(v.Get("amount")),
		Tax:         r.DecimalOrZero(v.Get("tax")),
		TaxName:     r.TryLabel(v.Get("taxName")),
		SentAt:      r.TryTime(v.Get("dateSent")),
		CancelledAt: r.TryTime(v.Get("dateCancelled")),
	}
}

func (r *reader) payment(v payload.Value) domain.EntryPayment {
	r.Object(v)
	return domain.EntryPayment{
		ID:          r.TryLabel(v.Get("id")),
		Amount:      r.Decimal(v.Get("credit")),
		MethodCode:  r.TryLabel(v.Get("paymentMethod")),
		StatusCode:  r.TryLabel(v.Get("paymentStatus")),
		Reference:   r.TryLabel(v.Get("paymentReference")),
		AllocatedAt: r.TryTime(v.Get("allocatedAt")),
	}
}

// entryKey derives what identifies a ledger entry:
//
//	entry/<itemType>/<invoice number>/<payment reference>/<createdDate>/<credit>/<debit>/<currency>/<hash>
//
// Each part is escaped by [payload.Key]; a part that is not there is empty.
// Credit and debit are decimals without needless zeros, or the text as sent if
// they are none; the currency is in its normal form. Hash is the hexadecimal
// SHA-256 of the invoice's items as they are given: of [canonical] in the key, so
// that the same entry sent with other bytes is noticed as a conflict; of
// [canonicalFacts] in the entry's id, which everybody may read and from whose hash
// nobody must be able to guess a name.
func entryKey(v payload.Value, items []byte) string {
	sum := sha256.Sum256(items)
	return payload.Key("entry",
		tryKey(v.Get("itemType")),
		tryKey(v.Get("invoiceDetail", "number")),
		tryKey(v.Get("paymentDetail", "paymentReference")),
		tryKey(v.Get("header", "createdDate")),
		tryAmount(v.Get("credit")),
		tryAmount(v.Get("debit")),
		domain.NormalCurrency(tryKey(v.Get("currency", "isoCode"))),
		hex.EncodeToString(sum[:]),
	)
}

// tryKey returns the text of v, and "" if it has none.
func tryKey(v payload.Value) string {
	var try payload.Reader
	return try.Label(v)
}

func tryAmount(v payload.Value) string {
	var try payload.Reader
	if d := try.OptionalDecimal(v); d != nil && try.Err() == nil {
		return d.String()
	}
	return tryKey(v)
}

// canonical appends v in a form that does not depend on white space, on the
// order of members, or on whether a value was sent as a number or as text:
// {"name":value …} with names sorted and null members left out, [value …], and
// quoted text.
func canonical(b []byte, v payload.Value) []byte {
	switch {
	case v.IsObject():
		b = append(b, '{')
		for _, name := range v.Names() {
			if member := v.Get(name); member.Exists() {
				b = append(strconv.AppendQuote(b, name), ':')
				b = append(canonical(b, member), ' ')
			}
		}
		return append(b, '}')
	case v.IsList():
		b = append(b, '[')
		for _, element := range v.List() {
			b = append(canonical(b, element), ' ')
		}
		return append(b, ']')
	}
	return strconv.AppendQuote(b, tryKey(v))
}

// itemFacts are the members of an item that are about no person.
var itemFacts = []string{"id", "itemType", "itemTypeName", "nominalCode", "quantity", "unitCost", "amount", "tax", "taxName", "dateSent", "dateCancelled"}

// canonicalFacts is [canonical] of what items say beside free text.
func canonicalFacts(items payload.Value) (b []byte) {
	for _, item := range items.List() {
		b = append(b, '{')
		for _, name := range itemFacts {
			if member := item.Get(name); item.IsObject() && member.Exists() {
				b = append(strconv.AppendQuote(b, name), ':')
				b = append(canonical(b, member), ' ')
			}
		}
		b = append(b, '}')
	}
	return b
}

// bounded returns key if it is short enough for an event's id, and a key with
// its hash otherwise.
func bounded(key string) string {
	if len(key) <= domain.MaxIDBytes {
		return key
	}
	kind, _, _ := strings.Cut(key, "/")
	sum := sha256.Sum256([]byte(key))
	return payload.Key(kind, "sha256", hex.EncodeToString(sum[:]))
}
