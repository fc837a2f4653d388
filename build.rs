//! The build script: how the shared library is linked.
//!
//! Its name in other programs is that of the ABI, which up to version 1 may change with each minor
//! version. It stays in memory after a `dlclose`, because Rust code leaves destructors of
//! thread-local values behind that would run later.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
};

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "cargo:rerun-if-changed=build.rs")?;
    let is_wanted = env::var_os("CARGO_FEATURE_CAPI").is_some();
    if !is_wanted || env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return Ok(());
    }
    let minor = env::var("CARGO_PKG_VERSION_MINOR").unwrap_or_default();
    let name = match env::var("CARGO_PKG_VERSION_MAJOR").as_deref() {
        Ok("0") | Err(_) => format!("libannals.so.0.{minor}"),
        Ok(major) => format!("libannals.so.{major}"),
    };
    writeln!(out, "cargo:rustc-cdylib-link-arg=-Wl,-soname,{name}")?;
    writeln!(out, "cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete")?;
    name_beside_the_library(&name);
    Ok(())
}

/// Programs that link with the library look for it under its name, so it gets that beside
/// libannals.so in the target folder, unless that is the one of a project which depends on the
/// published crate. Where it fails, the user of such a program sees to it.
#[cfg(unix)]
fn name_beside_the_library(name: &str) {
    let is_checkout = Path::new("tests").is_dir();
    let Some(out) = env::var_os("OUT_DIR").filter(|_| is_checkout) else { return };
    // <target>/<profile>/build/<package>/out
    let Some(folder) = Path::new(&out).ancestors().nth(3) else { return };
    let link = folder.join(name);
    if fs::symlink_metadata(&link).is_err() {
        let _ = std::os::unix::fs::symlink("libannals.so", link);
    }
}

#[cfg(not(unix))]
fn name_beside_the_library(_: &str) {}
