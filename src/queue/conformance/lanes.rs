//! Tests that the queue returns the eligible specs of each lane, and stores holds.

use super::*;
use crate::decide::hold;
use crate::domain::lane::{Eligible, LaneLimit};
use crate::domain::spec::{Action, Base, Repo};

fn with_agent(title: &str, agent: &str) -> Spec {
    let mut spec = spec(title);
    spec.agent = agent.into();
    spec.tasks[0].action = Action::Prompt("do it".into());
    spec
}

fn limit(lane: Option<&str>, limit: u32) -> LaneLimit {
    LaneLimit { lane: lane.map(str::to_owned), limit, first: None, instead: None, skipped: vec![] }
}

fn keys(specs: &[Eligible]) -> Vec<&str> {
    specs.iter().map(|spec| spec.key.as_str()).collect()
}

pub(in crate::queue) fn each_lane_has_its_eligible_specs_in_queue_order<F: Factory>() {
    let (_storage, queue) = F::queue();
    let urgent = Spec { priority: 1, ..with_agent("c2", "claude") };
    let specs = vec![spec("plain"), with_agent("c1", "claude"), with_agent("x1", "codex"), urgent];
    let ids = enqueue(queue.as_ref(), specs, NOW).unwrap();
    let [plain, c1, x1, c2] = [0, 1, 2, 3].map(|index| ids[index].as_str());
    let lanes = [None, Some("claude".to_owned()), Some("codex".to_owned())];
    assert_eq!(queue.lanes(None).unwrap(), lanes);
    assert_eq!(queue.lanes(Some(&ids[1..2])).unwrap(), lanes[1..2]);
    let eligible = |limits: &[LaneLimit]| queue.eligible(limits, None).unwrap();
    assert_eq!(keys(&eligible(&[limit(Some("claude"), 9)])), [c2, c1]);
    assert_eq!(keys(&eligible(&[limit(Some("claude"), 1), limit(Some("codex"), 1)])), [c2, x1]);
    assert_eq!(keys(&eligible(&[limit(None, 9)])), [plain]);
    let first = LaneLimit { first: Some(ids[1].clone()), ..limit(Some("claude"), 1) };
    assert_eq!(keys(&eligible(std::slice::from_ref(&first))), [c1], "only the spec `first` is returned");
    let scoped = queue.eligible(&[limit(Some("claude"), 9)], Some(&ids[1..3])).unwrap();
    assert_eq!(keys(&scoped), [c1]);
    let claimed = queue.claim(&eligible(&[first]), &config(), 0, NOW).unwrap();
    assert_eq!(claimed[0].fence.spec.as_str(), c1);
    assert_eq!(keys(&eligible(&[limit(Some("claude"), 9)])), [c2]);
}

pub(in crate::queue) fn specs_of_skipped_repositories_are_not_eligible<F: Factory>() {
    let (_storage, queue) = F::queue();
    let in_repo = |title: &str, path: &str| {
        let base = Base::Revision("main".into());
        Spec { repo: Some(Repo { path: path.into(), base }), ..spec(title) }
    };
    let specs = vec![in_repo("a1", "/a"), in_repo("a2", "/a"), in_repo("b1", "/b"), spec("plain"), in_repo("b2", "/b")];
    let ids = enqueue(queue.as_ref(), specs, NOW).unwrap();
    let ids: Vec<&str> = ids.iter().map(SpecId::as_str).collect();
    let found = |most, scope: Option<&[SpecId]>, skipped: &[&str]| {
        let skipped = skipped.iter().map(|path| (*path).to_owned()).collect();
        let found = queue.eligible(&[LaneLimit { skipped, ..limit(None, most) }], scope).unwrap();
        found.into_iter().map(|one| (one.key, one.repo)).collect::<Vec<_>>()
    };
    let one = |index: usize, repo: Option<&str>| (ids[index].to_owned(), repo.map(str::to_owned));
    assert_eq!(found(2, None, &[]), [one(0, Some("/a")), one(1, Some("/a"))]);
    assert_eq!(found(2, None, &["/a"]), [one(2, Some("/b")), one(3, None)]);
    assert_eq!(found(9, None, &["/a", "/b"]), [one(3, None)]);
    let scope: Vec<SpecId> = ids[1..3].iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(found(9, Some(&scope), &["/a"]), [one(2, Some("/b"))]);
}

pub(in crate::queue) fn a_spec_that_changed_its_lane_is_not_claimed<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![with_agent("s", "claude")], NOW).unwrap().remove(0);
    let before = queue.eligible(&[limit(Some("claude"), 1)], None).unwrap();
    let claim = queue.claim(&before, &config(), 0, NOW).unwrap().remove(0);
    let back = GiveBack {
        position: claim.position.clone(),
        changes: vec![],
        cause: None,
        not_before: None,
        setback: false,
        lane: None,
    };
    queue.give_back(&claim.fence, back, NOW).unwrap();
    assert!(queue.claim(&before, &config(), 0, NOW).unwrap().is_empty());
    assert_eq!(keys(&queue.eligible(&[limit(None, 1)], None).unwrap()), [id.as_str()]);
    assert_eq!(one(queue.as_ref(), &id).next_agent, None);
    queue.cancel(&id, NOW).unwrap();
    queue.retry(&id, None, NOW).unwrap();
    assert_eq!(
        one(queue.as_ref(), &id).next_agent.as_deref(),
        Some("claude"),
        "after a retry, the spec starts with the agent of the first task that is not done"
    );
}

pub(in crate::queue) fn another_agent_does_the_work_of_an_attempt_that_it_began<F: Factory>() {
    let (_storage, queue) = F::queue();
    let mut both = with_agent("both", "claude");
    both.model = Some("opus".into());
    both.tasks[1] = crate::domain::spec::Task { agent: Some("codex".into()), ..both.tasks[0].clone() };
    let ids = enqueue(queue.as_ref(), vec![with_agent("begun", "claude"), both], NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let back = |claim: &Claimed, lane: &str| GiveBack {
        position: claim.position.clone(),
        changes: vec![],
        cause: None,
        not_before: None,
        setback: false,
        lane: Some(lane.to_owned()),
    };
    queue.give_back(&claim.fence, back(&claim, "claude"), NOW).unwrap();
    let instead = LaneLimit { instead: Some("gemini".to_owned()), ..limit(Some("claude"), 9) };
    let found = queue.eligible(std::slice::from_ref(&instead), None).unwrap();
    assert_eq!(keys(&found), [ids[1].as_str()], "a spec keeps its agent once an attempt has begun");
    assert_eq!(keys(&queue.eligible(&[instead], Some(&ids)).unwrap()), [ids[1].as_str()]);
    let claim = queue.claim(&found, &config(), 0, NOW).unwrap().remove(0);
    assert_eq!([0, 1].map(|task| claim.spec.agent_of(task)), ["gemini", "codex"]);
    assert_eq!((claim.spec.model.as_deref(), claim.lane_at(&claim.position).as_deref()), (None, Some("gemini")));
    queue.give_back(&claim.fence, back(&claim, "gemini"), NOW).unwrap();
    let again = queue.eligible(&[limit(Some("gemini"), 1)], None).unwrap();
    let claim = queue.claim(&again, &config(), 0, NOW).unwrap().remove(0);
    assert_eq!(claim.spec.agent_of(0), "gemini", "the attempt continues with the agent that began it");
    assert_eq!(queue.spec(&ids[1]).unwrap().agent, "claude", "the stored spec does not change");
}

pub(in crate::queue) fn a_hold_is_stored_until_it_is_removed<F: Factory>() {
    let (_storage, queue) = F::queue();
    let held = hold::by_hand(NOW, Some(NOW.plus_millis(5)));
    queue.set_hold("claude", Some(held.clone()), NOW).unwrap();
    queue.set_hold("codex", Some(hold::by_hand(NOW, None)), NOW).unwrap();
    assert_eq!(queue.holds().unwrap()[0], ("claude".to_owned(), held));
    queue.set_hold("claude", None, NOW).unwrap();
    let left: Vec<String> = queue.holds().unwrap().into_iter().map(|(lane, _)| lane).collect();
    assert_eq!(left, ["codex"]);
}
