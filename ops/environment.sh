#!/bin/sh
# Prepares the Python environment in .venv; called by the Makefile, once per step, from the project's root.
# Usage: sh ops/environment.sh python | runtime | dev
# Messages go to stderr: the standard output belongs to the command that comes after.
set -eu

# Wherever pip is configured to fetch packages from is respected. What would make it install outside .venv is not.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_ROOT
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

here=$(pwd -P)
venv_python=.venv/bin/python

say() {
    printf '%s\n%s\n' "$1" "$2" >&2
}

fail() {
    say "Erreur : $1" "Error: $2"
    exit 1
}

recent_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the first interpreter that is recent enough; PYTHON=/chosen/one wins over the search.
find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && recent_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    found=$(${PYTHON:-python3} --version 2>/dev/null || true)
    found=${found:-${PYTHON:-python3} -> ?}
    fail "il faut Python 3.11 ou plus récent (trouvé : $found). Installez-le, ou donnez son chemin : make install PYTHON=python3.12" \
        "Python 3.11 or newer is needed (found: $found). Install it, or say where it is: make install PYTHON=python3.12"
}

# True when .venv works, has pip, and was made for this very folder: a moved or copied tree carries scripts of the old place.
environment_is_sound() {
    [ -x "$venv_python" ] && recent_enough "$venv_python" && "$venv_python" -m pip --version >/dev/null 2>&1 \
        && head -n 3 .venv/bin/pip | grep -qF "$here/.venv/bin/"
}

# Debian and Ubuntu keep the part of Python that makes environments in a package of its own.
install_debian_venv() {
    package="$("$1" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "ce Python ne sait pas créer d'environnement. Installez le paquet $package (Debian, Ubuntu : sudo apt-get install $package), puis recommencez." \
            "this Python cannot create an environment. Install the package $package (Debian, Ubuntu: sudo apt-get install $package), then try again."
    fi
    say "Installation du paquet $package (il manque à ce Python)…" "Installing the package $package (this Python lacks it)…"
    { apt-get install -y -qq "$package" || { apt-get update -qq && apt-get install -y -qq "$package"; }; } >&2 \
        || fail "le paquet $package n'a pas pu être installé." "the package $package could not be installed."
}

make_environment() {
    if environment_is_sound; then return; fi
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_debian_venv "$python"
    say "Création de l'environnement Python dans .venv…" "Creating the Python environment in .venv…"
    "$python" -m venv --clear .venv || fail "l'environnement .venv n'a pas pu être créé." "the environment .venv could not be created."
}

# --no-deps: the files name every package, with its hash; nothing else may come in.
install_files() {
    "$venv_python" -m pip install --quiet --no-deps --require-hashes "$@" >&2 \
        || fail "des paquets n'ont pas pu être installés. La cause est au-dessus (souvent : pas d'accès à l'index de paquets Python configuré pour pip)." \
            "packages could not be installed. The cause is above (often: no access to the Python package index that pip is configured with)."
}

case "${1:-}" in
    python)
        make_environment
        ;;
    runtime)
        say "Installation des bibliothèques (une minute environ)…" "Installing the libraries (about one minute)…"
        install_files -r requirements/build.txt -r requirements/runtime.txt
        PIP_REQUIRE_HASHES=0 "$venv_python" -m pip install --quiet --no-deps --no-build-isolation --editable . >&2 \
            || fail "le projet n'a pas pu être installé dans .venv." "the project could not be installed in .venv."
        ;;
    dev)
        say "Installation des outils de développement et de test…" "Installing the development and test tools…"
        install_files -r requirements/dev.txt
        ;;
    *)
        fail "usage : sh ops/environment.sh python | runtime | dev" "usage: sh ops/environment.sh python | runtime | dev"
        ;;
esac
