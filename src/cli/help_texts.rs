//! Texts at the end of the help of commands: examples and exit codes.

pub(super) const RETRY_HELP: &str = "\
Examples:
  boi retry SD979
  boi retry SD979 --note 'Use the existing TokenBucket, and add a test'
  boi retry SD979 --note - < review.txt
  boi retry --failed                 Retry every failed spec";

pub(super) const DIFF_HELP: &str = "\
Examples:
  boi diff SD979
  boi diff SD979 --stat
  boi diff SD979 -- --word-diff src/api    Options of git diff, then paths";

pub(super) const OPEN_HELP: &str = "\
Examples:
  boi open SD979                           Open $SHELL in the worktree
  boi open SD979 -- cargo test             Run a command there
  boi open SD979 --agent                   Continue the agent's session on the terminal";

pub(super) const MERGE_HELP: &str = "\
Exit codes: 0 every spec is merged; 1 a spec stays unmerged or was refused; 130 Ctrl-C

Examples:
  boi merge SD979 SD97A
  boi merge --all";

pub(super) const EVENTS_HELP: &str = "\
Examples:
  boi events --since 12h --kind spec.failed   What failed in the last 12 hours
  boi events --spec SD979 -f                  What happens to one spec
  boi events --since 4711 --json              Everything after the event with the cursor 4711";
