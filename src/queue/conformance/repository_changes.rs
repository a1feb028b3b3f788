//! Changes of a repository that a command made: they are recorded once, and some block deliveries.

use super::*;
use crate::domain::repository_change::ChangeKind;

pub(in crate::queue) fn changes_of_a_repository_are_recorded_once_and_block_until_they_are_settled<F: Factory>() {
    let (_storage, queue) = F::queue();
    let id = enqueue(queue.as_ref(), vec![spec("a")], NOW).unwrap().remove(0);
    let fence = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0).fence;
    let change = |kind, name: &str, blocks| RepositoryChange { blocks, ..RepositoryChange::new(kind, name) };
    let found =
        vec![change(ChangeKind::Deleted, "refs/heads/x", false), change(ChangeKind::ConfigChanged, "core.bare", true)];
    let undone = vec![change(ChangeKind::Undone, "file", false)];
    for _ in 0..2 {
        queue.record_changes(&fence, ChangesFoundBy::Command(3), "/r/.git", found.clone()).unwrap();
        queue.record_changes(&fence, ChangesFoundBy::Candidate(3), "/r", undone.clone()).unwrap();
    }
    assert_eq!(one(queue.as_ref(), &id).repository_changes, [found.clone(), undone].concat());
    let blocking = queue.blocking_changes().unwrap();
    let told: Vec<_> = blocking.iter().map(|one| (&one.spec, one.repository.as_str(), &one.change)).collect();
    assert_eq!(told, [(&id, "/r/.git", &found[1])]);
    queue.settle_changes(vec![blocking[0].number]).unwrap();
    assert_eq!(queue.blocking_changes().unwrap(), []);
    assert_eq!(one(queue.as_ref(), &id).repository_changes.len(), 3, "a settled change is still told");
    let superseded = Fence { attempt: fence.attempt + 1, ..fence };
    let refused = queue.record_changes(&superseded, ChangesFoundBy::Command(4), "/r", found);
    assert!(matches!(refused, Err(QueueError::Superseded(_))));
}
