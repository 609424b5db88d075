# shellcheck shell=bash
# Shared by every script here: where things are, how people are spoken to, the virtual environment.
# Sourced, never run. Needs bash, and apt only where a package of the system is missing.

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$root/.venv

# Relative settings are meant from where the person stands; everything below runs with absolute ones.
case ${CALLCORE_HOME:-} in
    '') CALLCORE_HOME=$root/var ;;
    /*) ;;
    *) CALLCORE_HOME=$PWD/$CALLCORE_HOME ;;
esac
case ${CALLCORE_CACHE:-} in
    '') CALLCORE_CACHE=${XDG_CACHE_HOME:-${HOME:-$CALLCORE_HOME}/.cache}/callcore ;;
    /*) ;;
    *) CALLCORE_CACHE=$PWD/$CALLCORE_CACHE ;;
esac
export CALLCORE_HOME CALLCORE_CACHE

# Another project's Python settings must not reach into this environment.
# Without compiled files each of the many processes would compile the project anew.
unset PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# say JAPANESE ENGLISH
say() { printf '%s\n%s\n' "$1" "$2" >&2; }

# die JAPANESE ENGLISH [LINE TO TYPE]
die() {
    say "エラー: $1" "Error: $2"
    [ $# -lt 3 ] || printf '\n    %s\n\n' "$3" >&2
    exit 1
}

# A loader's library path and PATH are both cut at colons, so such a place cannot work.
case $root$CALLCORE_HOME in
    *:*) die "パスにコロン「:」は使えません。別の場所へ移してください: $root" \
        "A path with a colon cannot work. Move the project elsewhere: $root" ;;
esac

# install_packages PACKAGE…: by apt as root or through sudo without a password; otherwise says the line and stops.
# Nothing that comes in is started: services of these packages would only stand in the way of other work.
install_packages() {
    local as=() line="apt-get update && apt-get install -y $*" policy=/usr/sbin/policy-rc.d done_ok=1
    if ! command -v apt-get >/dev/null; then
        die "次のパッケージを入れてから、もう一度実行してください: $*" "Install these packages, then run this again: $*"
    fi
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as=(sudo -n)
        elif command -v sudo >/dev/null; then
            die "次の一行を入力してから、もう一度実行してください。" "Type this one line, then run this again." "sudo sh -c '$line'"
        else
            die "次の一行を入力してから、もう一度実行してください。" "Type this one line, then run this again." "su -c '$line'"
        fi
    fi
    say "システムのパッケージを入れます: $*" "Installing packages of the system: $*"
    local apt=("${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q
        -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o APT::Install-Recommends=false)
    local held=0
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as[@]}" tee $policy >/dev/null && "${as[@]}" chmod 755 $policy && held=1
    fi
    { "${apt[@]}" update && "${apt[@]}" install -y "$@"; } </dev/null >&2 || done_ok=0
    [ $held = 0 ] || "${as[@]}" rm -f $policy
    [ $done_ok = 1 ] || die "apt が失敗しました。上の表示を確かめ、もう一度実行してください。" \
        "apt failed. Look at what it says above, then run this again."
}

# Prints the first Python that is new enough (3.11 is the floor), or nothing.
find_python() {
    local candidate
    for candidate in ${CALLCORE_PYTHON:+"$CALLCORE_PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

# One setup at a time in one clone: a second one waits for the first.
lock_setup() {
    mkdir -p "$CALLCORE_HOME"
    exec 9>"$CALLCORE_HOME/.setup.lock"
    if ! flock -n 9; then
        say "別の準備が終わるのを待っています (最長15分)。" "Waiting for another setup to finish (15 minutes at most)."
        flock -w 900 9 || die "別の準備が終わりません。止めてから、もう一度実行してください。" \
            "The other setup does not finish. Stop it, then run this again."
    fi
}
unlock_setup() { exec 9>&-; }

ensure_venv() {
    local python missing=()
    python=$(find_python)
    if [ -z "$python" ]; then
        install_packages python3 python3-venv
        python=$(find_python)
        [ -n "$python" ] || die "Python 3.11 以上が必要です。" "Python 3.11 or later is needed."
    fi
    # A project that was moved or copied: the environment still points at its old place.
    if [ -e "$venv/pyvenv.cfg" ]; then
        if [ "$(cat "$venv/.place" 2>/dev/null)" = "$venv" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
            return
        fi
        say "仮想環境を作り直します。" "Making the virtual environment anew."
    fi
    # Debian splits ensurepip off; asking for its version is the only test that does not lie.
    if ! "$python" -c 'import venv' 2>/dev/null || ! "$python" -m ensurepip --version >/dev/null 2>&1; then
        case $("$python" -c 'import sys; print(sys.executable)') in
            /usr/bin/python3 | "$(readlink -f /usr/bin/python3)") missing+=(python3-venv) ;;
            *) missing+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')") ;;
        esac
        install_packages "${missing[@]}"
    fi
    rm -rf "$venv"
    "$python" -m venv "$venv" || die "仮想環境を作れません: $venv" "The virtual environment cannot be made: $venv"
    printf '%s' "$venv" >"$venv/.place"
}

# pip_lock LOCK: installs exactly what the lock names, from wheels only, so that no compiler is ever needed.
pip_lock() {
    "$venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: -r "$1" ||
        die "Python のライブラリを入れられません。ネットワークと pip の設定を確かめ、もう一度実行してください。" \
            "The Python libraries cannot be installed. Look at the network and pip's configuration, then run this again."
}

stamp_of() { cat "$@" | sha256sum | cut -d' ' -f1; }

ensure_runtime() {
    local want stamp=$venv/.runtime
    want=$(stamp_of "$root/requirements.lock" "$root/pyproject.toml")
    [ "$(cat "$stamp" 2>/dev/null)" != "$want" ] || return 0
    say "callcore のライブラリを入れます。" "Installing callcore's libraries."
    rm -f "$stamp" "$venv/.dev"
    pip_lock "$root/requirements.lock"
    "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable "$root" ||
        die "callcore を仮想環境に入れられません。上の表示を確かめてください。" \
            "callcore cannot be installed into the virtual environment. Look at what pip says above."
    printf '%s' "$want" >"$stamp"
}

ensure_dev() {
    local want stamp=$venv/.dev
    want=$(stamp_of "$root/requirements.lock" "$root/requirements-dev.lock")
    [ "$(cat "$stamp" 2>/dev/null)" != "$want" ] || return 0
    say "テストと検査の道具を入れます。" "Installing the tools for tests and checks."
    rm -f "$stamp"
    pip_lock "$root/requirements-dev.lock"
    printf '%s' "$want" >"$stamp"
}

# Asterisk itself reads zones from the system alone, and would silently take UTC for Asia/Tokyo.
ensure_zones() {
    [ -e /usr/share/zoneinfo/Asia/Tokyo ] || install_packages tzdata
}

# Arguments are those of toolchain.py; there may be none.
ensure_toolchain() {
    "$venv/bin/python" "$root/scripts/lib/toolchain.py" "$@"
}

# The mirror that this machine's apt is set to.
mirror_of_host() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(SITE)|$(RELEASE)' 'Created-By: Packages' |
        awk -F'|' '$2 !~ /security/ { print $1; exit }'
}

# bare_tree SUITE MIRROR: makes a bare tree by debootstrap, once, and says in $bare where it is. Needs root.
bare_tree() {
    bare=$CALLCORE_CACHE/bare/$1
    [ ! -e "$bare/.whole" ] || return 0
    command -v debootstrap >/dev/null || install_packages debootstrap
    say "$1 の素の木を作ります。" "Making a bare tree of $1."
    rm -rf "$bare"
    mkdir -p "$bare"
    debootstrap --variant=minbase "$1" "$bare" "$2" >"$bare.log" 2>&1 ||
        { tail -n 5 "$bare.log" >&2; die "debootstrap が失敗しました。" "debootstrap failed."; }
    touch "$bare/.whole"
}

# sources_of_host SUITE ETC_APT: copies where this machine's apt fetches SUITE from; nothing where it has another one.
sources_of_host() {
    [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = "$1" ] || return 0
    rm -f "$2/sources.list"
    mkdir -p "$2/sources.list.d"
    cp -a /etc/apt/sources.list "$2/" 2>/dev/null || true
    cp -a /etc/apt/sources.list.d/. "$2/sources.list.d/"
}
acquire_of_host() { apt-config dump | grep -iE '^Acquire::(https?::|Check-)' || true; }
# Names of this environment that say how pip and others reach the network, and of those that name a file for it.
network_names() { compgen -e | grep -iE '^(PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)|(https?|no)_proxy)$' || true; }
network_files() {
    local name file
    for name in PIP_CERT SSL_CERT_FILE PIP_CONFIG_FILE; do
        file=${!name:-}
        [ -n "$file" ] || { [ $name != PIP_CONFIG_FILE ] || file=/etc/pip.conf; }
        [ ! -f "$file" ] || printf '%s %s\n' "$name" "$file"
    done
}

# Browser, database, load generator and what else the tests need of the system (test-packages.txt).
install_test_packages() {
    local package probe missing=()
    while read -r package probe; do
        case $package in '' | '#'*) continue ;; esac
        compgen -G "$probe" >/dev/null || command -v "$probe" >/dev/null || missing+=("$package")
    done <"$root/scripts/lib/test-packages.txt"
    [ ${#missing[@]} -gt 0 ] || return 0
    local as=()
    [ "$(id -u)" = 0 ] || as=(sudo -n)
    # The packages would set up a database cluster and a server of their own; the tests start theirs.
    local quiet=/etc/postgresql-common/createcluster.d/callcore.conf
    case " ${missing[*]} " in *' postgresql '*)
        if [ ! -e $quiet ] && "${as[@]}" mkdir -p "${quiet%/*}" 2>/dev/null; then
            echo 'create_main_cluster = false' | "${as[@]}" tee $quiet >/dev/null
        fi ;;
    esac
    install_packages "${missing[@]}"
    # The tests start what they need; these would start with the machine.
    for package in prometheus prometheus-alertmanager; do
        case " ${missing[*]} " in *" $package "*)
            ! command -v systemctl >/dev/null || "${as[@]}" systemctl disable "$package" >/dev/null 2>&1 || true ;;
        esac
    done
}
