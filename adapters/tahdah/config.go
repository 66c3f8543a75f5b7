package tahdah

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A topic says what deliveries under a verb are, and how they are read.
type topic struct {
	name string // "" if the verb is the name
	read func(*delivery) error
}

// documented returns the topics whose body is documented, by meaning. Tahdah's
// own spelling of verbs is not consistent.
func documented() map[string]topic {
	return map[string]topic{
		"credits":      {verbCredits, (*delivery).credits},
		"ledger-entry": {verbEntry, (*delivery).entry},
		"legal-entity": {verbLegalEntity, (*delivery).legalEntity},
	}
}

// Verbs whose body is documented; see [documented].
const (
	verbCredits     = "eventCredits.Updated"
	verbEntry       = "finance.entry.created"
	verbLegalEntity = "legalEntities.created"
)

// mappings returns the assumed mappings with what is configured in their place, in
// the order of [Mappings].
func (c Config) mappings() ([]mapped, error) {
	all := assumed()
	for _, name := range slices.Sorted(maps.Keys(c.Mappings)) {
		i := slices.IndexFunc(all, func(t mapped) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mapping %q; there are %s", name, strings.Join(Mappings(), ", "))
		}
		var err error
		if all[i], err = all[i].with(c.Mappings[name]); err != nil {
			return nil, err
		}
	}
	for i := range all {
		all[i].pointers = make(map[string][]pointer)
		for name, list := range all[i].Fields {
			for _, p := range list {
				all[i].pointers[name] = append(all[i].pointers[name], newPointer(p))
			}
		}
	}
	return all, nil
}

// topics returns what each verb means, by its letters. A verb that is configured
// takes the place of the same one in an assumed mapping; nothing takes that of a
// documented one, and none has two meanings.
func (c Config) topics(mappings []mapped) (map[string]topic, error) {
	bound := make(map[string]topic)
	for _, t := range documented() {
		bound[letters(t.name)] = t
	}
	further, err := lettered(c.Verbs)
	if err != nil {
		return nil, err
	}
	for verb, meaning := range further {
		t, ok := documented()[meaning]
		if _, taken := bound[verb]; taken || !ok {
			return nil, fmt.Errorf("the verb %q cannot mean %q: it means something already, or that is none of %s (others are bound in their mapping)",
				verb, meaning, strings.Join(slices.Sorted(maps.Keys(documented())), ", "))
		}
		bound[verb] = t
	}
	for _, m := range mappings {
		for verb := range m.Verbs {
			if c.Mappings[m.name].Verbs == nil {
				continue
			}
			if _, taken := bound[verb]; taken {
				return nil, fmt.Errorf("the verb %q of %s means something else already", verb, m.name)
			}
			bound[verb] = m.topic(verb)
		}
	}
	for _, m := range mappings {
		for verb := range m.Verbs {
			if _, taken := bound[verb]; !taken {
				bound[verb] = m.topic(verb)
			}
		}
	}
	return bound, nil
}

// lettered returns verbs reduced to their letters.
func lettered(verbs map[string]string) (map[string]string, error) {
	all := make(map[string]string, len(verbs))
	for _, verb := range slices.Sorted(maps.Keys(verbs)) {
		name := letters(verb)
		switch other, twice := all[name]; {
		case name == "":
			return nil, fmt.Errorf("the verb %q has no letters", verb)
		case twice && other != verbs[verb]:
			return nil, fmt.Errorf("the verb %q stands for both %q and %q", verb, other, verbs[verb])
		}
		all[name] = verbs[verb]
	}
	return all, nil
}

// topic returns what deliveries under one of the mapping's verbs are.
func (t mapped) topic(verb string) topic {
	return topic{read: func(d *delivery) error { return d.mapped(&t, t.Verbs[verb]) }}
}

// An Assumption is a mapping that is in use and that nobody has confirmed.
type Assumption struct {
	Mapping string // name of its table in the configuration
	What    string // what is assumed, in words
}

// Assumptions returns the mappings that are in use and not confirmed. It fails
// where [New] does, the secrets aside.
func (c Config) Assumptions() ([]Assumption, error) {
	mappings, err := c.mappings()
	if err != nil {
		return nil, err
	}
	var list []Assumption
	for _, m := range mappings {
		if !m.Confirmed && len(m.Verbs) > 0 {
			list = append(list, Assumption{m.name, "verb and body of " + m.what})
		}
	}
	_, err = c.topics(mappings)
	return list, err
}
