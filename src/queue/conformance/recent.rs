//! Tests of the verbs about specs that ended in a time.

use super::*;

pub(in crate::queue) fn the_specs_that_ended_in_a_time_are_found_from_the_latest_end_on<F: Factory>() {
    let (_storage, queue) = F::queue();
    let queue = queue.as_ref();
    assert_eq!((queue.last_end().unwrap(), queue.recent(Timestamp(0), 9).unwrap()), (None, Default::default()));
    let in_repository =
        Spec { repo: Some(Repo { path: "/r".into(), base: Base::Revision("main".into()) }), ..spec("branch") };
    let ids = enqueue(queue, vec![spec("1"), spec("2"), in_repository, spec("open"), spec("stopped")], NOW).unwrap();
    let claims = queue.claim_first(4, None, &config(), NOW).unwrap();
    let at = |millis| NOW.plus_millis(millis);
    queue.finish(&claims[0].fence, &completed(), at(10)).unwrap();
    queue.finish(&claims[1].fence, &failed(), at(20)).unwrap();
    let progress = Progress { origin: Some("a".into()), head: Some("b".into()), ..claims[2].position.progress.clone() };
    queue.record(&claims[2].fence, &Position { progress, ..claims[2].position.clone() }, vec![], NOW).unwrap();
    queue.finish(&claims[2].fence, &Ending::Completed(Delivered::Branch), at(30)).unwrap();
    queue.stop(&ids[4], NOW).unwrap();
    assert_eq!(queue.last_end().unwrap(), Some(at(30)));
    let all = queue.recent(at(10), 9).unwrap();
    assert_eq!(all.ended, [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
    assert_eq!((all.more, all.unlanded, all.blocked.as_slice()), (false, 1, &ids[4..]));
    assert_eq!(queue.recent(at(11), 9).unwrap().ended, all.ended[..2]);
    let first = queue.recent(at(10), 2).unwrap();
    assert_eq!((first.ended.as_slice(), first.more), (&all.ended[..2], true));
    assert_eq!(queue.recent(at(31), 9).unwrap().ended, []);
}
