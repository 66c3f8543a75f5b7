package payload

import (
	"maps"
	"slices"
	"strings"
)

// An Overlay says where else the values of a document may be. A key is the place
// where a value belongs, a path such as "payload/order_id"; its JSON pointers are
// tried in order if nothing is there. They are seen from the document or, if the
// path has a "*", which stands for every element of a list, from the element.
type Overlay map[string][]string

// Over returns v with its empty places filled. A value keeps the path under which
// it was sent, so that an error names that one. Places are filled in the order of
// their paths, and see what was filled before.
func (o Overlay) Over(v Value) Value {
	for _, place := range slices.Sorted(maps.Keys(o)) {
		v = fill(v, v, strings.Split(place, "/"), o[place])
	}
	return v
}

// fill returns v with the place below it filled from the document, or element,
// that the pointers are seen from. What v shares with others stays as it is.
func fill(v, from Value, place, pointers []string) Value {
	switch {
	case len(place) == 0 && v.Filled():
		return v
	case len(place) == 0:
		for _, p := range pointers {
			if found := from.At(p); found.Filled() {
				return found
			}
		}
		return v
	case place[0] == "*":
		elements := v.List()
		nodes := make([]any, len(elements))
		for i, e := range elements {
			nodes[i] = fill(e, e, place[1:], pointers)
		}
		if v.IsList() {
			v.node = nodes
		}
		return v
	case v.Exists() && !v.IsObject(): // something else is in the way
		return v
	}
	got := fill(v.Get(place[0]), from, place[1:], pointers)
	if !got.Exists() {
		return v
	}
	o, _ := v.node.(object)
	filled := make(object, len(o)+1)
	maps.Copy(filled, o)
	filled[place[0]] = got
	return Value{path: v.path, node: filled}
}
