//! Groups failed specs by their cause.

use std::collections::{BTreeMap, HashMap};

use super::{EndedSpec, Place, ReportInput, line, reason};
use crate::domain::cause::Cause;
use crate::domain::id::SpecId;
use crate::domain::report::Need;
use crate::domain::text;

/// The longest cause and the longest line of output in a report, in characters.
const WORDS: usize = 2_000;

/// What the failed specs of a group have in common: the repository, the cause, and the last line of the output.
/// Numbers in them may differ.
type Key = (Option<String>, String, String);

/// Returns the failed specs, grouped by cause. A spec that failed because it waited for another spec is in the group of
/// that other spec, or, if that one did not fail in the reported time, in a group with the others that waited for it.
pub(super) fn failed(input: &ReportInput) -> Vec<Need> {
    let failed: Vec<&EndedSpec> = input.ended.iter().filter(|spec| Place::of(&spec.view) == Place::Failed).collect();
    let by_id: HashMap<&SpecId, &EndedSpec> = failed.iter().map(|spec| (&spec.view.id, *spec)).collect();
    let mut stopped: BTreeMap<SpecId, Vec<SpecId>> = BTreeMap::new();
    let mut groups: Vec<(Key, Vec<&EndedSpec>)> = Vec::new();
    let mut numbers: HashMap<Key, usize> = HashMap::new();
    for spec in failed.iter().rev() {
        if let Some(first) = first_of_chain(spec, &by_id) {
            stopped.entry(first).or_default().push(spec.view.id.clone());
            continue;
        }
        let key = key(spec);
        let number = *numbers.entry(key.clone()).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[number].1.push(spec);
    }
    // The largest group first; among equal ones, the one that began first.
    groups.sort_by_key(|(_, specs)| std::cmp::Reverse(specs.len()));
    groups.iter().map(|(_, specs)| group(specs, &stopped)).collect()
}

/// Returns the failed spec because of which `spec` failed, directly or through others; `None`: the spec failed by
/// itself, or because of a spec that is not in the report as failed.
fn first_of_chain(spec: &EndedSpec, by_id: &HashMap<&SpecId, &EndedSpec>) -> Option<SpecId> {
    let (mut first, mut steps) = (spec, 0);
    while let Some(dependency) = dependency(first).and_then(|id| by_id.get(id)) {
        first = dependency;
        steps += 1;
        // A damaged queue may have a cycle.
        if steps > by_id.len() {
            return None;
        }
    }
    (steps > 0).then(|| first.view.id.clone())
}

fn dependency(spec: &EndedSpec) -> Option<&SpecId> {
    match &spec.view.cause {
        Some(Cause::DependencyEnded { spec, .. } | Cause::DependencyIncomplete { spec }) => Some(spec),
        _ => None,
    }
}

fn group(specs: &[&EndedSpec], stopped: &BTreeMap<SpecId, Vec<SpecId>>) -> Need {
    let first = specs[0];
    let id = &first.view.id;
    let stops = specs.iter().filter_map(|spec| stopped.get(&spec.view.id)).flatten().cloned().collect();
    Need::Failed {
        cause: text::one_line(&words(first), WORDS),
        output: first.output.as_deref().map(|line| text::one_line(line, WORDS)),
        advice: first.view.cause.as_ref().and_then(|cause| reason::next_step(cause, id)),
        specs: specs.iter().map(|spec| line(&spec.view)).collect(),
        stops,
        next: match dependency(first) {
            Some(dependency) => format!("boi retry {dependency}"),
            None => format!("boi log {id}"),
        },
    }
}

fn key(spec: &EndedSpec) -> Key {
    (spec.view.repo.clone(), without_numbers(&words(spec)), without_numbers(spec.output.as_deref().unwrap_or("")))
}

/// Returns the cause of a failure in words, without the names of the spec and the task.
fn words(spec: &EndedSpec) -> String {
    match &spec.view.cause {
        Some(
            Cause::OutOfTries { failure, .. }
            | Cause::RepeatedDeaths { failure, .. }
            | Cause::SpecVerify { failure }
            | Cause::Setup { failure },
        ) => failure.sentence(),
        Some(Cause::TryFailed { outcome, .. }) => outcome.describe(),
        Some(cause) => cause.to_string(),
        None => "unknown".to_owned(),
    }
}

/// Returns `text` with one `#` in the place of each number, such as a line, a time or an id.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
    out
}
