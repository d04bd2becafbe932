# Readies what "./caisson" needs; sourced by it, with its variables and functions. Every step may be repeated, cut
# off at any instant and tried by two at once.

say() { echo "caisson: $*" >&2; }
die() {
  code=$1
  shift
  say "$*"
  exit "$code"
}

set_up() {
  if [ "$need" = setup ] && [ $# -gt 1 ]; then
    echo 'usage: caisson setup' >&2
    echo 'Installs what is missing, builds the agent, the launcher and the base runtime. Needs root, or what root installed.' >&2
    case $2 in -h | --help) exit 0 ;; *) exit 64 ;; esac
  fi
  [ "$(uname -s)" = Linux ] || die 69 'Caisson runs on Linux. From elsewhere, use the SDK and CAISSON_URL.'
  take_lock
  install_system
  install_packages
  if [ "$need" != packages ]; then build_native; fi
  if [ "$need" = all ] || [ "$need" = setup ]; then
    build_runtime
    build_runtimes_for_tests
    fetch_criu
  fi
  if [ "$need" = setup ]; then
    say 'ready. "./caisson doctor" says what this host can do.'
    exit 0
  fi
  exec 9<&-
}

# Held by the kernel for as long as this process or a step of it lives, so a killed set-up leaves no stale lock.
take_lock() {
  command -v flock >/dev/null || die 69 'flock is missing. Install util-linux, then run this again.'
  exec 9<"$root"
  flock --nonblock 9 && return
  say 'another set-up is running here; waiting for it'
  flock 9
}

# What a command of the machine is for, by the Debian package that brings it.
missing_system() {
  command -v npm >/dev/null || { [ "$need" != setup ] && packages_ready; } || echo nodejs npm
  [ "$need" = packages ] && return
  command -v make >/dev/null || echo make
  command -v gcc >/dev/null || echo gcc
  [ -e /usr/include/stdio.h ] || echo libc6-dev
  [ "$need" = native ] && return
  command -v crun >/dev/null || echo crun
  command -v nft >/dev/null || [ -x /usr/sbin/nft ] || echo nftables
  command -v ip >/dev/null || [ -x /sbin/ip ] || echo iproute2
  command -v mmdebstrap >/dev/null || echo mmdebstrap
  command -v mkfs.btrfs >/dev/null || [ -x /sbin/mkfs.btrfs ] || echo btrfs-progs
  command -v skopeo >/dev/null || echo skopeo
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
  [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
  missing_for_tests
}

# What only the tests run: clients of the SSH server, and what the made-up internet is made of. Without them, and where
# they can not be installed, those tests are skipped and say why.
missing_for_tests() {
  [ "${npm_lifecycle_event:-}" = pretest ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  command -v ssh >/dev/null || echo openssh-client
  command -v rsync >/dev/null || echo rsync
  command -v git >/dev/null || echo git
  command -v curl >/dev/null || echo curl
  command -v openssl >/dev/null || echo openssl
  command -v ping >/dev/null || echo iputils-ping
  command -v docker-registry >/dev/null || echo docker-registry
  [ -x /bin/busybox ] || echo busybox-static
}

install_system() {
  missing=$(missing_system | tr '\n' ' ')
  missing=${missing% }
  [ -z "$missing" ] && return
  if ! command -v apt-get >/dev/null; then
    die 69 "this machine lacks (Debian's names): $missing. Install them with its package manager, then run this again."
  elif [ "$(id -u)" != 0 ]; then
    die 69 "this machine lacks some packages. Run this line, then try again:
  sudo apt-get install -y $missing"
  fi
  say "installing Debian packages: $missing"
  # The lists are brought up to date only when the machine's own do not serve.
  apt_install $missing 2>/dev/null >/dev/null && return
  step 'apt-get update failed' apt-get update
  step 'apt-get install failed' apt_install $missing
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}

install_packages() {
  stamp=$root/node_modules/.caisson-packages
  digest=$(sha256sum <"$root/package-lock.json")
  if [ ! -x "$node" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$digest" ]; then
    say 'installing npm packages, Node 24 among them'
    step 'npm ci failed' in_root npm ci --ignore-scripts --no-audit --no-fund
    [ -x "$node" ] || die 69 "there is no Node 24 package for this machine ($(uname -m)); x86_64 and aarch64 have one."
    say "npm packages are installed ($(elapsed))"
  fi
  echo "$digest" >"$stamp.new" && mv "$stamp.new" "$stamp"
}

build_native() {
  if native_ready; then return; fi
  say 'building the agent and the launcher'
  mkdir -p "$built"
  : >"$built/.caisson-native.new"
  step 'the build of native/ failed' make -C "$root/native"
  mv "$built/.caisson-native.new" "$built/.caisson-native"
  native_built || die 70 'the build of native/ ended well but not everything is there; "make -C native clean" and try again.'
  say "the agent and the launcher are built ($(elapsed))"
}

build_runtime() {
  # "setup" compares digests and builds what has changed; any other command only needs one to be there.
  if [ "$need" != setup ] && runtime_ready; then return; fi
  [ -d "${images%/*}" ] || mkdir -p -m 700 "${images%/*}"
  if [ "$(id -u)" != 0 ]; then
    runtime_ready && return
    die 69 "the base runtime is built as root. Run this line, then try again:
  sudo CAISSON_IMAGES_DIR=$images $root/caisson setup"
  fi
  [ -e "$images/base/current" ] || say 'building the base runtime (Debian, about half a minute and 450 MB)'
  "$node" "$root/scripts/setup-runtime.ts" --images-dir "$images" base:latest || exit 69
}

# What only the tests make sandboxes of; anybody else's first sandbox of them builds them.
build_runtimes_for_tests() {
  [ "${npm_lifecycle_event:-}" = pretest ] && [ "$(id -u)" = 0 ] || return 0
  [ -e "$images/code-interpreter/current" ] ||
    say 'building the runtimes of the E2B tests (Debian, some minutes and 2 GB)'
  "$node" "$root/scripts/setup-runtime.ts" --images-dir "$images" e2b-base:latest code-interpreter:v1 ||
    say 'they could not be built, and the tests that need them will fail'
}

# Without it the memory of paused sandboxes stays in RAM, and "doctor" says so: no reason to stop.
fetch_criu() {
  [ "$(id -u)" = 0 ] || return 0
  # "setup" looks again whether it still suits the kernel.
  if [ "$need" != setup ] && [ -x "$built/criu/criu" ]; then return; fi
  said=$(sh "$root/scripts/criu.sh" "$built/criu" 2>&1 </dev/null) && return
  say "there is no criu for this kernel, so paused sandboxes keep their memory in RAM: $said"
}

# Runs a command whose words only matter when it fails.
step() {
  failed=$1
  shift
  began=$(date +%s)
  said=$("$@" 2>&1 </dev/null) && return
  printf '%s\n' "$said" >&2
  die 69 "$failed; what it said is above. Mend the cause, then run this again."
}

in_root() { (cd "$root" && "$@"); }
elapsed() { echo "$(($(date +%s) - began)) s"; }
