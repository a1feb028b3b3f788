//! The verbs for landings: the landing queue of each repository and base, and its lander.
//!
//! A spec is in the landing queue of (`land_repo`, `land_base`) while its `delivery` is `waiting` or `landing`. A lander
//! has a row in `landers`, and a row in `attempts` for each of its attempts, like a spec.

use rusqlite::{Connection, OptionalExtension, named_params, params};
use tracing::warn;

use super::read::ids_json;
use super::rows::encode;
use super::{end, events, lanes, read};
use crate::config::WorkerConfig;
use crate::decide::land;
use crate::domain::cause::{Cause, Unmerged};
use crate::domain::event::{self, Happening, Merged, NotMerged, Queued, QueuedBy};
use crate::domain::id::SpecId;
use crate::domain::landing::{LandingChange, NotLanded, SentBack, Waiting, short_branch_name};
use crate::domain::life::SpecStatus;
use crate::domain::outcome::{Delivery, MergedBy};
use crate::domain::position::{AgentSession, Checkout, Position, Progress, Step};
use crate::domain::spec::{Base, Repo, Spec};
use crate::domain::time::Timestamp;
use crate::queue::landings::Group;
use crate::queue::{Claimed, Fence, GiveBack, Owner, QueueError, Refusal};

/// Selects the repositories and bases that specs wait for.
pub(super) const WAITED_FOR: &str = "SELECT DISTINCT land_repo, land_base FROM specs INDEXED BY specs_landing
     WHERE delivery IN ('waiting', 'landing') AND land_repo IS NOT NULL AND land_base IS NOT NULL";
/// The same, only for the specs of a scope.
pub(super) const WAITED_FOR_IN_SCOPE: &str = "SELECT DISTINCT land_repo, land_base
      FROM json_each(?1) CROSS JOIN specs ON specs.id = json_each.value
     WHERE +delivery IN ('waiting', 'landing') AND land_repo IS NOT NULL AND land_base IS NOT NULL";
pub(super) const WAITING: &str = "SELECT id, title, attempt, status = 'completed' FROM specs INDEXED BY specs_landing
     WHERE land_repo = ?1 AND land_base = ?2 AND delivery IN ('waiting', 'landing') ORDER BY priority, seq";

/// The cause of a spec whose branch is not unmerged any more: none for a completed spec; for a failed or canceled one,
/// why it ended.
const CAUSE_OF_END: &str = "CASE WHEN status = 'completed' THEN NULL
      WHEN json_valid(cause) AND json_extract(cause, '$.kind') = 'ended_unmerged' THEN json_extract(cause, '$.ended')
      ELSE cause END";

/// The draws of a random id of one length before longer ids are tried.
const DRAWS: usize = 8;

/// Returns the groups of waiting specs for which a lander may start now, and those landers that only have to remove
/// what an earlier attempt left.
pub(super) fn startable(
    c: &Connection,
    per_repository: u32,
    scope: Option<&[SpecId]>,
    now: Timestamp,
) -> Result<Vec<Group>, QueueError> {
    let group = |row: &rusqlite::Row<'_>| Ok(Group { repository: row.get(0)?, base: row.get(1)? });
    let mut groups: Vec<Group> = match scope {
        None => c.prepare_cached(WAITED_FOR)?.query_map([], group)?.collect::<Result<_, _>>()?,
        Some(ids) => {
            c.prepare_cached(WAITED_FOR_IN_SCOPE)?.query_map([ids_json(ids)], group)?.collect::<Result<_, _>>()?
        }
    };
    let mut statement = c.prepare_cached("SELECT land_repo, land_base, active, not_before FROM landers")?;
    let landers: Vec<(Group, bool, Option<i64>)> = statement
        .query_map([], |row| Ok((Group { repository: row.get(0)?, base: row.get(1)? }, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    if scope.is_none() {
        groups.extend(
            landers.iter().map(|(group, ..)| group.clone()).filter(|group| !groups.contains(group)).collect::<Vec<_>>(),
        );
    }
    groups.retain(|group| {
        let own = landers.iter().find(|(other, ..)| other == group);
        own.is_none_or(|(_, active, not_before)| !active && not_before.is_none_or(|at| at <= now.0))
    });
    let active = |group: &Group| {
        landers.iter().filter(|(other, active, _)| *active && other.repository == group.repository).count()
    };
    let mut chosen: Vec<Group> = Vec::new();
    for group in groups {
        let also = chosen.iter().filter(|other| other.repository == group.repository).count();
        if active(&group) + also < per_repository as usize {
            chosen.push(group);
        }
    }
    Ok(chosen)
}

/// Claims a lander for each group.
pub(super) fn start(
    c: &Connection,
    groups: &[Group],
    config: &WorkerConfig,
    owner: &Owner,
    now: Timestamp,
) -> Result<Vec<Claimed>, QueueError> {
    let mut claimed = Vec::new();
    for group in groups {
        let Some(lander) = lander_of(c, group)? else { continue };
        c.prepare_cached("UPDATE landers SET active = 1, attempt = attempt + 1, not_before = NULL WHERE id = ?")?
            .execute([lander.as_str()])?;
        let attempt: u32 = c
            .prepare_cached("SELECT attempt FROM landers WHERE id = ?")?
            .query_row([lander.as_str()], |row| row.get(0))?;
        c.prepare_cached(
            "INSERT INTO attempts (spec, number, config, generation, position, claimed_at) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            lander.as_str(),
            attempt,
            encode(config)?,
            config.generation,
            encode(&land::start(&group.base))?,
            now.0
        ])?;
        claimed.push(read_lander(c, &lander, owner)?);
    }
    Ok(claimed)
}

/// Returns the lander of a group, which is created if it is missing; `None`: nothing waits for it any more.
fn lander_of(c: &Connection, group: &Group) -> Result<Option<SpecId>, QueueError> {
    let known: Option<String> = c
        .prepare_cached("SELECT id FROM landers WHERE land_repo = ? AND land_base = ? AND active = 0")?
        .query_row([&group.repository, &group.base], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return read::id(&known).map(Some);
    }
    let repo: Option<String> = c
        .prepare_cached(
            "SELECT repo FROM specs INDEXED BY specs_landing WHERE land_repo = ?1 AND land_base = ?2
                AND delivery IN ('waiting', 'landing') AND repo IS NOT NULL ORDER BY priority, seq LIMIT 1",
        )?
        .query_row([&group.repository, &group.base], |row| row.get(0))
        .optional()?;
    let Some(repo) = repo else { return Ok(None) };
    let id = fresh_id(c)?;
    let created = c
        .prepare_cached(
            "INSERT OR IGNORE INTO landers (id, land_repo, land_base, repo, attempt, active) VALUES (?, ?, ?, ?, 0, 0)",
        )?
        .execute(params![id.as_str(), group.repository, group.base, repo])?;
    Ok((created > 0).then_some(id))
}

fn fresh_id(c: &Connection) -> Result<SpecId, QueueError> {
    let mut known = c.prepare_cached("SELECT 1 FROM landers WHERE id = ?")?;
    for digits in 4..=16 {
        for _ in 0..DRAWS {
            let id = SpecId::lander_from_random(rand::random(), digits);
            if !known.exists([id.as_str()])? {
                return Ok(id);
            }
        }
    }
    Err(Refusal::NoFreeId.into())
}

/// Returns the running landers. A lander with a record that cannot be read is skipped: the specs that it lands wait.
pub(super) fn running(c: &Connection, owner: &Owner) -> Result<Vec<Claimed>, QueueError> {
    let names: Vec<String> = c
        .prepare_cached("SELECT id FROM landers WHERE active = 1 ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for lander in read::well_formed(&names) {
        match read_lander(c, &lander, owner) {
            Ok(claimed) => found.push(claimed),
            Err(QueueError::Unreadable { detail, .. }) => {
                warn!(%lander, detail, "boi cannot read a record of this lander; the specs that it lands wait for a version of boi that can");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn read_lander(c: &Connection, lander: &SpecId, owner: &Owner) -> Result<Claimed, QueueError> {
    let row = c
        .prepare_cached(
            "SELECT l.attempt, l.repo, l.land_base, l.setbacks, l.worktree, a.config, a.position
               FROM landers l JOIN attempts a ON a.spec = l.id AND a.number = l.attempt WHERE l.id = ?",
        )?
        .query_row([lander.as_str()], |row| {
            Ok((
                row.get::<_, u32>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, u32>(3)?,
                row.get::<_, Option<String>>(4)?,
                row.get::<_, String>(5)?,
                row.get::<_, String>(6)?,
            ))
        })
        .optional()
        .map_err(|error| read::unreadable_column(lander, error))?;
    let Some((attempt, repo, base, setbacks, worktree, config, position)) = row else {
        return Err(QueueError::NotFound(lander.clone()));
    };
    let spec = Spec::of_lander(Repo { path: repo.into(), base: Base::Revision(base) });
    let position: Position = read::decode(lander, "position", &position)?;
    Ok(Claimed {
        fence: Fence { spec: lander.clone(), attempt },
        owner: owner.clone(),
        spec,
        config: read::decode(lander, "worker configuration", &config)?,
        position,
        tasks: vec![],
        intent: None,
        setbacks,
        started: true,
        worktree,
        spent: read::usd(0.0),
        max_usd: None,
        note: None,
        onto: None,
    })
}

/// Fails unless `fence` is the running attempt of its lander.
pub(super) fn check_fence(c: &Connection, fence: &Fence) -> Result<(), QueueError> {
    let holds = c
        .prepare_cached("SELECT 1 FROM landers WHERE id = ? AND attempt = ? AND active = 1")?
        .exists(params![fence.spec.as_str(), fence.attempt])?;
    if holds { Ok(()) } else { Err(QueueError::Superseded(fence.clone())) }
}

fn group_of(c: &Connection, lander: &SpecId) -> Result<Group, QueueError> {
    Ok(c.prepare_cached("SELECT land_repo, land_base FROM landers WHERE id = ?")?
        .query_row([lander.as_str()], |row| Ok(Group { repository: row.get(0)?, base: row.get(1)? }))?)
}

/// Returns the stored ids of the specs in the landing queue of a lander. Some may be malformed.
fn waiting_names(c: &Connection, lander: &SpecId) -> Result<Vec<String>, QueueError> {
    let group = group_of(c, lander)?;
    let mut statement = c.prepare_cached(WAITING)?;
    let names = statement.query_map([&group.repository, &group.base], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Returns the specs that wait for a lander, in queue order. A spec whose record cannot be read stays in the queue.
pub(super) fn waiting(c: &Connection, lander: &Fence) -> Result<Vec<Waiting>, QueueError> {
    check_fence(c, lander)?;
    let group = group_of(c, &lander.spec)?;
    let retry_count = read_lander(c, &lander.spec, &Owner(String::new()))?.config.retry_count;
    let rows: Vec<(String, String, u32, bool)> = c
        .prepare_cached(WAITING)?
        .query_map([&group.repository, &group.base], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let mut waiting = Vec::new();
    for (name, title, attempt, is_completed) in rows {
        let Ok(spec) = read::id(&name) else { continue };
        let Ok(body) = read::spec(c, &spec) else { continue };
        let tries: u32 = c
            .prepare_cached("SELECT coalesce((SELECT tries FROM tasks WHERE spec = ? AND idx = ?), 0)")?
            .query_row(params![name, body.tasks.len()], |row| row.get(0))?;
        waiting.push(Waiting {
            title,
            verify: body.verify_of_branch(),
            verified: position(c, &spec, attempt)?.and_then(|position| position.progress.verified),
            // A spec that did not complete is landed only because the user forces it.
            fixable: is_completed && body.landing_agent().is_some() && tries < retry_count,
            spec,
        });
    }
    Ok(waiting)
}

/// Returns the position of an attempt; `None`: there is none, or it cannot be read.
fn position(c: &Connection, spec: &SpecId, attempt: u32) -> Result<Option<Position>, QueueError> {
    let text: Option<String> = c
        .prepare_cached("SELECT position FROM attempts WHERE spec = ? AND number = ?")?
        .query_row(params![spec.as_str(), attempt], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Puts a spec into the landing queue of its base.
pub(super) fn join(c: &Connection, spec: &SpecId, now: Timestamp) -> Result<(), QueueError> {
    let body = read::spec(c, spec)?;
    let Some(base) = base_of(c, &body)? else { return Err(Refusal::NothingToLand { spec: spec.clone() }.into()) };
    let attempt: u32 =
        c.prepare_cached("SELECT attempt FROM specs WHERE id = ?")?.query_row([spec.as_str()], |row| row.get(0))?;
    let identity = position(c, spec, attempt)?.and_then(|position| position.progress.repository);
    let path = body.repo.map(|repo| repo.path.to_string_lossy().into_owned()).unwrap_or_default();
    let repository = identity.map_or(path, |identity| identity.common_dir);
    let base = if base.starts_with("refs/") { base } else { format!("refs/heads/{base}") };
    c.prepare_cached(&format!(
        "UPDATE specs SET delivery = :waiting, land_repo = :repo, land_base = :base, cause = {CAUSE_OF_END}
          WHERE id = :id"
    ))?
    .execute(named_params! {
        ":waiting": Delivery::Waiting.as_str(), ":repo": repository, ":base": base, ":id": spec.as_str(),
    })?;
    waits(c, spec, &base, now)
}

/// Appends the event that a spec waits to land on a base.
fn waits(c: &Connection, spec: &SpecId, base: &str, now: Timestamp) -> Result<(), QueueError> {
    let waiting = event::Waiting { base: short_branch_name(base).to_owned() };
    events::of_spec(c, spec, &Happening::SpecWaiting(waiting), now)
}

/// Returns the name of the base into which a spec is landed. A spec that is based on the branch of another one is landed
/// into the base of that one.
fn base_of(c: &Connection, spec: &Spec) -> Result<Option<String>, QueueError> {
    let mut base = spec.repo.as_ref().map(|repo| repo.base.clone());
    // A chain of specs is as long as the user made it; a damaged record must not make it endless.
    for _ in 0..1000 {
        match base {
            Some(Base::Revision(name)) => return Ok(Some(name)),
            Some(Base::Spec(other)) => base = read::spec(c, &other).ok().and_then(|other| Some(other.repo?.base)),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Puts a completed spec into the landing queue because the user asks for it; with `force`, a failed or canceled one too.
pub(super) fn request(c: &Connection, spec: &SpecId, force: bool, now: Timestamp) -> Result<(), QueueError> {
    let row = c
        .prepare_cached("SELECT status, delivery, has_branch FROM specs WHERE id = ?")?
        .query_row([spec.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    let Some((status, delivery, has_branch)) = row else { return Err(QueueError::NotFound(spec.clone())) };
    let status = read::status(spec, &status)?;
    let delivery = delivery.as_deref().and_then(Delivery::from_name);
    let spec = spec.clone();
    match (status, delivery) {
        (_, Some(Delivery::Waiting | Delivery::Landing | Delivery::Merged)) => return Ok(()),
        _ if !status.is_ended() => return Err(Refusal::NotCompleted { spec, status }.into()),
        (SpecStatus::Completed, _) => {}
        _ if !force => return Err(Refusal::NotCompleted { spec, status }.into()),
        _ => {}
    }
    if !has_branch {
        return Err(Refusal::NothingToLand { spec }.into());
    }
    join(c, &spec, now)
}

/// Takes a spec out of the landing queue. Fails if it is being landed.
pub(super) fn withdraw(c: &Connection, spec: &SpecId) -> Result<(), QueueError> {
    c.prepare_cached(
        "UPDATE specs SET delivery = 'branch', land_repo = NULL, land_base = NULL WHERE id = ? AND delivery = 'waiting'",
    )?
    .execute([spec.as_str()])?;
    match is_under_way(c, spec)? {
        true => Err(Refusal::WaitsToLand { spec: spec.clone() }.into()),
        false => Ok(()),
    }
}

/// Returns whether a spec waits to land or is being landed.
pub(super) fn is_under_way(c: &Connection, spec: &SpecId) -> Result<bool, QueueError> {
    Ok(c.prepare_cached("SELECT 1 FROM specs WHERE id = ? AND delivery IN ('waiting', 'landing')")?
        .exists([spec.as_str()])?)
}

/// Returns the completed specs with a branch that was not landed.
pub(super) fn landable(c: &Connection) -> Result<Vec<SpecId>, QueueError> {
    let names: Vec<String> = c
        .prepare_cached(
            "SELECT id FROM specs INDEXED BY specs_unlanded
              WHERE status = 'completed' AND has_branch = 1 AND delivery IN ('branch', 'unmerged') ORDER BY seq",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(read::well_formed(&names).collect())
}

/// Carries out a change that a lander makes to another spec. Does nothing if the spec is not in the landing queue of the
/// lander any more.
pub(super) fn apply(c: &Connection, lander: &Fence, change: &LandingChange, now: Timestamp) -> Result<(), QueueError> {
    match change {
        LandingChange::Joined(spec) => joined(c, lander, spec, now)?,
        LandingChange::Landed(spec, by) => landed(c, spec, *by, now)?,
        LandingChange::SentBack(spec, sent) => send_back(c, spec, sent, now)?,
        LandingChange::Unmerged(spec, why) => unmerged(c, spec, why, now)?,
        LandingChange::AllUnmerged(why) => {
            let names = waiting_names(c, &lander.spec)?;
            for spec in read::well_formed(&names) {
                unmerged(c, &spec, why, now)?;
            }
        }
    }
    Ok(())
}

fn joined(c: &Connection, lander: &Fence, spec: &SpecId, now: Timestamp) -> Result<(), QueueError> {
    let base: Option<String> = c
        .prepare_cached(
            "UPDATE specs SET delivery = 'landing' WHERE id = ? AND delivery = 'waiting' RETURNING coalesce(land_base, '')",
        )?
        .query_row([spec.as_str()], |row| row.get(0))
        .optional()?;
    let Some(base) = base else { return Ok(()) };
    let landing = event::Landing { base: short_branch_name(&base).to_owned(), lander: lander.spec.clone() };
    events::of_spec(c, spec, &Happening::SpecLanding(landing), now)
}

fn landed(c: &Connection, spec: &SpecId, by: MergedBy, now: Timestamp) -> Result<(), QueueError> {
    let merges: Option<bool> = c
        .prepare_cached(&format!(
            "UPDATE specs SET delivery = 'merged', merged_by = :by, cause = {CAUSE_OF_END}, land_repo = NULL,
                    land_base = NULL
              WHERE id = :id AND delivery IN ('waiting', 'landing') RETURNING merges"
        ))?
        .query_row(named_params! {":by": by.as_str(), ":id": spec.as_str()}, |row| row.get(0))
        .optional()?;
    if merges.is_some() {
        events::of_spec(c, spec, &Happening::SpecMerged(Merged { by }), now)?;
    }
    if merges == Some(true) {
        c.prepare_cached(end::RELEASE_DEPENDENTS)?.execute([spec.as_str()])?;
    }
    Ok(())
}

fn unmerged(c: &Connection, spec: &SpecId, why: &Unmerged, now: Timestamp) -> Result<(), QueueError> {
    let known: Option<(String, Option<String>)> = c
        .prepare_cached("SELECT status, cause FROM specs WHERE id = ? AND delivery IN ('waiting', 'landing')")?
        .query_row([spec.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((status, cause)) = known else { return Ok(()) };
    let ended = cause.filter(|_| status != SpecStatus::Completed.as_str());
    let cause = match ended.and_then(|text| serde_json::from_str(&text).ok()) {
        Some(ended) => Cause::EndedUnmerged { ended, why: why.clone() },
        None => Cause::Unmerged { why: why.clone() },
    };
    c.prepare_cached(
        "UPDATE specs SET delivery = 'unmerged', cause = ?, land_repo = NULL, land_base = NULL WHERE id = ?",
    )?
    .execute([&encode(&cause)?, spec.as_str()])?;
    events::of_spec(c, spec, &Happening::SpecUnmerged(NotMerged { why: why.clone() }), now)
}

/// Queues a spec again, with a further task for its agent, in the same attempt.
fn send_back(c: &Connection, spec: &SpecId, sent: &SentBack, now: Timestamp) -> Result<(), QueueError> {
    let is_waiting = "id = ? AND status = 'completed' AND delivery IN ('waiting', 'landing')";
    let attempt: Option<u32> = c
        .prepare_cached(&format!("SELECT attempt FROM specs WHERE {is_waiting}"))?
        .query_row([spec.as_str()], |row| row.get(0))
        .optional()?;
    let body = read::spec(c, spec)?;
    let (Some(attempt), Some(agent)) = (attempt, body.landing_agent()) else { return Ok(()) };
    let Some(before) = position(c, spec, attempt)? else {
        let why = match &sent.why {
            NotLanded::Conflict { .. } => Unmerged::Obstacle { detail: sent.to_string() },
            NotLanded::Verify { failure } => Unmerged::Verify { failure: failure.clone().without_output() },
        };
        return unmerged(c, spec, &why, now);
    };
    let session: Option<String> = c
        .prepare_cached(
            "SELECT session_id FROM tries WHERE spec = ? AND session_id IS NOT NULL ORDER BY started_at DESC LIMIT 1",
        )?
        .query_row([spec.as_str()], |row| row.get(0))
        .optional()?;
    let progress = Progress {
        failure: None,
        next_try_at: None,
        session: session.map(|id| AgentSession { agent: agent.to_owned(), id, tokens: None }),
        ..before.progress
    };
    let position = Position { step: Step::Prepare { checkout: Checkout::Clean, then: None }, progress };
    c.prepare_cached("UPDATE attempts SET position = ?, ended_at = NULL WHERE spec = ? AND number = ?")?
        .execute(params![encode(&position)?, spec.as_str(), attempt])?;
    let mut with_task = body.clone();
    with_task.add_landing_task(sent);
    let index = body.tasks.len();
    let title = with_task.tasks.last().map_or("", |task| &task.title);
    c.prepare_cached(
        "INSERT INTO tasks (spec, idx, id, title, status) VALUES (?, ?, ?, ?, 'pending')
         ON CONFLICT (spec, idx) DO UPDATE SET status = 'pending', title = excluded.title, commit_id = NULL, unchanged = 0",
    )?
    .execute(params![spec.as_str(), index, with_task.tasks.last().map_or("", |task| &task.id), title])?;
    c.prepare_cached(
        "UPDATE specs SET status = 'queued', resumes = 1, delivery = NULL, cause = :cause, sent_back = :sent,
                finished_at = NULL, not_before = NULL, setbacks = 0, blocked = NULL, lane = :lane, queued_at = :now
          WHERE id = :id",
    )?
    .execute(named_params! {
        ":cause": encode(&Cause::SentBack { sent: sent.clone() })?, ":sent": encode(sent)?, ":now": now.0,
        ":lane": lanes::lane_name(Some(agent)), ":id": spec.as_str(),
    })?;
    let cause = Some(Cause::SentBack { sent: sent.clone() });
    let queued = Queued { by: QueuedBy::Landing, cause, not_before: None };
    events::of_attempt(c, spec, attempt, &Happening::SpecQueued(queued), now)
}

/// Ends the attempt of a lander. What it was landing waits again.
pub(super) fn finish(c: &Connection, lander: &Fence, now: Timestamp) -> Result<(), QueueError> {
    check_fence(c, lander)?;
    release_members(c, lander, now)?;
    // The lander has skipped what it cannot read. The next one would do so too.
    let names = waiting_names(c, &lander.spec)?;
    for name in names {
        let unreadable = match read::id(&name) {
            Ok(spec) => read::spec(c, &spec).err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(detail) = unreadable {
            let why = Unmerged::Obstacle { detail };
            let cause = encode(&Cause::Unmerged { why: why.clone() })?;
            c.prepare_cached("UPDATE specs SET delivery = 'unmerged', cause = ? WHERE id = ?")?
                .execute([&cause, &name])?;
            if let Ok(spec) = read::id(&name) {
                events::of_spec(c, &spec, &Happening::SpecUnmerged(NotMerged { why }), now)?;
            }
        }
    }
    for table in ["attempts", "commands", "kept"] {
        c.execute(&format!("DELETE FROM {table} WHERE spec = ?"), [lander.spec.as_str()])?;
    }
    c.prepare_cached("DELETE FROM landers WHERE id = ?")?.execute([lander.spec.as_str()])?;
    Ok(())
}

/// Gives a lander back: a later attempt begins anew.
pub(super) fn give_back(c: &Connection, lander: &Fence, back: &GiveBack, now: Timestamp) -> Result<(), QueueError> {
    check_fence(c, lander)?;
    release_members(c, lander, now)?;
    c.prepare_cached(
        "UPDATE landers SET active = 0, not_before = :not_before,
                setbacks = CASE WHEN :setback THEN setbacks + 1 ELSE 0 END WHERE id = :id",
    )?
    .execute(named_params! {
        ":not_before": back.not_before.map(|at| at.0), ":setback": back.setback, ":id": lander.spec.as_str(),
    })?;
    Ok(())
}

/// Lets the specs wait again that a lander was landing.
fn release_members(c: &Connection, lander: &Fence, now: Timestamp) -> Result<(), QueueError> {
    let group = group_of(c, &lander.spec)?;
    let released: Vec<String> = c
        .prepare_cached(
            "UPDATE specs INDEXED BY specs_landing SET delivery = 'waiting'
              WHERE land_repo = ? AND land_base = ? AND delivery IN ('waiting', 'landing') AND +delivery = 'landing'
              RETURNING id",
        )?
        .query_map([&group.repository, &group.base], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for spec in read::well_formed(&released) {
        waits(c, &spec, &group.base, now)?;
    }
    Ok(())
}
