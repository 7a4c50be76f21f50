//! What isolation rests on, as the serving login sees it, and what is different from a reading before.

use std::collections::{BTreeMap, BTreeSet};

use bastide_sql::Sql;
use serde::Serialize;

use crate::{Error, bound, lease::Lease};

const FACTS: &str = include_str!("posture.sql");

/// One reading. Values that nobody could read anyway (bodies, definitions) are there as hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posture(BTreeMap<Object, BTreeMap<String, String>>);

type Object = (Kind, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Relation,
    /// Policies that bind the login, by what they say.
    Permissive,
    Restrictive,
    /// A function that policies call.
    Context,
    Function,
    Login,
    Other,
}

/// Something that is not as it was when the server began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub object: String,
    pub change: String,
    /// Whether tenants may no longer be kept apart. Else it is for somebody to look at.
    pub unbinds: bool,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.change)
    }
}

impl Posture {
    pub(crate) async fn read(lease: &Lease) -> Result<Self, Error> {
        let mut facts: BTreeMap<Object, BTreeMap<String, String>> = BTreeMap::new();
        for row in bound::ask(lease, &Sql::trusted(FACTS)).await? {
            let column = |name| row.get(name).unwrap_or_default().to_owned();
            let kind = Kind::named(&column("kind"))
                .ok_or_else(|| Error::Mismatch("the posture has a kind of fact nobody knows".to_owned()))?;
            facts.entry((kind, column("object"))).or_default().insert(column("fact"), column("value"));
        }
        if !facts.keys().any(|(kind, _)| *kind == Kind::Permissive) {
            return Err(Error::Mismatch("the login sees no policy that binds it".to_owned()));
        }
        Ok(Self(facts))
    }

    /// What is different in `self` from `before`, worst first.
    pub(crate) fn drift(&self, before: &Self) -> Vec<Drift> {
        let objects: BTreeSet<&Object> = self.0.keys().chain(before.0.keys()).collect();
        let mut drift = Vec::new();
        for object @ (kind, name) in objects {
            let say = |change: String, unbinds| Drift { object: kind.describe(name), change, unbinds };
            let gone_relation = kind.of_relation() && !self.has_relation(name);
            let new_relation = kind.of_relation() && !before.has_relation(name);
            match (before.0.get(object), self.0.get(object)) {
                // A relation's own line says it all.
                _ if (gone_relation || new_relation) && *kind != Kind::Relation => {}
                (None, Some(now)) if kind.stands_alone() => drift.push(say(news(*kind, now), lies_open(now))),
                (Some(_), None) if kind.stands_alone() => {
                    drift
                        .push(say("is gone, or out of the login's reach".to_owned(), *kind == Kind::Context));
                }
                (was, now) => {
                    let none = BTreeMap::new();
                    let (was, now) = (was.unwrap_or(&none), now.unwrap_or(&none));
                    let opened = lies_open(now);
                    let names: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
                    drift.extend(names.into_iter().filter_map(|fact| {
                        let (was, now) = (was.get(fact), now.get(fact));
                        let (change, unbinds) =
                            kind.change(fact, was.map(String::as_str), now.map(String::as_str))?;
                        Some(say(change, unbinds || fact == "rows" && opened))
                    }));
                }
            }
        }
        drift.sort_by_key(|drift| !drift.unbinds);
        drift
    }

    fn has_relation(&self, name: &str) -> bool {
        self.0.contains_key(&(Kind::Relation, name.to_owned()))
    }
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "relation" => Self::Relation,
            "permissive" => Self::Permissive,
            "restrictive" => Self::Restrictive,
            "context" => Self::Context,
            "function" => Self::Function,
            "login" => Self::Login,
            "other" => Self::Other,
            _ => return None,
        })
    }

    fn of_relation(self) -> bool {
        matches!(self, Self::Relation | Self::Permissive | Self::Restrictive)
    }

    /// Whether its coming and going is worth a line of its own rather than one for each fact.
    fn stands_alone(self) -> bool {
        matches!(self, Self::Relation | Self::Context | Self::Function)
    }

    fn describe(self, name: &str) -> String {
        match self {
            Self::Context | Self::Function => format!("function {name}"),
            Self::Login => format!("login {name}"),
            _ => name.to_owned(),
        }
    }

    /// What became of one fact, and whether that unbinds.
    fn change(self, fact: &str, was: Option<&str>, now: Option<&str>) -> Option<(String, bool)> {
        if was == now {
            return None;
        }
        // A policy that permits more, or one that restricts no longer: the rest is named by its policy.
        match (self, was, now) {
            (Self::Permissive, None, _) => {
                return Some((format!("the login is now permitted {fact}"), true));
            }
            (Self::Restrictive, _, None) => return Some((format!("no longer restricted to {fact}"), true)),
            (Self::Permissive | Self::Restrictive, ..) => return None,
            _ => {}
        }
        let lost_row_security = matches!(fact, "row security" | "security_invoker") && was == Some("on");
        let unbinds = match self {
            Self::Relation => lost_row_security,
            Self::Context => fact == "definition" || fact == "SECURITY DEFINER" || fact == "owner",
            Self::Login => matches!(fact, "SUPERUSER" | "BYPASSRLS") && now == Some("on"),
            _ => false,
        };
        let change = match (was, now) {
            (_, Some(rows)) if fact == "rows" => format!("it holds rows {rows} since"),
            (_, None) if fact == "rows" => "it holds no rows of tenants any more".to_owned(),
            (_, Some("on")) => format!("{fact} was put on"),
            (Some("on"), _) => format!("{fact} was taken off"),
            (None, Some(_)) => format!("{fact} was added"),
            (Some(_), None) => format!("{fact} was taken away"),
            (Some(was), Some(now)) if matches!(fact, "owner" | "kind") => {
                format!("{fact} is {now}, was {was}")
            }
            _ => format!("{fact} was changed"),
        };
        Some((change, unbinds))
    }
}

/// A table, a copy of one or a far one that holds rows of tenants, before anything filters it for the login. What a view shows its
/// owner may be bound for; that is for validate to say.
fn lies_open(facts: &BTreeMap<String, String>) -> bool {
    let has = |fact: &str, value: &str| facts.get(fact).is_some_and(|found| found == value);
    has("rows", "of tenants") && !has("row security", "on") && !has("kind", "view")
}

fn news(kind: Kind, facts: &BTreeMap<String, String>) -> String {
    let has = |fact: &str, value: &str| facts.get(fact).is_some_and(|found| found == value);
    let what = facts.get("kind").map_or("function", String::as_str);
    let bound = match what {
        "view" => has("security_invoker", "on"),
        "table" => has("row security", "on"),
        _ => false,
    };
    match kind {
        Kind::Relation if bound => format!("a {what} the login can reach since; row-level security is on"),
        Kind::Relation => {
            let rows = if lies_open(facts) { " with rows of tenants" } else { "" };
            format!("a {what}{rows} the login can reach since, and row-level security does not bind it there")
        }
        _ if has("SECURITY DEFINER", "on") => {
            format!(
                "a {what} the login can call since, with the rights of {}",
                facts.get("owner").map_or("?", String::as_str)
            )
        }
        _ => format!("a new {what}"),
    }
}
