//! The names of sealed files: the first position, and a number where several files have it.

use std::path::{Path, PathBuf};

const ENDING: &str = "sealed";

/// The path of a sealed file by its first position and its number among the files with it.
pub(crate) fn path_of(directory: &Path, first_position: u64, number: u32) -> PathBuf {
    directory.join(match number {
        0 => format!("{first_position:020}.{ENDING}"),
        number => format!("{first_position:020}-{number}.{ENDING}"),
    })
}

/// The first position and the number in the path of a sealed file.
pub(crate) fn parse_path(path: &Path) -> Option<(u64, u32)> {
    let stem = path.file_stem()?.to_str()?;
    let (position, number) = match stem.split_once('-') {
        Some((position, number)) => (position.parse().ok()?, number.parse().ok()?),
        None => (stem.parse().ok()?, 0),
    };
    let expected = path_of(Path::new(""), position, number);
    (path.file_name() == expected.file_name()).then_some((position, number))
}
