package tahdah

import (
	"maps"
	"slices"
)

// Names of mappings, and of their tables in the configuration.
const (
	membership   = "membership"
	person       = "person"
	roles        = "roles"
	registration = "registration"
	catalogue    = "catalogue"
)

// Mappings returns the names of the mappings there are.
func Mappings() []string {
	var names []string
	for _, t := range assumed() {
		names = append(names, t.name)
	}
	return names
}

// assumed returns the topics that are read by a mapping, and the mapping that is
// used unless parts of it are configured. All of it is assumed: the verbs from
// the names in Tahdah's menu, of today and before ("Member Added", "Catalogue
// Entry Created"), the pointers from the spelling of the bodies that are
// documented. That a verb for a removed member means the status "removed" is
// assumed too; no other verb implies a status.
//
// An id is looked for under names that say what it is the id of; "/id" alone may
// be that of the change.
func assumed() []mapped {
	return []mapped{
		{
			name: membership, what: "trust-group member changes", key: "member", about: aboutMember, read: memberChanged,
			Mapping: Mapping{
				Verbs: verbs([]string{"", "trustgroup", "trustgroups"}, []string{"member", "members"},
					map[string]string{"updated": "", "added": "", "removed": "removed"}),
				Fields: map[string][]string{
					"group":        {"/trustGroupId", "/trustGroup/id", "/trustGroupUid", "/trustGroup/uid", "/groupId", "/group/id"},
					"group_name":   {"/trustGroupName", "/trustGroup/name", "/groupName", "/group/name"},
					"legal_entity": {"/legalEntityId", "/legalEntity/id", "/member/legalEntityId"},
					"candidate":    {"/candidateId", "/candidate/id", "/member/candidateId"},
					"name":         {"/legalEntityName", "/legalEntity/name", "/member/name", "/name"}, // of a legal entity in a list
					"status":       {"/status/name", "/status", "/memberStatus", "/membershipStatus", "/state"},
					"from":         {"/from", "/joinedAt", "/validFrom", "/startDate", "/fromDate"},
					"until":        {"/until", "/expiresAt", "/validTo", "/endDate", "/toDate", "/to"},
					"changed_at":   {"/updatedAt", "/changedAt", "/modifiedAt"},
				},
			},
		},
		{
			name: person, what: "people added", key: person, about: aboutPerson, read: personAdded,
			Mapping: Mapping{
				Verbs: verbs(staff, []string{"person", "people", "persons"}, map[string]string{"added": "added"}),
				Fields: with(personFields("", "/person"), map[string][]string{
					"person":       personIDs,
					"organization": organizationIDs,
					"roles":        roleLists,
					"role":         roleNames,
					"changed_at":   {"/addedAt", "/createdAt", "/updatedAt", "/changedAt"},
				}),
			},
		},
		{
			name: roles, what: "roles updated", key: roles, about: aboutRoles, read: rolesUpdated,
			Mapping: Mapping{
				Verbs: verbs(slices.Concat(staff, []string{"person"}), []string{"role", "roles"}, map[string]string{"updated": "roles-updated"}),
				Fields: map[string][]string{
					"person":       personIDs,
					"organization": organizationIDs,
					"roles":        roleLists,
					"role":         roleNames,
					"changed_at":   {"/updatedAt", "/changedAt", "/modifiedAt"},
				},
			},
		},
		{
			name: registration, what: "pathway registrations", key: registration, about: aboutRegistration, read: registered,
			Mapping: Mapping{
				Verbs: verbs([]string{"", "pathway", "pathways"}, []string{"registration", "registrations"}, map[string]string{"created": ""}),
				Fields: with(personFields("/candidate", "/person"), map[string][]string{
					"candidate":    {"/candidateId", "/candidate/id", "/personId", "/person/id"},
					"pathway":      {"/pathwayId", "/pathway/id", "/learningExperienceId", "/learningExperience/id"},
					"pathway_name": {"/pathwayName", "/pathway/name", "/pathway/title", "/learningExperience/name"},
					"registration": {"/registrationId", "/registration/id"},
					"changed_at":   {"/registeredAt", "/createdAt", "/addedAt"},
				}),
			},
		},
		{
			name: catalogue, what: "catalogue entries", key: catalogue, about: aboutEntry, read: entryPublished,
			Mapping: Mapping{
				Verbs: verbs([]string{"catalogue", "catalogues", "catalog", "catalogs"}, []string{"entry", "entries"},
					map[string]string{"published": "published", "created": "created"}),
				Fields: map[string][]string{
					"entry":      {"/entryId", "/catalogueEntryId", "/catalogueEntry/id", "/entry/id"},
					"name":       {"/title", "/name", "/catalogueEntry/title", "/catalogueEntry/name", "/entry/title", "/entry/name"},
					"price":      {"/price/amount", "/price", "/catalogueEntry/price", "/entry/price"},
					"status":     {"/status/name", "/status", "/state"},
					"slug":       {"/slug", "/url"},
					"changed_at": {"/publishedAt", "/updatedAt", "/createdAt"},
				},
			},
		},
	}
}

// What topics about people have in common.
var (
	staff           = []string{"", "legalentity", "legalentities", "people", "peoplestaff", "staff"}
	personIDs       = []string{"/personId", "/person/id", "/staffId", "/staff/id"} // no candidate: other topics are about one
	organizationIDs = []string{"/legalEntityId", "/legalEntity/id", "/organisationId", "/organizationId"}
	roleLists       = []string{"/roles", "/person/roles", "/roleRefs", "/roleIds"}
	roleNames       = []string{"/name", "/role/name", "/title", "/id", "/roleId", "/role/id"} // of an element that is an object
)

// personFields returns where the name and address of a person are, below any of
// the pointers.
func personFields(below ...string) map[string][]string {
	fields := map[string][]string{
		"name":       {"/fullName", "/displayName", "/name"},
		"first_name": {"/firstName", "/givenName", "/forename"},
		"last_name":  {"/lastName", "/familyName", "/surname"},
		"email":      {"/email", "/emailAddress"},
	}
	for name, ends := range fields {
		var all []string
		for _, at := range below {
			for _, end := range ends {
				all = append(all, at+end)
			}
		}
		fields[name] = all
	}
	return fields
}

// with returns fields with more of them.
func with(fields, more map[string][]string) map[string][]string {
	maps.Copy(fields, more)
	return fields
}

// verbs returns every verb that is made of a place, a thing and what happened to
// it, with what that implies.
func verbs(places, things []string, implied map[string]string) map[string]string {
	all := make(map[string]string)
	for _, place := range places {
		for _, thing := range things {
			for happened, word := range implied {
				all[place+thing+happened] = word
			}
		}
	}
	return all
}
