//! What declared rules come to: each expression is tried before anything rests on it, then measured over all rows.

use std::collections::BTreeMap;

use bastide_catalog::{Catalog, TypeName};
use bastide_plan::{
    Declarations, GivenKeys, RuleSurvey,
    inference::{self, Given, Graph},
};
use bastide_sql::Sql;
use tokio_postgres::{Row, Transaction};

use crate::{SurveyError, survey::Progress};

/// What CSV files gave, for the length of the survey.
pub(crate) async fn bring_keys(
    transaction: &mut Transaction<'_>,
    catalog: &Catalog,
    root_type: &TypeName,
    declared: &Declarations,
) -> Result<(), SurveyError> {
    let what = "bring in the keys of a rule";
    let create = inference::create_given();
    transaction.batch_execute(create.as_str()).await.map_err(SurveyError::during(what))?;
    for rule in &declared.rules {
        let (Some(keys), Some(table)) = (&rule.keys, catalog.table(&rule.table)) else { continue };
        let types: Vec<_> = keys
            .columns
            .iter()
            .filter_map(|name| table.column(name).map(|column| column.type_name.clone()))
            .collect();
        let give = |keys: &GivenKeys| inference::give(Given::Survey, &rule.name, &types, root_type, keys);
        for statement in give(keys) {
            let attempt = transaction.savepoint("bastide_keys").await.map_err(SurveyError::during(what))?;
            let Err(error) = attempt.batch_execute(statement.as_str()).await else {
                attempt.commit().await.map_err(SurveyError::during(what))?;
                continue;
            };
            attempt.rollback().await.map_err(SurveyError::during(what))?;
            let failed = SurveyError::of_rule(&rule.name, &rule.table)(error);
            return Err(in_its_line(transaction, failed, keys, give).await);
        }
    }
    Ok(())
}

/// Which line of the file the server refuses: one key after the other, until it does again.
async fn in_its_line(
    transaction: &mut Transaction<'_>,
    failed: SurveyError,
    keys: &GivenKeys,
    give: impl Fn(&GivenKeys) -> Vec<Sql>,
) -> SurveyError {
    let SurveyError::Rule { rule, table, said } = failed else { return failed };
    for given in &keys.rows {
        let one = GivenKeys { columns: keys.columns.clone(), rows: vec![given.clone()] };
        for statement in give(&one) {
            if transaction.batch_execute(statement.as_str()).await.is_err() {
                let said = format!("line {} of its csv file: {said}", given.line);
                return SurveyError::Rule { rule, table, said };
            }
        }
    }
    SurveyError::Rule { rule, table, said }
}

/// A VOLATILE function says something else each time it is asked, and may write: none is called, not even once.
pub(crate) async fn refuse_volatile(
    transaction: &mut Transaction<'_>,
    graph: &Graph,
    declared: &Declarations,
) -> Result<(), SurveyError> {
    let readings = inference::rule_readings(graph);
    if readings.is_empty() {
        return Ok(());
    }
    let what = "read the rules";
    let attempt = transaction.savepoint("bastide_rules").await.map_err(SurveyError::during(what))?;
    attempt.batch_execute(graph.rule_path().as_str()).await.map_err(SurveyError::during(what))?;
    for reading in readings {
        let rule = &declared.rules[reading.rule];
        let failed = || SurveyError::of_rule(&rule.name, &rule.table);
        attempt.batch_execute(reading.prepare.as_str()).await.map_err(failed())?;
        let rows = attempt.query(reading.volatile.as_str(), &[]).await.map_err(SurveyError::during(what))?;
        let called = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>();
        let called = called.map_err(SurveyError::during(what))?;
        if !called.is_empty() {
            let said = format!(
                "it calls {}, which is VOLATILE, and a row's tenant must be the same whenever it is asked for; use what is \
                 IMMUTABLE or STABLE",
                called.join(" and ")
            );
            return Err(SurveyError::Rule { rule: rule.name.clone(), table: rule.table.clone(), said });
        }
    }
    attempt.rollback().await.map_err(SurveyError::during(what))
}

pub(crate) async fn measure(
    transaction: &Transaction<'_>,
    graph: &Graph,
    declared: &Declarations,
    progress: Progress<'_>,
) -> Result<Vec<RuleSurvey>, SurveyError> {
    let mut found: BTreeMap<usize, RuleSurvey> = BTreeMap::new();
    let (measures, pairs) = inference::rule_measures(graph);
    if !measures.is_empty() {
        let path = graph.rule_path();
        transaction.batch_execute(path.as_str()).await.map_err(SurveyError::during("try the rules"))?;
    }
    for measure in measures {
        let rule = &declared.rules[measure.rule];
        progress(&format!("trying the rule {}", rule.name));
        let failed = || SurveyError::of_rule(&rule.name, &rule.table);
        let row = transaction.query_one(measure.counts.as_str(), &[]).await.map_err(failed())?;
        let of_rule = found.entry(measure.rule).or_default();
        of_rule.rows += number(&row, 0).map_err(failed())?;
        of_rule.unknown += number(&row, 1).map_err(failed())?;
        of_rule.unknown_values.extend(row.try_get::<_, Vec<String>>(2).map_err(failed())?);
        of_rule.overruled += number(&row, 3).map_err(failed())?;
    }
    for pair in pairs {
        let (one, other) = pair.rules;
        let rule = &declared.rules[one];
        let failed = || SurveyError::of_rule(&rule.name, &rule.table);
        let row = transaction.query_one(pair.counts.as_str(), &[]).await.map_err(failed())?;
        let rows = number(&row, 0).map_err(failed())?;
        if rows > 0 {
            let keys = row.try_get(1).map_err(failed())?;
            found.entry(one).or_default().contradicted.push((other, rows, keys));
        }
    }
    for (at, rule) in declared.rules.iter().enumerate() {
        let Some(query) = graph.keys_of_no_row(declared, at) else { continue };
        let failed = || SurveyError::of_rule(&rule.name, &rule.table);
        let row = transaction.query_one(query.as_str(), &[]).await.map_err(failed())?;
        let of_rule = found.entry(at).or_default();
        of_rule.keys_of_no_row = number(&row, 0).map_err(failed())?;
        of_rule.missing_keys = row.try_get(1).map_err(failed())?;
    }
    Ok((0..declared.rules.len()).map(|at| found.remove(&at).unwrap_or_default()).collect())
}

fn number(row: &Row, at: usize) -> Result<u64, tokio_postgres::Error> {
    row.try_get::<_, i64>(at).map(i64::unsigned_abs)
}
