# shellcheck shell=bash
# Sourced by the scripts beside it: makes a virtual environment with this project in it, once, whatever the machine lacks.

say() { printf '\n== %s\n' "$*" >&2; }

is_root_with_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    say "apt-get install $*"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >&2 </dev/null
}

# make_venv PYTHON DIR
make_venv() {
    local python=$1 dir=$2
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
        echo "Python 3.10 or newer is needed; name one with PYTHON=/path/to/python3 $0" >&2
        return 1
    }
    "$python" -m venv "$dir" >/dev/null 2>&1 && return
    rm -rf "$dir"
    # Debian and Ubuntu keep ensurepip in a package of its own.
    if is_root_with_apt && apt_install python3-venv && "$python" -m venv "$dir"; then return; fi
    rm -rf "$dir"
    if "$python" -m virtualenv --quiet "$dir" 2>/dev/null; then return; fi
    echo "This Python cannot make virtual environments: install python3-venv or virtualenv, or name another with PYTHON=" >&2
    return 1
}

# environment DIR EXTRAS [REQUIREMENT...]: the project, editable, with its EXTRAS ("[test]" or "") and further requirements.
# Nothing is done where DIR already holds just that. The interpreter is $PYTHON, else python3.
environment() {
    local dir=$1 extras=$2 wanted
    shift 2
    wanted=$(printf '%s\n' "${PYTHON:-python3}" "$PWD" "$extras" "$@" "${WITHOUT:-}" "$(cksum <pyproject.toml)")
    [ "$(cat "$dir/.wanted" 2>/dev/null)" = "$wanted" ] && return
    say "Making $dir"
    rm -rf "$dir"
    make_venv "${PYTHON:-python3}" "$dir"
    "$dir/bin/python" -m pip install -qq --disable-pip-version-check --editable ".$extras" "$@" </dev/null >&2
    if [ -n "${WITHOUT:-}" ]; then
        "$dir/bin/python" -m pip uninstall -qq --disable-pip-version-check --yes "$WITHOUT" </dev/null >&2
    fi
    printf '%s\n' "$wanted" >"$dir/.wanted"
}
