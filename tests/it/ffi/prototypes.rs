//! The functions of `include/annals.h`, as its text declares them.

use std::fs;

use crate::support::c::root;

/// A function and its arguments.
#[derive(Debug)]
pub(crate) struct Prototype {
    pub(crate) returns: String,
    pub(crate) name: String,
    pub(crate) params: Vec<Param>,
}

/// An argument: its type, with single spaces and without `struct`, and its name.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) ty: String,
    pub(crate) name: String,
}

impl Prototype {
    /// Whether the status that it returns is its own.
    pub(crate) fn can_fail(&self) -> bool {
        self.returns == "annals_status" && self.name != "annals_error_status"
    }
}

/// The header without comments.
pub(crate) fn header() -> String {
    let text = fs::read_to_string(root().join("include/annals.h")).unwrap();
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("every comment ends").1;
    }
    code + rest
}

/// Every function that the header declares.
pub(crate) fn prototypes() -> Vec<Prototype> {
    let code: String =
        header().lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
    let statements = code.split(';').filter_map(|statement| statement.split_once("ANNALS_API "));
    let found: Vec<Prototype> = statements.map(|(_, statement)| prototype(statement)).collect();
    assert!(found.len() > 40, "the header declares more functions than that");
    found
}

fn prototype(statement: &str) -> Prototype {
    let statement = statement.replace("ANNALS_NODISCARD", "").replace("ANNALS_NOEXCEPT", "");
    let (head, params) = statement.trim().split_once('(').unwrap();
    let params = params.trim_end().strip_suffix(')').unwrap();
    let Param { ty: returns, name } = param(head);
    let params = match params.trim() {
        "void" => Vec::new(),
        params => params.split(',').map(param).collect(),
    };
    Prototype { returns, name, params }
}

fn param(text: &str) -> Param {
    let text = text.replace("struct ", "");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start = text.rfind([' ', '*']).unwrap() + 1;
    let (ty, name) = text.split_at(start);
    Param { ty: ty.trim().to_owned(), name: name.to_owned() }
}
