package postgres

import (
	"slices"

	"github.com/daybook-ledger/daybook/domain"
)

// replay decides whether p, which is an earlier delivery translated again, may be
// booked. It returns p as it is to be written, or the delivery that has booked the
// same already, or an error with code Refused.
//
// A level without a time counts from when it was received, but the log can only
// go on at its end: one that was replayed after a later level of the same scope
// would put the older in the place of the newer.
func (e *existing) replay(p *prepared) (*prepared, *found, error) {
	const op = "replay"
	cause := p.Cause.String()
	if f, ok := e.replays[cause]; ok {
		return p, &f, nil
	}
	first, ok := e.replayed[cause]
	switch {
	case !ok:
		return nil, nil, domain.Errorf(domain.NotFound, op, "there is no delivery %s", cause)
	case first.booked:
		return p, &first, nil
	case first.body != p.body:
		return nil, nil, domain.Errorf(domain.Internal, op, "these are not the bytes of delivery %s", cause)
	case p.status != domain.Accepted:
		return nil, nil, domain.Errorf(domain.Refused, op, "delivery %s still cannot be booked", cause)
	}
	if p.key == "" { // what has a key says when it was, and takes its place by that
		if same, err := e.superseded(p, first); same != nil || err != nil {
			return p, same, err
		}
	}
	sameKey := e.byKey[[2]string{p.Source, p.key}]
	for _, f := range sameKey {
		switch {
		case f.id == first.id || !f.booked:
		case f.body == p.body:
			return p, &f, nil
		case !p.Insist:
			return nil, nil, domain.Errorf(domain.Refused, op, "delivery %s has the same key and other bytes, and is booked", f.id).
				WithHint("Compare the two with: daybook delivery show. If both are facts, replay with --insist.")
		}
	}
	r := *p
	r.origin = first.position
	if slices.ContainsFunc(sameKey, func(f found) bool { return f.body == p.body }) {
		r.key = p.keys.keys.name(macKey, "replay/"+cause) // its own is taken by these bytes
		r.write()
	}
	return &r, nil, nil
}

// superseded returns the later delivery that has booked the same as p, a replay of
// first, in each of its scopes. Anything else that was booked in one of them later
// is an error.
func (e *existing) superseded(p *prepared, first found) (*found, error) {
	var same []found
	for _, scope := range p.scopes {
		last, ok := e.booked[[2]string{p.Source, scope}]
		switch {
		case !ok || last.origin < first.position:
		case last.body == p.body:
			same = append(same, last)
		default:
			return nil, domain.Errorf(domain.Refused, "replay", "delivery %s reported the same later", last.id).
				WithHint("What it says is newer; nothing has to be booked.")
		}
	}
	if len(same) == 0 || len(same) < len(p.scopes) {
		return nil, nil
	}
	return &same[0], nil
}
