//! What a result was measured on.

use std::{path::Path, thread};

/// One line each: processor and cores, memory, file system, kernel, load at the start.
pub(crate) fn describe(path: &Path) -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let model = after(&cpu_info, "model name").unwrap_or("unknown processor");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mem_info = read("/proc/meminfo");
    let memory = after(&mem_info, "MemTotal").unwrap_or("?");
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    vec![
        format!("processor: {model}, {cores} cores; memory: {memory}"),
        format!("file system: {}; Linux {}", file_system(path), kernel.trim()),
        format!("load at the start (1, 5, 15 minutes): {}", load.join(", ")),
    ]
}

fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

/// The type of the file system that holds `path`: that of the longest mount point above it.
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_default();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let above = mounts.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (point, kind) = (*fields.get(1)?, *fields.get(2)?);
        path.starts_with(point).then(|| (point.len(), kind.to_owned()))
    });
    above.max_by_key(|(length, _)| *length).map_or("unknown".to_owned(), |(_, kind)| kind)
}
