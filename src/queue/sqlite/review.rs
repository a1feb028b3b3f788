//! The verbs of [`Review`]: they drop specs, send them back, and find those that an argument names.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::end::{self, encode_cause};
use super::rows::{dependency_state, encode};
use super::{SqliteQueue, events, landings, read};
use crate::domain::cause::Cause;
use crate::domain::event::{Empty, Failed, Happening, Restored};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;
use crate::domain::spec::{Action, Base, Spec};
use crate::domain::time::Timestamp;
use crate::domain::view::NoteView;
use crate::queue::review::{DropRecord, Dropped, Review};
use crate::queue::{QueueError, Refusal};

pub(super) const WITH_PREFIX: &str = "SELECT id FROM specs WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
pub(super) const NEWEST: &str = "SELECT id FROM specs ORDER BY seq DESC LIMIT ?";
/// Selects the queued specs that wait for a spec or start from its branch, and that have not created a
/// branch.
pub(super) const QUEUED_AFTER: &str = "SELECT w.id FROM deps d CROSS JOIN specs w ON w.id = d.spec
     WHERE d.needs = ? AND +w.status = 'queued' AND w.origin IS NULL";
/// Lets the specs wait again that a spec released when it completed, unless they have begun.
pub(super) const HOLD_BACK_DEPENDENTS: &str = "UPDATE specs SET open_deps = open_deps + 1
      WHERE +status = 'queued' AND attempt = 0 AND id IN (SELECT spec FROM deps WHERE needs = ?)";

impl Review for SqliteQueue {
    fn ids_with_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<SpecId>, QueueError> {
        self.schedule(|connection| ids_with_prefix(connection, prefix, limit))
    }

    fn last_dispatched(&self, limit: u32) -> Result<Vec<SpecId>, QueueError> {
        self.schedule(|connection| {
            let names: Vec<String> =
                connection.prepare_cached(NEWEST)?.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(read::well_formed(&names).collect())
        })
    }

    fn drop_spec(&self, spec: &SpecId, head: Option<String>, now: Timestamp) -> Result<Dropped, QueueError> {
        let spec = spec.clone();
        self.write(move |connection| drop_spec(connection, &spec, head.as_deref(), now))
    }

    fn drop_record(&self, spec: &SpecId) -> Result<Option<DropRecord>, QueueError> {
        self.read(|connection| drop_record(connection, spec))
    }

    fn undo_drop(&self, spec: &SpecId, kept: Option<String>, now: Timestamp) -> Result<SpecStatus, QueueError> {
        let spec = spec.clone();
        self.write(move |connection| undo_drop(connection, &spec, kept.as_deref(), now))
    }

    fn send_back(
        &self,
        spec: &SpecId,
        note: &str,
        max_usd: Option<Usd>,
        now: Timestamp,
    ) -> Result<Vec<SpecId>, QueueError> {
        let (spec, note) = (spec.clone(), note.to_owned());
        self.write(move |connection| send_back(connection, &spec, &note, max_usd, now))
    }

    fn notes(&self, spec: &SpecId) -> Result<Vec<NoteView>, QueueError> {
        self.read(|connection| notes(connection, spec))
    }

    fn recorded_head(&self, spec: &SpecId) -> Result<Option<String>, QueueError> {
        self.read(|connection| {
            let head = connection
                .prepare_cached(
                    "SELECT coalesce(d.head, s.head) FROM specs s LEFT JOIN drops d ON d.spec = s.id WHERE s.id = ?",
                )?
                .query_row([spec.as_str()], |row| row.get(0))
                .optional()?;
            head.ok_or_else(|| QueueError::NotFound(spec.clone()))
        })
    }

    fn record_opened(&self, spec: &SpecId, worktree: Option<String>, head: Option<String>) -> Result<(), QueueError> {
        let spec = spec.clone();
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE specs SET worktree = coalesce(?, worktree), head = coalesce(?, head)
                      WHERE id = ? AND status IN ('completed', 'failed', 'canceled')",
                )?
                .execute(params![worktree, head, spec.as_str()])?;
            Ok(())
        })
    }
}

fn ids_with_prefix(c: &Connection, prefix: &str, limit: u32) -> Result<Vec<SpecId>, QueueError> {
    // `G` is greater than every hex digit.
    let names: Vec<String> = c
        .prepare_cached(WITH_PREFIX)?
        .query_map(params![prefix, format!("{prefix}G"), limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(read::well_formed(&names).collect())
}

fn drop_spec(c: &Connection, id: &SpecId, head: Option<&str>, now: Timestamp) -> Result<Dropped, QueueError> {
    let (status, satisfied) = dependency_state(c, id)?;
    match status {
        SpecStatus::Running => return Err(Refusal::Runs { spec: id.clone() }.into()),
        SpecStatus::Dropped => {
            c.prepare_cached("UPDATE drops SET head = coalesce(?, head) WHERE spec = ?")?
                .execute(params![head, id.as_str()])?;
            return Ok(Dropped { before: true, failed: Vec::new() });
        }
        SpecStatus::Queued | SpecStatus::Completed | SpecStatus::Failed | SpecStatus::Canceled => {}
    }
    refuse_landed(c, id, status)?;
    landings::withdraw(c, id)?;
    // A spec that was queued becomes canceled if the drop is undone, so that nothing starts unexpectedly.
    c.prepare_cached(
        "INSERT OR REPLACE INTO drops (spec, status, cause, finished_at, head, at)
             SELECT id, CASE status WHEN 'queued' THEN 'canceled' ELSE status END,
                    CASE status WHEN 'queued' THEN :canceled ELSE cause END, coalesce(finished_at, :now), :head, :now
               FROM specs WHERE id = :id",
    )?
    .execute(named_params! {
        ":canceled": encode(&Cause::Canceled)?, ":now": now.0, ":head": head, ":id": id.as_str(),
    })?;
    c.prepare_cached(
        "UPDATE specs SET status = 'dropped', cause = ?, finished_at = ?, not_before = NULL, resumes = 0,
                quarantine = NULL, blocked = NULL WHERE id = ?",
    )?
    .execute(params![encode(&Cause::Dropped)?, now.0, id.as_str()])?;
    end::skip_open_tasks(c, id)?;
    events::of_spec(c, id, &Happening::SpecDropped(Empty {}), now)?;
    let failed = match satisfied {
        false => end::fail_dependents(c, id, SpecStatus::Dropped, now)?,
        true => fail_specs_on_branch(c, id, now)?,
    };
    Ok(Dropped { before: false, failed })
}

/// Refuses a completed spec whose branch is merged. A branch without commits has brought nothing into its base, so its
/// spec can still be dropped or sent back.
fn refuse_landed(c: &Connection, id: &SpecId, status: SpecStatus) -> Result<(), QueueError> {
    let is_landed: bool = c
        .prepare_cached(
            "SELECT coalesce(delivery, '') = 'merged' AND coalesce(head <> origin, 1) FROM specs WHERE id = ?",
        )?
        .query_row([id.as_str()], |row| row.get(0))?;
    match is_landed && status == SpecStatus::Completed {
        true => Err(Refusal::Landed { spec: id.clone() }.into()),
        false => Ok(()),
    }
}

/// Fails the queued specs that will start from the branch of a completed spec, and those that wait for them.
fn fail_specs_on_branch(c: &Connection, root: &SpecId, now: Timestamp) -> Result<Vec<SpecId>, QueueError> {
    let queued: Vec<String> =
        c.prepare_cached(QUEUED_AFTER)?.query_map([root.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let cause = Cause::DependencyEnded { spec: root.clone(), status: SpecStatus::Dropped };
    let mut failed = Vec::new();
    for id in read::well_formed(&queued) {
        // A spec that cannot be read may start from the branch.
        let starts_there = |spec: Spec| spec.repo.is_some_and(|repo| repo.base == Base::Spec(root.clone()));
        if !read::spec(c, &id).map_or(true, starts_there) {
            continue;
        }
        c.prepare_cached(
            "UPDATE specs SET status = 'failed', cause = ?, failed_by = ?, finished_at = ?, quarantine = NULL,
                    blocked = NULL WHERE id = ?",
        )?
        .execute(params![encode_cause(Some(&cause))?, root.as_str(), now.0, id.as_str()])?;
        end::skip_open_tasks(c, &id)?;
        events::of_spec(c, &id, &Happening::SpecFailed(Failed { cause: cause.clone() }), now)?;
        let waiting = end::fail_dependents(c, &id, SpecStatus::Failed, now)?;
        failed.push(id);
        failed.extend(waiting);
    }
    Ok(failed)
}

fn drop_record(c: &Connection, id: &SpecId) -> Result<Option<DropRecord>, QueueError> {
    let found: Option<(String, Option<String>)> = c
        .prepare_cached(
            "SELECT d.status, d.head FROM drops d JOIN specs s ON s.id = d.spec
              WHERE d.spec = ? AND s.status = 'dropped'",
        )?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(status, head)| Ok(DropRecord { status: read::status(id, &status)?, head })).transpose()
}

fn undo_drop(c: &Connection, id: &SpecId, kept: Option<&str>, now: Timestamp) -> Result<SpecStatus, QueueError> {
    let (status, _) = dependency_state(c, id)?;
    let Some(record) = drop_record(c, id)? else {
        return Err(Refusal::NotDropped { spec: id.clone(), status }.into());
    };
    c.prepare_cached(
        "UPDATE specs SET (status, cause, finished_at, has_branch) =
                (SELECT d.status, d.cause, d.finished_at, specs.has_branch OR d.head IS NOT NULL
                   FROM drops d WHERE d.spec = specs.id)
          WHERE id = ?",
    )?
    .execute([id.as_str()])?;
    c.prepare_cached("DELETE FROM drops WHERE spec = ?")?.execute([id.as_str()])?;
    c.prepare_cached("DELETE FROM kept WHERE spec = ? AND ref = ?")?.execute(params![id.as_str(), kept])?;
    events::of_spec(c, id, &Happening::SpecRestored(Restored { status: record.status }), now)?;
    Ok(record.status)
}

fn send_back(
    c: &Connection,
    id: &SpecId,
    note: &str,
    max_usd: Option<Usd>,
    now: Timestamp,
) -> Result<Vec<SpecId>, QueueError> {
    let (status, satisfied) = dependency_state(c, id)?;
    let cannot = || Refusal::CannotSendBack { spec: id.clone(), status };
    if matches!(status, SpecStatus::Running | SpecStatus::Dropped) {
        return Err(cannot().into());
    }
    refuse_landed(c, id, status)?;
    if landings::is_under_way(c, id)? {
        return Err(Refusal::WaitsToLand { spec: id.clone() }.into());
    }
    let tasks = read::spec(c, id)?.tasks.len();
    let task = task_for_note(c, id)?.ok_or_else(|| Refusal::NoPromptTask { spec: id.clone() })?;
    if let Some(limit) = max_usd {
        end::set_max_usd(c, id, limit)?;
    }
    let note_waits = c
        .prepare_cached(
            "SELECT 1 FROM specs s JOIN notes n ON n.spec = s.id AND n.attempt = s.attempt + 1 - s.resumes
              WHERE s.id = ? AND s.status = 'queued'",
        )?
        .exists([id.as_str()])?;
    // The next claim of a spec that is to resume continues its attempt; any other claim begins a new one. The
    // notes for one attempt are one text, because an attempt has one row in the table.
    let record = |c: &Connection| -> Result<(), QueueError> {
        c.prepare_cached(
            "INSERT INTO notes (spec, attempt, idx, note, at)
                 SELECT id, attempt + 1 - resumes, :idx, :note, :now FROM specs WHERE id = :id
                 ON CONFLICT (spec, attempt) DO UPDATE
                    SET idx = excluded.idx, note = note || char(10, 10) || excluded.note, at = excluded.at",
        )?
        .execute(named_params! {":idx": task, ":note": note, ":now": now.0, ":id": id.as_str()})?;
        Ok(())
    };
    if end::unblock(c, id, max_usd, now)? {
        record(c)?;
        return Ok(vec![id.clone()]);
    }
    if status == SpecStatus::Queued {
        if !note_waits {
            return Err(cannot().into());
        }
        record(c)?;
        return Ok(vec![id.clone()]);
    }
    end::refuse_blocked_by_dependency(c, id)?;
    if satisfied {
        c.prepare_cached(HOLD_BACK_DEPENDENTS)?.execute([id.as_str()])?;
    }
    c.prepare_cached("UPDATE specs SET delivery = NULL, compared = NULL WHERE id = ?")?.execute([id.as_str()])?;
    // The tasks after a prompt task use its result. The task that boi added when it sent the spec back does not.
    c.prepare_cached(
        "UPDATE tasks SET status = 'pending' WHERE spec = ?1 AND idx >= ?2 AND idx < ?3
            AND EXISTS (SELECT 1 FROM tasks t WHERE t.spec = ?1 AND t.idx = ?2 AND t.status = 'done')",
    )?
    .execute(params![id.as_str(), task, tasks])?;
    let queued = end::requeue_with_dependents(c, id, now)?;
    record(c)?;
    Ok(queued)
}

/// Returns the index of the task whose prompt gets a note: the first prompt task that is not done, or the
/// last one if all are done; `None`: the spec has no prompt task.
fn task_for_note(c: &Connection, id: &SpecId) -> Result<Option<usize>, QueueError> {
    let spec = read::spec(c, id)?;
    let done: Vec<bool> = c
        .prepare_cached("SELECT status = 'done' FROM tasks WHERE spec = ? ORDER BY idx")?
        .query_map([id.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let is_prompt = |index: &usize| matches!(spec.tasks[*index].action, Action::Prompt(_));
    let mut prompts = (0..spec.tasks.len()).filter(is_prompt);
    let open = prompts.clone().find(|index| !done.get(*index).copied().unwrap_or(false));
    Ok(open.or_else(|| prompts.next_back()))
}

pub(super) fn notes(c: &Connection, id: &SpecId) -> Result<Vec<NoteView>, QueueError> {
    let notes = c
        .prepare_cached(
            "SELECT n.attempt, coalesce(t.id, ''), n.note, n.at FROM notes n
               LEFT JOIN tasks t ON t.spec = n.spec AND t.idx = n.idx WHERE n.spec = ? ORDER BY n.attempt",
        )?
        .query_map([id.as_str()], |row| {
            Ok(NoteView { attempt: row.get(0)?, task: row.get(1)?, note: row.get(2)?, at: Timestamp(row.get(3)?) })
        })?
        .collect::<Result<_, _>>()?;
    Ok(notes)
}
