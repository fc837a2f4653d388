//! Rounds, medians, and how results are printed.

use std::time::{Duration, Instant};

/// How often each workload runs, and which.
pub(crate) struct Rounds {
    pub(crate) count: usize,
    pub(crate) filter: String,
    /// Whether to include stores of ten million events.
    pub(crate) is_large: bool,
}

/// One contender of a workload: what it is called, and what it does in a round, which answers how
/// many operations that were and how long they took.
pub(crate) type Contender<'a> = (&'a str, Box<dyn FnMut() -> (u64, Duration) + 'a>);

impl Rounds {
    pub(crate) fn wants(&self, workload: &str) -> bool {
        workload.contains(&self.filter)
    }

    /// Runs the contenders in turn and tells, for each, the median time of an operation and the
    /// median of its ratios to the first contender of the same round.
    pub(crate) fn compare(&self, workload: &str, mut contenders: Vec<Contender<'_>>) {
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..self.count {
            for (index, (_, run)) in contenders.iter_mut().enumerate() {
                let (operations, elapsed) = run();
                times[index].push(elapsed.as_secs_f64() * 1e6 / operations as f64);
            }
        }
        for (index, (name, _)) in contenders.iter().enumerate() {
            let micros = median(&times[index]);
            let ratios: Vec<f64> =
                times[index].iter().zip(&times[0]).map(|(own, first)| own / first).collect();
            let ratio = median(&ratios);
            let rate = 1e6 / micros;
            eprintln!("{workload:<20} {name:<34} {micros:>10.2} us {rate:>12.0}/s {ratio:>7.2}x");
            println!(
                "{{\"workload\": \"{workload}\", \"contender\": \"{name}\", \"rounds\": {}, \
                 \"micros\": {micros:.3}, \"per_second\": {rate:.0}, \"ratio\": {ratio:.3}}}",
                self.count
            );
        }
    }
}

impl Rounds {
    /// Prints a time that is no average.
    pub(crate) fn tell(&self, workload: &str, name: &str, micros: f64) {
        self.report(workload, name, micros, "micros");
    }

    /// Prints a figure that is no average, with its unit.
    pub(crate) fn report(&self, workload: &str, name: &str, value: f64, unit: &str) {
        eprintln!("{workload:<20} {name:<60} {value:>10.2} {unit}");
        println!(
            "{{\"workload\": \"{workload}\", \"contender\": \"{name}\", \"rounds\": {}, \
             \"{unit}\": {value:.3}}}",
            self.count
        );
    }
}

pub(crate) fn timed(operations: u64, run: impl FnOnce()) -> (u64, Duration) {
    let start = Instant::now();
    run();
    (operations, start.elapsed())
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
