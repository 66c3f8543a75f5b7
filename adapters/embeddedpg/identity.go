package embeddedpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An identity is who the server runs as. PostgreSQL refuses to run as root.
type identity struct {
	owner owner // of the cluster's files
	name  string
	attr  syscall.SysProcAttr
}

func self() identity {
	return identity{owner: owner{os.Geteuid(), os.Getegid()}, name: "the calling user"}
}

// account returns the identity of another user, without supplementary groups.
func account(o owner, name string) identity {
	cred := &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)} //nolint:gosec // user and group ids are 32 bits wide
	return identity{owner: o, name: name, attr: syscall.SysProcAttr{Credential: cred}}
}

// lookup returns the identity of the account called name.
func lookup(name string) (identity, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return identity{}, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return account(owner{uid, gid}, "account "+name), errors.Join(err1, err2)
}

// identify returns who is to run p. A cluster that exists already is run by
// whoever its files belong to.
//
// Root lends an account that can enter the directories, or else, on Linux, runs
// the server in a user namespace, where root's own files belong to an ordinary
// user. The namespace also serves a user who is not in the passwd file, which
// initdb insists on.
func identify(ctx context.Context, f files, p programs, major int) (identity, error) {
	if major != 0 {
		return identifyOwner(ctx, f, p)
	}
	if os.Geteuid() != 0 {
		if _, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
			return self(), nil
		}
		if ns, ok := namespace(); ok && usable(ctx, ns, f, p) == nil {
			return ns, nil
		}
		return self(), nil
	}
	var reasons []string
	wanted := os.Getenv("DAYBOOK_PG_USER")
	id, err := lookup(cmp.Or(wanted, "postgres"))
	if err == nil {
		err = usable(ctx, id, f, p)
	}
	switch {
	case err == nil:
		return id, nil
	case wanted != "":
		return identity{}, unreachable("DAYBOOK_PG_USER: %w", err).WithHint(hintStateDir)
	}
	reasons = append(reasons, err.Error())
	if ns, ok := namespace(); ok {
		if err = usable(ctx, ns, f, p); err == nil {
			return ns, nil
		}
		reasons = append(reasons, err.Error())
	}
	if id, err = lookup("nobody"); err == nil {
		if err = usable(ctx, id, f, p); err == nil {
			return id, nil
		}
	}
	reasons = append(reasons, err.Error())
	return identity{}, unreachable("PostgreSQL does not run as root, and nobody else can: %s", strings.Join(reasons, "; ")).
		WithHint("Run daybook as an ordinary user, or keep its state where the account postgres can enter. " + hintStateDir)
}

// identifyOwner returns the identity that f.data belongs to.
func identifyOwner(ctx context.Context, f files, p programs) (identity, error) {
	o, _, err := ownerOf(f.data)
	if err != nil {
		return identity{}, unreachable("%w", err)
	}
	id := self()
	switch euid := os.Geteuid(); {
	case o.uid == euid && euid == 0:
		ns, ok := namespace()
		if !ok {
			return identity{}, unreachable("%s belongs to root, as whom PostgreSQL does not run", f.data)
		}
		id = ns
	case o.uid == euid:
		return id, nil
	case euid == 0:
		id = account(o, fmt.Sprintf("user %d", o.uid))
	default:
		return identity{}, unreachable("%s belongs to user %d, and this is user %d", f.data, o.uid, euid).
			WithHint("Run daybook as the user that the directory belongs to. " + hintStateDir)
	}
	if err := usable(ctx, id, f, p); err != nil {
		return identity{}, unreachable("%s belongs to user %d: %w", f.data, o.uid, err).
			WithHint("Let that user enter the directory, or set DAYBOOK_PG_BINDIR to server programs it can run.")
	}
	return id, nil
}

// usable runs "postgres --version" as id in f.pg: it returns an error unless id
// can enter the state directory and run p.
func usable(ctx context.Context, id identity, f files, p programs) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path("postgres"), "--version")
	cmd.Dir = f.pg
	cmd.SysProcAttr = new(id.attr)
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if id.owner.uid != os.Geteuid() {
		for _, dir := range []string{f.pg, p.dir} {
			if barred := barredAt(dir, id.owner); barred != "" {
				return fmt.Errorf("%s cannot enter %s", id.name, barred)
			}
		}
	}
	return fmt.Errorf("%s: %w", id.name, err)
}

// barredAt returns the first directory on the way to dir that o may not enter,
// judged by its mode, or "".
func barredAt(dir string, o owner) string {
	if up := filepath.Dir(dir); up != dir {
		if barred := barredAt(up, o); barred != "" {
			return barred
		}
	}
	has, info, err := ownerOf(dir)
	if err != nil {
		return ""
	}
	bit := fs.FileMode(0o001)
	switch {
	case has.uid == o.uid:
		bit = 0o100
	case has.gid == o.gid:
		bit = 0o010
	}
	if info.Mode()&fs.ModeSymlink == 0 && info.Mode()&bit == 0 {
		return dir
	}
	return ""
}
