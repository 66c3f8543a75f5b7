// Package migrations holds the DDL of what must never be lost: the log, the
// deliveries it came from and how far its followers are.
//
// Files run in name order, forward only. The tables of projections are not
// here: they are disposable, and each follows from its declaration.
package migrations

import "embed"

// FS holds the migrations.
//
//go:embed *.sql
var FS embed.FS
