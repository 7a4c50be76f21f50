//! Two catalogs compared in full, for people: what the planner expected against what the server has.

use serde_json::Value;

use crate::{Catalog, aspects::objects};

impl Catalog {
    /// One line for each difference, `self` before the arrow and `other` after it; OIDs, row estimates and sizes do not
    /// count.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Vec<String> {
        let (left, right) = (objects(self), objects(other));
        let mut lines = Vec::new();
        for (name, left_aspects) in &left {
            let Some(right_aspects) = right.get(name) else {
                lines.push(format!("{name}: is gone"));
                continue;
            };
            let only_right = right_aspects.keys().filter(|aspect| !left_aspects.contains_key(*aspect));
            for aspect in left_aspects.keys().chain(only_right) {
                let left = left_aspects.get(aspect).unwrap_or(&Value::Null);
                let right = right_aspects.get(aspect).unwrap_or(&Value::Null);
                compare(&format!("{name}: {aspect}"), left, right, &mut lines);
            }
        }
        for name in right.keys().filter(|name| !left.contains_key(*name)) {
            lines.push(format!("{name}: is new"));
        }
        lines.sort();
        lines
    }
}

fn compare(path: &str, left: &Value, right: &Value, lines: &mut Vec<String>) {
    if left == right {
        return;
    }
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let only_right = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(only_right) {
                let left = left.get(key).unwrap_or(&Value::Null);
                let right = right.get(key).unwrap_or(&Value::Null);
                compare(&format!("{path}, {key}"), left, right, lines);
            }
        }
        _ => match (by_name(left), by_name(right)) {
            (Some(left), Some(right)) => compare_named(path, &left, &right, lines),
            _ => lines.push(format!("{path}: {} → {}", shown(left), shown(right))),
        },
    }
}

fn compare_named(path: &str, left: &[(&str, &Value)], right: &[(&str, &Value)], lines: &mut Vec<String>) {
    let find = |list: &[(&str, &Value)], name: &str| list.iter().position(|(other, _)| *other == name);
    for (name, value) in left {
        match find(right, name) {
            Some(at) => compare(&format!("{path}, {name}"), value, right[at].1, lines),
            None => lines.push(format!("{path}, {name}: is gone (was {})", shown(value))),
        }
    }
    for (name, value) in right {
        if find(left, name).is_none() {
            lines.push(format!("{path}, {name}: is new ({})", shown(value)));
        }
    }
    let order = |list: &[(&str, &Value)], others: &[(&str, &Value)]| -> Vec<String> {
        let common = list.iter().filter(|(name, _)| find(others, name).is_some());
        common.map(|(name, _)| (*name).to_owned()).collect()
    };
    let (before, after) = (order(left, right), order(right, left));
    if before != after {
        lines.push(format!("{path}: order {} → {}", before.join(", "), after.join(", ")));
    }
}

/// A list of things that have names of their own; an absent list is an empty one.
fn by_name(list: &Value) -> Option<Vec<(&str, &Value)>> {
    match list {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items.iter().map(|item| Some((item.get("name")?.as_str()?, item))).collect(),
        _ => None,
    }
}

/// As JSON, without what says nothing.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Object(fields) => {
            let said = fields.iter().filter(|(_, value)| match value {
                Value::Null | Value::Bool(false) => false,
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
            let said: Vec<String> = said.map(|(name, value)| format!("{name}: {value}")).collect();
            said.join(", ")
        }
        _ => value.to_string(),
    }
}
