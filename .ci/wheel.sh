#!/usr/bin/env bash
# Builds and checks the wheel and the archive of sources, installs the wheel in a clean environment outside the repository,
# without torch first, and runs the README's quick start there.
set -euo pipefail
python=$1
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# from a copy, so that nothing stale in build/ gets in, and nothing new is left behind
mkdir "$work/source"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- -cf - ) | tar -xf - -C "$work/source"
"$python" -m build --outdir "$work/dist" "$work/source" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
ls "$work/dist"
"$python" -m twine check --strict "$work"/dist/*
"$python" -m check_wheel_contents "$work"/dist/*.whl
"$python" -m validate_pyproject "$root/pyproject.toml"
"$python" -m pyroma --min 9 "$work/source"
tar -tzf "$work"/dist/*.tar.gz | "$python" "$root/.ci/sdist.py"

"$python" -m venv "$work/venv"
# shellcheck disable=SC2086  # PIP_ARGS is a list of words
install() {
  "$work/venv/bin/python" -m pip install --quiet --no-compile ${PIP_ARGS:-} -c "$root/constraints.txt" "$@"
}
install "meshmove[pyvista] @ file://$(ls "$work"/dist/*.whl)"

mkdir "$work/run"
cd "$work/run"
"$work/venv/bin/python" -c 'import meshmove; assert "site-packages" in meshmove.__file__, meshmove.__file__'
"$work/venv/bin/python" "$root/.ci/without_torch.py"
install "meshmove[neural] @ file://$(ls "$work"/dist/*.whl)"
"$work/venv/bin/python" "$root/.ci/quick_start.py" "$root/README.md"
