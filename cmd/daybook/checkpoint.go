package main

import (
	"github.com/spf13/cobra"
)

// checkpointCommand is "daybook checkpoint": what the log says of itself to those
// outside, and how they check it.
func checkpointCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Prove to others that the log holds a record and was never changed",
		Long: `A checkpoint is a signed statement of how many records the log has and of the root
of their tree. Whoever keeps one can be shown, at any later time, that the log still
begins with exactly these records, and that a record is one of them: without access
to the database, and without trusting who runs it.`,
		Example: "  daybook checkpoint show\n  daybook checkpoint prove 7 --out 7.tlog-proof\n  daybook checkpoint verify 7.tlog-proof --key log.vkey",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkpointShow(a), checkpointSign(a), checkpointProve(a), checkpointVerify(a), checkpointRotate(a))
	return cmd
}
