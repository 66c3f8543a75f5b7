package embeddedpg

import (
	"os"
	"syscall"
)

// namespace returns the identity that keeps the caller's files the caller's own
// and shows the server an ordinary user: uid 1, which every passwd file has.
func namespace() (identity, bool) {
	o := owner{os.Geteuid(), os.Getegid()}
	return identity{
		owner: o,
		name:  "a user namespace",
		attr: syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 1, HostID: o.uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 1, HostID: o.gid, Size: 1}},
		},
	}, true
}

// onNFS reports whether dir is on a network file system.
func onNFS(dir string) bool {
	const nfsMagic = 0x6969
	var st syscall.Statfs_t
	return syscall.Statfs(dir, &st) == nil && int64(st.Type) == nfsMagic //nolint:unconvert // the width differs between architectures
}
