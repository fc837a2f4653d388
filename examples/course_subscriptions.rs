//! A decision that depends on two things at once: a course takes a limited number of students, and
//! a student takes a limited number of courses. No single stream covers both, so the decision has
//! its own boundary: the events with the tag of the course or the tag of the student.
//!
//! `cargo run --example course_subscriptions`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use annals::{AppendError, Batch, EventStore, ExpectedVersion::Any, NewEvent, Query, QueryItem};

const COURSES_MAX: usize = 2;

/// What the events say about one course and one student.
#[derive(Debug, Default)]
struct Decision {
    capacity: usize,
    students_of_course: usize,
    courses_of_student: usize,
    is_subscribed: bool,
}

fn course_tag(course: &str) -> String {
    format!("course:{course}")
}

fn student_tag(student: &str) -> String {
    format!("student:{student}")
}

/// Subscribes a student to a course. If somebody else decides about the same course or the same
/// student meanwhile, this decides again.
fn subscribe(store: &EventStore, student: &str, course: &str) -> Result<(), Box<dyn Error>> {
    let (of_course, of_student) = (course_tag(course), student_tag(student));
    let query = Query::new()
        .item(QueryItem::new().types(["CourseDefined", "StudentSubscribed"]).tags([&of_course]))
        .item(QueryItem::new().types(["StudentSubscribed"]).tags([&of_student]));
    loop {
        let found = store.query(&query);
        let after = found.head();
        let mut decision = Decision::default();
        for event in found {
            let event = event?;
            let has = |tag: &str| event.tags().any(|own| own == tag);
            match event.event_type() {
                "CourseDefined" => decision.capacity = event.json()?,
                _ => {
                    decision.students_of_course += usize::from(has(&of_course));
                    decision.courses_of_student += usize::from(has(&of_student));
                    decision.is_subscribed |= has(&of_course) && has(&of_student);
                }
            }
        }
        if decision.is_subscribed {
            return Err(format!("{student} has {course} already").into());
        }
        if decision.students_of_course >= decision.capacity {
            return Err(format!("{course} is full").into());
        }
        if decision.courses_of_student >= COURSES_MAX {
            return Err(format!("{student} has {COURSES_MAX} courses").into());
        }
        let subscribed = NewEvent::json("StudentSubscribed", &())?.tags([&of_course, &of_student]);
        let batch = Batch::new().append("subscriptions", Any, [subscribed]);
        match batch.require_none(&query, after).commit(store) {
            Ok(committed) => {
                println!("{student} takes {course}, at {}", committed.positions().start());
                return Ok(());
            }
            Err(AppendError::Condition(failed)) => {
                println!("somebody was faster, at {}: decide anew", failed.position);
            }
            Err(other) => return Err(other.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = EventStore::open(directory.path().join("courses.annals"))?;
    for (course, capacity) in [("algebra", 2), ("biology", 5), ("chemistry", 5)] {
        let defined = NewEvent::json("CourseDefined", &capacity)?.tag(course_tag(course));
        store.append(format!("course-{course}"), Any, [defined])?;
    }
    subscribe(&store, "ada", "algebra")?;
    // One seat is left, and two students want it at the same time.
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads = ["bob", "cyd"].map(|student| {
            let store = &store;
            scope.spawn(move || subscribe(store, student, "algebra").map_err(|e| e.to_string()))
        });
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    println!("{} of 2 got the last seat", answers.iter().filter(|answer| answer.is_ok()).count());
    subscribe(&store, "ada", "biology")?;
    match subscribe(&store, "ada", "chemistry") {
        Err(refusal) => println!("refused: {refusal}"),
        Ok(()) => return Err("ada has three courses".into()),
    }
    let seats = Query::new().item(QueryItem::new().tags([course_tag("algebra")]));
    println!("algebra has {} students", store.query(&seats).count() - 1);
    Ok(())
}
