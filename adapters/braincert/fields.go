package braincert

import (
	"maps"
	"slices"
	"strings"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/payload"
)

// places are where BrainCert documents the values that are read. A body that its
// customer edited may have them elsewhere; see [Config].
var places = []string{
	"id", "resource", "action", "created_at", "timestamp", "domain_id", "tenant_id", "payload",

	// People and groups.
	"payload/user_id", "payload/id", "payload/name", "payload/first_name", "payload/last_name", "payload/email",
	"payload/date_added", "payload/group_id", "payload/group_name", "payload/description",
	"payload/roles", "payload/roles/*/role_name", "payload/roles/*/role_id",
	"payload/groups", "payload/groups/*/group_id",
	"payload/custom_registration_fields", "payload/custom_registration_fields/*/field_name",
	"payload/custom_registration_fields/*/field_id", "payload/custom_registration_fields/*/field_value",

	// The catalogue.
	"payload/title", "payload/slug", "payload/price", "payload/created_at", "payload/class_id", "payload/sku",

	// Learning.
	"payload/user", "payload/user/id", "payload/user/user_id", "payload/user/name",
	"payload/user/first_name", "payload/user/last_name", "payload/user/email",
	"payload/course", "payload/course/id", "payload/course/title", "payload/course/name", "payload/course/completion_date",
	"payload/test", "payload/test/id", "payload/test/title", "payload/test/name",
	"payload/live_class", "payload/live_class/id", "payload/live_class/title", "payload/live_class/name",
	"payload/enrollment_id", "payload/activated_at", "payload/started_at", "payload/enrolled_at",
	"payload/completion_details", "payload/completion_details/certificate_issued",
	"payload/completion_details/certificate_expiry", "payload/completion_details/certificate_expiration_date",
	"payload/final_score", "payload/passing_score", "payload/manual_scoring",

	// Sales.
	"payload/order_id", "payload/order_date", "payload/payment_method", "payload/payment_status", "payload/currency",
	"payload/total_amount", "payload/service_charge", "payload/total",
	"payload/items", "payload/items/*/type", "payload/items/*/name", "payload/items/*/quantity",
	"payload/items/*/price", "payload/items/*/discount", "payload/items/*/item_total",
}

// checkFields refuses a place that nobody reads, which would be passed over in
// silence, and what is no JSON pointer.
func checkFields(fields payload.Overlay) error {
	const op = "braincert: configure"
	for _, place := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(places, place) {
			return domain.Errorf(domain.Usage, op, "nothing is read from %.80q", place).
				WithHint(`Name the place at which BrainCert documents the value, such as "payload/order_id" or "payload/items/*/item_total".`)
		}
		for _, pointer := range fields[place] {
			if pointer != "" && !strings.HasPrefix(pointer, "/") {
				return domain.Errorf(domain.Usage, op, "%s: %.80q is no JSON pointer", place, pointer).
					WithHint(`A JSON pointer begins with a slash, such as "/order/number"; "" is the whole document.`)
			}
		}
	}
	return nil
}
