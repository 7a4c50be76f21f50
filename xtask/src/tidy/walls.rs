//! The walls of DESIGN: who may reach what. Read from `cargo metadata`, so a re-export does not get around them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata};

use super::Complaint;

/// Crates through which a program reaches the network or a database.
const IO: [&str; 7] = ["tokio", "tokio-postgres", "deadpool-postgres", "rustls", "axum", "hyper", "rustix"];

/// Crates that do no I/O, and those they are made of.
const PURE: [&str; 5] =
    ["bastide-sql", "bastide-catalog", "bastide-plan", "bastide-record", "bastide-report"];

pub(crate) fn check(metadata: &Metadata) -> Vec<Complaint> {
    let graph = Graph::of(metadata);
    let mut complaints = Vec::new();
    let mut forbid = |from: &str, found: Vec<String>, why: &str| {
        complaints
            .extend(found.into_iter().map(|to| Complaint(format!("{from} must not depend on {to}: {why}"))));
    };
    for pure in PURE {
        let reached = graph.reached(pure);
        let found = IO.iter().filter(|io| reached.contains(**io)).map(|io| (*io).to_owned()).collect();
        forbid(pure, found, "plan and report do no I/O");
    }
    for package in metadata.packages.iter().filter(|package| PURE.contains(&package.name.as_str())) {
        let reading = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development && d.features.contains(&"read".to_owned()));
        forbid(
            &package.name,
            reading.map(|d| format!("{} with feature read", d.name)).collect(),
            "plan and report do no I/O",
        );
    }
    for served in ["bastide-commerce", "bastide-server"] {
        let direct = graph.direct(served);
        let doors = ["tokio-postgres", "deadpool-postgres", "bastide-connect", "bastide-postgres"];
        let found =
            doors.iter().filter(|door| direct.contains(**door)).map(|door| (*door).to_owned()).collect();
        forbid(served, found, "PostgreSQL is reached only through bastide-tenancy");
    }
    let engine = graph.reached("bastide-server").contains("bastide-engine");
    forbid(
        "bastide-server",
        engine.then(|| "bastide-engine".to_owned()).into_iter().collect(),
        "serving never migrates",
    );
    for (name, direct) in &graph.direct {
        let imports = direct.contains("bastide-cli").then(|| "bastide-cli".to_owned());
        forbid(name, imports.into_iter().collect(), "nothing imports the binary");
    }
    complaints
}

/// Normal and build dependencies of every package, by name; test-only ones do not count.
struct Graph {
    direct: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of(metadata: &Metadata) -> Self {
        let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in &metadata.packages {
            let names =
                package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development && !d.optional);
            direct.entry(package.name.to_string()).or_default().extend(names.map(|d| d.name.clone()));
        }
        Self { direct }
    }

    fn direct(&self, of: &str) -> BTreeSet<String> {
        self.direct.get(of).cloned().unwrap_or_default()
    }

    fn reached(&self, from: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(next) = open.pop() {
            for name in self.direct(&next) {
                if reached.insert(name.clone()) {
                    open.push(name);
                }
            }
        }
        reached
    }
}
