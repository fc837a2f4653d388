//! Conditions in group commits: the submitter of a batch searches first, and whichever thread leads
//! its group checks what came since. The lead changes from group to group, and a group may fail.

use std::sync::Arc;

use annals::{
    AppendError, Batch, Error, EventStore, ExpectedVersion::Any, Query, QueryItem, model,
};
use shuttle::thread;

use super::{check, check_visible, event, open, text};

fn by_tag(tag: &str) -> Query {
    Query::new().item(QueryItem::new().tags([tag]))
}

/// A batch with one tagged event that must be the first of its tag after `after`.
fn guarded(thread: u64, number: u64, tag: &str, after: u64) -> Batch {
    let batch = Batch::new().append(format!("s-{thread}"), Any, [event(thread, number).tag(tag)]);
    batch.require_none(&by_tag(tag), after)
}

/// What a batch of [`guarded`] was answered: its position, or the position of the event that its
/// condition excludes.
type Decided = Result<u64, u64>;

/// Commits a batch, or submits it and waits for the ticket. `None` if the store is poisoned.
fn decide(store: &EventStore, batch: Batch, is_submitted: bool) -> Option<Decided> {
    let answer = match is_submitted {
        false => batch.commit(store),
        true => batch.submit(store).map_err(AppendError::from).and_then(|ticket| ticket.wait()),
    };
    match answer {
        Ok(committed) => Some(Ok(*committed.positions().start())),
        Err(AppendError::Condition(failed)) => Some(Err(failed.position)),
        Err(AppendError::Failed(Error::Poisoned { .. })) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// The event at a position can be read, is durable, and has the tag.
#[track_caller]
fn check_excluded(store: &EventStore, position: u64, tag: &str) {
    let found = store.read_all().from_position(position).next();
    let found = found.expect("a condition names an event that is there").unwrap();
    assert_eq!(found.position(), position);
    assert!(found.tags().any(|own| own == tag), "{found:?} is excluded by no condition");
    assert!(model::is_durable(found.data()), "{position} is named, and not durable");
}

/// Runs `work` on three threads with a handle of the store each, and returns what they return.
fn on_three<T: Send + 'static>(
    store: &EventStore,
    work: impl Fn(u64, EventStore) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let work = Arc::new(work);
    let start = |thread| {
        let (store, work) = (store.clone(), Arc::clone(&work));
        thread::spawn(move || work(thread, store))
    };
    let threads: Vec<_> = (0..3).map(start).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn of_batches_that_claim_one_tag_exactly_one_is_accepted() {
    for submitted in 0..3 {
        check(600, move |path| {
            let store = open(path);
            let decided = on_three(&store, move |thread, store| -> Decided {
                let decided = decide(&store, guarded(thread, 0, "x", 0), thread < submitted);
                match decided.unwrap() {
                    Ok(position) => {
                        let text = text(thread, 0);
                        assert!(model::is_durable(text.as_bytes()), "{text}");
                        Ok(position)
                    }
                    Err(position) => {
                        check_excluded(&store, position, "x");
                        Err(position)
                    }
                }
            });
            assert_eq!(decided.iter().filter(|one| one.is_ok()).count(), 1, "{decided:?}");
            let all = decided.iter().map(|one| one.unwrap_or_else(|at| at));
            assert!(all.eq([1, 1, 1]), "{decided:?}: a refused batch takes no position");
            assert_eq!(check_visible(&store), 1);
            store.close().unwrap();
        });
    }
}

/// Each batch has a tag of its own beside what the others write: none may be refused.
#[test]
fn a_batch_with_a_tag_of_its_own_is_never_refused() {
    check(600, |path| {
        let store = open(path);
        on_three(&store, |thread, store| {
            for number in 0..2 {
                let batch = guarded(thread, number, &format!("own:{thread}.{number}"), 0);
                decide(&store, batch, thread == 0).unwrap().unwrap();
            }
        });
        assert_eq!(check_visible(&store), 6);
        store.close().unwrap();
    });
}

/// Numbers without gaps: each thread queries, decides and commits, and again when it was too late.
/// A thread that was refused learns of an event that it had not seen.
#[test]
fn a_sequence_stays_unbroken_while_the_lead_changes() {
    check(600, |path| {
        let store = open(path);
        on_three(&store, |thread, store| {
            let mut written = 0;
            while written < 2 {
                let found = store.query(&by_tag("invoice"));
                let after = found.head();
                let number = found.count() as u64;
                let batch = guarded(thread, number, "invoice", after);
                match decide(&store, batch, thread == 0).unwrap() {
                    Ok(position) => {
                        assert!(position > after);
                        written += 1;
                    }
                    Err(position) => {
                        assert!(position > after, "{position} was known at {after}");
                        check_excluded(&store, position, "invoice");
                    }
                }
            }
        });
        for (number, event) in (0..6).zip(store.read_all()) {
            let event = event.unwrap();
            let name = String::from_utf8(event.data().to_vec()).unwrap();
            assert!(name.ends_with(&format!("event {number}>")), "{name} is number {number}");
        }
        assert_eq!(check_visible(&store), 6);
        store.close().unwrap();
    });
}

/// The leader of a group fails while others wait, in its group and for the next one. An answer
/// about a condition then rests on an event that is there, never on one of the failed group.
#[test]
fn no_condition_is_decided_by_a_group_that_failed() {
    for failing in 1..=3 {
        check(400, move |path| {
            let store = open(path);
            model::begin(Some(failing));
            let accepted = on_three(&store, |thread, store| {
                let mut accepted = Vec::new();
                for number in 0..2 {
                    let tag = format!("t:{number}");
                    let batch = guarded(thread, number, &tag, 0);
                    match decide(&store, batch, thread == 0) {
                        Some(Ok(position)) => {
                            let text = text(thread, number);
                            assert!(model::is_durable(text.as_bytes()), "{text}");
                            accepted.push((tag, position));
                        }
                        Some(Err(position)) => check_excluded(&store, position, &tag),
                        None => {}
                    }
                }
                accepted
            });
            let mut accepted = accepted.concat();
            accepted.sort();
            let tags: Vec<&String> = accepted.iter().map(|(tag, _)| tag).collect();
            assert!(tags.is_sorted_by(|one, next| one < next), "a tag twice: {accepted:?}");
            assert_eq!(check_visible(&store), accepted.len() as u64);
            let _ = store.close();
        });
    }
}
