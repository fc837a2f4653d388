//! Commands on whole stores.

mod backup;
mod compact;
mod repair;
mod salvage;
mod verify;

use crate::{
    args::Maintenance,
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn run(command: Maintenance, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Maintenance::Verify(args) => verify::run(args, output),
        Maintenance::Repair(args) => repair::run(args, output),
        Maintenance::Salvage(args) => salvage::run(args, output),
        Maintenance::Backup(args) => backup::run(&args, output),
        Maintenance::Compact(args) => compact::run(&args, output),
    }
}
