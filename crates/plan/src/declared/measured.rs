//! Whether declared rules fit the rows there are: a rule that decides nothing, names tenants there are not, or contradicts
//! another was not meant so.

use super::{GivenKey, Rule};
use crate::{Config, Refusal, RuleSurvey, Survey, refusal::thousands};

/// Notes about what stops nothing.
///
/// # Errors
/// The first rule that cannot be meant, with examples.
pub(crate) fn measured(config: &Config, survey: &Survey) -> Result<Vec<String>, Refusal> {
    let rules = &config.declared.rules;
    let mut notes = Vec::new();
    for (rule, found) in rules.iter().zip(&survey.rules) {
        if let Some(why) = flaw(rules, rule, found) {
            return Err(Refusal::Declaration { of: format!("[[rule]] {}", rule.name), why });
        }
        if found.overruled > 0 {
            notes.push(format!(
                "the rule {} says otherwise than the tenant column of {} of {}; the column counts",
                rule.name,
                counted(found.overruled, "row"),
                rule.table
            ));
        }
    }
    Ok(notes)
}

fn flaw(rules: &[Rule], rule: &Rule, found: &RuleSurvey) -> Option<String> {
    if let Some((other, rows, keys)) = found.contradicted.first() {
        let other = rules.get(*other).map(|rule| rule.name.as_str()).unwrap_or_default();
        return Some(format!(
            "it contradicts the rule {other} in {} of {} (for example {}); let one of them leave these rows alone with `when`",
            counted(*rows, "row"),
            rule.table,
            keys.join("; ")
        ));
    }
    if found.keys_of_no_row > 0 {
        let examples: Vec<String> = found.missing_keys.iter().map(|key| with_line(rule, key)).collect();
        return Some(format!(
            "{} of its csv file no row of {} has: {}",
            counted(found.keys_of_no_row, "key"),
            rule.table,
            examples.join("; ")
        ));
    }
    if found.unknown > 0 {
        let lines: Vec<String> = found.unknown_values.iter().map(|value| tenant_line(rule, value)).collect();
        return Some(format!(
            "for {} of {} it names a tenant that the root does not have: {}",
            counted(found.unknown, "row"),
            rule.table,
            lines.join("; ")
        ));
    }
    (found.rows == 0).then(|| format!("it matches no row of {}; mend it or take it out", rule.table))
}

fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// The key, and where in the file it stands.
fn with_line(rule: &Rule, key: &str) -> String {
    let values: Vec<String> = serde_json::from_str(key).unwrap_or_default();
    // As the server prints it, which is not always as the file has it.
    let shown = values.join(", ");
    match line_of(rule, |given| given.key == values) {
        Some(line) => format!("{shown} (line {line})"),
        None => shown,
    }
}

fn tenant_line(rule: &Rule, tenant: &str) -> String {
    match line_of(rule, |given| given.tenant == tenant) {
        Some(line) => format!("{tenant} (line {line})"),
        None => tenant.to_owned(),
    }
}

fn line_of(rule: &Rule, which: impl Fn(&GivenKey) -> bool) -> Option<usize> {
    rule.keys.as_ref()?.rows.iter().find(|given| which(given)).map(|given| given.line)
}
