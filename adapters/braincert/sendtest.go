package braincert

import (
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain/payload"
)

// The button Send Test sends a body with placeholders where a real delivery has
// values. BrainCert's published ones are of two forms: all the words that a field
// can hold, with slashes between them ("free/paid"), and the name of the field
// itself ("Price", "SKU", "Weight lb", "Banner URL").

// choices are the words of the fields that can hold few; a value that lists
// several is a placeholder. Fields are named with their words, since a real value
// of another field may well have a slash.
var choices = map[string][]string{
	"payment_type":       {"free", "paid"},
	"class_type":         {"one-time", "recurring"},
	"open_ended":         {"no", "yes"},
	"certificate_issued": {"no", "yes"},
	"certificate_expiry": {"no", "yes"},
	"track_stock":        {"no", "yes", "true", "false"},
	"scoring_type":       {"adaptive", "standard", "partial credit"},
	"manual_scoring":     {"pending", "completed", "null"},
	"payment_status":     {"paid", "unpaid", "pending", "completed", "failed", "refunded", "cancelled"},
	"enrollment_status":  {"active", "inactive", "pending", "completed", "expired", "cancelled"},
	"type":               {"course", "bundle", "assessment", "test", "class", "live class", "product"},
}

// freeTexts are the fields that may really say what they are called: nothing
// keeps a course from being named "Name". One of them proves nothing, two do.
var freeTexts = []string{
	"name", "title", "first_name", "last_name", "course_name", "group_name", "role_name", "field_name", "field_id", "field_value",
	"description", "subtitle", "excerpt", "bio", "slug", "shipping_option", "product_type",
}

// isTest reports whether a payload has placeholders: one where no real delivery
// can have it, or two in free texts.
func isTest(v payload.Value) bool {
	surely, perhaps := placeholders(v)
	return surely > 0 || perhaps > 1
}

// placeholders counts them, at any depth.
func placeholders(v payload.Value) (surely, perhaps int) {
	add := func(below payload.Value) {
		s, p := placeholders(below)
		surely, perhaps = surely+s, perhaps+p
	}
	for _, element := range v.List() {
		add(element)
	}
	for _, name := range v.Names() {
		member := v.Get(name)
		switch {
		case !isPlaceholder(name, member):
			add(member)
		case slices.Contains(freeTexts, name):
			perhaps++
		default:
			surely++
		}
	}
	return surely, perhaps
}

// isPlaceholder reports whether a field holds its choices or its own name.
func isPlaceholder(field string, v payload.Value) bool {
	var r payload.Reader
	text := strings.ToLower(r.Label(v))
	if text == "" {
		return false
	}
	return isOwnName(field, text) || listsChoices(choices[field], text)
}

// isOwnName reports whether text, in lower case, is the name of a field as a person
// writes it: with spaces, and perhaps with the thing before it ("Course Name") or
// with a unit behind it.
func isOwnName(field, text string) bool {
	text = strings.ReplaceAll(text, "_", " ")
	field = strings.ReplaceAll(field, "_", " ")
	for _, thing := range []string{"course ", "bundle ", "test ", "class ", "product ", "user ", "item "} {
		text = strings.TrimPrefix(text, thing)
		field = strings.TrimPrefix(field, thing)
	}
	for _, unit := range []string{" lb", " url"} {
		text = strings.TrimSuffix(text, unit)
	}
	return text == field
}

// listsChoices reports whether text is two or more of the words with slashes
// between them.
func listsChoices(words []string, text string) bool {
	listed := strings.Split(text, "/")
	if len(listed) < 2 || len(words) == 0 {
		return false
	}
	for _, word := range listed {
		if !slices.Contains(words, strings.TrimSpace(word)) {
			return false
		}
	}
	return true
}
