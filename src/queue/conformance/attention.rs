//! The listing of the specs that need the user, and the search among the queued ones.

use super::*;

pub(in crate::queue) fn specs_that_need_the_user_are_listed<F: Factory>() {
    let (_storage, queue) = F::queue();
    let titles = ["fine", "nothing", "failed", "unmerged", "blocked", "waits"];
    let in_repo = |title: &&str| Spec {
        repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }),
        ..spec(title)
    };
    let ids = enqueue(queue.as_ref(), titles.iter().map(in_repo).collect(), NOW).unwrap();
    let claims = queue.claim_first(4, None, &config(), NOW).unwrap();
    let done = |commit: Option<&str>| RecordChange::TaskDone {
        task: 0,
        commit: commit.map(str::to_owned),
        unchanged: commit.is_none(),
    };
    for (claim, commit) in claims.iter().zip([Some("b"), None]) {
        let mut position = claim.position.clone();
        position.progress.origin = Some("a".to_owned());
        position.progress.head = Some(commit.unwrap_or("a").to_owned());
        queue.record(&claim.fence, &position, vec![done(commit)], NOW).unwrap();
    }
    let unmerged = Ending::Completed(Delivered::Unmerged(Unmerged::BaseMoved { times: 3 }));
    let branch = || Ending::Completed(Delivered::Branch);
    for (claim, ending) in claims.iter().zip([branch(), branch(), failed(), unmerged]) {
        queue.finish(&claim.fence, &ending, NOW).unwrap();
    }
    queue.stop(&ids[4], NOW).unwrap();
    let listed = |limit| queue.list(&Filter { attention: true, limit, ..Filter::default() }).unwrap();
    let all = listed(9);
    let found: Vec<&str> = all.specs.iter().map(|spec| spec.title.as_str()).collect();
    assert_eq!((found, all.more), (vec!["unmerged", "blocked", "failed", "nothing", "fine"], false));
    assert!(listed(1).more, "more specs may need the user than the limit allows");
}

pub(in crate::queue) fn queued_specs_are_searched_by_id_and_title<F: Factory>() {
    let (_storage, queue) = F::queue();
    let ids = enqueue(queue.as_ref(), (0..30).map(|n| spec(&format!("Part {n}"))).collect(), NOW).unwrap();
    let found = |text: &str, limit, offset| {
        let status = Some(SpecStatus::Queued);
        let matching = text.to_owned();
        let listing = queue.list(&Filter { status, matching, limit, offset, ..Filter::default() }).unwrap();
        (listing.specs.into_iter().map(|spec| spec.title).collect::<Vec<_>>(), listing.more)
    };
    assert_eq!(found("pArt 1", 9, 0).0.len(), 9);
    assert!(found("part 1", 9, 0).1);
    assert_eq!(found("part 1", 9, 9), (vec!["Part 18".to_owned(), "Part 19".to_owned()], false));
    assert_eq!(found(ids[7].as_str(), 9, 0).0, ["Part 7"]);
    assert_eq!(found("%", 9, 0), (vec![], false));
}
