#!/bin/bash
# debian.sh PACKAGES CONSUMER ROOT: makes a bare Debian 12 in ROOT, installs the .deb files of the folder PACKAGES there
# with apt, the library's first and alone, and builds and runs CONSUMER in it. Needs root, debootstrap and the network.
set -euo pipefail
packages=$1 consumer=$2 root=$3
skip() {
  echo "skipped: $*"
  exit 0
}
[ "$(id -u)" = 0 ] || skip "only root can work in another root folder"
command -v debootstrap >/dev/null || skip "debootstrap was not found (Debian: debootstrap)"
rm -rf "$root"
debootstrap --variant=minbase bookworm "$root" >"$root.log" 2>&1 || { tail -3 "$root.log"; skip "debootstrap failed"; }
cp -r "$packages" "$root/packages"
cp -r "$consumer" "$root/consumer"
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/"
inside() {
  chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}
install() { inside apt-get install -q -y --no-install-recommends "$@" >>"$root.log" 2>&1 || { tail -20 "$root.log"; exit 1; }; }

inside apt-get update -q >>"$root.log"
install $(cd "$root" && ls packages/libduet[0-9]*.deb | sed 's#^#/#')
library=$(cd "$root" && find usr/lib -name 'libduet.so.*.*.*')
echo "the library alone: $(inside ldd "/$library" | grep -c '=> /') shared libraries behind it"
! inside ldd "/$library" | grep 'not found'
install g++ make cmake $(cd "$root" && ls packages/libduet-dev*.deb | sed 's#^#/#')
inside cmake -S /consumer -B /consumer/build -DCMAKE_BUILD_TYPE=Release >>"$root.log"
inside cmake --build /consumer/build >>"$root.log"
inside /consumer/build/consumer
rm -rf "$root"
