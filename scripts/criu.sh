#!/bin/sh
# criu.sh DIRECTORY: leaves DIRECTORY/criu, a criu that works with this kernel: the host's own where that is new enough,
# else Debian's newest, with its own C library, beside everything that the host has. Nothing to do when it is there.
#
# The packages come from the host's own mirror by its own apt, which verifies them by Debian's chain of signatures, in
# directories of their own: the host's lists, packages and database are not touched.
set -eu
[ $# = 1 ] || { echo 'usage: criu.sh DIRECTORY' >&2; exit 64; }
mkdir -p "$1"
target=$(cd "$1" && pwd)
suite=forky
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Linux 6.16 refuses a question about TCP sockets that criu before 4.2 asks.
kernel=$(uname -r | sed 's/^\([0-9]*\)\.\([0-9]*\).*/\1 \2/')
least=0
if [ "${kernel% *}" -gt 6 ] || { [ "${kernel% *}" -eq 6 ] && [ "${kernel#* }" -ge 16 ]; }; then least=2; fi

fits() { # a criu that is new enough and can be run
  version=$("$1" --version 2>/dev/null | sed -n 's/^Version: //p') || return 1
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  [ "$major" -gt 4 ] 2>/dev/null || { [ "$major" -eq 4 ] && [ "$minor" -ge "$least" ]; } 2>/dev/null
}

if [ -x "$target/criu" ] && fits "$target/criu"; then exit 0; fi
own=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v criu || true)
if [ -n "$own" ] && fits "$own"; then
  ln -sfn "$own" "$target/criu"
  exit 0
fi
for needed in apt-get apt-config dpkg dpkg-deb; do
  command -v "$needed" >/dev/null || { echo "there is no $needed: install criu 4.$least or newer" >&2; exit 69; }
done
[ -e "$keyring" ] || { echo "there is no $keyring (package debian-archive-keyring)" >&2; exit 69; }

work=$target/work.$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/state" "$work/preferences.d" "$work/files" "$work/program"
arch=$(dpkg --print-architecture)
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
  grep -v security | head -n 1)
: >"$work/status"
echo "deb [arch=$arch signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"
# How this host reaches its mirror, and how old a list it may take from one that stands still.
apt-config dump | grep -E '^Acquire::([a-z]+::Proxy|[a-z]+::CAInfo|Check-Valid-Until|Max-ValidTime)[: ]' >"$work/apt.conf" || true
cat >>"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "$work/preferences.d";
Dir::State "$work/state";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
APT::Sandbox::User "root";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::AllowInsecureRepositories "false";
CONF
export APT_CONFIG="$work/apt.conf"
apt-get -qq update
# With nothing installed apt resolves all that criu needs, the C library included.
apt-get -qq --yes --download-only --no-install-recommends install criu >/dev/null
for package in "$work"/archives/*.deb; do
  case $(dpkg-deb -f "$package" Package) in
    criu | lib*) dpkg-deb -x "$package" "$work/files" ;;
  esac
done

# Of that, what the program links, as its own loader finds it.
loader=$(find "$work/files" -name 'ld-linux-*.so.*' | head -n 1)
program=$(find "$work/files" -type f -path '*bin/criu')
[ -n "$loader" ] && [ -n "$program" ] || { echo "Debian's packages are not what is expected" >&2; exit 70; }
libraries=$(find "$work/files" -type d \( -path '*/lib/*-linux-gnu' -o -name criu -o -path '*/lib64' \) | paste -sd:)
cp "$loader" "$work/program/loader"
cp "$program" "$work/program/program"
"$loader" --library-path "$libraries" --list "$program" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | while read -r file; do
  case $file in */ld-linux-*) ;; *) cp -L "$file" "$work/program/" ;; esac
done
cat >"$work/program/criu" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/loader" --library-path "$here" "$here/program" "$@"
WRAPPER
chmod 755 "$work/program/criu" "$work/program/program" "$work/program/loader"
fits "$work/program/criu" || { echo "criu of Debian $suite cannot be used on this host" >&2; exit 70; }
# The directory is named after what is in it, so that a criu that runs keeps its libraries.
name=criu-$version
rm -rf "$target/$name.old"
[ ! -e "$target/$name" ] || mv "$target/$name" "$target/$name.old"
mv "$work/program" "$target/$name"
rm -rf "$target/$name.old"
ln -sfn "$name/criu" "$target/criu"
