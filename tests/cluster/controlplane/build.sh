#!/usr/bin/env bash
# Builds the control plane into a cache outside the tree, once for each state of its sources, and prints where it is.
set -euo pipefail
cd "$(dirname "$0")"

cache="${XDG_CACHE_HOME:-$HOME/.cache}/gateway-bot"
version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' go.mod)
binary="$cache/controlplane-$version-$(cat go.mod go.sum ./*.go build.sh | cksum | cut -d ' ' -f 1)"
if [ "${1:-}" = --path ] || [ -x "$binary" ]; then
    echo "$binary"
    exit
fi

PATH="$PATH:/usr/local/go/bin"
if ! command -v go >/dev/null; then
    echo "The real control plane needs Go to be built: https://go.dev/dl. docs/testing.md names other ways." >&2
    exit 1
fi
echo "Building the control plane of Kubernetes $version: the first time takes about 8 minutes on 2 cores," >&2
echo "200 MB of downloads and 5 GB of Go's own caches. After that it is there at once." >&2
mkdir -p "$cache"
module=k8s.io/component-base/version
minor=${version#v1.}
go build -trimpath -o "$cache/.new-$$" -ldflags "-s -w -X $module.gitVersion=$version \
-X $module.gitMajor=1 -X $module.gitMinor=${minor%%.*}" .
# One cluster may still run from an older one; removing a running program's file does it no harm.
rm -f "$cache"/controlplane-*
mv "$cache/.new-$$" "$binary"
echo "$binary"
