//! What the help of the program and of each command ends with: examples and exit codes.

/// The exit codes of the program.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
   0  success; also when the reader of the output closes it early
   1  an expected \"no\": version conflict, event id in use, findings of verify
   2  wrong usage: an invalid argument, or a limit exceeded
   3  wrong input data, from a file or from standard input
   4  the store is open elsewhere
   5  the store is damaged, or has a newer format
   6  refused by the system: no such store or file, no space, a failed write
  70  internal error
 130  interrupted; what was written so far stays";

pub(crate) const APPEND: &str = "\
Examples:
  annals append orders.annals order-7 ItemAdded '{\"sku\": \"tea\"}'
  annals append orders.annals order-7 ItemAdded '{\"sku\": \"tea\"}' --expected 3
  jq -c .item order.json | annals append orders.annals order-7 ItemAdded -

Exit codes: 0 the event is stored, 1 version conflict or event id in use, 2 wrong usage, 3 wrong
data on standard input, 4 store open elsewhere, 5 store damaged, 6 refused by the system.";

pub(crate) const READ: &str = "\
Examples:
  annals read orders.annals order-7
  annals read orders.annals --last 5 --full
  annals read orders.annals --type ItemAdded --since 2024-05-01 --until 2024-05-31
  annals read orders.annals --correlation req-17
  annals read orders.annals order-7 --table | less

Exit codes: 0 success, also if no event matches, 1 no event has the id of --id, 2 wrong usage,
5 store damaged, 6 no such store, or refused by the system.";

pub(crate) const TAIL: &str = "\
Examples:
  annals tail orders.annals
  annals tail orders.annals -n 100 --json | jq .data

Exit codes: 0 interrupted, or the output was closed, 2 wrong usage, 5 store damaged, 6 no such
store, or refused by the system.";

pub(crate) const STREAMS: &str = "\
Examples:
  annals streams orders.annals --prefix order-
  annals streams orders.annals --sort last --limit 10
  annals streams orders.annals --sort events --times --json

Exit codes: 0 success, 2 wrong usage, 5 store damaged, 6 no such store, or refused by the system.";

pub(crate) const SNAPSHOTS: &str = "\
Example:
  annals snapshots orders.annals balances

Exit codes: 0 success, also if there are none, 2 wrong usage, 5 store damaged, 6 no such store, or
refused by the system.";

pub(crate) const CHECKPOINTS: &str = "\
Example:
  annals checkpoints orders.annals

Exit codes: 0 success, also if there are none, 2 wrong usage, 5 store damaged, 6 no such store, or
refused by the system.";

pub(crate) const STATS: &str = "\
Examples:
  annals stats orders.annals
  annals stats orders.annals --types --days

Exit codes: 0 success, 2 wrong usage, 5 store damaged, 6 no such store, or refused by the system.";

pub(crate) const IMPORT: &str = "\
Examples:
  annals import orders.annals orders.ndjson
  annals import orders.annals orders.ndjson --mode resume
  zcat orders.ndjson.gz | annals import orders.annals -

Exit codes: 0 success, 1 event id in use, 2 wrong usage, 3 wrong input data, 4 store open elsewhere,
5 store damaged, 6 no such file, or refused by the system, 130 interrupted. After a failure the
message says how many events were imported.";

pub(crate) const EXPORT: &str = "\
Examples:
  annals export orders.annals orders.ndjson
  annals export orders.annals | gzip > orders.ndjson.gz

Exit codes: 0 success, 2 wrong usage, 5 store damaged, 6 no such store, the file exists, or refused
by the system, 130 interrupted: then there is no file.";

pub(crate) const VERIFY: &str = "\
Examples:
  annals verify orders.annals
  annals verify orders.annals --json --scratch /var/tmp

Exit codes: 0 nothing is wrong, 1 there are findings, but every event can be read, 2 wrong usage,
5 some events cannot be read, 6 no such store, or refused by the system.";

pub(crate) const REPAIR: &str = "\
Examples:
  annals repair orders.annals
  annals repair orders.annals --apply

Exit codes: 0 nothing to repair, or repaired, 1 there is a plan, which --apply carries out, 2 wrong
usage, 4 store open elsewhere, 5 some events cannot be restored, 6 no such store, or refused by the
system.";

pub(crate) const SALVAGE: &str = "\
Example:
  annals salvage orders.annals saved.ndjson

Exit codes: 0 every event was saved, 2 wrong usage, 5 some events are missing, 6 no such store, the
file exists, or refused by the system.";

pub(crate) const BACKUP: &str = "\
Example, which adds what is new when it is repeated:
  annals backup orders.annals /backup/orders.annals

Exit codes: 0 success, 2 wrong usage, or the store does not continue the backup, 4 backup open
elsewhere, 5 store damaged, 6 no such store, the directory is not a backup of it, or refused by the
system.";

pub(crate) const COMPACT: &str = "\
Example:
  annals compact orders.annals

Exit codes: 0 success, 2 wrong usage, 4 store open elsewhere, 5 store damaged, 6 no such store, no
space, or refused by the system. After a failure the store is as it was.";

pub(crate) const COMPLETIONS: &str = "\
Example:
  annals completions bash > ~/.local/share/bash-completion/completions/annals

Exit codes: 0 success, 2 wrong usage.";
