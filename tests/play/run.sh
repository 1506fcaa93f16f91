#!/bin/bash
# run.sh PLAY CHECK PROGRAM FOLDER: puts the page of docs/play, what Duet expects of it (written by PROGRAM) and the
# checks into FOLDER, and opens it in headless Chromium. The page runs the checks; its result is read from its text.
set -eu
play=$1 check=$2 program=$3 folder=$4
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "skipped: no chromium here (Debian: apt-get install chromium)"
  exit 0
fi
rm -rf "$folder" && mkdir -p "$folder"
cp "$play"/*.js "$play"/*.css "$check" "$folder"
"$program" "$folder/expected.js"
sed 's#</body>#<script src="expected.js"></script><script src="check.js"></script></body>#' "$play/index.html" >"$folder/index.html"
# --no-sandbox: root has no user namespace to put the browser in; the page is our own.
"$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
  --disable-component-update --disable-sync --user-data-dir="$folder/profile" \
  --dump-dom "file://$folder/index.html" >"$folder/page.html" 2>"$folder/browser.log"
result=$(sed -n '/<pre id="result">/,/<\/pre>/p' "$folder/page.html" | sed 's/<[^>]*>//g')
[ -n "$result" ] || { cat "$folder/browser.log"; echo "the page's checks did not run"; exit 1; }
echo "$result"
grep -q ', 0 failed' <<<"$result"
