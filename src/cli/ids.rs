//! Reads the ids of specs on the command line: a whole id, the beginning of one, or `@last`.
//!
//! An argument is resolved when it is parsed, so every command gets whole ids. The queue is only read, by an
//! index; no daemon is asked.

use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::backend;
use crate::domain::id::SpecId;
use crate::queue::QueueError;
use crate::system::paths::Home;

/// The argument that names the spec that was dispatched last.
const LAST: &str = "@last";
/// How many candidates the message about an ambiguous beginning names.
const NAMED: u32 = 8;
/// How long an argument waits for a queue that does not answer. A whole id is then taken as it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// The spec that was dispatched last.
    Last,
    /// The spec whose id begins like this: `S` and up to sixteen hex digits, in upper case.
    Prefix(String),
}

/// What the queue has for an argument.
enum Found {
    /// There is no queue.
    NoQueue,
    /// These ids, at most one more than [`NAMED`].
    Ids(Vec<SpecId>),
}

/// Parses an id, the unique beginning of an id, or `@last`.
pub(super) fn spec_id(text: &str) -> Result<SpecId, String> {
    let wanted = parse(text)?;
    let whole = text.parse::<SpecId>().ok();
    let found = look_up(wanted.clone());
    choose(text, &wanted, whole, found)
}

fn parse(text: &str) -> Result<Wanted, String> {
    let upper = text.trim().to_ascii_uppercase();
    if upper == LAST.to_ascii_uppercase() {
        return Ok(Wanted::Last);
    }
    let digits = upper.strip_prefix('S').unwrap_or(&upper);
    let is_beginning = digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_beginning || upper.is_empty() {
        return Err(format!(
            "`{text}` is not a spec's id: an id is `S` and four to sixteen hex digits, as in SD979; its beginning is \
             enough if it is unique, and `{LAST}` is the spec that was dispatched last"
        ));
    }
    Ok(Wanted::Prefix(format!("S{digits}")))
}

/// Asks the queue, on a thread of its own, because the queue's disk may hang. `None`: the queue cannot be
/// read now.
fn look_up(wanted: Wanted) -> Option<Found> {
    let (sender, found) = mpsc::channel();
    thread::spawn(move || drop(sender.send(ask(&wanted))));
    found.recv_timeout(PATIENCE).ok().flatten()
}

fn ask(wanted: &Wanted) -> Option<Found> {
    static HOME: OnceLock<Option<Home>> = OnceLock::new();
    let home = HOME.get_or_init(|| {
        let home = Home::from_environment().ok()?;
        home.check().ok()?;
        Some(backend::configured(&home))
    });
    let Some(queue) = backend::read(home.as_ref()?).ok()? else { return Some(Found::NoQueue) };
    let ids: Result<Vec<SpecId>, QueueError> = match wanted {
        Wanted::Last => queue.last_dispatched(1),
        Wanted::Prefix(prefix) => queue.ids_with_prefix(prefix, NAMED + 1),
    };
    ids.ok().map(Found::Ids)
}

fn choose(text: &str, wanted: &Wanted, whole: Option<SpecId>, found: Option<Found>) -> Result<SpecId, String> {
    let ids = match (found, &whole) {
        (Some(Found::Ids(ids)), _) => ids,
        // Without the queue, a whole id is taken as it is: the command itself says what is wrong.
        (_, Some(id)) => return Ok(id.clone()),
        (Some(Found::NoQueue), None) => Vec::new(),
        (None, None) => return Err("the queue cannot be read now, so give the whole id".to_owned()),
    };
    match (&ids[..], wanted) {
        ([], Wanted::Last) => Err("the queue has no spec".to_owned()),
        ([], Wanted::Prefix(prefix)) => {
            whole.ok_or_else(|| format!("no spec in the queue has an id that begins with {prefix}"))
        }
        ([only], _) => Ok(only.clone()),
        // The ids are in alphabetical order, so an id that equals the beginning is the first one.
        ([first, ..], Wanted::Prefix(prefix)) if first.as_str() == prefix => Ok(first.clone()),
        (several, _) => {
            let named: Vec<&str> = several.iter().take(NAMED as usize).map(SpecId::as_str).collect();
            let more = if several.len() > named.len() { " and more" } else { "" };
            Err(format!("`{text}` is the beginning of several ids: {}{more}", named.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<SpecId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn chosen(text: &str, found: Option<Found>) -> Result<String, String> {
        choose(text, &parse(text)?, text.parse().ok(), found).map(|id| id.to_string())
    }

    #[test]
    fn an_argument_is_the_beginning_of_an_id_in_any_case_with_or_without_its_letter() {
        for (text, prefix) in [("SD979", "SD979"), ("sd9", "SD9"), ("d97", "SD97"), (" s ", "S"), ("0", "S0")] {
            assert_eq!(parse(text), Ok(Wanted::Prefix(prefix.into())), "{text}");
        }
        assert_eq!([parse("@last"), parse("@LAST")], [Ok(Wanted::Last), Ok(Wanted::Last)]);
        for text in ["", "@", "@first", "SXYZ", "S-1", "S0123456789ABCDEF0", "S%"] {
            assert!(parse(text).unwrap_err().contains("is not a spec's id"), "{text}");
        }
    }

    #[test]
    fn only_a_unique_beginning_names_a_spec_and_a_whole_id_always_names_its_own() {
        let found = |names: &[&str]| Some(Found::Ids(ids(names)));
        assert_eq!(chosen("sd9", found(&["SD979"])).unwrap(), "SD979");
        assert_eq!(chosen("SD979", found(&["SD979", "SD9791"])).unwrap(), "SD979");
        assert_eq!(chosen("SD979", found(&["SD9791"])).unwrap(), "SD9791");
        let several = chosen("sd", found(&["SD979", "SDA01"])).unwrap_err();
        assert_eq!(several, "`sd` is the beginning of several ids: SD979, SDA01");
        let many: Vec<String> = (0..9).map(|n| format!("SD00{n}")).collect();
        let many = chosen("sd", found(&many.iter().map(String::as_str).collect::<Vec<_>>())).unwrap_err();
        assert!(many.ends_with("SD007 and more") && !many.contains("SD008"), "{many}");
        assert_eq!(chosen("@last", found(&["SD979"])).unwrap(), "SD979");
        assert_eq!(chosen("@last", found(&[])).unwrap_err(), "the queue has no spec");
    }

    #[test]
    fn without_a_queue_or_a_match_a_whole_id_is_taken_as_it_is() {
        for found in [None, Some(Found::NoQueue), Some(Found::Ids(vec![]))] {
            assert_eq!(chosen("sd979", found).unwrap(), "SD979");
        }
        assert!(chosen("sd9", None).unwrap_err().contains("give the whole id"));
        for found in [Some(Found::NoQueue), Some(Found::Ids(vec![]))] {
            assert_eq!(chosen("sd9", found).unwrap_err(), "no spec in the queue has an id that begins with SD9");
        }
    }
}
