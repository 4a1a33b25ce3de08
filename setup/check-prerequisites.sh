#!/bin/sh
# Names every missing prerequisite, and the Debian package that brings it, all together; else it is silent.
# Usage: check-prerequisites.sh [PYTHON]. It runs nothing but the shell and what it checks.
set -u
python=${1:-python3}
newline='
'
missing=
packages=

lacks() { # what, where it comes from, Debian packages if they are the whole remedy
    missing="$missing  - $1 ($2)$newline"
    packages="$packages${3:+ $3}"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

holds() { # Python code, whose success is the answer
    "$python" -c "$1" >/dev/null 2>&1
}

case ${python##*/} in
    python3*) debian=${python##*/} ;;
    *) debian=python3 ;;
esac

has g++ || lacks "g++, which compiles the simulations" "Debian: g++" g++
has make || lacks "make, which runs that compiler" "Debian: make" make
has perl || lacks "perl, in which Verilator's launcher is written" "Debian: perl" perl
if ! has "$python"; then
    lacks "$python: Python 3.11 or newer, with its venv module" "Debian: $debian $debian-venv" "$debian $debian-venv"
elif ! version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>&1); then
    lacks "a $python that runs" "this one says: ${version%%"$newline"*}"
elif ! holds 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    lacks "Python 3.11 or newer: $python is $version" "Debian 12 has it; make PYTHON=... chooses another one"
elif ! holds 'import ensurepip, venv'; then
    lacks "the venv module of $python" "Debian: $debian-venv" "$debian-venv"
elif ! holds 'import ctypes, sysconfig; ctypes.CDLL("libpython%s.so.1.0" % sysconfig.get_python_version())'; then
    short=${version%.*}
    echo "Note: make test will also need libpython$short.so (Debian: libpython$short)." >&2
fi

[ -z "$missing" ] && exit 0
printf 'hillock cannot be set up yet. Missing:\n%s' "$missing" >&2
[ -z "$packages" ] || echo "On Debian or Ubuntu: apt-get install$packages" >&2
exit 1
