#!/bin/sh
# Makes a night to try boi's review commands on: a scratch repository, a scratch home, and 30 specs that end in different
# ways. The "agents" are a shell script: no model is called and nothing is paid. It takes two minutes.
#
#   sh docs/examples/night.sh /tmp/night      # the folder must not exist; it gets everything
#   . /tmp/night/env                          # `boi` then works on the scratch home
#
# docs/morning.md shows what to do next. To end: `boi daemon stop`, and delete the folder.
set -eu
[ $# -eq 1 ] || { echo "usage: sh night.sh FOLDER" >&2; exit 2; }
mkdir "$1"
night=$(cd "$1" && pwd)
cat > "$night/env" <<END
export BOI_HOME='$night/home'
END
. "$night/env"
mkdir -m 700 "$BOI_HOME"

# --- the agent: carries out the lines of the prompt that begin with "do: ", and answers with those that begin with "say: "
cat > "$night/agent" <<'END'
#!/bin/sh
# $1 is the cost in dollars, or "text" for an agent that reports none. boi adds the arguments of Claude Code.
cost=$1
while [ $# -gt 1 ]; do
    case $1 in --session-id | --resume) session=$2 ;; esac
    shift
done
prompt=$(cat)
printf '%s\n' "$prompt" > "$(dirname "$0")/prompt-$BOI_SPEC-$BOI_TRY"
[ "$cost" = text ] || echo '{"type":"system","subtype":"init","model":"night-model","permissionMode":"bypassPermissions","session_id":"'"$session"'"}'
status=0
if [ "$BOI_TASK" = land ]; then # keep both sides of each conflict
    git diff --name-only --diff-filter=U | xargs -r sed -i '/^<<<<<<< /d; /^=======$/d; /^>>>>>>> /d; /^||||||| /d'
else
    printf '%s\n' "$prompt" | sed -n 's/^do: //p' > "$BOI_WORKTREE.todo"
    sh "$BOI_WORKTREE.todo" >&2 || status=$?
    rm -f "$BOI_WORKTREE.todo"
fi
say=$(printf '%s\n' "$prompt" | sed -n 's/^say: //p' | tail -n 1)
if [ "$cost" = text ]; then
    echo "${say:-Done.}"
    exit "$status"
elif [ "$status" != 0 ]; then
    echo '{"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":1,"duration_ms":5,"result":"'"${say:-I could not do it.}"'","total_cost_usd":'"$cost"',"usage":{"input_tokens":5200,"output_tokens":640},"session_id":"'"$session"'"}'
    exit 1
else
    echo '{"type":"assistant","session_id":"'"$session"'","message":{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"'"${say:-Done.}"'"}]}}'
    echo '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"duration_ms":5,"result":"'"${say:-Done.}"'","total_cost_usd":'"$cost"',"usage":{"input_tokens":5200,"output_tokens":640},"session_id":"'"$session"'"}'
fi
END
chmod +x "$night/agent"
cat > "$BOI_HOME/config.toml" <<END
max_workers = 4
retry_count = 1
retry_backoff_seconds = [0, 0]
spawn_jitter_ms = [0, 20]

[agents.claude]
command = ["$night/agent", "0.31"]

[agents.opus]
command = ["$night/agent", "1.05"]
output = "claude-stream-json"

[agents.local]
command = ["$night/agent", "text"]
END
chmod 600 "$BOI_HOME/config.toml"

# --- the repository
shop=$night/shop
git init -q -b main "$shop"
cd "$shop"
git config user.name "You" && git config user.email you@example.com
mkdir api tests mails
printf '# Shop\n' > README.md
printf '# Changes\n\n- 1.0: first release\n' > CHANGELOG.md
printf 'def route(path):\n    return table[path]\n' > router.py
printf 'def total(cart):\n    return sum(cart)\n' > cart.py
printf 'import os\nimport sys\nimport json\n' > app.py
printf 'Hello\n' > mails/en.txt
printf 'GET /\n' > api/endpoints
printf 'grep -q cache cart.py || { echo "AssertionError: cart is slow ($(date +%%N | cut -c1-3) ms)"; exit 1; }\n' > tests/cart.sh
git add -A && git commit -q -m "The shop"

# --- the specs
mkdir "$night/specs"
# spec TITLE FIELDS TASKS: writes a spec and queues it; its id is in $id
spec() {
    tasks=$(printf '%s\n' "$3" | sed "s/@TITLE@/$1/")
    file=$night/specs/$(printf '%s' "$1" | tr -c 'a-zA-Z0-9\n' -).toml
    printf 'title = "%s"\n%s\n%s\n' "$1" "$2" "$tasks" > "$file"
    id=$(boi dispatch --json "$file" 2> "$night/dispatch.log" | sed -n 's/.*"id": *"\(S[0-9A-F]*\)".*/\1/p' | head -n 1)
    [ -n "$id" ] || { cat "$night/dispatch.log" >&2; exit 1; }
}
# prompt TEXT [FIELDS]: prints a task for the agent, whose prompt begins with the title of the spec
prompt() { printf "[[tasks]]\nprompt = '''\n@TITLE@\n%s\n'''\n%s\n" "$1" "${2-}"; }
repo="repo = \"$shop\""
merge="$repo
deliver = \"merge\""

# Five that merge by themselves.
spec "Add a health endpoint" "$merge" "$(prompt 'do: echo "GET /health" > api/health' 'verify = ["test -s api/health"]')"
spec "Fix the footer" "$merge" "$(prompt 'do: echo "(c) Shop" >> README.md')"
spec "Write the French mail" "$merge" "$(prompt 'do: echo Bonjour > mails/fr.txt')"
# Way 1 lands while two others work on the same lines.
spec "Rewrite the router, way 1" "$merge
priority = 10" "$(prompt "do: until [ -e $night/began-2 ] && [ -e $night/began-3 ]; do sleep 0.1; done
do: sed -i s/table.path./tree.find\(path\)/ router.py")"
landed="do: until git merge-base --is-ancestor boi/$id main 2> /dev/null && [ \$(git rev-parse boi/$id) != \$(git rev-parse HEAD) ]; do sleep 0.1; done"
spec "Sort the imports" "$merge" "$(prompt 'do: sort -o app.py app.py')"
# One that is sent back to its agent, which resolves the conflict.
spec "Log each request" "$merge
priority = 10" "$(prompt "do: touch $night/began-2
$landed
do: sed -i 's/table.path./log(table[path])/' router.py")"
# One that conflicts and stays unmerged, and one that waits for it.
spec "Rewrite the router, way 2" "$merge
priority = 10
on_conflict = \"unmerged\"
agent = \"opus\"" "$(prompt "do: touch $night/began-3
$landed
do: sed -i s/table.path./match\(path\)/ router.py")"
spec "Document the router" "$repo
after = [\"$id\"]" "$(prompt 'do: echo "The router" > ROUTER.md')"
# Failures: two with one cause, one that waits for them, and three more causes.
spec "Speed up the cart: index" "$repo
agent = \"opus\"" "$(prompt 'do: echo "# index" >> cart.py' 'verify = ["sh tests/cart.sh"]')"
cart=$id
spec "Speed up the cart: batch" "$repo
agent = \"opus\"" "$(prompt 'do: echo "# batch" >> cart.py' 'verify = ["sh tests/cart.sh"]')"
spec "Publish the numbers of the cart" "$repo
after = [\"$cart\"]" "$(prompt 'do: echo fast > NUMBERS')"
spec "Translate the mails to German" "$repo" "$(prompt 'do: echo Guten Tag > mails/ge.txt' 'verify = ["test -s mails/de.txt"]')"
spec "Upgrade the parser" "$repo" "$(prompt 'say: The parser needs a newer shop.
do: exit 3')"
spec "Profile the start" "$repo" "$(prompt 'do: sleep 600' 'timeout_minutes = 1')"
# One to cancel.
spec "Explore a rewrite" "$repo
priority = 1" "$(prompt 'do: sleep 600')"
explore=$id
# No changes: one asks, one found nothing.
spec "Choose a database" "$repo" "$(prompt 'say: I compared both. Postgres or SQLite?')"
spec "Look for dead code" "$repo" "$(prompt 'say: I found no dead code.')"
# No repository.
spec "Count the week" "" "[[tasks]]
run = \"echo 42 orders\""
# To review.
spec "Changelog for 1.1" "$repo" "$(prompt 'do: echo "- 1.1: health endpoint" >> CHANGELOG.md')"
spec "Changelog for 1.2" "$repo" "$(prompt 'do: echo "- 1.2: French mail" >> CHANGELOG.md')"
spec "Extend the endpoints: orders" "$repo" "$(prompt 'do: echo "GET /orders" >> api/endpoints; echo "orders" > api/orders')"
orders=$id
spec "Extend the endpoints: returns" "base = \"$orders\"
$repo" "$(prompt 'do: echo "GET /returns" >> api/endpoints')"
spec "説明を日本語で追加" "$repo" "$(prompt 'do: echo "店" > README.ja.md')"
spec "Vendor the list of words" "$repo" "$(prompt 'do: seq 30000 | sed s/^/word-/ > words.txt')"
spec "Draw the logo" "$repo" "$(prompt 'do: head -c 3000 /dev/urandom > logo.png')"
spec "Rename the app" "$repo" "$(prompt 'do: git mv app.py shop.py')"
spec "Add a second try" "$repo" "$(prompt 'do: test $BOI_TRY = 1 || echo ready > SECOND; echo first > FIRST' 'verify = ["test -s SECOND"]')"
spec "Format the code" "$repo
agent = \"local\"" "$(prompt 'do: sed -i "s/    /  /" router.py cart.py')"
spec "Add types" "$repo
agent = \"local\"" "$(prompt 'do: echo "# typed" >> api/endpoints')"
spec "Two tasks: money" "$repo
verify = [\"test -s money.py\"]" "$(prompt 'do: echo "cents = 100" > money.py')
$(prompt 'do: echo "# tested" >> money.py')
[[tasks]]
run = \"sort -o money.py money.py\""

# --- the night
boi daemon start > "$night/daemon-start.log"
until [ -e "$night/prompt-$explore-1" ]; do sleep 0.1; done
echo "queued 30 specs; the night takes two minutes"
cd "$night"
boi cancel "$explore" > "$night/cancel.log"
# "Document the router" waits for the spec that did not merge, so it is the only one that stays queued.
while boi status --json | grep -q '"running": [1-9]' || [ "$(boi status --json | sed -n 's/^ *"queued": \([0-9]*\),*$/\1/p')" -gt 1 ]; do sleep 0.5; done
echo "the night is over: . $night/env && boi report"
