//! Tests of the trust in repositories' commands, and of the specs that a repository's configuration blocks.

use super::*;
use crate::domain::cause::Cause;
use crate::domain::life::Block;
use crate::domain::repository_block::{BlockedBy, ConfigPlace, RepositoryBlock};
use crate::domain::repository_config::RepositoryConfig;
use crate::domain::spec::{Base, Repo};
use crate::queue::repositories::{EndBlocks, Trusted};

fn in_repository(title: &str, base: &str) -> Spec {
    Spec { repo: Some(Repo { path: "/src/api".into(), base: Base::Revision(base.into()) }), ..spec(title) }
}

fn place(commit: &str) -> ConfigPlace {
    ConfigPlace {
        repository: "/src/api/.git".into(),
        path: "/src/api".into(),
        base: "main".into(),
        commit: commit.into(),
    }
}

fn give_back_blocked(queue: &dyn Queue, claim: &Claimed, why: BlockedBy) {
    let by = Block::Repository(Box::new(RepositoryBlock { place: place("c1"), why }));
    let back = GiveBack {
        position: claim.position.clone(),
        changes: vec![],
        cause: Some(Cause::Blocked { by }),
        not_before: None,
        setback: false,
        lane: None,
    };
    queue.give_back(&claim.fence, back, NOW).unwrap();
}

pub(in crate::queue) fn untrusted_commands_block_all_specs_from_the_base_until_they_are_trusted<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let specs = [("a", "main"), ("b", "main"), ("other base", "dev"), ("c", "main")];
    let specs = specs.iter().map(|(title, base)| in_repository(title, base)).collect();
    let ids = enqueue(queue, specs, NOW).unwrap();
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let trusted = Trusted::new("/src/api/.git", "setup = \"npm ci\"\n", NOW);
    let untrusted = BlockedBy::Untrusted { hash: trusted.hash.clone(), changed: false };
    give_back_blocked(queue, &claim, untrusted);
    assert_eq!(queue.blocking_configs().unwrap(), [place("c1")]);
    let rest = queue.claim_first(9, None, &config(), NOW).unwrap();
    assert_eq!(rest.iter().map(|claim| &claim.fence.spec).collect::<Vec<_>>(), [&ids[2]], "the others are blocked too");
    // The trust is for these commands of this repository.
    for other in
        [Trusted::new("/src/api/.git", "setup = \"x\"\n", NOW), Trusted::new("/r/.git", &trusted.commands, NOW)]
    {
        assert_eq!(queue.trust(&other).unwrap(), []);
    }
    assert_eq!(queue.trust(&trusted).unwrap(), [ids[0].clone(), ids[1].clone(), ids[3].clone()]);
    assert_eq!(queue.blocking_configs().unwrap(), []);
    let again = queue.claim_first(9, None, &config(), NOW).unwrap();
    assert_eq!((again.len(), again[0].fence.attempt), (3, 1), "the same attempt continues");
    assert_eq!(queue.trusted(Some("/src/api/.git")).unwrap().len(), 2);
    assert_eq!(queue.revoke_trust("/src/api/.git").unwrap(), 2);
    assert_eq!(queue.trusted(None).unwrap().len(), 1, "the trust in another repository stays");
}

pub(in crate::queue) fn a_block_by_a_repositorys_configuration_ends_when_its_reason_does<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let specs = vec![in_repository("a", "main"), in_repository("b", "main")];
    let ids = enqueue(queue, specs, NOW).unwrap();
    let block = |why: BlockedBy| {
        let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
        give_back_blocked(queue, &claim, why);
        assert!(queue.claim_first(9, None, &config(), NOW).unwrap().is_empty(), "both are blocked");
    };
    block(BlockedBy::Invalid { detail: "d".into() });
    assert_eq!(queue.end_repository_blocks(&EndBlocks::ReadAt(place("c2"))).unwrap(), []);
    assert_eq!(queue.end_repository_blocks(&EndBlocks::ReadAt(place("c1"))).unwrap().len(), 2);
    block(BlockedBy::Full { max_workers: 1 });
    queue.set_priority(&ids[1], 1).unwrap();
    let first = |repository: &str| queue.end_repository_blocks(&EndBlocks::FirstWaitingIn(repository.into())).unwrap();
    assert_eq!(first("/other/.git"), []);
    assert_eq!(first("/src/api/.git"), [ids[1].clone()], "one spec, the first by priority");
    assert_eq!(queue.end_repository_blocks(&EndBlocks::AllWaiting).unwrap(), [ids[0].clone()]);
}

pub(in crate::queue) fn the_configuration_of_the_repository_completes_the_spec_from_then_on<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    let id = enqueue(queue, vec![in_repository("a", "main")], NOW).unwrap().remove(0);
    let claim = queue.claim_first(1, None, &config(), NOW).unwrap().remove(0);
    let stored = RepositoryConfig { verify: vec!["make".into()], max_workers: Some(3), ..RepositoryConfig::default() };
    let changes = vec![RecordChange::RepositoryConfig { config: Box::new(stored.clone()) }];
    queue.record(&claim.fence, &claim.position, changes, NOW).unwrap();
    assert_eq!(queue.spec(&id).unwrap().verify, ["make"]);
    let running = queue.running().unwrap().claimed.remove(0);
    assert_eq!((running.spec.verify, running.spec.of_repository), (vec!["make".to_owned()], stored));
}
