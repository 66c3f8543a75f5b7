package payload

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/daybook-ledger/daybook/domain"
)

// Rows cuts a list out of an API's answer, each element with its exact bytes and
// its id. The list is the member of the given name; with no name it is the
// document itself or, if that is an object, the only list of objects in it, for
// answers that nobody documents. The id is the first of the named members that a
// row has. An error is a [*domain.FieldError].
func Rows(body []byte, name string, ids ...string) ([]domain.Row, error) {
	document := json.RawMessage(TrimByteOrderMark(body))
	if v, _, err := DecodeJSON(document); err != nil {
		return nil, err
	} else if name == "" && v.IsList() {
		return cut(document, ids)
	} else if !v.IsObject() {
		return nil, &domain.FieldError{Field: v.Path(), Reason: "is not an object"}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		return nil, &domain.FieldError{Field: "body", Reason: "cannot be cut into rows"}
	}
	if name != "" {
		if list, ok := members[name]; ok && list[0] == '[' {
			return cut(list, ids)
		}
		return nil, &domain.FieldError{Field: name, Reason: "is not a list"}
	}
	list, found := onlyList(members, 2)
	if found != 1 {
		return nil, &domain.FieldError{Field: "body", Reason: "is not a list of objects and does not have exactly one"}
	}
	return cut(list, ids)
}

// onlyList returns the last list of objects, or empty list, among the members
// and those below them, and how many there are.
func onlyList(members map[string]json.RawMessage, depth int) (list json.RawMessage, found int) {
	for _, m := range members {
		switch m[0] {
		case '[':
			var elements []json.RawMessage
			if json.Unmarshal(m, &elements) == nil && (len(elements) == 0 || elements[0][0] == '{') {
				list, found = m, found+1
			}
		case '{':
			var below map[string]json.RawMessage
			if depth > 1 && json.Unmarshal(m, &below) == nil {
				l, n := onlyList(below, depth-1)
				if n > 0 {
					list, found = l, found+n
				}
			}
		}
	}
	return list, found
}

// cut returns the elements of a list.
func cut(list json.RawMessage, ids []string) ([]domain.Row, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(list, &elements); err != nil {
		return nil, &domain.FieldError{Field: "body", Reason: "cannot be cut into rows"}
	}
	rows := make([]domain.Row, len(elements))
	for i, e := range elements {
		rows[i] = domain.Row{ID: RowID(e, ids...), Body: e}
	}
	return rows, nil
}

// RowID returns the id of a row, the first of the named members that it has, "id"
// if none is named. One that has none is named after its bytes, so that it is
// recorded all the same.
func RowID(row []byte, ids ...string) string {
	if len(ids) == 0 {
		ids = []string{"id"}
	}
	v, _, err := DecodeJSON(row)
	for _, name := range ids {
		var try Reader
		if id := try.OptionalID(v.Get(name)); err == nil && id != "" && try.err == nil && IsLabel(id) {
			return id
		}
	}
	return "sha256-" + Digest(row)[:16]
}

// Digest returns the SHA-256 of bytes in hexadecimal: a row that changed is
// another one.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
