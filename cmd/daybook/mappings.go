package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/adapters/tahdah"
)

// mappingsConfig is the part of a source that says how Tahdah's topics are read
// that are not documented: a table for each mapping, and further verbs of the
// topics that are. See [tahdah.Mapping].
type mappingsConfig struct {
	Membership   *mappingConfig    `toml:"membership"`
	Person       *mappingConfig    `toml:"person"`
	Roles        *mappingConfig    `toml:"roles"`
	Registration *mappingConfig    `toml:"registration"`
	Catalogue    *mappingConfig    `toml:"catalogue"`
	Verbs        map[string]string `toml:"verbs"`
}

// tahdah returns the configuration of a provider with the given secrets.
func (c mappingsConfig) tahdah(secrets []string) tahdah.Config {
	config := tahdah.Config{Secrets: secrets, Verbs: c.Verbs, Mappings: make(map[string]tahdah.Mapping)}
	for name, m := range map[string]*mappingConfig{
		"membership": c.Membership, "person": c.Person, "roles": c.Roles, "registration": c.Registration, "catalogue": c.Catalogue,
	} {
		if m != nil {
			config.Mappings[name] = tahdah.Mapping(*m)
		}
	}
	return config
}

// checkMappings reports what is wrong with the mappings of a source.
func (s sourceConfig) checkMappings() error {
	c := s.tahdah(nil)
	if s.Provider != "tahdah" && len(c.Mappings)+len(c.Verbs) > 0 {
		return errors.New("mappings and verbs are for tahdah")
	}
	_, err := c.Assumptions()
	return err
}

// assumed returns what daybook takes for granted about a source because its
// provider does not document it.
func (s sourceConfig) assumed() []tahdah.Assumption {
	if s.Provider != "tahdah" {
		return nil
	}
	list, _ := s.tahdah(nil).Assumptions() // checked when it was read
	return list
}

// A mappingConfig is one table: verbs, words and confirmed, and a list of JSON
// pointers for any field of the mapping. Which fields there are is the mapping's
// to know.
type mappingConfig tahdah.Mapping

// UnmarshalTOML implements [toml.Unmarshaler].
func (m *mappingConfig) UnmarshalTOML(data any) (err error) {
	table, ok := data.(map[string]any)
	if !ok {
		return errors.New("a mapping is a table")
	}
	m.Fields = make(map[string][]string)
	for _, name := range sortedKeys(table) {
		switch value := table[name]; name {
		case "verbs":
			m.Verbs, err = texts(name, value)
		case "words":
			m.Words, err = texts(name, value)
		case "confirmed":
			if m.Confirmed, ok = value.(bool); !ok {
				err = errors.New("confirmed is true or false")
			}
		default:
			m.Fields[name], err = pointers(name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// texts returns a table of texts.
func texts(name string, value any) (map[string]string, error) {
	table, ok := value.(map[string]any)
	all := make(map[string]string, len(table))
	for key, v := range table {
		text, isText := v.(string)
		ok = ok && isText
		all[key] = text
	}
	if !ok {
		return nil, fmt.Errorf(`%s is a table of texts, such as { "a" = "b" }`, name)
	}
	return all, nil
}

// pointers returns a list of JSON pointers.
func pointers(name string, value any) ([]string, error) {
	list, ok := value.([]any)
	all := make([]string, len(list))
	for i, v := range list {
		if all[i], _ = v.(string); all[i] == "" {
			ok = false
		}
	}
	if !ok {
		return nil, fmt.Errorf(`%s is a list of JSON pointers, such as ["/a/b"]`, name)
	}
	return slices.Clip(all), nil
}
