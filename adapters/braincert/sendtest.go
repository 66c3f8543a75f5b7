package braincert

import (
	"strings"

	"github.com/daybook-ledger/daybook/domain/payload"
)

// placeholders are the words that the Send Test button puts where a real
// delivery has a value, by field. A field is named with its word, so that a
// course may well be called "no/yes".
var placeholders = map[string][]string{
	"payment_type":       {"free/paid"},
	"class_type":         {"one-time/recurring"},
	"open_ended":         {"no/yes", "yes/no"},
	"scoring_type":       {"adaptive/standard/partial credit"},
	"manual_scoring":     {"pending/completed/null"},
	"certificate_issued": {"no/yes", "yes/no"},
	"certificate_expiry": {"no/yes", "yes/no"},
	"price":              {"price"},
	"discount":           {"discount"},
	"shipping_charge":    {"shipping charge"},
	"sku":                {"sku"},
}

// isTest reports whether v holds a placeholder, at any depth.
func isTest(v payload.Value) bool {
	for _, element := range v.List() {
		if isTest(element) {
			return true
		}
	}
	for _, name := range v.Names() {
		if isPlaceholder(name, v.Get(name)) || isTest(v.Get(name)) {
			return true
		}
	}
	return false
}

func isPlaceholder(field string, v payload.Value) bool {
	var r payload.Reader
	text := r.Label(v)
	for _, word := range placeholders[field] {
		if strings.EqualFold(text, word) {
			return true
		}
	}
	return false
}
